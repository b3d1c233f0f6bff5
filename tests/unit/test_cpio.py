"""newc archives byte by byte, and read back by our own reader."""

from __future__ import annotations

import hashlib
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.build import cpio, newc
from sampan.build.manifest import Entry, Kind, Manifest, Sources
from sampan.core.errors import SampanError

names = st.binary(min_size=1, max_size=9).filter(lambda name: not {0, 0x2F} & set(name) and name not in (b".", b".."))
ids = st.integers(0, 2**32 - 2)


def file(path: str, data: bytes, **more: int) -> Entry:
    return Entry(path, Kind.FILE, sha256=hashlib.sha256(data).hexdigest(), size=len(data), **more)


def sources(*data: bytes) -> Sources:
    return Sources({}, {hashlib.sha256(item).hexdigest(): item for item in data})


def write(content: Manifest, given: Sources, epoch: int = 1, form: str = "cpio") -> bytes:
    out: list[bytes] = []
    with cpio.FORMATS[form](out.append) as put:
        cpio.emit(cpio.plan(content, epoch), given, put)
    return b"".join(out)


def test_the_bytes_of_a_small_archive() -> None:
    content = Manifest((Entry("/", Kind.DIR, 0o755), file("/ab", b"hello", mode=0o4750, uid=1000, gid=10)))
    expected = (
        b"070701" b"00000001" b"000041ED" b"00000000" b"00000000" b"00000002" b"499602D2" b"00000000"
        b"00000000" b"00000000" b"00000000" b"00000000" b"00000002" b"00000000" b".\0"
        b"070701" b"00000002" b"000089E8" b"000003E8" b"0000000A" b"00000001" b"499602D2" b"00000005"
        b"00000000" b"00000000" b"00000000" b"00000000" b"00000003" b"00000000" b"ab\0" b"\0\0\0"
        b"hello\0\0\0"
        b"070701" b"00000000" b"00000000" b"00000000" b"00000000" b"00000001" b"00000000" b"00000000"
        b"00000000" b"00000000" b"00000000" b"00000000" b"0000000B" b"00000000" b"TRAILER!!!\0" b"\0\0\0"
    )  # fmt: skip
    assert write(content, sources(b"hello"), 1234567890) == expected.ljust(512, b"\0")


@given(
    st.dictionaries(names, st.one_of(st.binary(max_size=70), st.tuples(st.booleans(), ids)), max_size=6),
    st.integers(1, 2**31 - 1),
    st.sampled_from(list(cpio.FORMATS)),
)
def test_every_archive_reads_back(found: dict[bytes, bytes | tuple[bool, int]], epoch: int, form: str) -> None:
    entries, data = [Entry("/", Kind.DIR, 0o700)], []
    for name, what in sorted(found.items()):
        path = "/" + name.decode("utf-8", "surrogateescape")
        if isinstance(what, bytes):
            entries.append(file(path, what, mode=0o640))
            data.append(what)
        elif what[0]:
            entries.append(Entry(path, Kind.LINK, 0o777, what[1], target=path))
        else:
            entries.append(Entry(path, Kind.BLOCK, 0o600, 0, what[1], rdev=(what[1] % 4096, what[1] % 2**20)))
    archive = newc.unpack(write(Manifest(tuple(entries)), sources(*data), epoch, form))
    assert len(archive) % 512 == 0
    read = list(newc.members(archive))
    assert [member.path for member in read] == [entry.path for entry in entries]
    assert [member.fields["ino"] for member in read] == list(range(1, len(entries) + 1))
    for member, entry in zip(read, entries, strict=True):
        assert stat.S_IMODE(member.fields["mode"]) == entry.mode
        assert (member.fields["uid"], member.fields["gid"]) == (entry.uid, entry.gid)
        assert (member.fields["rdevmajor"], member.fields["rdevminor"]) == entry.rdev
        assert member.fields["mtime"] == epoch and member.fields["devmajor"] == member.fields["check"] == 0
        if entry.kind is Kind.FILE:
            assert hashlib.sha256(member.data).hexdigest() == entry.sha256
        elif entry.kind is Kind.LINK:
            assert member.data == b"/" + member.name


def test_names_of_one_file_share_an_inode_and_the_last_holds_the_bytes() -> None:
    content = Manifest(
        (
            Entry("/", Kind.DIR, 0o755),
            Entry("/a", Kind.HARD, target="/b"),
            file("/b", b"xy", mode=0o755, uid=5),
            Entry("/c", Kind.HARD, target="/b"),
            file("/d", b"", mode=0o644),
        )
    )
    read = {member.path: member for member in newc.members(write(content, sources(b"xy", b"")))}
    inodes = {path: member.fields["ino"] for path, member in read.items()}
    assert inodes == {"/": 1, "/a": 2, "/b": 2, "/c": 2, "/d": 3}
    assert {path: member.fields["nlink"] for path, member in read.items()} == {
        "/": 2,
        "/a": 3,
        "/b": 3,
        "/c": 3,
        "/d": 1,
    }
    assert [read[path].data for path in ("/a", "/b", "/c", "/d")] == [b"", b"", b"xy", b""]
    assert {read[path].fields["mode"] for path in ("/a", "/b", "/c")} == {stat.S_IFREG | 0o755}
    assert {read[path].fields["uid"] for path in ("/a", "/b", "/c")} == {5}


def test_a_file_too_large_for_the_format_is_refused_before_anything_is_written() -> None:
    huge = Entry("/huge", Kind.FILE, 0o644, sha256="0" * 64, size=2**32)
    with pytest.raises(SampanError, match="/huge: 4294967296 bytes; a cpio holds files below 4 GiB"):
        cpio.plan(Manifest((Entry("/", Kind.DIR), huge)), 1)


def test_the_name_that_ends_every_archive_is_refused() -> None:
    with pytest.raises(SampanError, match="/TRAILER!!!: a cpio ends at this name"):
        cpio.plan(Manifest((Entry("/", Kind.DIR), Entry("/TRAILER!!!", Kind.FIFO))), 1)


@given(st.binary(max_size=600), st.integers(0, 511))
def test_a_damaged_archive_is_refused_not_a_crash(noise: bytes, at: int) -> None:
    good = write(Manifest((Entry("/", Kind.DIR), file("/f", b"data"))), sources(b"data"))
    for damaged in (noise, good[:at], good[:at] + noise):
        try:
            list(newc.members(newc.unpack(damaged)))
        except SampanError as error:
            assert error.message.startswith("damaged ")
