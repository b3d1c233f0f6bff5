"""image.json and the size report: what later steps read, and what is refused."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import msgspec
import pytest

from sampan.board import load
from sampan.board.model import Console
from sampan.build import assemble, cpio, image, newc, size
from sampan.build.manifest import save
from sampan.build.manifest_input import parse_lines
from sampan.build.rootfs import Inputs, resolve
from sampan.core.errors import SampanError

MANIFEST = """
/bin dir 0755 0 0
/etc dir 0755 0 0
/usr dir 0755 0 0
/usr/bin dir 0755 0 0
/lib dir 0755 0 0
/lib/modules dir 0755 0 0
/lib/modules/6.1 dir 0755 0 0
/lib/modules/6.1/virtio-blk.ko file 0644 0 0 module
/bin/busybox file 0755 0 0 busybox
/bin/sh link - 0 0 busybox
/usr/bin/sampan file 0755 0 0 sampan
/usr/bin/lxc-start link - 0 0 sampan
/etc/passwd file 0644 0 0 -
/note\\040s file 0644 0 0 -
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A build folder with a real cpio.gz; kernel and disk are only bytes here."""
    folder = tmp_path / "build/qemuarm"
    (folder / "kernel").mkdir(parents=True)
    for name, data in (("module", bytes(range(256)) * 40), ("busybox", b"busy" * 5000), ("sampan", b"\x7fELF" * 100)):
        (tmp_path / name).write_bytes(data)
    content, sources = resolve([parse_lines(MANIFEST, "m", tmp_path)], Inputs({}, {}))
    save(content, sources, folder / "rootfs.manifest")
    for form in ("cpio", "cpio.gz"):
        with (folder / f"rootfs.{form}").open("wb") as stream, cpio.FORMATS[form](stream.write) as write:
            cpio.emit(cpio.plan(content, 1), sources, write)
    for name in ("image", "boot", "config"):
        (folder / "kernel" / name).write_text(name)
    kernel = {"release": "6.1", "version": "6.1-1", "boot_shape": "ELF", "modules": ["virtio_blk"]}
    kernel["modules_sha256"] = "0" * 64
    (folder / "kernel/kernel.json").write_text(json.dumps(kernel))
    (folder / "data.ext4").write_bytes(bytes(4096))
    return folder


def run(folder: Path, *rootfs: str, board: str = "qemuarm") -> None:
    argv = ["--board", board, "--kernel", str(folder / "kernel/kernel.json"), "--data", str(folder / "data.ext4")]
    argv += ["--manifest", str(folder / "rootfs.manifest"), "--out", str(folder / "image.json")]
    argv += ["--rootfs", *(str(folder / name) for name in rootfs)]
    assemble.make(assemble.build_parser().parse_args(argv))


def test_image_json_holds_all_a_boot_needs_and_nothing_of_this_machine(folder: Path) -> None:
    run(folder, "rootfs.cpio", "rootfs.cpio.gz")
    assert str(folder.parent) not in (folder / "image.json").read_text()
    moved = folder.parent.parent / "elsewhere"
    shutil.move(folder, moved)
    built = image.load(moved)
    assert built.cmdline.endswith("console=ttyAMA0,115200")
    assert built.initrd == "cpio.gz" and list(built.rootfs) == ["cpio", "cpio.gz"]
    assert built.kernel.release == "6.1" and built.kernel.modules == ["virtio_blk"]
    for file in (built.kernel.boot, built.kernel.image, built.kernel.config, built.manifest, built.data):
        assert image.File.of(moved / file.file, moved) == file


def test_a_console_without_a_speed_gets_none() -> None:
    board = load.load("qemuarm")
    hvc = msgspec.structs.replace(board, console=Console(tty="hvc0"))
    assert assemble.command_line(hvc).endswith("console=hvc0")


def test_a_file_that_a_copy_of_the_folder_would_miss_is_refused(folder: Path) -> None:
    outside = folder.parent / "vmlinuz"
    outside.write_text("kernel")
    (folder / "kernel/boot").unlink()
    with pytest.raises(SampanError, match="kernel/boot: not there"):
        run(folder, "rootfs.cpio.gz")
    (folder / "kernel/boot").symlink_to(outside)
    with pytest.raises(SampanError, match=r"kernel/boot: lies outside .*qemuarm, a copy of that folder would not boot"):
        run(folder, "rootfs.cpio.gz")
    assert not (folder / "image.json").exists()


def test_a_board_without_an_initramfs_is_refused_with_the_key_to_change(folder: Path) -> None:
    shutil.copy(folder / "rootfs.cpio", folder / "rootfs.ext4")
    with pytest.raises(SampanError, match="none of the formats ext4 is an initramfs") as caught:
        run(folder, "rootfs.ext4")
    assert "rootfs.formats in board.toml" in caught.value.hint
    with pytest.raises(SampanError, match="is named rootfs.FORMAT"):
        run(folder, "data.ext4")


def test_the_size_report_says_where_every_byte_went(folder: Path) -> None:
    run(folder, "rootfs.cpio.gz")
    report = size.report(folder)
    parts = {part.name: part for part in report.parts}
    assert parts["busybox"].files == 2 and parts["busybox"].size == 20_000
    assert parts["runtime"].files == 2 and parts["runtime"].size == 400
    assert parts["module virtio_blk"].size == 10_240
    assert parts["configuration"].files == 1
    assert sum(part.size for part in report.folders) == sum(row.size for row in report.rows) == 30_640
    total = (folder / "rootfs.cpio.gz").stat().st_size
    assert abs(sum(part.packed for part in report.parts) - total) <= len(report.rows)
    assert [row.packed for row in report.rows] == sorted((row.packed for row in report.rows), reverse=True)
    assert report.images["rootfs.cpio.gz"] == total
    assert json.loads(report.to_json())["rows"][-1].keys() == {"path", "part", "size", "packed"}
    assert {row.path for row in report.rows} >= {"/note\\040s"}


def test_the_headroom_is_that_of_a_real_archive_without_modules(folder: Path) -> None:
    run(folder, "rootfs.cpio.gz")
    (folder / "rootfs.sources").unlink()  # a copied folder has none
    report = size.report(folder, cap=1000)
    found = newc.members(newc.unpack((folder / "rootfs.cpio.gz").read_bytes()))
    kept = [member for member in found if not member.path.startswith("/lib/modules/")]
    plain = b"".join(member.head + member.data + bytes(-len(member.data) % 4) for member in kept)
    trailer = cpio.header({"nlink": 1}, cpio.TRAILER)
    plain += trailer + bytes(-len(plain + trailer) % 512)
    assert report.core == len(gzip.compress(plain, 9, mtime=0))
    assert report.headroom == 1000 - report.core


@pytest.mark.parametrize("damage", [b"", b"\x1f\x8b\x08nonsense", b"070701", b"\x28\xb5\x2f\xfdx"])
def test_a_damaged_archive_is_refused(folder: Path, damage: bytes) -> None:
    run(folder, "rootfs.cpio.gz")
    (folder / "rootfs.cpio.gz").write_bytes(damage)
    with pytest.raises(SampanError, match="damaged"):
        size.report(folder)
