"""File systems that a test has mounted."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def tmpfs(folder: Path, options: str = "rw") -> Iterator[Path]:
    """A tmpfs on a folder, which is made when it is missing; in the end it goes with all that lies on it."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-R", "-l", folder], check=True)
