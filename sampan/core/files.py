"""Writing files so that nothing half-written is ever seen."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from sampan.core.errors import EXIT_USAGE, SampanError

_HINTS = {
    errno.ENOSPC: "the disk is full: free some space and run it again; what was finished is kept",
    errno.EDQUOT: "the disk quota is used up: free some space and run it again",
    errno.EROFS: "the file system is read-only: set SAMPAN_BUILD to a folder that can be written",
    errno.EACCES: "no permission: set SAMPAN_BUILD to a folder of yours, or fix its owner",
    errno.EPERM: "no permission: set SAMPAN_BUILD to a folder of yours, or fix its owner",
}

_serial = itertools.count()


def refuse_os_error(error: OSError, doing: str, path: Path | str) -> NoReturn:
    """Turn an OSError into a message that names what was done to which path."""
    reason = error.strerror or str(error)
    raise SampanError(f"cannot {doing} {path}: {reason}", hint=_HINTS.get(error.errno or 0, "")) from error


def _drop_abandoned(path: Path) -> None:
    """Remove the temporary files of `path` whose writers were killed: their process is in the name."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        pid = left.name.removesuffix(".tmp").rpartition(".")[2].partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            left.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic(path: Path, mode: int = 0o644) -> Iterator[Path]:
    """Give a temporary name beside `path`; rename it to `path` when the block succeeds.

    The caller creates or fills the temporary file. On any exception it is removed and
    `path` keeps its old content. The mode does not depend on the umask.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _drop_abandoned(path)
        temporary = path.with_name(f".{path.name}.{os.getpid()}-{next(_serial)}.tmp")
        temporary.touch(exist_ok=False)
    except OSError as error:
        refuse_os_error(error, "write", path)
    try:
        yield temporary
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        refuse_os_error(error, "write", path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_text(path: Path) -> str:
    """A text file that a person wrote; what is no UTF-8 is refused with the byte's offset."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SampanError(f"{path}: not UTF-8 at byte {error.start}", code=EXIT_USAGE) from error
    except OSError as error:
        refuse_os_error(error, "read", path)


def write_text(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a whole text file at once (UTF-8)."""
    with atomic(path, mode) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a whole file at once."""
    with atomic(path, mode) as temporary:
        temporary.write_bytes(data)


def sha256_file(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        refuse_os_error(error, "read", path)
