"""Scratch folders: nothing stays behind, and what a killed build left goes with the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from sampan.build import work
from sampan.core.errors import SampanError


def test_it_is_empty_at_the_start_and_gone_at_the_end(tmp_path: Path) -> None:
    left = tmp_path / ".busybox.work/out"
    left.mkdir(parents=True)
    (left / "half.o").write_text("")
    with work.folder(tmp_path / ".busybox.work") as folder:
        assert list(folder.iterdir()) == []
        (folder / "new").write_text("")
    assert list(tmp_path.iterdir()) == []


def test_it_goes_when_the_build_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), work.for_make(tmp_path / "w") as folder:
        (folder / "new").write_text("")
        raise ValueError("no")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["with blank", "with$dollar", "with:colon", "grüße"])
def test_make_gets_a_path_it_can_handle(tmp_path: Path, name: str) -> None:
    with work.for_make(tmp_path / name / "w") as folder:
        assert name not in str(folder) and folder.is_dir()
    assert not folder.exists()
    with work.for_make(tmp_path / "plain/w") as folder:
        assert folder == tmp_path / "plain/w"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SampanError, match=r"cannot make .*file/w"), work.folder(tmp_path / "file/w"):
        pass
