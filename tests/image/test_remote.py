"""The agent and its host over a shell on a pty: everything but a real UART."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pty_board import Board, running

import sampan
from sampan.control.lines import LinePlace
from sampan.control.remote import Target
from sampan.core.errors import SampanError
from sampan.core.paths import ROOT


@pytest.fixture(scope="module")
def board(runtime_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    with running(tmp_path_factory.mktemp("b"), runtime_binary) as board:
        yield board


@pytest.fixture
def target(board: Board) -> Target:
    return sampan.connect(board.url)


def on(board: Board, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sampan", "on", board.url, *words]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, cwd=ROOT, check=False)


def test_a_program_has_its_streams_and_its_status(target: Target) -> None:
    done = target.run("cat; echo no >&2; exit 7", stdin=b"in\0put\n")
    assert (done.status, done.stdout, done.stderr) == (7, b"in\0put\n", b"no\n")
    assert target.run("kill -9 $$").status == 128 + signal.SIGKILL
    assert target.run(["/no/such/program"]).status == 127
    assert target.run("echo $WORD", environment={"WORD": "it's"}).stdout == b"it's\n"


def test_verbs_are_the_targets_own(board: Board, target: Target) -> None:
    assert json.loads(on(board, "ls", "--json", "-P", "/no/such/folder").stdout or "[]") == []
    wrong = on(board, "lss")
    assert wrong.returncode == 1 and "did you mean 'ls'?" in wrong.stderr
    assert target.container("no-such-container").state == "STOPPED"


def test_output_and_exit_codes_pass_through(board: Board) -> None:
    done = on(board, "run", "--", "sh", "-c", "cat; echo err >&2; exit 5", stdin="text\n")
    assert (done.returncode, done.stdout, done.stderr) == (5, "text\n", "err\n")


def test_a_request_is_run_once(target: Target, tmp_path: Path) -> None:
    words = ["sh", "-c", f"echo x >>{tmp_path}/count; exit 3"]
    first, second = (target.run(words, ident=b"\x01" * 8) for _ in range(2))
    assert (first.status, first.repeated, second.status, second.repeated) == (3, False, 3, True)
    assert (tmp_path / "count").read_text() == "x\n"


def test_large_data_both_ways_is_exact(target: Target) -> None:
    data = os.urandom(400_000)
    assert target.run(["cat"], stdin=data).stdout == data


def test_files_go_over_and_come_back(target: Target, tmp_path: Path) -> None:
    for name, data in (("random", os.urandom(50_000)), ("text", b"the same line\n" * 4000), ("empty", b"")):
        (tmp_path / name).write_bytes(data)
        (tmp_path / name).chmod(0o750)
        target.push(tmp_path / name, f"{tmp_path}/{name}.there")
        target.pull(f"{tmp_path}/{name}.there", tmp_path / f"{name}.back")
        assert (tmp_path / f"{name}.back").read_bytes() == data
        assert (tmp_path / f"{name}.there").stat().st_mode & 0o777 == 0o750
    assert not [path for path in tmp_path.iterdir() if ".sampan." in path.name]
    with pytest.raises(SampanError, match="no such file"):
        target.pull(f"{tmp_path}/nothing", tmp_path / "x")


def test_ctrl_c_leaves_only_when_a_person_types_it(board: Board, target: Target) -> None:
    """Three in a row with nothing after; inside a frame more follows."""
    data = b"\x03" * 20_000
    assert target.run(["cat"], stdin=data).stdout == data


def test_progress_is_told_while_it_happens(target: Target, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(os.urandom(400_000))
    for move, words in ((target.push, ("file", "there")), (target.pull, ("there", "back"))):
        told: list[tuple[int, int]] = []
        moved = move(*(str(tmp_path / word) for word in words), progress=lambda *now, told=told: told.append(now))
        done = [now for now, _ in told]
        assert done == sorted(done) and done[-1] <= told[-1][1] <= moved.sent
        assert any(0 < now < 300_000 for now in done)


def test_several_programs_at_once(target: Target) -> None:
    """A slow one and one that writes without end hold up nobody."""
    results: list[bytes] = []
    slow = threading.Thread(target=lambda: results.append(target.run("sleep 2; echo slow").stdout))
    slow.start()
    began = time.monotonic()
    assert target.run("echo quick").stdout == b"quick\n"
    assert results == [] or time.monotonic() - began > 2
    slow.join()
    assert results == [b"slow\n"]


def test_kernel_messages_cost_nothing_and_reach_the_log(board: Board, target: Target) -> None:
    board.say(b"[   12.345678] usb 1-1: new device\r\n")
    data = os.urandom(20_000)
    assert target.run(["cat"], stdin=data).stdout == data
    board.say(b"[   13.000000] usb 1-1: gone\r\n")
    target.run(["true"])
    log = LinePlace(board.url).log
    assert "usb 1-1: new device" in log.read_text()


def runs(pid: int, word: str) -> bool:
    """Is this process there, with the word in its command line?"""
    try:
        return word in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:  # it may end between any two looks
        return False


def test_a_killed_client_takes_its_program_with_it(board: Board, target: Target) -> None:
    command = [sys.executable, "-m", "sampan", "on", board.url, "run", "--", "sh", "-c", "echo $$; exec sleep 1000"]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, cwd=ROOT)
    assert client.stdout is not None
    pid = int(client.stdout.readline())
    client.kill()
    client.wait()
    client.stdout.close()
    deadline = time.monotonic() + 60
    while runs(pid, "sleep"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert target.run("echo alive").stdout == b"alive\n"


def test_what_is_no_target_is_said(tmp_path: Path) -> None:
    with pytest.raises(SampanError, match="no such target"):
        sampan.connect("nowhere")
    with pytest.raises(SampanError, match="is the other side running"):
        sampan.connect(f"unix://{tmp_path}/nobody").run("true")
