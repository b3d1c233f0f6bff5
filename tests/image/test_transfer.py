"""Pushing and pulling files with the target's real programs: what changed, what an earlier try left, what fails."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import subprocess
import termios
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mounts import tmpfs

from sampan.control import transfer
from sampan.control.calls import Call, Done
from sampan.control.transfer import Moved, TransferError


class Cut(Exception):
    """The line was lost."""


class Board:
    """Runs the target's programs here. `cut`: so many bytes pass in either direction, then the line is lost."""

    def __init__(self, folder: Path, runtime: Path) -> None:
        (folder / "bin").mkdir()
        (folder / "bin" / "sampan").symlink_to(runtime)
        self._env = os.environ | {"PATH": f"{folder}/bin:{os.environ['PATH']}"}
        self.cut: int | None = None
        self.wire = 0
        self.before: Callable[[Sequence[str]], None] = lambda words: None

    def __call__(self, call: Call) -> Done:
        self.before(call.words)
        stdin, output = call.stdin, bytearray()
        program = subprocess.Popen(
            list(call.words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._env | dict(call.environment),
            start_new_session=True,
        )
        assert program.stdin and program.stdout and program.stderr
        if self.cut is not None and self.cut < len(stdin):
            program.stdin.write(stdin[: self.cut])
            program.stdin.flush()
            while fcntl.ioctl(program.stdin, termios.FIONREAD, bytes(4)) != bytes(4):  # not taken yet
                pass
            os.killpg(program.pid, signal.SIGHUP)
            program.communicate()
            raise Cut
        out, err = program.communicate(stdin)
        self.wire += len(out) + len(stdin)
        take = call.on_stdout or output.extend
        if self.cut is not None and self.cut < len(out):
            take(out[: self.cut])
            raise Cut
        take(out)
        if call.on_passed:
            call.on_passed(len(stdin))
        return Done(call.words, program.returncode, bytes(output), err)


@pytest.fixture
def board(runtime_binary: Path, tmp_path: Path) -> Board:
    return Board(tmp_path, runtime_binary)


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Path]:
    """A folder of the target; nothing unfinished is left in it."""
    folder = tmp_path / "there"
    folder.mkdir()
    yield folder
    assert not list(folder.glob("*.sampan-part"))


BASE = random.Random(1).randbytes(300_000)


def edited(data: bytes) -> bytes:
    """Ten places of 300 bytes are others."""
    out, rng = bytearray(data), random.Random(2)
    for _ in range(10):
        at = rng.randrange(len(out) - 300)
        out[at : at + 300] = rng.randbytes(300)
    return bytes(out)


@pytest.mark.parametrize(
    ("old", "new", "most"),
    [
        (None, BASE, 301_000),
        (None, b"the same line\n" * 20_000, 2_500),
        (BASE, edited(BASE), 12_000),
        (BASE, BASE[:150_001] + b"put in" + BASE[150_001:], 4_000),
        (BASE, BASE[100_000:200_000], 5_000),
        (BASE[:262_144], BASE[:262_144] * 2, 6_000),
        (BASE, BASE, 2_500),
        (bytes(300_000), bytes(200_000) + b"x" + bytes(99_999), 6_500),
        (BASE, b"", 3_000),
        (b"", b"x", 200),
        (b"short", b"shirt", 200),
        (BASE, BASE[::-1], 305_000),
    ],
)
def test_only_what_changed_goes_over(
    board: Board, there: Path, tmp_path: Path, old: bytes | None, new: bytes, most: int
) -> None:
    local, remote, back = tmp_path / "local", there / "file", tmp_path / "back"
    local.write_bytes(new)
    local.chmod(0o750)
    if old is not None:
        remote.write_bytes(old)
        back.write_bytes(old)
    transfer.push(board, local, str(remote))
    assert remote.read_bytes() == new and remote.stat().st_mode & 0o777 == 0o750
    assert board.wire <= most
    board.wire = 0
    assert transfer.pull(board, str(remote), back).size == len(new)
    assert back.read_bytes() == new
    assert board.wire <= most
    assert not list(tmp_path.glob("*.sampan-part"))


@pytest.mark.parametrize("old", [None, edited(BASE)])
def test_a_lost_line_costs_what_was_under_way(board: Board, there: Path, tmp_path: Path, old: bytes | None) -> None:
    local, remote = tmp_path / "local", there / "file"
    local.write_bytes(BASE + BASE[::-1])
    if old is not None:
        remote.write_bytes(old)
    board.cut = 200_000
    with pytest.raises(Cut):
        transfer.push(board, local, str(remote))
    assert (remote.read_bytes() if remote.exists() else None) == old
    board.cut = None
    moved = transfer.push(board, local, str(remote))
    assert moved.resumed > 100_000  # the rest is in the pipe between two programs
    assert remote.read_bytes() == local.read_bytes()

    back = tmp_path / "back"
    board.cut = 250_000
    with pytest.raises(Cut):
        transfer.pull(board, str(remote), back)
    assert not back.exists()
    board.cut = None
    assert transfer.pull(board, str(remote), back).resumed > 200_000
    assert back.read_bytes() == local.read_bytes()


def test_what_another_file_left_unfinished_is_not_taken(board: Board, there: Path, tmp_path: Path) -> None:
    local, remote = tmp_path / "local", there / "file"
    local.write_bytes(BASE)
    (there / "file.sampan-part").write_bytes(BASE[:50_000] + BASE[:60_000])
    assert transfer.push(board, local, str(remote)).resumed <= 50_000
    assert remote.read_bytes() == BASE


def test_a_file_written_to_meanwhile_is_sent_whole(board: Board, there: Path, tmp_path: Path) -> None:
    local, remote = tmp_path / "local", there / "file"
    local.write_bytes(edited(BASE))
    remote.write_bytes(BASE)
    looked = []

    def write(words: Sequence[str]) -> None:
        if looked and "patch" in words[2] and len(looked) < 9:
            remote.write_bytes(bytes(len(BASE)))
            looked.extend(range(9))
        looked.append(words)

    board.before = write
    transfer.push(board, local, str(remote))
    assert remote.read_bytes() == local.read_bytes()
    assert board.wire > len(BASE)


def test_two_at_once_do_not_mix(board: Board, there: Path, tmp_path: Path) -> None:
    """The second is refused while the first writes, and the first is right."""
    local, remote = tmp_path / "local", there / "file"
    local.write_bytes(BASE)
    said: list[str] = []

    def second(words: Sequence[str]) -> None:
        if "patch" in words[2]:
            board.before = lambda words: None
            with (there / "file.sampan-part").open("wb") as part:
                fcntl.flock(part, fcntl.LOCK_EX)
                try:
                    transfer.push(board, local, str(remote))
                except TransferError as error:
                    said.append(f"{error.message} {error.hint}")

    board.before = second
    transfer.push(board, local, str(remote))
    assert remote.read_bytes() == BASE
    assert said and "another transfer to the same file is running" in said[0]


def test_a_folder_takes_the_name_and_what_is_no_file_is_refused(board: Board, there: Path, tmp_path: Path) -> None:
    (tmp_path / "a b").write_bytes(b"text")
    transfer.push(board, tmp_path / "a b", f"{there}/")
    assert (there / "a b").read_bytes() == b"text"
    transfer.pull(board, f"{there}/a b", there)
    for path, reason in (("/dev/null", "not a regular file"), (f"{there}/no/file", "No such file")):
        with pytest.raises(TransferError, match=reason):
            transfer.push(board, tmp_path / "a b", path)
    with pytest.raises(TransferError, match="no such file"):
        transfer.pull(board, f"{there}/nothing", tmp_path / "x")
    with pytest.raises(TransferError, match="newline"):
        transfer.push(board, tmp_path / "a b", f"{there}/a\nb")
    assert not (tmp_path / "x").exists() and not (tmp_path / "x.sampan-part").exists()


def test_a_full_disk_gives_back_what_was_taken(board: Board, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with tmpfs(disk, "size=200k"):
        (disk / "file").write_bytes(b"old")
        (tmp_path / "local").write_bytes(BASE)
        with pytest.raises(TransferError, match="No space left"):
            transfer.push(board, tmp_path / "local", str(disk / "file"))
        assert [path.name for path in disk.iterdir()] == ["file"]
        assert (disk / "file").read_bytes() == b"old"


EDITS = st.lists(
    st.tuples(st.integers(0, 20_000), st.integers(0, 2000), st.integers(0, 2000), st.integers(0, 9)), max_size=6
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EDITS, st.one_of(st.none(), st.integers(0, 12_000)))
def test_any_edit_and_any_cut_end_in_the_exact_file(
    board: Board, there: Path, tmp_path: Path, edits: list[tuple[int, int, int, int]], cut: int | None
) -> None:
    old = BASE[:20_000]
    new = bytearray(old)
    for at, out, into, seed in edits:
        new[at : at + out] = random.Random(seed).randbytes(into)
    local, remote, back = tmp_path / "local", there / "file", tmp_path / "back"
    local.write_bytes(new)
    remote.write_bytes(old)
    back.write_bytes(old)
    board.cut = cut

    def tried(work: Callable[[], Moved]) -> None:
        try:
            work()
        except Cut:
            board.cut = None
            work()
        board.cut = cut

    tried(lambda: transfer.push(board, local, str(remote)))
    assert remote.read_bytes() == new
    tried(lambda: transfer.pull(board, str(remote), back))
    assert back.read_bytes() == new
