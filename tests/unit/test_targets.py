"""What a target's name means, what a line's packets and its log are: without any line."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import re
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.control import bringup, install
from sampan.control.packets import Kind, Nonsense, Unpacker, pack
from sampan.control.target import Line, resolve
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.serial.log import LineLog


@pytest.fixture
def targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The targets.toml of this folder; there is none at home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp")
    monkeypatch.delenv("SAMPAN_PASSWORD", raising=False)
    return tmp_path / "targets.toml"


def test_forms_of_a_target(targets: Path) -> None:
    assert resolve("/dev/ttyUSB0") == Line("/dev/ttyUSB0", "/dev/ttyUSB0", 115200, "root")
    assert resolve("socket://farm:4001?baud=9600&user=admin") == Line(
        "socket://farm:4001?baud=9600&user=admin", "socket://farm:4001", 9600, "admin"
    )
    targets.write_text(
        '[bench]\nline = "/dev/ttyS1?baud=57600"\nuser = "me"\npassword_file = "pw"\nboard = "qemuarm"\n'
    )
    (targets.parent / "pw").write_text("se cret\nsecond line\n")
    assert resolve("bench") == Line("bench", "/dev/ttyS1", 57600, "me", "se cret", "qemuarm")
    (targets.parent / "home/.config/sampan").mkdir(parents=True)
    (targets.parent / "home/.config/sampan/targets.toml").write_text('[bench]\nline="/a"\n[far]\nline="/dev/ttyS2"\n')
    assert resolve("far").url == "/dev/ttyS2" and resolve("bench").url == "/dev/ttyS1"


def test_the_environment_overrules_a_kept_password(targets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPAN_PASSWORD", "other")
    assert resolve("/dev/ttyUSB0").password == "other"


@pytest.mark.parametrize(
    ("target", "table", "says"),
    [
        ("/dev/ttyUSB0?speed=1", "", "'speed' is no option of a line"),
        ("/dev/ttyUSB0?baud=fast", "", "'fast' is no bit rate"),
        ("/dev/ttyUSB0?baud=0", "", "'0' is no bit rate"),
        ("nowhere", "", "no such target"),
        ("qemuarm", "", "did you mean qemu:qemuarm"),
        ("benhc", '[bench]\nline = "/dev/ttyS1"\n', "did you mean 'bench'"),
        ("bench", '[bench]\nlines = "/dev/ttyS1"\n', "a target is a table"),
        ("bench", '[bench]\nline = "/dev/ttyS1"\npasword_file = "x"\n', "pasword_file: no such key"),
        ("bench", '[bench]\nline = "/dev/ttyS1"\nuser = 7\n', "user: not a text"),
        ("bench", '[bench]\nline = "/dev/ttyS1"\npassword_file = "none"\n', "No such file"),
        ("bench", '[bench]\nline = "bench"\n', "another name"),
        ("bench", "[bench\n", "targets.toml"),
        ("qemu:nosuch", "", "no such machine"),
    ],
)
def test_what_is_no_target_is_explained(targets: Path, target: str, table: str, says: str) -> None:
    if table:
        targets.write_text(table)
    with pytest.raises(SampanError) as caught:
        resolve(target)
    assert says in str(caught.value)
    assert caught.value.code == (1 if target.startswith("qemu:") else EXIT_USAGE)


@given(st.lists(st.tuples(st.sampled_from(list(Kind)), st.binary(max_size=300))), st.integers(1, 50))
def test_packets_come_out_as_they_went_in_however_they_are_cut(packets: list[tuple[Kind, bytes]], cut: int) -> None:
    stream = b"".join(pack(*packet) for packet in packets)
    unpacker = Unpacker()
    found = [each for at in range(0, len(stream), cut) for each in unpacker.feed(stream[at : at + cut])]
    assert found == packets


@given(st.binary(max_size=400))
def test_bytes_that_are_no_packets_are_refused_or_wait(data: bytes) -> None:
    with contextlib.suppress(Nonsense):
        assert all(isinstance(kind, Kind) for kind, _ in Unpacker().feed(data))


def test_a_kept_log_goes_on_and_turns_over(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    for part in range(3):
        log = LineLog(path, keep=2000)
        for number in range(100):
            log.write("<", f"part {part} line {number}\n".encode())
        log.close()
    files = sorted(tmp_path.iterdir(), key=lambda each: each.name, reverse=True)
    assert [each.name for each in files] == [
        "console.log.4",
        "console.log.3",
        "console.log.2",
        "console.log.1",
        "console.log",
    ]
    assert all(each.stat().st_size < 2100 for each in files)
    lines = [line for each in files for line in each.read_text().splitlines()]
    assert all(re.match(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\] < part \d line \d+$", line) for line in lines)
    last = [line.partition("< ")[2] for line in lines]
    everything = [f"part {part} line {number}" for part in range(3) for number in range(100)]
    assert last == everything[-len(last) :]


def test_text_is_told_from_another_bit_rate() -> None:
    boot = "[    0.1] Linux version 6.1 \x1b[32mOK\x1b[0m grüße\r\nlogin: ".encode()
    assert not bringup.strange(boot) and not bringup.strange(b"") and not bringup.strange(b"\x00")
    assert bringup.strange(b"\xf8\x00\x80\xe0" * 4) and bringup.strange(os.urandom(300))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    box = tmp_path / "box"
    (box / "rootfs/bin").mkdir(parents=True)
    (box / "rootfs/bin/tool").write_bytes(b"x" * 5000)
    (box / "rootfs/bin/tool").chmod(0o4755)
    os.link(box / "rootfs/bin/tool", box / "rootfs/bin/other")
    (box / "rootfs/sh").symlink_to("bin/tool")
    (box / "config").write_text("lxc.rootfs = /somewhere/else\nlxc.uts.name = box\n")
    return box


def packed(box: Path, name: str = "") -> dict[str, tarfile.TarInfo]:
    stream, _ = install.pack(install.read(str(box), name))
    with tarfile.open(fileobj=io.BytesIO(stream)) as tar:
        config = tar.extractfile("config")
        assert config is not None
        assert f"/var/lib/lxc/{name or 'box'}/rootfs" in config.read().decode()
        return {info.name: info for info in tar.getmembers()}


def test_a_container_is_packed_whole_and_the_same_each_time(folder: Path) -> None:
    members = packed(folder, "web")
    assert members["rootfs/bin/tool"].mode == 0o4755 or members["rootfs/bin/other"].mode == 0o4755
    assert {members["rootfs/bin/other"].islnk(), members["rootfs/bin/tool"].islnk()} == {True, False}
    assert members["rootfs/sh"].linkname == "bin/tool"
    assert {info.uid for info in members.values()} == {0}
    assert install.pack(install.read(str(folder))) == install.pack(install.read(str(folder)))


def test_a_root_file_system_is_made_from_a_manifest(folder: Path) -> None:
    (folder / "rootfs").rename(folder / "parts")
    (folder / "rootfs.manifest").write_text(
        "/ dir 0755 0 0\n/bin dir 0755 0 0\n/bin/tool file 0755 0 0 parts/bin/tool\n/null char 0666 0 0 1:3\n"
    )
    members = packed(folder)
    assert members["rootfs/null"].ischr() and members["rootfs/null"].devminor == 3
    assert members["rootfs/bin/tool"].size == 5000


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("lxc.uts.nam = box\n", "the runtime would refuse it"),
        ("", "which one is the root file system"),
    ],
)
def test_what_no_target_would_take_is_refused_here(folder: Path, change: str, says: str) -> None:
    (folder / "config").write_text(change)
    if not change:
        (folder / "rootfs.squashfs").write_bytes(b"hsqs")
    with pytest.raises(SampanError, match=says):
        install.read(str(folder))
    with pytest.raises(SampanError, match="no container's folder"):
        install.read(str(folder / "nothing"))
    with pytest.raises(SampanError, match="is no name of a container"):
        install.read(str(folder), "../up")


@pytest.mark.parametrize(
    ("lines", "refused"),
    [
        (["root@board:~# "], ""),
        (["root@bo", "root@board:~# "], ""),
        (["# ls -l", "# ls -l"], "'# ls -l'"),
        ([f"{percent} %" for percent in range(100)], "%"),
    ],
    ids=["prompt", "prompt that is being drawn", "command", "program that draws"],
)
def test_who_sits_at_a_prompt(lines: list[str], refused: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bringup, "_DRAWN_SECONDS", 0)
    asked = iter(lines)
    work = bringup.refuse_if_typing("terminal, pid 1 of ann", lambda: next(asked))
    if not refused:
        return asyncio.run(work)
    with pytest.raises(SampanError, match="terminal, pid 1 of ann .* not at an empty prompt") as raised:
        asyncio.run(work)
    assert refused in raised.value.message
