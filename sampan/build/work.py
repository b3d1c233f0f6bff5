"""A scratch folder beside an output, with a fixed name.

Not below /tmp, which may be small or mounted noexec. The name is fixed so that what a killed
build left there goes with the next one instead of piling up.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sampan.core.files import refuse_os_error

#: make splits names at blanks and expands $; nothing helps against it but another folder.
_PLAIN = re.compile(r"^[\w./+@%,=-]+$", re.ASCII)


@contextlib.contextmanager
def for_make(path: Path) -> Iterator[Path]:
    """As `folder`, but below the system's temporary folder when make could not cope with `path`."""
    if _PLAIN.match(str(path.absolute())):
        with folder(path) as plain:
            yield plain
    else:
        with tempfile.TemporaryDirectory(prefix="sampan-") as name:
            yield Path(name)


@contextlib.contextmanager
def folder(path: Path) -> Iterator[Path]:
    """An empty folder at `path` (absolute in the result), removed at the end, whatever happened."""
    path = path.absolute()
    try:
        if path.exists():
            shutil.rmtree(path)
        path.mkdir(parents=True)
    except OSError as error:
        refuse_os_error(error, "make", path)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
