"""Boards: what board.toml accepts, and what it says when it does not."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.board import load as boards
from sampan.board.model import Board
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.paths import ROOT

GOOD = (ROOT / "board/qemuarm/board.toml").read_text()


def parse(tmp_path: Path, text: str) -> Board:
    path = tmp_path / "board.toml"
    path.write_text(text)
    return boards.parse(path, "mine")


def test_the_four_yocto_machines_are_there() -> None:
    assert {"qemux86-64", "qemux86", "qemuarm", "qemuarm64"} <= set(boards.names())


@pytest.mark.parametrize("name", boards.names())
def test_every_board_reads(name: str) -> None:
    assert boards.load(name).name == name


def test_a_folder_is_all_a_new_board_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPAN_BOARDS", str(tmp_path))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/board.toml").write_text(GOOD)
    (tmp_path / "no-board").mkdir()
    assert boards.names() == ["mine"]
    assert boards.load("mine").console.tty == "ttyAMA0"


def test_a_board_with_another_kernel() -> None:
    other, usual = boards.load("qemuarm@6.12"), boards.load("qemuarm")
    assert (other.name, other.spec, other.kernel.version) == ("qemuarm", "qemuarm@6.12", "6.12")
    assert (usual.spec, usual.kernel.version) == ("qemuarm", "6.1")
    assert msgspec.structs.replace(other, variant="", kernel=usual.kernel) == usual


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("qemuarm@6.1", "that is qemuarm itself"),
        ("qemuarm@6.13", "Debian has no such kernel"),
        ("qemuarm@", "Debian has no such kernel"),
        ("qemuarm46@6.12", "there is no board 'qemuarm46'"),
    ],
)
def test_a_kernel_that_is_none_is_refused(spec: str, says: str) -> None:
    with pytest.raises(SampanError, match=says) as caught:
        boards.load(spec)
    assert caught.value.hint and caught.value.code == EXIT_USAGE


def test_a_kernel_that_is_a_file_has_no_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPAN_BOARDS", str(tmp_path))
    (tmp_path / "mine").mkdir()
    files = 'provider = "files"\nimage = "zImage"'
    (tmp_path / "mine/board.toml").write_text(
        GOOD.replace('provider = "debian"\npackage = "linux-image-armmp"\ndebian_arch = "armhf"', files)
    )
    with pytest.raises(SampanError, match="is a file, not one of Debian's"):
        boards.load("mine@6.12")


def test_boards_that_are_built_only_when_they_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert boards.default_names() == ["qemuarm", "qemuarm64", "qemux86", "qemux86-64"]
    monkeypatch.setenv("SAMPAN_BOARDS", str(tmp_path))
    for name, text in {"rare": GOOD + "[build]\ndefault = false\n", "usual": GOOD, "wrong": "no toml"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "board.toml").write_text(text)
    assert boards.default_names() == ["usual", "wrong"], "a mistake is not left out, it is said by the build"


def test_unknown_board_names_the_nearest() -> None:
    with pytest.raises(SampanError) as caught:
        boards.load("qemuarm46")
    assert caught.value.code == EXIT_USAGE
    assert "'qemuarm46'" in caught.value.message
    assert "qemuarm64" in caught.value.hint


@pytest.mark.parametrize("name", ["", "..", "../board/qemuarm", "/etc", "-x", "qemuarm/"])
def test_names_that_are_paths_are_refused(name: str) -> None:
    with pytest.raises(SampanError):
        boards.load(name)


@pytest.mark.parametrize(
    ("old", "new", "at", "hint"),
    [
        ("package =", "packge =", "kernel.packge: unknown key", "'package'"),
        ("[console]", "[consol]", "consol: unknown key", "'console'"),
        ('arch = "armv7"', 'arch = "armv8"', "arch: 'armv8' is not one of", "'armv7'"),
        ('provider = "debian"', 'provider = "debain"', "kernel.provider: 'debain' is not one of", "'debian'"),
        ('tty = "ttyAMA0"', "tty = 3", "console.tty: Expected `str`, got `int`", ""),
        ('tty = "ttyAMA0"', 'tty = "ttyAMA0; reboot"', "console.tty: ", ""),
        ('tty = "ttyAMA0"', 'tty = "ttyAMA0"\nbaud = 1', "console.baud: ", ""),
        ('machine = "virt,highmem=off"', "", "qemu.machine: missing", ""),
        ('load = ["virtio_mmio"', 'load = ["../evil"', "kernel.load[0]: ", ""),
        ('package = "linux-image-armmp"', "", "kernel.package: missing", ""),
        ("[qemu]", '[rootfs]\nbusybox = ["base", "exta"]\n[qemu]', "rootfs.busybox[1]: there is no", "'extra'"),
        ("[qemu]", '[rootfs]\ncontainers = ["app_bsh"]\n[qemu]', "rootfs.containers[0]: there is no", "'app_bash'"),
        ("description =", 'name = "x"\ndescription =', "name: a board is named by its folder", "remove"),
    ],
)
def test_a_wrong_value_names_file_key_reason_and_nearest(
    tmp_path: Path, old: str, new: str, at: str, hint: str
) -> None:
    assert old in GOOD
    with pytest.raises(SampanError) as caught:
        parse(tmp_path, GOOD.replace(old, new, 1))
    assert caught.value.message.startswith(f"{tmp_path}/board.toml: {at}")
    assert hint in caught.value.hint
    assert caught.value.code == EXIT_USAGE


def test_malformed_toml_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(SampanError, match=r"board\.toml: not TOML: .*line 1"):
        parse(tmp_path, "arch = \n")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "board.toml"
    path.write_bytes(b"arch = \xff\n")
    with pytest.raises(SampanError, match="not UTF-8"):
        boards.parse(path, "mine")


@given(st.text(max_size=200))
def test_no_text_escapes_as_a_traceback(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("board") / "board.toml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(SampanError):
        boards.parse(path, "mine")


def test_every_key_is_documented() -> None:
    text = (ROOT / "docs/board.md").read_text()
    documented = set(re.findall(r"^\| `([a-z_.]+)` \|", text, re.M))
    assert documented == set(_key_paths(Board))


def _key_paths(table: type, prefix: str = "") -> list[str]:
    found = []
    for item in msgspec.structs.fields(table):
        if isinstance(item.type, type) and issubclass(item.type, msgspec.Struct):
            found += _key_paths(item.type, f"{prefix}{item.name}.")
        elif item.name not in ("name", "variant"):
            found.append(prefix + item.name)
    return found
