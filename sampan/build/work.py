"""A scratch folder beside an output, with a fixed name.

Not below /tmp, which may be small or mounted noexec. The name is fixed so that what a killed
build left there goes with the next one instead of piling up.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from sampan.core.files import refuse_os_error


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
