"""Mounts of a configuration: lxc.mount.entry, lxc.mount.fstab."""

from __future__ import annotations

import pytest
from runtime_conf import Reader

RO, NOSUID, NODEV, NOEXEC, BIND, REC, PRIVATE = 1, 2, 4, 8, 4096, 16384, 1 << 18


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ("proc proc proc nodev,noexec,nosuid", f"proc|proc|proc||{NODEV | NOEXEC | NOSUID:#x}|0|0|"),
        ("/a b none rbind,ro,create=dir,optional 0 0", f"/a|b|none||{BIND | REC | RO:#x}|0|1|optional"),
        ("/a b bind bind,create=file", f"/a|b|bind||{BIND:#x}|0|2|"),
        ("a b none bind,relative 0", f"a|b|none||{BIND:#x}|0|0|relative"),
        ("none / none rprivate", f"none|/|none||0|{PRIVATE | REC:#x}|0|"),
        ("tmpfs tmp tmpfs size=1m,,mode=755,ro,rw,", "tmpfs|tmp|tmpfs|size=1m,mode=755|0|0|0|"),
        (r"/a\040b c\134d none bind", rf"/a b|c\d|none||{BIND:#x}|0|0|"),
        (r"/a\9b c\04 none bind", rf"/a\9b|c\04|none||{BIND:#x}|0|0|"),
        ("\ttmpfs\t \ttmp tmpfs defaults\t0\t0", "tmpfs|tmp|tmpfs||0|0|0|"),
        ("/a /c/a..b/..c none bind", f"/a|/c/a..b/..c|none||{BIND:#x}|0|0|"),
    ],
)
def test_mounts(read: Reader, entry: str, field: str) -> None:
    got = read(f"lxc.mount.entry = {entry}\n")
    assert got.good, got.said
    assert got.fields == [f"mount={field}"]


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("proc", "field 2, the target, is missing"),
        ("proc proc", "field 3, the type, is missing"),
        ("proc proc proc", "field 4, the options, is missing"),
        ("proc proc proc ro x", "field 5, dump, is no number: x"),
        ("proc proc proc ro 0 x", "field 6, pass, is no number: x"),
        ("proc proc proc ro 0 0 0", "field 7 is one too many: 0"),
        ("/a b none ro", "needs the option bind"),
        ("a b none bind", "source of a bind mount must be absolute"),
        ("/a b none bind,uid=3", "a bind mount has no option uid=3"),
        ("/a b none bind,create=link", "create= takes dir or file"),
        ("/a b none bind,idmap=x", "idmap= takes"),
        ("/a ../b none bind", "must not hold .."),
        ("/a /c/rootfs/.. none bind", "must not hold .."),
        (r"/a /c/\056\056/x none bind", "must not hold .."),
        (r"/a b\000c none bind", r"\000"),
        ("/a /" + "b" * 1024 + " none bind", "PATH_LEN_MAX"),
    ],
)
def test_refused_mounts(read: Reader, entry: str, why: str) -> None:
    got = read(f"lxc.mount.entry = {entry}\n")
    assert not got.good and why in got.said and got.said.startswith("config:1: lxc.mount.entry = ")


def test_the_fstab_comes_before_the_entries(read: Reader) -> None:
    got = read(
        "lxc.mount.entry = e1 /e1 tmpfs ro\nlxc.mount = @fstab\nlxc.mount.entry = e2 /e2 tmpfs ro\n",
        fstab="# comment\n\nf1 /f1 tmpfs ro 0 0\n f2 /f2 tmpfs ro\n",
    )
    assert got.good and [line[6:8] for line in got.fields] == ["f1", "f2", "e1", "e2"]


def test_a_mistake_in_the_fstab_names_its_own_line(read: Reader) -> None:
    got = read("lxc.mount.fstab = @fstab\n", fstab="a /a tmpfs ro\n/a b none ro\nproc /proc /c/rootfs/proc ro 0 0\n")
    assert "fstab:2: /a b none ro: the type none needs" in got.said
    assert "fstab:3: " in got.said and "  hint: proc /c/rootfs/proc proc ro 0 0\n" in got.said
    assert "config" not in got.said


def test_an_fstab_that_is_none(read: Reader) -> None:
    for path in ("/", "/dev/null"):
        assert f"config:1: lxc.mount.fstab = {path}: not a regular file\n" == read(f"lxc.mount.fstab = {path}\n").said


def test_a_missing_fstab(read: Reader) -> None:
    assert "config:2: lxc.mount.fstab = gone: cannot open: No such" in read("\nlxc.mount.fstab = @gone\n").said
