"""ELF checks on hand-made files: each fault is found under its own word, and nothing else is."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from elf_maker import (
    DT_FLAGS,
    DT_RPATH,
    DT_RUNPATH,
    DT_TEXTREL,
    EABI5,
    ET_DYN,
    ET_REL,
    Elf,
    R,
    W,
    X,
)
from hypothesis import given
from hypothesis import strategies as st

from sampan.build import elfcheck
from sampan.build.elf import build_paths, inspect, script_interpreter
from sampan.build.manifest import Entry, Kind, Manifest, Sources, save, sources_path
from sampan.core.errors import SampanError

HARD, SOFT = 0x400, 0x200


def image(files: dict[str, bytes], *more: Entry, allow: tuple[str, ...] = ()) -> tuple[Manifest, Sources]:
    entries = [Entry("/", Kind.DIR, 0o755), Entry("/lib", Kind.DIR, 0o755), *more]
    texts = {hashlib.sha256(data).hexdigest(): data for data in files.values()}
    for path, data in files.items():
        sha256 = hashlib.sha256(data).hexdigest()
        entries.append(Entry(path, Kind.FILE, 0o755, sha256=sha256, size=len(data), allow=allow))
    return Manifest(tuple(sorted(entries, key=lambda entry: entry.path))), Sources({}, texts)


def words(elf: Elf | bytes, arch: str = "", **files: bytes) -> list[str]:
    """The checks that a program fails in an image that has `files` in /lib."""
    data = elf.build() if isinstance(elf, Elf) else elf
    arch = arch or (elf.arch if isinstance(elf, Elf) else "x86_64")
    content = image({"/prog": data, **{f"/lib/{name.replace('__', '.')}": text for name, text in files.items()}})
    _, faults = elfcheck.check(*content, arch, ["/home/me/sampan"])  # type: ignore[arg-type]
    return [fault.check for fault in faults if fault.path == "/prog"]


@pytest.mark.parametrize("arch", ["x86", "x86_64", "armv6", "armv7", "aarch64"])
def test_a_static_program_of_the_boards_architecture_passes(arch: str) -> None:
    assert words(Elf(arch)) == []
    assert words(Elf(arch, type=ET_DYN)) == []


@pytest.mark.parametrize("arch", ["x86", "x86_64", "armv7", "aarch64"])
@pytest.mark.parametrize("board", ["x86", "x86_64", "armv7", "aarch64"])
def test_a_program_of_another_architecture_fails(arch: str, board: str) -> None:
    assert words(Elf(arch), board) == ([] if arch == board else ["machine"])


@pytest.mark.parametrize(
    ("elf", "check"),
    [
        (Elf(big_endian=True), "machine"),
        (Elf("armv7", flags=0x04000000), "machine"),
        (Elf("armv7", flags=EABI5 | SOFT), "machine"),
        (Elf(stack=None), "execstack"),
        (Elf(stack=R | W | X), "execstack"),
        (Elf(text=R | W | X), "wx"),
        (Elf(type=ET_DYN, numbers={DT_TEXTREL: 0}), "textrel"),
        (Elf(type=ET_DYN, numbers={DT_FLAGS: 4}), "textrel"),
        (Elf(interpreter="/lib/ld.so"), "closure"),
        (Elf(needed=["libm.so"]), "closure"),
        (Elf(needed=["libc.so"], relro=False), "relro"),
        (Elf(strings={DT_RUNPATH: "/home/me/lib"}), "runpath"),
        (Elf(strings={DT_RPATH: "lib"}), "runpath"),
    ],
)
def test_each_fault_is_found_under_its_word(elf: Elf, check: str) -> None:
    assert words(elf, libc__so=b"") == [check]


@pytest.mark.parametrize("elf", [Elf("armv7", flags=EABI5 | HARD), Elf("armv7", flags=EABI5)])
def test_hard_float_and_unmarked_arm_files_pass(elf: Elf) -> None:
    assert words(elf) == []


def test_a_dynamic_program_whose_libraries_are_there_passes() -> None:
    elf = Elf(type=ET_DYN, interpreter="/lib/ld.so", needed=["libc.so", "libx.so"], strings={DT_RUNPATH: "$ORIGIN/lib"})
    assert words(elf, ld__so=b"", libc__so=b"", libx__so=b"") == []


def test_libraries_are_found_through_links_as_on_the_board() -> None:
    links = [
        Entry("/lib64", Kind.LINK, 0o777, target="lib"),
        Entry("/lib/ld.so", Kind.LINK, 0o777, target="../lib64/./real.so"),
        Entry("/lib/libc.so", Kind.HARD, target="/lib/real.so"),
        Entry("/lib/loop.so", Kind.LINK, 0o777, target="loop.so"),
        Entry("/lib/gone.so", Kind.LINK, 0o777, target="/nowhere"),
    ]

    def faults(*needed: str) -> list[str]:
        elf = Elf(interpreter="/lib64/ld.so", needed=list(needed)).build()
        found = elfcheck.check(*image({"/prog": elf, "/lib/real.so": b""}, *links), "x86_64", [])[1]
        return [fault.message.split(",")[0] for fault in found]

    assert faults("libc.so") == []
    assert faults("loop.so", "gone.so") == ["needs loop.so", "needs gone.so"]


def test_of_a_kernel_module_only_the_machine_counts() -> None:
    assert words(Elf(type=ET_REL, stack=None)) == []
    assert words(Elf("x86", type=ET_REL), "x86_64") == ["machine"]


@pytest.mark.parametrize("data", [b"\x7fELF", b"\x7fELF\x02\x01\x01" + bytes(60), Elf(needed=["x"]).build()[:0x1004]])
def test_a_damaged_file_is_a_finding_not_a_crash(data: bytes) -> None:
    assert "machine" in words(data)


@given(st.data())
def test_no_damage_crashes_the_reader(data: st.DataObject) -> None:
    elf = bytearray(Elf(interpreter="/lib/ld.so", needed=["libc.so"], strings={DT_RUNPATH: "/x"}).build())
    places = st.one_of(st.integers(4, 400), st.integers(0x1000, len(elf) - 1))
    for at, value in data.draw(st.dictionaries(places, st.integers(0, 255), max_size=6)).items():
        elf[at] = value
    try:
        inspect(bytes(elf))
    except ValueError as error:
        assert str(error).startswith("damaged ELF file: ")


def test_build_folders_are_found_in_any_file_as_whole_names() -> None:
    assert words(b"config: /home/me/sampan/build\n") == ["buildpath"]
    assert words(b"/home/me/sampan") == ["buildpath"]
    assert words(b"/home/me/sampan-2/x") == []
    assert words(Elf().build() + b"/home/me/sampan/runtime/main.c\0") == ["buildpath"]
    assert build_paths(b"/a.b/c /axb/c", ["/a.b", "/a"]) == ["/a.b"]


def test_a_build_folder_that_the_image_has_too_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/root")
    assert "/root" in elfcheck.build_folders(image({})[0])
    assert "/root" not in elfcheck.build_folders(image({}, Entry("/root", Kind.DIR, 0o700))[0])


def test_a_script_needs_its_interpreter() -> None:
    assert words(b"#!/bin/sh\n") == ["closure"]
    assert words(b"#! /lib/sh -e\n", sh=b"") == []
    assert script_interpreter(b"#!") == script_interpreter(b"#! \nfoo") == script_interpreter(b"x") == ""


def test_what_the_manifest_allows_is_listed_and_passes() -> None:
    content, sources = image({"/prog": Elf(stack=None, text=R | W | X).build()}, allow=("execstack",))
    report, faults = elfcheck.check(content, sources, "x86_64", [])
    assert [fault.check for fault in faults] == ["wx"]
    assert [record.allowed for record in report.files] == [
        ("execstack: has no PT_GNU_STACK: the kernel gives it an executable stack",)
    ]


def test_the_command_writes_a_report_or_fails_with_every_finding(tmp_path: Path) -> None:
    def check(elf: Elf) -> None:
        out = tmp_path / "rootfs.manifest"
        save(*image({"/prog": elf.build()}), out)
        argv = ["--manifest", str(out), "--sources", str(sources_path(out)), "--arch", elf.arch]
        elfcheck.make(elfcheck.build_parser().parse_args([*argv, "--out", str(tmp_path / "elf.json")]))

    with pytest.raises(SampanError) as caught:
        check(Elf(stack=None, interpreter="/lib/none"))
    assert caught.value.message.startswith("2 findings in the files of the image:\n  /prog: needs the dynamic linker")
    assert "allow=closure" in caught.value.hint
    assert not (tmp_path / "elf.json").exists()
    check(Elf())
    (record,) = json.loads((tmp_path / "elf.json").read_text())["files"]
    assert record["machine"] == "EM_X86_64" and record["linkage"] == "static" and record["type"] == "exec"
