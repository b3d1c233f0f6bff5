"""What goes wrong with a line itself: each is said, and the next command works."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from line_board import Adapter, plugged, serve_tcp
from pty_board import Board

from sampan.control import lines
from sampan.control.client import Connection, LineFailure
from sampan.control.remote import Target
from sampan.control.target import resolve
from sampan.core.errors import SampanError
from sampan.core.paths import ROOT

_PATIENCE = 60.0


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's brokers are."""
    folder = tmp_path_factory.mktemp("h")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder


@pytest.fixture
def board(runtime_binary: Path, tmp_path_factory: pytest.TempPathFactory, home: Path) -> Iterator[Board]:
    running = Board(tmp_path_factory.mktemp("b"), runtime_binary)
    try:
        yield running
    finally:
        running.close()


def works(target: Target) -> None:
    assert target.run("echo well").check().output == "well\n"


def failure(target: Target) -> LineFailure:
    with pytest.raises(LineFailure) as caught:
        target.run("true")
    return caught.value


@pytest.mark.parametrize("rfc2217", [False, True], ids=["socket", "rfc2217"])
def test_a_board_behind_a_network_port(board: Board, rfc2217: bool) -> None:
    url, end = serve_tcp(board, rfc2217=rfc2217)
    data = os.urandom(20_000)
    assert Target(resolve(f"{url}?baud=57600")).run(["cat"], stdin=data).stdout == data
    end()


def test_two_hosts_on_one_device(board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = Adapter(plugged(board))
    try:
        works(Target(resolve(adapter.device)))
        owner = lines.LinePlace(adapter.device).owned()
        assert owner is not None
        with monkeypatch.context() as patch:
            patch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
            said = failure(Target(resolve(adapter.device))).message
        assert said == f"{adapter.device}: in use by sampan, pid {owner.pid} of root"
        works(Target(resolve(adapter.device)))
    finally:
        adapter.unplug()


def test_another_rate_takes_an_idle_line_and_no_busy_one(board: Board) -> None:
    adapter = Adapter(plugged(board))
    try:
        works(Target(resolve(adapter.device)))
        works(Target(resolve(f"{adapter.device}?baud=9600")))
        with Connection(resolve(f"{adapter.device}?baud=9600"), {"do": "terminal"}) as seat:
            seat.read()
            said = failure(Target(resolve(f"{adapter.device}?baud=115200")))
        assert "open at 9600 baud and in use" in said.message and str(os.getpid()) in said.message
    finally:
        adapter.unplug()


def test_an_adapter_pulled_out_and_put_back(board: Board, tmp_path: Path) -> None:
    adapter = Adapter(plugged(board))
    name = tmp_path / "ttyBOARD"
    name.symlink_to(adapter.device)
    target = Target(resolve(str(name)))
    works(target)
    threading.Timer(0.5, adapter.unplug).start()
    with pytest.raises(LineFailure, match="line ended|line is closed") as caught:
        target.run("sleep 1000")
    assert "how far the command came is unknown" in caught.value.hint
    name.unlink()
    with pytest.raises(SampanError, match="no such device"):
        target.run("true")
    again = Adapter(plugged(board))
    name.symlink_to(again.device)
    try:
        works(target)
    finally:
        again.unplug()


def test_a_terminal_waits_for_a_lost_line(board: Board, tmp_path: Path) -> None:
    first = Adapter(plugged(board))
    name = tmp_path / "ttyBOARD"
    name.symlink_to(first.device)
    ours, theirs = os.openpty()
    words = [sys.executable, "-m", "sampan", "terminal", str(name)]
    person = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT)
    os.close(theirs)

    def until(text: str) -> None:
        seen = b""
        while text.encode() not in seen:
            seen += os.read(ours, 4096)

    until("Ctrl-a x quits")
    os.write(ours, b"echo one''two\r")
    until("onetwo")
    first.unplug()
    until("waiting for it")
    second = Adapter(plugged(board))
    name.unlink()
    name.symlink_to(second.device)
    until("the line is back")
    os.write(ours, b"echo three''four\r")
    until("threefour")
    os.write(ours, b"\x01x")
    until("left as it is")
    assert person.wait(_PATIENCE) == 0
    os.close(ours)
    works(Target(resolve(str(name))))
    second.unplug()


def test_a_rate_that_is_wrong_is_said() -> None:
    """A board at 9600 baud seen at 115200: 12 of our bits in each of its own."""

    def sampled(data: bytes) -> bytes:
        return b"\xf8\x00\x80\xe0" * max(1, len(data) // 4)

    adapter = Adapter(sampled)
    try:
        found = failure(Target(resolve(adapter.device)))
        assert "is no text: another bit rate?" in found.message and "?baud=" in found.hint
    finally:
        adapter.unplug()


def test_clients_killed_at_random_moments_leave_nothing(board: Board, home: Path) -> None:
    target = Target(resolve(board.url))
    works(target)
    words = [
        sys.executable,
        "-m",
        "sampan",
        "on",
        board.url,
        "run",
        "--",
        "sh",
        "-c",
        "head -c 50000 /dev/zero; exec sleep 1000",
    ]
    chances = random.Random(1)
    for _ in range(25):
        four = [
            subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=ROOT) for _ in range(4)
        ]
        time.sleep(chances.uniform(0.02, 0.5))
        for client in four:
            client.send_signal(signal.SIGKILL)
            client.wait()
    works(target)
    end = time.monotonic() + _PATIENCE
    while (left := processes(home, "sleep")) and time.monotonic() < end:
        time.sleep(0.05)
    assert not left
    with Connection(resolve(board.url), {"do": "end", "baud": 0}) as last, pytest.raises(LineFailure):
        last.read()
    while (left := processes(home, "sampan")) and time.monotonic() < end:
        time.sleep(0.05)
    assert not left and not list(home.rglob("sock"))


def processes(home: Path, word: str) -> list[str]:
    """Other processes that know this folder, with the word in their command lines."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            if each.name != str(os.getpid()) and str(home).encode() in (each / "environ").read_bytes():
                line = (each / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found += [line] if word in line else []
        except OSError:
            continue
    return found
