"""A target that lacks the agent, or has one of another version: the host brings its own over the shell."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pty_board import Board

from sampan.control.client import Connection
from sampan.control.packets import Kind
from sampan.control.remote import Target
from sampan.control.target import resolve
from sampan.core.errors import SampanError
from sampan.core.paths import ROOT

SENT = [Path(folder, "sampan-sent") for folder in ("/run", "/dev/shm", "/tmp", "/var/tmp")]
#: An agent of a later version of the protocol.
LATER = """#!{python}
import os, sys, time, tty
sys.path.insert(0, {root!r})
from sampan.serial import link
link.VERSION = 9
if sys.argv[1:] != ["agent"]: sys.exit("unknown verb")
tty.setraw(0)
end = link.Link("target", lambda room, bulk: None, 0.0)
while b"\\x03\\x03\\x03" not in (data := os.read(0, 4096)):
    end.receive(data, time.monotonic())
    os.write(1, end.transmit(time.monotonic()))
os.system("stty sane")
"""


@pytest.fixture
def boards(
    runtime_binary: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Board]]:
    """Makes a board whose `sampan` is a script, or missing."""
    folder = tmp_path_factory.mktemp("b")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    running = []

    def make(script: str) -> Board:
        running.append(Board(folder, runtime_binary))
        (folder / "bin" / "sampan").unlink()
        if script:
            (folder / "bin" / "sampan").write_text(script)
            (folder / "bin" / "sampan").chmod(0o755)
        return running[-1]

    with Path("/tmp/sampan-sent.lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)  # the places of what is sent are the host's own here
        try:
            yield make
        finally:
            for board in running:
                board.close()
            for path in SENT:
                shutil.rmtree(path, ignore_errors=True)


def ask(board: Board) -> tuple[str, list[str]]:
    """What a program says there, and the remarks on the way."""
    notes: list[str] = []
    return Target(resolve(board.url), notes.append).run("sampan --version; echo $PPID").check().output, notes


@pytest.mark.parametrize(
    "script", ["", "#!/bin/sh\necho sampan: unknown verb\n", LATER.format(python=sys.executable, root=str(ROOT))]
)
def test_the_agent_is_sent_once(boards: Callable[[str], Board], script: str) -> None:
    board = boards(script)
    said, notes = ask(board)
    assert said.startswith("sampan ") and any("sending it" in note for note in notes)
    sent = [path / "sampan" for path in SENT if path.exists()]
    assert len(sent) == 1 and sorted(path.name for path in sent[0].parent.iterdir()) == ["sampan"]
    with pytest.raises(SampanError, match="left the line"):
        Target(resolve(board.url)).run(f"kill {said.split()[-1]}; sleep 100")
    said, notes = ask(board)  # the next one is there already
    assert said.startswith("sampan ") and not any("sending it" in note for note in notes)


def test_what_cannot_be_sent_is_said_and_the_bare_shell_runs_programs(
    boards: Callable[[str], Board], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMPAN_BUILD", str(tmp_path))
    board, notes = boards(""), []
    target = Target(resolve(board.url), notes.append)
    data = bytes(range(256)) * 50 + b"login: Linux version \r\n\0"
    done = target.run('cat; echo "$WORD" >&2; exit 7', stdin=data, environment={"WORD": "it's"})
    assert f"none for {os.uname().machine} here to send; programs run by the bare shell" in notes[0]
    assert (done.status, done.stdout, done.stderr) == (7, data, b"it's\n")
    assert target.run(["printf", "%s|", "a b", "'", "$x"]).output == "a b|'|$x|"
    count = f"echo x >>{tmp_path}/count"
    assert [target.run(count, ident=b"12345678").repeated for _ in range(2)] == [False, True]
    assert (tmp_path / "count").read_text() == "x\n"
    assert target.verb("ls").status == 127 and "not found" in target.verb("ls").stderr.decode()
    assert not any(path.exists() for path in SENT)


def test_a_program_of_the_bare_shell_is_given_up(
    boards: Callable[[str], Board], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMPAN_BUILD", str(tmp_path))
    line = resolve(boards("").url)
    words = ["sh", "-c", f"echo >{tmp_path}/begun; exec sleep 1000"]
    with Connection(line, {"do": "run", "words": words}) as client:
        client.input(b"")
        until_there(tmp_path / "begun")
    assert Target(line).run("echo next").output == "next\n"
    (tmp_path / "begun").unlink()
    with Connection(line, {"do": "run", "words": words}) as client:
        client.input(b"")
        until_there(tmp_path / "begun")
        client.signal(signal.SIGINT)
        assert status_of(client) == 128 + signal.SIGINT


def test_a_program_given_up_before_its_turn_is_not_run(
    boards: Callable[[str], Board], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMPAN_BUILD", str(tmp_path))
    line = resolve(boards("").url)
    late = {"do": "run", "words": ["sh", "-c", f"echo >>{tmp_path}/late"]}
    with Connection(line, {"do": "run", "words": ["sh", "-c", f"echo >{tmp_path}/begun; exec sleep 1000"]}) as client:
        client.input(b"")
        until_there(tmp_path / "begun")
        with Connection(line, late) as waits:
            waits.input(b"")
        with Connection(line, late) as types:
            types.input(b"not all of it")
        asked = Connection(line, late)
        asked.signal(signal.SIGINT)
    assert status_of(asked) == 128 + signal.SIGINT
    asked.close()
    assert Target(line).run("echo next").output == "next\n"
    assert not (tmp_path / "late").exists()


def status_of(client: Connection) -> int:
    ended = [payload for kind, payload in client.packets() if kind == Kind.END]
    return int(json.loads(ended[0])["status"])


def until_there(path: Path) -> None:
    end = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.05)
