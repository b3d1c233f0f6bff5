"""Every image format, written from a manifest and read back by another program."""

from __future__ import annotations

import gzip
import io
import os
import re
import stat
import tarfile
from pathlib import Path

import pytest
import zstandard
from content import EPOCH, resolved

from sampan.build import action, cpio, data, ext4, squashfs
from sampan.build.manifest import NODES, Entry, Kind, Manifest, Sources, encode
from sampan.core.errors import SampanError
from sampan.core.run import run

TYPES = {
    Kind.DIR: stat.S_IFDIR, Kind.FILE: stat.S_IFREG, Kind.HARD: stat.S_IFREG, Kind.LINK: stat.S_IFLNK,
    Kind.CHAR: stat.S_IFCHR, Kind.BLOCK: stat.S_IFBLK, Kind.FIFO: stat.S_IFIFO,
}  # fmt: skip

Built = tuple[Path, Manifest, Sources]


def write(module: object, folder: Path, name: str, *extra: str, attributes: bool) -> Built:
    content, sources, given = resolved(folder, attributes=attributes)
    out = folder / name
    assert action.main(module.build_parser, module.make, [*given, *extra, "--out", str(out)]) == 0  # type: ignore[attr-defined]
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == [], "temporary files are left"
    return out, content, sources


@pytest.fixture(scope="module")
def newc(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return write(cpio, tmp_path_factory.mktemp("cpio"), "o.cpio", "--format", "cpio", attributes=False)


@pytest.fixture(scope="module")
def ext(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return write(ext4, tmp_path_factory.mktemp("ext4"), "o.ext4", attributes=True)


@pytest.fixture(scope="module")
def squash(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return write(squashfs, tmp_path_factory.mktemp("squashfs"), "o.squashfs", attributes=True)


def test_cpio_lists_what_the_manifest_says(newc: Built) -> None:
    image, content, _ = newc
    listed = os.fsencode(run(["sh", "-c", 'cpio -itvn --quiet <"$0" | od -An -v -tx1', image]).stdout)
    lines = bytes.fromhex(listed.decode()).splitlines()
    names = content.names_of()
    assert len(lines) == len(content.entries)
    for entry, line in zip(content, lines, strict=True):
        file = content.file_of(entry)
        links = 2 if entry.kind is Kind.DIR else len(names.get(file.path, [1]))
        size = f"{entry.rdev[0]},{entry.rdev[1]:4d}" if entry.kind in NODES else None
        mode, nlink, uid, gid, rest = line.split(None, 4)
        assert mode.decode() == stat.filemode(TYPES[entry.kind] | file.mode), entry
        assert (int(nlink), int(uid), int(gid)) == (links, file.uid, file.gid), entry
        if size:
            assert rest.startswith(size.replace(",", ", ").encode()[: len(str(entry.rdev[0])) + 1]), entry
        target = b" -> " + encode(entry.target) if entry.kind is Kind.LINK else b""
        assert rest.endswith(b" Nov 14  2023 " + (entry.name or b".") + target), entry


def test_cpio_gives_the_bytes_back(newc: Built) -> None:
    image, content, sources = newc
    found = run(["sh", "-c", 'cpio -i --quiet --to-stdout etc/big etc/hostname <"$0" | sha256sum', image]).stdout
    expected = b"".join(sources.read(content.by_path[path]) for path in ("/etc/big", "/etc/hostname"))
    import hashlib

    assert found.split()[0] == hashlib.sha256(expected).hexdigest()


def test_compressed_archives_hold_the_plain_one(newc: Built, tmp_path: Path) -> None:
    plain = newc[0].read_bytes()
    packed, _, _ = write(cpio, tmp_path / "gz", "o", "--format", "cpio.gz", attributes=False)
    assert gzip.decompress(packed.read_bytes()) == plain
    assert packed.read_bytes()[:10] == bytes.fromhex("1f8b08000000000002ff")
    packed, _, _ = write(cpio, tmp_path / "zst", "o", "--format", "cpio.zst", attributes=False)
    assert zstandard.ZstdDecompressor().decompressobj().decompress(packed.read_bytes()) == plain


def test_a_cpio_refuses_extended_attributes_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, _, given = resolved(tmp_path, attributes=True)
    out = tmp_path / "o.cpio"
    assert action.main(cpio.build_parser, cpio.make, [*given, "--format", "cpio", "--out", str(out)]) == 2
    assert "/etc/xa: a cpio holds no extended attributes (security.capability)" in capsys.readouterr().err
    assert not out.exists()


def debugfs(image: Path, commands: list[str]) -> list[str]:
    """The output of each command."""
    script = "".join(f"{command}\n" for command in commands)
    done = run(["debugfs", "-f", "/dev/stdin", image], stdin=encode(script))
    assert [line for line in done.stderr.splitlines() if not line.startswith("debugfs 1.")] == []
    return re.split(r"^debugfs: .*\n", done.stdout, flags=re.MULTILINE)[1:]


def inode_paths(content: Manifest) -> dict[str, Entry]:
    """Paths that debugfs can be asked for on a command line."""
    return {entry.path: entry for entry in content if entry.path.isascii()}


def test_ext4_holds_what_the_manifest_says(ext: Built) -> None:
    image, content, _ = ext
    asked = inode_paths(content)
    names = content.names_of()
    inside = [entry for entry in content.of_kind(Kind.DIR) if entry.path != "/"]
    folders = {path: sum(entry.parent == path for entry in inside) for path in asked}
    shown = debugfs(image, [f"stat {ext4.quote(path)}" for path in asked])
    kinds = {"regular": "file", "directory": "dir", "symlink": "link", "character special": "char",
             "block special": "block", "FIFO": "fifo"}  # fmt: skip
    for (path, entry), text in zip(asked.items(), shown, strict=True):
        file = content.file_of(entry)
        found = re.search(r"Type: (.+?)\s+Mode:\s+(\d+).*?User:\s+(\d+)\s+Group:\s+(\d+)", text, re.DOTALL)
        assert found, text
        assert kinds[found[1]] == file.kind and int(found[2], 8) == file.mode, text
        assert (int(found[3]), int(found[4])) == (file.uid, file.gid), text
        links = 2 + folders[path] + (path == "/") if entry.kind is Kind.DIR else len(names.get(file.path, [1]))
        assert f"Links: {links} " in text, text
        for time in ("ctime", "atime", "mtime", "crtime"):
            assert f"{time}: {EPOCH:#x}:00000000" in text, text
        if entry.kind in NODES:
            assert f"major/minor number: {entry.rdev[0]:02}:{entry.rdev[1]:02}" in text, text
        if file.kind is Kind.FILE:
            assert f"Size: {file.size}\n" in text, text
        for name, value in entry.xattrs:
            assert re.search(rf"{re.escape(name)} \({len(value)}\)", text), text


def test_ext4_gives_bytes_targets_and_attributes_back(ext: Built, tmp_path: Path) -> None:
    image, content, sources = ext
    files = [entry for entry in inode_paths(content).values() if entry.kind in (Kind.FILE, Kind.HARD)]
    links = [entry for entry in content.of_kind(Kind.LINK) if "applet" not in entry.path]
    with_xattrs = [(entry, name, value) for entry in content for name, value in entry.xattrs]
    commands = [f"dump {ext4.quote(entry.path)} {tmp_path}/f{n}" for n, entry in enumerate(files)]
    commands += [f"ea_get -f {tmp_path}/x{n} {e.path} {name}" for n, (e, name, _) in enumerate(with_xattrs)]
    commands += [f"cat {entry.path}" for entry in links if len(entry.target) > 59]
    commands += [f"stat {entry.path}" for entry in links if len(entry.target) <= 59]
    shown = debugfs(image, commands)[len(files) + len(with_xattrs) :]
    assert [(tmp_path / f"f{n}").read_bytes() == sources.read(content.file_of(e)) for n, e in enumerate(files)] == [
        True
    ] * len(files)
    assert [(tmp_path / f"x{n}").read_bytes() for n in range(len(with_xattrs))] == [
        value for _, _, value in with_xattrs
    ]
    assert all(any(entry.target in text for text in shown) for entry in links)


def test_ext4_is_clean_small_and_readable_by_old_kernels(ext: Built) -> None:
    image = ext[0]
    run(["e2fsck", "-f", "-n", image])
    shown = run(["dumpe2fs", "-h", image]).stdout
    assert "Filesystem features:      ext_attr dir_index filetype extent sparse_super large_file extra_isize\n" in shown
    assert re.search(r"Inode size:\s+256\n", shown) and "Filesystem volume name:   sampan-root\n" in shown
    assert image.stat().st_size == 2 << 20


def test_ext4_of_a_given_size_is_that_size_and_too_small_is_refused(tmp_path: Path) -> None:
    out, content, _ = write(ext4, tmp_path, "o", "--size", "300M", "--label", "root-a", attributes=True)
    assert out.stat().st_size == 300 << 20
    assert out.stat().st_blocks * 512 < 16 << 20, "it is not sparse"
    with pytest.raises(SampanError, match="needs an ext4 of at least 2 MiB, 262144 bytes are given"):
        ext4.plan(content, EPOCH, size=1 << 18)
    with pytest.raises(SampanError, match="label"):
        ext4.plan(content, EPOCH, label="x" * 17)


def test_ext4_with_thousands_of_files_fits_its_own_estimate(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 5000)
    text = "".join(f"/d{n} dir 0755 0 0\n" for n in range(60))
    text += "".join(f"/d{n % 60}/{n:0200} file 0644 0 0 f\n" for n in range(3000))
    text += "".join(f"/d0/hard{n} hard - - - /d0/{0:0200}\n" for n in range(700))
    from sampan.build.manifest_input import parse_lines
    from sampan.build.rootfs import Inputs, resolve

    content, sources = resolve([parse_lines(text, "m", tmp_path)], Inputs({}, {}))
    out = tmp_path / "o"
    out.touch()
    ext4.emit(ext4.plan(content, EPOCH), sources, out)  # ends with e2fsck
    assert "Links: 701 " in run(["debugfs", "-R", f"stat /d0/{0:0200}", out]).stdout


def test_a_line_break_in_a_name_is_refused_by_ext4_and_taken_by_the_others(tmp_path: Path) -> None:
    content = Manifest((Entry("/", Kind.DIR, 0o755), Entry("/a\nb", Kind.FIFO, 0o600)))
    with pytest.raises(SampanError, match=r"/a\\012b: ext4 images take no name"):
        ext4.plan(content, EPOCH)
    assert len(cpio.plan(content, EPOCH)) == 3
    out = tmp_path / "o"
    squashfs.emit(squashfs.archive(squashfs.plan(content, EPOCH), Sources({}, {})), out, EPOCH, "gzip")
    assert b"a\nb" in run(["rdsquashfs", "-l", "/", out]).stdout.encode()


def test_squashfs_holds_what_the_manifest_says(squash: Built, tmp_path: Path) -> None:
    image, content, sources = squash
    run(["sh", "-c", 'sqfs2tar --root-becomes root "$0" >"$1"', image, tmp_path / "tar"])
    with tarfile.open(tmp_path / "tar") as tar:
        found = {"/" + member.name.removeprefix("root").strip("/"): member for member in tar.getmembers()}
        assert set(found) == {entry.path for entry in content}
        for path, member in found.items():
            entry = content.by_path[path]
            if member.islnk():
                # Which of its names a file is stored under first is the tool's choice.
                assert content.file_of(entry) == content.file_of(content.by_path[member.linkname.removeprefix("root")])
                continue
            file = content.file_of(entry)
            assert tarinfo_kind(member) is file.kind, path
            assert (member.mode, member.uid, member.gid, member.mtime) == (file.mode, file.uid, file.gid, EPOCH), path
            if entry.kind in NODES:
                assert (member.devmajor, member.devminor) == entry.rdev
            if entry.kind is Kind.LINK:
                assert member.linkname == entry.target
            if file.kind is Kind.FILE:
                assert tar.extractfile(member).read() == sources.read(file)  # type: ignore[union-attr]
            assert {
                name.removeprefix("SCHILY.xattr."): encode(value)
                for name, value in member.pax_headers.items()
                if name.startswith("SCHILY.xattr.")
            } == dict(entry.xattrs), path
    assert len([member for member in found.values() if member.islnk()]) == 2


def tarinfo_kind(member: tarfile.TarInfo) -> Kind:
    return {
        tarfile.DIRTYPE: Kind.DIR, tarfile.REGTYPE: Kind.FILE, tarfile.SYMTYPE: Kind.LINK,
        tarfile.CHRTYPE: Kind.CHAR, tarfile.BLKTYPE: Kind.BLOCK, tarfile.FIFOTYPE: Kind.FIFO,
    }[member.type]  # fmt: skip


def test_the_tar_in_between_is_plain_pax(squash: Built) -> None:
    _, content, sources = squash
    with tarfile.open(fileobj=io.BytesIO(squashfs.archive(squashfs.plan(content, EPOCH), sources))) as tar:
        assert len(tar.getmembers()) == len(content.entries)


def test_the_data_disk_is_empty_labelled_clean_and_always_the_same(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert action.main(data.build_parser, data.make, ["--size", "64M", "--out", str(tmp_path / name)]) == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").stat().st_size == 64 << 20
    assert (tmp_path / "a").stat().st_blocks * 512 < 8 << 20, "it is not sparse"
    run(["e2fsck", "-f", "-n", tmp_path / "a"])
    shown = run(["dumpe2fs", "-h", tmp_path / "a"]).stdout
    assert "Filesystem volume name:   sampan-data\n" in shown and "has_journal" in shown
    assert "lost+found" in run(["debugfs", "-R", "ls -l /", tmp_path / "a"]).stdout
    with pytest.raises(SampanError, match="too small"):
        data.plan(1 << 20)
