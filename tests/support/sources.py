"""Real inputs for tests of the build, fetched once into the downloads folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from sampan.build import fetch_busybox
from sampan.core.errors import EXIT_MISSING, SampanError
from sampan.core.paths import ROOT

PINS = ROOT / "configs/busybox/source.toml"


def busybox_tar(folder: Path) -> Path:
    """The busybox source; the test is skipped when it is neither there nor to be had."""
    out = folder / "busybox.tar"
    try:
        fetch_busybox.pack(fetch_busybox.prepare(fetch_busybox.load(PINS), folder / "source"), out)
    except SampanError as error:
        if error.code != EXIT_MISSING:
            raise
        pytest.skip(f"no busybox source: {error.message}")
    return out
