"""The downloads folder: files that came from outside, proved before they are believed.

A file gets its final name only after its SHA-256 matched; one that does not match is removed
and the message gives both sums. What is there is never fetched again, so a second build and
an offline build need no network, and a person can put any of the files there by hand.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from sampan.core import paths
from sampan.core.errors import EXIT_MISSING, SampanError
from sampan.core.files import refuse_os_error, sha256_file


def folder() -> Path:
    """The downloads folder, made when it is missing."""
    path = paths.downloads_dir()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        refuse_os_error(error, "make", path)
    return path


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold an exclusive lock in the downloads folder, so that two builds do not fetch into each other."""
    path = folder() / f".{name}.lock"
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        refuse_os_error(error, "write", path)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def verify(path: Path, sha256: str, *, size: int | None = None) -> Path:
    """Return `path` when its content has this SHA-256 (and size in bytes); remove it and refuse otherwise."""
    try:
        have = path.stat().st_size
    except OSError as error:
        refuse_os_error(error, "read", path)
    reason = ""
    if size is not None and have < size:
        reason = f"truncated: {have} of {size} bytes"
    elif (actual := sha256_file(path)) != sha256:
        reason = f"wrong SHA-256\n  expected {sha256}\n  actual   {actual}"
    if not reason:
        return path
    path.unlink(missing_ok=True)
    raise SampanError(
        f"{paths.shown(path)}: {reason}",
        hint="the file was removed; run it again to fetch it, or put the right file in its place",
    )


def present(name: str, sha256: str) -> Path | None:
    """The file `name` of the downloads folder, verified; None when it is not there."""
    path = paths.downloads_dir() / name
    return verify(path, sha256) if path.is_file() else None


def adopt(source: Path, name: str, sha256: str, *, size: int | None = None) -> Path:
    """Verify a fetched file and give it its name in the downloads folder (same file system)."""
    target = folder() / name
    if source.is_symlink():
        # apt-get source links into a mirror on a local disk; the mirror may go, the download must not.
        copy = source.with_name(source.name + ".copy")
        shutil.copyfile(source, copy)
        source = copy
    verify(source, sha256, size=size)
    try:
        os.chmod(source, 0o644)
        os.replace(source, target)
    except OSError as error:
        refuse_os_error(error, "write", target)
    return target


def cannot_fetch(what: str, names: list[str], why: str) -> SampanError:
    """No network, no mirror or no such file: what is missing and how to supply it by hand."""
    listed = ", ".join(names)
    return SampanError(
        f"cannot fetch {what}: {why}",
        hint=f"put {listed} in {paths.shown(paths.downloads_dir())} by hand, or repair the network and run it again",
        code=EXIT_MISSING,
    )
