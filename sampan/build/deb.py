"""Reading .deb files: an ar archive around two tar files. Nothing of dpkg is needed or touched."""

from __future__ import annotations

import contextlib
import gzip
import io
import lzma
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

import zstandard

from sampan.build.debsources import parse_deb822
from sampan.core.errors import SampanError
from sampan.core.files import refuse_os_error

_MAGIC = b"!<arch>\n"
_HEADER = 60  #: bytes of an ar member header


class _Slice(io.RawIOBase):
    """A read-only window of a file, for streaming decompressors."""

    def __init__(self, stream: IO[bytes], start: int, size: int) -> None:
        self._stream, self._left = stream, size
        stream.seek(start)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        data = self._stream.read(min(len(view), self._left))
        view[: len(data)] = data
        self._left -= len(data)
        return len(data)


def members(path: Path) -> dict[str, tuple[int, int]]:
    """Members of the ar archive: name -> (offset, size). A damaged file is a SampanError."""
    found: dict[str, tuple[int, int]] = {}
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            if stream.read(len(_MAGIC)) != _MAGIC:
                raise SampanError(f"{path}: not a Debian package (no ar archive)")
            at = len(_MAGIC)
            while at + _HEADER <= size:
                stream.seek(at)
                header = stream.read(_HEADER)
                if header[58:60] != b"`\n" or not header[48:58].strip().isdigit():
                    raise SampanError(f"{path}: damaged ar header at byte {at}", hint="remove it and fetch it again")
                name, length = header[:16].decode("latin-1").strip().rstrip("/"), int(header[48:58])
                if at + _HEADER + length > size:
                    raise SampanError(f"{path}: truncated in {name}", hint="remove it and fetch it again")
                found[name] = (at + _HEADER, length)
                at += _HEADER + length + (length & 1)
    except OSError as error:
        refuse_os_error(error, "read", path)
    return found


def _decompressed(name: str, raw: _Slice) -> io.BufferedIOBase:
    buffered = io.BufferedReader(raw, 1 << 20)
    if name.endswith(".xz"):
        return lzma.open(buffered)
    if name.endswith(".gz"):
        return gzip.open(buffered)
    if name.endswith(".zst"):
        return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(buffered), 1 << 20)
    if name.endswith(".tar"):
        return buffered
    raise SampanError(f"{name}: a compression this sampan does not read")


@contextlib.contextmanager
def open_tar(path: Path, part: str = "data") -> Iterator[tarfile.TarFile]:
    """The `data` or `control` tar of a .deb as a forward-only stream."""
    entry = next((item for item in members(path).items() if item[0].startswith(f"{part}.tar")), None)
    if entry is None:
        raise SampanError(f"{path}: has no {part}.tar", hint="is it a binary package?")
    name, (offset, size) = entry
    try:
        with (
            path.open("rb") as stream,
            _decompressed(name, _Slice(stream, offset, size)) as plain,
            tarfile.open(fileobj=plain, mode="r|") as tar,
        ):
            yield tar
    except (tarfile.TarError, lzma.LZMAError, zlib.error, zstandard.ZstdError, EOFError) as error:
        raise SampanError(f"{path}: damaged: {error}", hint="remove it and fetch it again") from error


def control(path: Path) -> dict[str, str]:
    """The package's control fields, names in lower case."""
    with open_tar(path, "control") as tar:
        for member in tar:
            if PurePosixPath(member.name).name == "control" and (stream := tar.extractfile(member)):
                return parse_deb822(stream.read().decode("utf-8", "replace"))[0]
    raise SampanError(f"{path}: has no control file")


def extract(path: Path, target: Path, wanted: Callable[[str], bool]) -> list[str]:
    """Write the regular files whose path in the package `wanted` accepts below `target`.

    Paths are relative without "./"; modes are 0644 whatever the package says, owners are the
    caller's (what an image gets is decided by its manifest). Links, nodes and paths that leave
    `target` are skipped. Returns the paths, in the package's order.
    """
    done: list[str] = []
    with open_tar(path) as tar:
        for member in tar:
            name = str(PurePosixPath(member.name))
            if not member.isreg() or name.startswith("/") or ".." in PurePosixPath(name).parts or not wanted(name):
                continue
            stream = tar.extractfile(member)
            if stream is None:
                continue
            file = target / name
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                with file.open("wb") as out:
                    while block := stream.read(1 << 20):
                        out.write(block)
                os.chmod(file, 0o644)
            except OSError as error:
                refuse_os_error(error, "write", file)
            done.append(name)
    return done
