"""busybox from source: what was asked for is in it, and the folder it was built in is not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from sources import PINS, busybox_tar

from sampan.build import busybox, fetch, fetch_busybox, toolchain
from sampan.core.errors import SampanError
from sampan.core.paths import ROOT

pytestmark = pytest.mark.network

SMALL = """\
CONFIG_STATIC=y
CONFIG_LFS=y
CONFIG_BUSYBOX=y
CONFIG_CAT=y
CONFIG_ECHO=y
CONFIG_UNAME=y
CONFIG_UNAME_OSNAME="GNU/Linux"
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return busybox_tar(tmp_path_factory.mktemp("busybox"))


def make(source: Path, out: Path, *, arch: str = "x86_64", fragment: str = SMALL, umask: int = 0o022) -> Path:
    """Run the action as the build does, in a process of its own."""
    out.parent.mkdir(parents=True, exist_ok=True)
    path = out.with_suffix(".fragment")
    path.write_text(fragment)
    argv = ["--arch", arch, "--source", source, "--fragment", path, "--out", out, "--jobs", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "sampan.build.busybox", *map(str, argv)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out


def test_the_same_bytes_in_another_folder_under_another_umask(source: Path, tmp_path: Path) -> None:
    first = make(source, tmp_path / "a/busybox")
    second = make(source, tmp_path / "a longer path with blanks/below/busybox", umask=0o077)
    for name in ("busybox", "busybox.links", "busybox.config"):
        assert first.with_name(name).read_bytes() == second.with_name(name).read_bytes(), name
    assert str(tmp_path).encode() not in first.read_bytes()
    assert first.stat().st_mode & 0o777 == second.stat().st_mode & 0o777 == 0o755
    assert sorted(item.name for item in first.parent.iterdir()) == [
        "busybox",
        "busybox.config",
        "busybox.fragment",
        "busybox.links",
    ]
    assert first.with_name("busybox.links").read_text() == "/bin/cat\n/bin/echo\n/bin/sh\n/bin/uname\n"


def test_the_project_s_fragment_for_a_thumb_board(source: Path, tmp_path: Path) -> None:
    base = (ROOT / "configs/busybox/base.fragment").read_text()
    out = make(source, tmp_path / "busybox", arch="armv7", fragment=base)
    with out.open("rb") as stream:
        elf = ELFFile(stream)
        assert elf.get_machine_arch() == "ARM" and elf.header["e_type"] == "ET_EXEC"
        assert elf.get_section_by_name(".dynamic") is None and elf.get_section_by_name(".symtab") is None
    names = {Path(link).name for link in out.with_name("busybox.links").read_text().split()}
    assert {"init", "sh", "bash", "getty", "login", "mount", "switch_root", "modprobe", "ip", "udhcpc", "vi"} <= names
    # The bar for a whole rootfs is 400 kB; the runtime and the skeleton need 105 of it on aarch64, the largest.
    packed = subprocess.run(["gzip", "-9c", str(out)], stdout=subprocess.PIPE, check=True).stdout
    assert len(packed) < 270_000


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("CONFIG_CATT=y", r"CONFIG_CATT=y: there is no such symbol; did you mean CONFIG_CAT\?"),
        ("CONFIG_FEATURE_CATN=y\n# CONFIG_CAT is not set", "CONFIG_FEATURE_CATN=y: became 'n'"),
    ],
)
def test_a_dropped_symbol_fails_before_anything_is_compiled(
    source: Path, tmp_path: Path, line: str, reason: str
) -> None:
    fragment = tmp_path / "my.fragment"
    fragment.write_text(f"CONFIG_STATIC=y\n{line}\n")
    with pytest.raises(SampanError, match=rf"my\.fragment:2: {reason}"):
        busybox.build(toolchain.choose("x86_64", {}), source, [fragment], folder=tmp_path)


@pytest.mark.skipif(not shutil.which("arm-linux-gnueabihf-gcc"), reason="gcc-arm-linux-gnueabihf is not installed")
def test_a_cross_gcc_replaces_zig(source: Path, tmp_path: Path) -> None:
    chain = toolchain.choose("armv7", {"CROSS_COMPILE": "arm-linux-gnueabihf-"})
    toolchain.warm(chain)
    fragment = tmp_path / "small.fragment"
    fragment.write_text(SMALL)
    result = busybox.build(chain, source, [fragment], folder=tmp_path, jobs=2)
    path = tmp_path / "busybox.bin"
    path.write_bytes(result.binary)
    with path.open("rb") as stream:
        elf = ELFFile(stream)
        assert elf.get_machine_arch() == "ARM" and elf.get_section_by_name(".symtab") is None
        assert elf.get_section_by_name(".note.ABI-tag"), "musl has none: this is not the cross compiler's glibc"


def test_the_source_tar_depends_on_the_pinned_files_alone(source: Path, tmp_path: Path) -> None:
    assert busybox_tar(tmp_path).read_bytes() == source.read_bytes()


def test_upstream_s_tarball_in_downloads_is_enough(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pins = fetch_busybox.load(PINS)
    original = fetch.present(pins.orig.name, pins.orig.sha256)
    if not original:
        pytest.skip("the downloads folder holds upstream's name already")
    monkeypatch.setenv("SAMPAN_DOWNLOADS", str(tmp_path))
    shutil.copy(original, tmp_path / pins.upstream)
    monkeypatch.setenv("SAMPAN_APT_SOURCES", "/nonexistent")
    tree = fetch_busybox.prepare(pins, tmp_path / "source")
    assert (tree / "shell/ash.c").is_file()
    assert "without Debian's security fixes" in capsys.readouterr().err
