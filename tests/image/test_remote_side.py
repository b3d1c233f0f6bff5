"""A second line for the agent alone: taken when an agent answers there, else the console; nobody can tell."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pty_board import Board

from sampan.control.lines import LinePlace
from sampan.control.remote import Target
from sampan.control.target import resolve
from sampan.core.errors import SampanError

WHO = "tr '\\0' ' ' </proc/$PPID/cmdline"


@pytest.fixture
def boards(
    runtime_binary: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Board, Board]]:
    """A board's console, and its second UART on which its init started the agent."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("r")))
    console, second = (Board(tmp_path_factory.mktemp(name), runtime_binary) for name in "cs")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(second.url.removeprefix("unix://"))
        sock.sendall(b"exec sampan agent -t 5000\n")
        while b"#~" not in sock.recv(4096):  # its first HELLO
            pass
    try:
        yield console, second
    finally:
        console.close()
        if second.shell.poll() is None:
            second.close()


def test_the_second_line_is_taken_while_an_agent_answers_there(boards: tuple[Board, Board]) -> None:
    console, second = boards
    notes: list[str] = []
    target = Target(replace(resolve(console.url), agent=second.url), notes.append)
    data = os.urandom(50_000)
    assert target.run(WHO).check().output == "sampan agent -t 5000 "
    assert target.run(["cat"], stdin=data).stdout == data
    assert notes == [] and "sampan agent" not in LinePlace(console.url).log.read_text()
    second.close()
    for _ in range(3):  # one may still meet the lost session
        try:
            assert target.run(WHO).check().output == "sampan agent "
            break
        except SampanError:
            continue
    assert any("the console it is" in note for note in notes)


def test_targets_toml_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "targets.toml").write_text('[b]\nline = "/dev/ttyUSB0"\nagent = "/dev/ttyUSB1?baud=921600"\n')
    assert resolve("b").agent == "/dev/ttyUSB1?baud=921600"
    (tmp_path / "targets.toml").write_text('[b]\nline = "/dev/ttyUSB0"\nagent = "ttyUSB1"\n')
    with pytest.raises(SampanError, match="no such target"):
        resolve("b")
