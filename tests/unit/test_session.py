"""Commands over a console, against the real shell of this host on a pty."""

from __future__ import annotations

import asyncio
import os
import pty
import random
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sampan.core.errors import SampanError
from sampan.serial.console import Console
from sampan.serial.errors import (
    CommandTimeout,
    ConsoleError,
    ExpectTimeout,
    KernelPanic,
    LineNoise,
    LoginRefused,
    LoginTimeout,
    SessionLost,
)
from sampan.serial.log import LineLog
from sampan.serial.session import CommandFailed, Session
from sampan.serial.transport import FdTransport, OnData, socket_transport

Body = Callable[[Session, int], Awaitable[None]]


class Noisy(FdTransport):
    """The line of a talkative kernel: messages come at random places, mostly inside lines."""

    def __init__(self, fd: int, seed: int, rate: float) -> None:
        super().__init__(fd, "a noisy pty", lambda: os.close(fd))
        self._random = random.Random(seed)
        self._rate = rate
        self._time = 1.0

    def start(self, on_data: OnData, on_end: Callable[[str], None]) -> None:
        def disturb(data: bytes) -> None:
            out = bytearray()
            for byte in data:
                out.append(byte)
                # The tty writes "\r\n" at once; a message comes between other bytes.
                if byte != 13 and self._random.random() < self._rate:
                    self._time += 0.01
                    out += b"[%12.6f] usb 1-1: new device number %d\r\n" % (self._time, byte)
            on_data(bytes(out))

        super().start(disturb, on_end)


@asynccontextmanager
async def a_shell(tmp_path: Path, seed: int | None = None, rate: float = 0.0) -> AsyncIterator[tuple[Session, int]]:
    """A session on an interactive sh; and the shell's pid."""
    ours, theirs = pty.openpty()
    env = {"PATH": os.environ["PATH"], "PS1": "box # ", "ENV": ""}
    process = subprocess.Popen(
        ["setsid", "-cw", "sh", "-i"], stdin=theirs, stdout=theirs, stderr=theirs, env=env, cwd=tmp_path
    )
    os.close(theirs)
    line = FdTransport(ours, "a pty", lambda: os.close(ours)) if seed is None else Noisy(ours, seed, rate)
    console = Console(line, LineLog(tmp_path / "console.log"))
    console.start()
    try:
        # This shell is the host's: its kernel is left alone.
        yield Session(console, quiet_kernel=False), process.pid
    finally:
        console.close()
        process.kill()
        process.wait()


def with_shell(tmp_path: Path, body: Body, seed: int | None = None, rate: float = 0.0) -> None:
    async def main() -> None:
        async with a_shell(tmp_path, seed, rate) as (session, pid):
            await body(session, pid)

    asyncio.run(main())


def test_status_and_output_come_back(tmp_path: Path) -> None:
    async def body(session: Session, pid: int) -> None:
        assert (await session.run("echo hello; exit 3")).status == 3
        assert (await session.run("echo hello; echo more >&2")).output == "hello\nmore\n"
        assert (await session.run("true")).raw == b""
        assert (await session.run("printf 'no newline'")).output == "no newline"
        assert (await session.run("cat")).output == "", "stdin is empty, not the console"
        result = await session.run("printf '\\001\\002\\015\\012\\377\\000\\033[6n'")
        assert result.raw == b"\x01\x02\r\n\xff\0\x1b[6n" and result.checked
        assert (await session.run("echo after")).output == "after\n", "a cursor question in output is no question"
        big = await session.run("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done")
        assert big.output.splitlines() == [f"line {i}" for i in range(20000)]
        long = "x" * 3000
        assert (await session.run(f"echo '{long}'\necho \"two\tlines\"")).output == f"{long}\ntwo\tlines\n"

    with_shell(tmp_path, body)


def test_each_command_has_its_own_subshell(tmp_path: Path) -> None:
    async def body(session: Session, pid: int) -> None:
        await session.run("cd /; A=1; exit 0")
        assert (await session.run("pwd; echo $A")).output == f"{tmp_path}\n\n"
        assert (await session.run("echo 'unterminated")).status != 0
        assert (await session.run("echo still here")).output == "still here\n"

    with_shell(tmp_path, body)


def test_a_failed_command_shows_itself(tmp_path: Path) -> None:
    async def body(session: Session, pid: int) -> None:
        with pytest.raises(CommandFailed, match=r"exit status 4\n  # echo why; exit 4\n  \| why"):
            (await session.run("echo why; exit 4")).check()
        with pytest.raises(SampanError, match="NUL"):
            await session.run("a\0b")

    with_shell(tmp_path, body)


def test_a_command_that_hangs_is_interrupted_and_the_next_one_runs(tmp_path: Path) -> None:
    async def body(session: Session, pid: int) -> None:
        with pytest.raises(CommandTimeout, match="sleep 1000") as caught:
            await session.run("sleep 1000", timeout=0.5)
        assert caught.value.log == tmp_path / "console.log"
        assert (await session.run("echo next")).output == "next\n"

    with_shell(tmp_path, body)


def test_a_lost_shell_is_said_and_never_run_twice(tmp_path: Path) -> None:
    async def body(session: Session, pid: int) -> None:
        with pytest.raises(SessionLost):
            await session.run("echo x >>ran; kill -9 $$", timeout=30)
        assert (tmp_path / "ran").read_text() == "x\n"
        assert (await session.run("echo back")).output == "back\n"

    with_shell(tmp_path, body)


def test_leaving_gives_the_plain_shell_back(tmp_path: Path) -> None:
    async def body(session: Session, pid: int) -> None:
        await session.run("true")
        await session.leave()
        session.console.clear()
        await session.console.write("echo pla''in\n")
        await session.console.expect([b"plain\r\n"], 10)

    with_shell(tmp_path, body)


@pytest.mark.parametrize("seed", range(4))
def test_between_kernel_messages_a_result_is_right_or_an_error(tmp_path: Path, seed: int) -> None:
    """Messages inside lines everywhere: 1 in 300 bytes, several in every answer."""
    right = wrong = 0

    async def body(session: Session, pid: int) -> None:
        nonlocal right, wrong
        for i in range(12):
            try:
                count = "i=0; while [ $i -lt 20 ]; do echo $i some text; i=$((i+1)); done"
                result = await session.run(f"{count}; exit {i}")
            except (LineNoise, CommandTimeout, SessionLost):
                wrong += 1
                continue
            assert result.status == i
            assert result.output == "".join(f"{j} some text\n" for j in range(20))
            right += 1

    with_shell(tmp_path, body, seed, 1 / 300)
    assert right > wrong


def test_the_end_of_the_line_is_an_error_at_once(tmp_path: Path) -> None:
    async def body(session: Session, pid: int) -> None:
        await session.run("true")
        os.kill(pid, signal.SIGKILL)
        await session.console.write("exit\nexit\n")
        with pytest.raises(ConsoleError, match="the line ended"):
            await session.console.expect([b"never"], 60)

    with_shell(tmp_path, body)


class Board:
    """The other end of a console, played by a test."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        sock.setblocking(False)

    async def says(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._sock, data)

    async def reads(self) -> bytes:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self._sock, 4096), 30)

    def hangs_up(self) -> None:
        self._sock.close()


def with_board(tmp_path: Path, play: Callable[[Session, Board], Awaitable[None]]) -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        console = Console(socket_transport(ours, "a line"), LineLog(tmp_path / "console.log"))
        console.start()
        try:
            await play(Session(console), Board(theirs))
        finally:
            console.close()
            theirs.close()

    asyncio.run(main())


def test_a_refused_login_is_told(tmp_path: Path) -> None:
    async def play(session: Session, board: Board) -> None:
        login = asyncio.create_task(session.login("root", "secret", timeout=30))
        await board.says(b"box login: ")
        assert await board.reads() == b"root\n"
        await board.says(b"root\r\nPassword: ")
        assert await board.reads() == b"secret\n"
        await board.says(b"\r\nLogin incorrect\r\nbox login: ")
        with pytest.raises(LoginRefused, match="wrong user or password"):
            await login

    with_board(tmp_path, play)
    assert "secret" not in (tmp_path / "console.log").read_text()


def test_a_password_that_nobody_gave_is_asked_for_by_name(tmp_path: Path) -> None:
    async def play(session: Session, board: Board) -> None:
        login = asyncio.create_task(session.login("root", timeout=30))
        await board.says(b"box login: ")
        await board.reads()
        await board.says(b"Password: ")
        with pytest.raises(LoginRefused, match="'root' wants a password"):
            await login

    with_board(tmp_path, play)


def test_no_login_in_time_shows_the_last_lines_and_the_log(tmp_path: Path) -> None:
    async def play(session: Session, board: Board) -> None:
        await board.says(b"Waiting for root device\r\n")
        with pytest.raises(LoginTimeout) as caught:
            await session.login(timeout=0.5)
        text = str(caught.value)
        assert "no login within 0.5 s" in text
        assert "  | Waiting for root device\n" in text
        assert f"full log: {tmp_path / 'console.log'}" in text

    with_board(tmp_path, play)


def test_a_panic_ends_every_wait(tmp_path: Path) -> None:
    async def play(session: Session, board: Board) -> None:
        login = asyncio.create_task(session.login(timeout=60))
        await board.says(b"[    0.5] Kernel panic - not syncing: No working ")
        await board.says(b"init found.\r\n[    0.6] ---[ end Kernel panic ]---\r\n")
        board.hangs_up()
        with pytest.raises(KernelPanic, match="No working init found") as caught:
            await login
        assert caught.value.tail[-1].endswith("---[ end Kernel panic ]---")

    with_board(tmp_path, play)


def test_expect_names_what_did_not_come(tmp_path: Path) -> None:
    async def play(session: Session, board: Board) -> None:
        await board.says(b"abc")
        with pytest.raises(ExpectTimeout, match="'=> ' or 'U-Boot' did not come within 0.2 s"):
            await session.console.expect([b"=> ", b"U-Boot"], 0.2)
        await board.says(b"def => ")
        assert (await session.console.expect([b"=> "], 30)).before == b"abcdef "

    with_board(tmp_path, play)


def test_a_cursor_question_is_answered_even_in_pieces(tmp_path: Path) -> None:
    async def play(session: Session, board: Board) -> None:
        await board.says(b"~ # \x1b[")
        await asyncio.sleep(0.05)
        await board.says(b"6n")
        assert (await board.reads()).endswith(b"R")

    with_board(tmp_path, play)


def test_a_full_line_waits_and_loses_nothing(tmp_path: Path) -> None:
    async def play(session: Session, board: Board) -> None:
        data = random.Random(1).randbytes(3 << 20)
        sending = asyncio.create_task(session.console.transport.write(data))
        await asyncio.sleep(0.05)
        assert not sending.done(), "the other side has read nothing yet"
        got = bytearray()
        while len(got) < len(data):
            got += await board.reads()
        await sending
        assert bytes(got) == data

    with_board(tmp_path, play)
