"""Which compiler a board gets, and that a wrong one is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from sampan.board import load
from sampan.build import toolchain
from sampan.core.errors import EXIT_MISSING, SampanError


@pytest.mark.parametrize("arch", toolchain.ARCHES)
def test_zig_is_the_default(arch: toolchain.Arch) -> None:
    chain = toolchain.choose(arch, {})
    assert (chain.kind, chain.prefix) == ("zig", "")
    assert Path(chain.cc[0]).is_file() and chain.cc[1:4] == ["cc", "-target", toolchain.TARGETS[arch].zig]


def test_every_board_has_a_target() -> None:
    assert {load.load(name).arch for name in load.names()} <= set(toolchain.TARGETS)


def test_a_compiler_that_is_not_there_is_named() -> None:
    for environ in ({"CC": "arm-poky-linux-gnueabi-gcc -marm"}, {"CROSS_COMPILE": "arm-poky-linux-gnueabi-"}):
        with pytest.raises(SampanError, match="arm-poky-linux-gnueabi-gcc not found") as caught:
            toolchain.choose("armv7", environ)
        assert caught.value.code == EXIT_MISSING and "unset" in caught.value.hint


@pytest.mark.skipif(not shutil.which("cc"), reason="this host has no cc")
def test_a_compiler_for_another_machine_is_refused() -> None:
    # The host is never both.
    other: toolchain.Arch = "armv7"
    with pytest.raises(SampanError, match=r"CC=cc makes code for .*, the board needs armv7") as caught:
        toolchain.choose(other, {"CC": "cc"})
    assert "only boards of its architecture" in caught.value.hint


def test_caches_stay_in_the_build_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZIG_GLOBAL_CACHE_DIR", raising=False)
    monkeypatch.delenv("ZIG_LOCAL_CACHE_DIR", raising=False)
    monkeypatch.setenv("SAMPAN_BUILD", str(tmp_path))
    assert toolchain.env() == {
        "ZIG_GLOBAL_CACHE_DIR": str(tmp_path / "toolchain/zig"),
        "ZIG_LOCAL_CACHE_DIR": str(tmp_path / "toolchain/zig"),
    }
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", "/ci/cache")
    assert toolchain.env()["ZIG_LOCAL_CACHE_DIR"] == "/ci/cache"


def test_a_ready_file_is_read_back(tmp_path: Path) -> None:
    chain = toolchain.choose("aarch64", {})
    path = tmp_path / "aarch64.ready"
    path.write_bytes(msgspec.json.encode(chain))
    assert toolchain.load(path) == chain
    path.write_text("{")
    with pytest.raises(SampanError, match=r"aarch64\.ready"):
        toolchain.load(path)
