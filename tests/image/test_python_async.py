"""The same on an asyncio loop."""

from __future__ import annotations

import asyncio
import inspect
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pty_board import running
from runtime_lab import need_host

import sampan
from sampan.control.aio import AsyncTarget
from sampan.control.aiolxc import AsyncContainer
from sampan.control.lxc import Container
from sampan.control.packets import Kind, pack
from sampan.core.errors import SampanError


@pytest.fixture(scope="module")
def target(runtime_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AsyncTarget]:
    need_host()
    with running(tmp_path_factory.mktemp("b"), runtime_binary) as board:
        yield sampan.connect_async(board.url)


def test_programs_side_by_side(target: AsyncTarget) -> None:
    async def main() -> list[bytes]:
        order: list[str] = []

        async def one(words: str) -> bytes:
            done = await target.run(words, stdin=b"in\0")
            order.append(words)
            return done.check().stdout

        found = await asyncio.gather(one("sleep 1; cat"), one("cat"), one("cat; echo more"))
        assert order[-1] == "sleep 1; cat"
        return found

    assert asyncio.run(main()) == [b"in\0", b"in\0", b"in\0more\n"]


def test_a_cancelled_call_takes_its_program_with_it(target: AsyncTarget, tmp_path: Path) -> None:
    async def main() -> None:
        words = f"echo $$ >{tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; exec sleep 1000"
        task = asyncio.create_task(target.run(words))
        while not (tmp_path / "pid").exists():
            await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        pid = (tmp_path / "pid").read_text().strip()
        end = time.monotonic() + 60
        while Path(f"/proc/{pid}").exists() and b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes():
            assert time.monotonic() < end
            await asyncio.sleep(0.02)
        assert (await target.run("echo alive")).output == "alive\n"

    asyncio.run(main())


def test_files_while_others_run(target: AsyncTarget, tmp_path: Path) -> None:
    data = os.urandom(40_000)
    (tmp_path / "file").write_bytes(data)

    async def main() -> None:
        there = f"{tmp_path}/there"
        moved, done = await asyncio.gather(target.push(tmp_path / "file", there), target.run("echo beside"))
        assert moved.size == len(data) and done.output == "beside\n"
        await target.pull(there, tmp_path / "back")
        with pytest.raises(SampanError, match="no such file"):
            await target.pull(f"{tmp_path}/none", tmp_path / "x")
        pushing = asyncio.create_task(target.push(tmp_path / "file", f"{tmp_path}/other"))
        await asyncio.sleep(0)
        pushing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pushing
        assert (await target.run("echo alive")).output == "alive\n"

    asyncio.run(main())
    assert (tmp_path / "back").read_bytes() == data


def test_failures_are_the_same(target: AsyncTarget, tmp_path: Path) -> None:
    assert asyncio.run(target.run("exit 3")).status == 3
    with pytest.raises(SampanError, match="no such target"):
        sampan.connect_async("nowhere")
    with pytest.raises(SampanError, match="nobody"):
        asyncio.run(sampan.connect_async(f"unix://{tmp_path}/nobody").run("true"))


def test_the_answer_is_read_though_nothing_more_can_be_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A program may end before its input does: its line's owner has then closed while we still write."""
    ours, owner = socket.socketpair()
    with owner:
        owner.sendall(pack(Kind.STDOUT, b"done") + pack(Kind.END, b'{"status": 7}'))
    monkeypatch.setattr("sampan.control.aio.connected", lambda line: ours)
    done = asyncio.run(sampan.connect_async(f"unix://{tmp_path}/line").run("exit 7", stdin=b"x" * 1_000_000))
    assert (done.status, done.stdout) == (7, b"done")


def test_a_container_on_a_loop(target: AsyncTarget, tmp_path: Path) -> None:
    async def main() -> None:
        web = target.container("aweb", str(tmp_path))
        assert (await web.state, await web.defined, await web.init_pid) == ("STOPPED", False, -1)
        with pytest.raises(KeyError):
            await web.get_config_item("lxc.uts.name")
        assert await web.set_config_item("lxc.environment", ["A=1", "B=2"])
        assert await web.create() and await web.defined
        assert await web.append_config_item("lxc.environment", "C=3") and await web.save_config()
        again = target.container("aweb", str(tmp_path))
        assert await again.get_config_item("lxc.environment") == ["A=1", "B=2", "C=3"]
        copy = await web.clone("acopy")
        assert isinstance(copy, AsyncContainer) and await copy.defined
        assert not await web.wait("RUNNING", 0) and not await web.freeze()
        assert all(await asyncio.gather(web.destroy(), copy.destroy()))

    asyncio.run(main())


def test_both_have_the_same_methods() -> None:
    """With the same arguments; what is for ordinary code alone is listed in docs/python.md."""
    alone = {"console", "console_getfd", "network", "host"}
    names = {name for name in dir(Container) if not name.startswith("_")} - alone
    assert names == {name for name in dir(AsyncContainer) if not name.startswith("_")}
    for name in names:
        ours, theirs = inspect.getattr_static(Container, name), inspect.getattr_static(AsyncContainer, name)
        if not isinstance(ours, property):
            assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters), name
