"""Where things are, for a checkout at any place and an unprivileged user."""

from __future__ import annotations

import os
from pathlib import Path

#: The checkout: the folder that holds SConstruct and the package.
ROOT = Path(__file__).resolve().parents[2]


def build_dir() -> Path:
    """Output of the build: `build/`, or $SAMPAN_BUILD."""
    return Path(os.environ.get("SAMPAN_BUILD") or ROOT / "build").absolute()


def downloads_dir() -> Path:
    """Fetched files, kept across clean builds: `downloads/`, or $SAMPAN_DOWNLOADS.

    As Buildroot's BR2_DL_DIR and Yocto's DL_DIR, it may be shared by several checkouts.
    """
    return Path(os.environ.get("SAMPAN_DOWNLOADS") or ROOT / "downloads").absolute()


def boards_dir() -> Path:
    """Board definitions: `board/`, or $SAMPAN_BOARDS."""
    return Path(os.environ.get("SAMPAN_BOARDS") or ROOT / "board").absolute()


def cache_dir() -> Path:
    """Facts about this host that outlive a checkout (such as whether KVM works)."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base).absolute() / "sampan"


def shown(path: Path) -> str:
    """`path` as a person would type it here: relative when it is below the current folder."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
