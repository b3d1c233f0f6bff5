"""Files to and from a target: only what changed goes over the line, and an interrupted transfer goes on.

The target's side is `sampan agent sums` and `sampan agent patch` and a shell's words around them.
An unfinished file stays beside the one it becomes (`.sampan-part`); a later transfer of it begins
where its whole blocks end. Nothing is put in place unless its SHA-256 is right.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sampan.control import delta
from sampan.control.calls import Call, Done
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.files import refuse_os_error, sha256_file

Progress = Callable[[int, int], None]  #: bytes done, bytes in all
Runner = Callable[[Call], Done]  #: runs a program on the target

_SUFFIX = ".sampan-part"
_RANGES_MOST = 250  #: that a request's 8 kB hold
_SIZE = struct.Struct("<Q")
_DAMAGED = 9  #: exit status: whole, and not the file that it should be

#: $1 path, $2 name in case the path is a folder, $3 block. Sums of what is there, and of what was left unfinished.
_LOOK = (
    'p=$1;if [ -d "$p" ];then p=${p%/}/$2;fi;echo "$p" >&2;'
    'sampan agent sums "$p" $3&&sampan agent sums "$p' + _SUFFIX + '" $3'
)
#: $1 path, $2 sha256, $3 mode.
_KEEP = 's=$(sha256sum <"$1");[ "${s%% *}" = "$2" ]||exit 9;chmod "$3" "$1"'
#: $1 path, $2 offset, $3 old file, $4 gzip or cat, then what _PLACE takes: sha256, mode, size.
_PATCH = (
    "p=$1;o=$2;b=$3;z=$4;shift 4;if [ $z = gzip ];then gzip -dc;else cat;fi|"
    'sampan agent patch "$b" "$p' + _SUFFIX + '" $o sh -c "$PLACE" place "$p" "$@"'
)
_PLACE = (
    "t=$1" + _SUFFIX + ';[ $(wc -c <"$t") = $4 ]||{ echo "sampan: $1: cut off">&2;exit 8;};s=$(sha256sum <"$t");'
    '[ "${s%% *}" = "$2" ]||{ rm -f "$t";echo "sampan: $1: damaged on the way">&2;exit 9;};'
    'chmod "$3" "$t"&&mv -f "$t" "$1"'
)
#: $1 path, $2 block.
_STATE = '[ -f "$1" ]||{ echo "sampan: $1: no such file">&2;exit 1;};sha256sum <"$1" >&2&&sampan agent sums "$1" $2'
_FETCH = 'sampan agent sums "$1" 0 $2|gzip -c'


class TransferError(SampanError):
    """A file did not get over."""


@dataclass(frozen=True)
class Moved:
    """What a transfer took: the file's bytes, and how many went over the line for them."""

    size: int
    sent: int
    resumed: int = 0  #: bytes at its start that an earlier transfer had brought


def _ask(run: Runner, script: str, *words: str, where: str) -> tuple[bytes, bytes]:
    """stdout and stderr of a script there; TransferError when it fails."""
    done = run(_script(script, *words))
    if not done.ok:
        raise _failure(done, where)
    return done.stdout, done.stderr


def _script(script: str, *words: str, **more: Any) -> Call:
    return Call(("sh", "-c", script, "file", *words), **more)


def _failure(ended: Done, where: str) -> TransferError:
    said = [line for line in ended.stderr.decode(errors="backslashreplace").splitlines() if line.startswith("sampan")]
    reason = said[-1].removeprefix("sampan: ") if said else f"{where}: exit status {ended.status}"
    hint = "another transfer to the same file is running" if "temporarily unavailable" in reason else ""
    if "unknown option" in reason or ended.status == 127:
        hint = "the target's sampan is of before this one"
    return TransferError(f"on the target: {reason}", hint=hint)


def _blocks(data: bytes, block: int) -> tuple[int, list[delta.Block], bytes]:
    """Size and blocks of a whole file as `sampan agent sums` prints them, and what follows."""
    if len(data) < _SIZE.size:
        raise TransferError("the target's answer is cut off")
    size = _SIZE.unpack_from(data)[0]
    end = _SIZE.size + 8 * -(-size // block)
    return size, delta.parse_sums(data[_SIZE.size : end], [(0, size)] if size else [], block), data[end:]


class _There:
    """The file on the target, and what of it is here."""

    def __init__(self, run: Runner, path: str, size: int) -> None:
        self._run = run
        self._path = path
        self.size = size
        self.found: list[delta.Same] = []

    def cover(self, here: bytes, start: int, blocks: Sequence[delta.Block], block: int) -> None:
        """Find as much of `here` from `start` on as can be there, with ever smaller blocks."""
        gaps = [(start, len(here) - start)]
        while block and gaps:
            more = delta.find(here, gaps, blocks, block)
            self.found = delta.join(sorted([*self.found, *more], key=lambda same: same.here))
            gaps = delta.subtract(gaps, [(same.here, same.size) for same in more])
            block, blocks = self._finer(block, 0, sum(size for _, size in gaps))

    def uncover(self, here: bytes, start: int, blocks: Sequence[delta.Block], block: int) -> None:
        """Find here as much of the file from `start` on as can be."""
        gaps = [(0, len(here))]
        while block:
            more = delta.locate(here, gaps, [found for found in blocks if found.offset >= start], block)
            self.found = delta.join(sorted([*self.found, *more], key=lambda same: same.there))
            gaps = delta.subtract(gaps, [(same.here, same.size) for same in more])
            block, blocks = self._finer(block, start, sum(size for _, size in gaps))

    def _finer(self, block: int, start: int, wanted: int) -> tuple[int, list[delta.Block]]:
        """Smaller blocks of what is not found yet; none when they cost more than the `wanted` bytes."""
        block = delta.finer(block)
        ranges = delta.coalesce(self.missing(start), _RANGES_MOST)
        cost = sum(size for _, size in ranges) // max(1, block) * 8
        if not block or not ranges or not self.found or cost >= wanted:
            return 0, []
        words = [str(word) for pair in ranges for word in pair]
        done = self._run(Call(("sampan", "agent", "sums", self._path, str(block), *words)))
        if not done.ok:
            raise _failure(done, self._path)
        return block, delta.parse_sums(done.stdout, ranges, block)

    def missing(self, start: int) -> list[delta.Range]:
        """What of the file there is not here."""
        whole = [(start, self.size - start)] if self.size > start else []
        return delta.subtract(whole, [(same.there, same.size) for same in self.found])


def _here(found: Sequence[delta.Same]) -> list[delta.Range]:
    return [(same.here, same.size) for same in found]


def push(
    run: Runner, local: Path, remote: str, mode: int | None = None, progress: Progress = lambda done, total: None
) -> Moved:
    """Bring a file to the target; see the module. Raises TransferError, or what `run` raises."""
    try:
        data = local.read_bytes()
        bits = local.stat().st_mode & 0o777 if mode is None else mode
    except OSError as error:
        refuse_os_error(error, "read", local)
    if "\n" in remote:
        raise TransferError(f"{remote!r}: a path on the target cannot hold a newline", code=EXIT_USAGE)
    block = delta.first_block(len(data))
    out, said = _ask(run, _LOOK, remote, local.name, str(block), where=remote)
    path = said.decode(errors="surrogateescape").rstrip("\n").rpartition("\n")[2]
    size, blocks, rest = _blocks(out, block)
    start = delta.prefix(data, _blocks(rest, block)[1])
    there = _There(run, path, size)
    there.cover(data, start, blocks, block)
    digest = hashlib.sha256(data).hexdigest()
    place = (path, digest, f"{bits:o}")
    same = data and size == len(data) and there.found == [delta.Same(0, 0, size)]
    if same and run(_script(_KEEP, *place)).ok:
        return Moved(size, len(out))
    sent, ended = _patch(run, delta.pieces(data, start, there.found), start, place, len(data), progress)
    if ended.status == _DAMAGED and (start or there.found):
        # Two different blocks with the same sums, or somebody writes to the file: all of it, then.
        again, ended = _patch(run, delta.pieces(data, 0, []), 0, place, len(data), progress)
        sent += again
    if ended.status:
        raise _failure(ended, path)
    return Moved(len(data), sent + len(out), start)


def _patch(
    run: Runner, stream: bytes, start: int, place: tuple[str, str, str], size: int, progress: Progress
) -> tuple[int, Done]:
    packer = zlib.compressobj(6, wbits=31)
    packed = packer.compress(stream) + packer.flush()
    pays = len(packed) < len(stream) * 9 // 10
    stdin = packed if pays else stream
    path, digest, bits = place
    call = _script(
        *(_PATCH, path, str(start), path, "gzip" if pays else "cat", digest, bits, str(size)),
        stdin=stdin,
        environment={"PLACE": _PLACE},
        on_passed=lambda count: progress(count, len(stdin)),
    )
    return len(stdin), run(call)


def pull(run: Runner, remote: str, local: Path, progress: Progress = lambda done, total: None) -> Moved:
    """Bring a file from the target; see the module."""
    if local.is_dir():
        local = local / remote.rstrip("/").rpartition("/")[2]
    with _part(local) as part:
        left = part.read()
        try:
            old = local.read_bytes() if local.is_file() else b""
        except OSError as error:
            refuse_os_error(error, "read", local)
        block = delta.first_block(max(len(old), len(left))) if old or left else 1 << 40
        out, said = _ask(run, _STATE, remote, str(block), where=remote)
        size, blocks, _ = _blocks(out, block)
        start = delta.prefix(left, blocks)
        there = _There(run, remote, size)
        there.uncover(old, start, blocks, block)
        part.truncate(start)
        part.seek(start)
        received = _fetch(run, remote, there, old, start, part, progress)
        part.flush()
        if sha256_file(_part_of(local)) != said.decode(errors="replace").split(" ")[0]:
            part.truncate(0)
            raise TransferError(f"{remote}: damaged on the way, or written to meanwhile", hint="pull it again")
        os.fsync(part.fileno())
        os.replace(_part_of(local), local)
        return Moved(size, received + len(out), start)


def _part_of(local: Path) -> Path:
    return local.with_name(local.name + _SUFFIX)


@contextlib.contextmanager
def _part(local: Path) -> Iterator[BinaryIO]:
    """The unfinished file beside `local`, for one transfer at a time; it is kept when that fails half-way."""
    path = _part_of(local)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o644)
        with path.open("r+b") as part:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not path.exists() or not os.path.samestat(os.fstat(part.fileno()), path.stat()):
                raise BlockingIOError  # the other one has just put it in place
            try:
                yield part
            finally:
                if path.exists() and part.seek(0, os.SEEK_END) == 0:
                    path.unlink()
    except BlockingIOError:
        raise TransferError(f"{local}: another transfer to it is running") from None
    except OSError as error:
        refuse_os_error(error, "write", path)


def _fetch(run: Runner, remote: str, there: _There, old: bytes, start: int, part: BinaryIO, progress: Progress) -> int:
    """Append all of the file from `start` on: what is here, and what comes; how many bytes came."""
    ranges = delta.coalesce(there.missing(start), _RANGES_MOST)
    total = sum(size for _, size in ranges)
    filler = _Filler(old, there, ranges, start, part)
    filler.fill()
    if not ranges:
        return 0
    unpacker = zlib.decompressobj(wbits=31)
    received = 0

    def take(data: bytes) -> None:
        nonlocal received
        received += len(data)
        with contextlib.suppress(zlib.error):  # the end shows it
            filler.take(unpacker.decompress(data))
        progress(filler.taken, total)

    words = " ".join(f"{offset} {size}" for offset, size in ranges)
    ended = run(_script(_FETCH, remote, words, on_stdout=take))
    if ended.status or filler.taken != total:
        raise _failure(ended, remote) if ended.stderr else TransferError(f"{remote}: cut off on the way")
    return received


class _Filler:
    """Writes the new file in order, from the old one and from the ranges that arrive."""

    def __init__(self, old: bytes, there: _There, ranges: Sequence[delta.Range], start: int, part: BinaryIO) -> None:
        self._old = old
        self._part = part
        self._at = start
        self._same = sorted(there.found, key=lambda same: same.there)
        self._ranges = list(ranges)
        self.taken = 0

    def take(self, data: bytes) -> None:
        """Bytes of the ranges, in order."""
        while data:
            offset, size = self._ranges[0]
            piece, data = data[:size], data[size:]
            self.taken += len(piece)
            skip = max(0, self._at - offset)  # a bridged gap may be here already
            self._part.write(piece[skip:])
            self._at = max(self._at, offset + len(piece))
            self._ranges[0] = (offset + len(piece), size - len(piece))
            if self._ranges[0][1] == 0:
                del self._ranges[0]
                self.fill()

    def fill(self) -> None:
        """All that is here, up to the next range."""
        for same in self._same:
            skip = self._at - same.there
            if 0 <= skip < same.size and not (self._ranges and self._ranges[0][0] <= self._at):
                end = min(same.size, self._ranges[0][0] - same.there) if self._ranges else same.size
                self._part.write(self._old[same.here + skip : same.here + end])
                self._at = same.there + end
