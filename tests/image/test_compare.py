"""A difference between two images is named by the structure it is in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from content import EPOCH, resolved

from sampan.build import action, compare, cpio, ext4, squashfs
from sampan.build.compare import compare as differences
from sampan.build.compare_squashfs import sections
from sampan.build.manifest import Entry, Kind, Manifest, Sources
from sampan.core.run import run


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, Sources]:
    return resolved(tmp_path_factory.mktemp("content"), attributes=False)[:2]


@pytest.fixture(scope="module")
def ext(content: tuple[Manifest, Sources], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ext4") / "o"
    out.touch()
    ext4.emit(ext4.plan(content[0], EPOCH), content[1], out)
    return out


def changed(content: Manifest, path: str, **values: object) -> Manifest:
    return Manifest(tuple(replace(entry, **values) if entry.path == path else entry for entry in content))  # type: ignore[arg-type]


def archive(content: Manifest, sources: Sources, form: str = "cpio", epoch: int = EPOCH) -> bytes:
    out: list[bytes] = []
    with cpio.FORMATS[form](out.append) as write:
        cpio.emit(cpio.plan(content, epoch), sources, write)
    return b"".join(out)


def named(left: bytes, right: bytes) -> list[str]:
    found = [str(difference) for difference in differences(left, right)]
    assert bool(found) == (left != right)
    return found


@pytest.mark.parametrize("form", list(cpio.FORMATS))
def test_cpio_entries_and_fields_are_named(content: tuple[Manifest, Sources], form: str) -> None:
    manifest, sources = content
    old = archive(manifest, sources, form)
    assert named(old, old) == []

    def against(other: Manifest) -> list[str]:
        return named(old, archive(other, sources, form))

    assert against(changed(manifest, "/etc/hostname", uid=7)) == ["cpio entry /etc/hostname: uid: 0 != 7"]
    assert against(changed(manifest, "/dev/vda", mode=0o600)) == ["cpio entry /dev/vda: mode: 60660 != 60600"]
    assert against(changed(manifest, "/dev/vda", rdev=(254, 17))) == ["cpio entry /dev/vda: rdevminor: 16 != 17"]
    zeros = manifest.by_path["/etc/zeros"]
    big = changed(manifest, "/etc/big", sha256=zeros.sha256, size=zeros.size)
    assert against(big) == ["cpio entry /etc/big: filesize: 570003 != 40960", "cpio entry /etc/big: data from byte 0"]
    more = Manifest((*manifest.entries, Entry("/z z", Kind.FIFO, 0o600)))
    assert against(more) == ["cpio entry /z\\040z: missing != there"]


def test_order_and_padding_of_a_cpio_are_named(content: tuple[Manifest, Sources]) -> None:
    manifest, sources = content
    old = archive(manifest, sources)
    nodes = [replace(entry, path=f"/n{n}") for n, entry in enumerate(manifest) if entry.kind is Kind.FIFO]
    pair = [Entry("/a", Kind.DIR), Entry("/b", Kind.DIR), *nodes]
    one, other = archive(Manifest(tuple(pair)), sources), archive(Manifest(tuple(reversed(pair))), sources)
    assert any("ino" in text for text in named(one, other))
    assert named(old, old + bytes(512)) == ["cpio: padding, or what follows the trailer"]


def test_the_gzip_header_and_the_packing_are_named(content: tuple[Manifest, Sources]) -> None:
    import gzip

    plain = archive(*content)
    old = archive(*content, "cpio.gz")
    stamped = gzip.compress(plain, mtime=5)
    assert "gzip header: mtime: 0 != 5" in named(old, stamped)
    weaker = cpio.GZIP_HEADER + gzip.compress(plain, 1, mtime=0)[10:]
    (text,) = named(old, weaker)
    assert text.startswith("gzip stream: same content, packed otherwise: ")
    assert named(old, plain) == ["format: gzip != cpio"]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("sif /etc/hostname mtime @5", [f"ext4 inode of /etc/hostname: i_mtime: {EPOCH} != 5"]),
        ('sif "/usr/bin" gid 51', ["ext4 inode of /usr/bin: i_gid: 50 != 51"]),
        ("ssv mnt_count 3", ["ext4 superblock: s_mnt_count: 0 != 3"]),
        ("set_bg 0 flags 1", ["ext4 group 0: bg_flags: 0 != 1"]),
        ("setb 400", ["ext4 block bitmap of group 0"]),
        ("seti <200>", ["ext4 inode bitmap of group 0"]),
        ("zap -f /etc/big -p 1 -l 1 2", ["ext4 data of /etc/big"]),
        ("zap -f /etc -p 65 -o 4000 -l 1 0", ["ext4 folder /etc"]),
        ("zap -f /etc/long -p 65 -l 1 0", ["ext4 target of link /etc/long"]),
        ("zap -p 1 -l 1 450", ["ext4 block 450, which no file has"]),
    ],
)
def test_ext4_structures_are_named(ext: Path, tmp_path: Path, command: str, expected: list[str]) -> None:
    old = ext.read_bytes()
    image = tmp_path / "o"
    image.write_bytes(old)
    run(["debugfs", "-w", "-R", command, image], env={"E2FSPROGS_FAKE_TIME": str(EPOCH)})
    found = named(old, image.read_bytes())
    # debugfs itself counts what it writes.
    assert [text for text in found if "s_kbytes_written" not in text] == expected


def test_every_structure_of_two_ext4_with_one_other_owner_is_named(
    ext: Path, content: tuple[Manifest, Sources], tmp_path: Path
) -> None:
    out = tmp_path / "o"
    out.touch()
    ext4.emit(ext4.plan(changed(content[0], "/tmp", uid=9), EPOCH), content[1], out)
    found = [difference.structure for difference in differences(ext.read_bytes(), out.read_bytes())]
    # The UUID follows from the content.
    assert found == ["ext4 superblock: s_uuid", "ext4 superblock: s_hash_seed", "ext4 inode of /tmp: i_uid"]
    out.write_bytes(b"")
    ext4.emit(ext4.plan(content[0], EPOCH, size=4 << 20), content[1], out)
    (text,) = named(ext.read_bytes(), out.read_bytes())
    assert text == f"ext4: size of the image in bytes: {2 << 20} != {4 << 20}"


def test_squashfs_tables_are_named(content: tuple[Manifest, Sources], tmp_path: Path) -> None:
    manifest, sources = content

    def image(of: Manifest, epoch: int = EPOCH, compressor: str = "gzip") -> bytes:
        out = tmp_path / "o"
        squashfs.emit(squashfs.archive(squashfs.plan(of, epoch), sources), out, epoch, compressor)
        return out.read_bytes()

    old = image(manifest)
    found = named(old, image(manifest, EPOCH + 1))
    assert f"squashfs superblock: mod_time: {EPOCH} != {EPOCH + 1}" in found
    assert any(text.startswith("squashfs inode table from its byte") for text in found)
    found = named(old, image(changed(manifest, "/tmp", gid=4711)))
    assert any(text.startswith("squashfs id table") for text in found) or any("id_count" in text for text in found)
    assert not any("data and fragments" in text for text in found)
    assert any("compressor: 1 != 4" in text for text in named(old, image(manifest, compressor="xz")))
    flipped = bytearray(old)
    flipped[200] ^= 1
    size = len(dict(sections(old))["data and fragments"])
    assert named(old, bytes(flipped)) == [
        f"squashfs data and fragments from its byte {200 - 96}: {size} bytes != {size} bytes"
    ]


def test_the_command_says_what_differs_and_where_to_stop(
    content: tuple[Manifest, Sources], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a").write_bytes(archive(*content))
    (tmp_path / "b").write_bytes(archive(*content, epoch=EPOCH + 1))
    names = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert action.main(compare.build_parser, compare.make, [names[0], names[0]]) == 0
    assert action.main(compare.build_parser, compare.make, names) == 1
    said = capsys.readouterr().err
    assert f"cpio entry /: mtime: {EPOCH} != {EPOCH + 1}" in said
    assert f"and {len(content[0].entries) - compare.SHOWN} more" in said
    assert action.main(compare.build_parser, compare.make, [names[0], "/no/such"]) == 1
    assert "cannot read /no/such: No such file or directory" in capsys.readouterr().err
