"""The host's reader of configurations and the runtime's give the same verdict on every line, and the
same effective configuration.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from runtime_tools import READER, RUNTIME, build

from sampan.config import keys, language, load
from sampan.core.paths import ROOT

TABLE = keys.load(keys.default_path())
CORPUS = sorted([*(RUNTIME / "fuzz" / "corpus" / "conf").iterdir(), *(ROOT / "configs" / "containers").iterdir()])
_ERROR = re.compile(rb"(?m)^(/[^\n:]*)(?::([0-9]+))?: (?!note: |warning: )")


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("readers"), "listtool", "tests/listtool.c", READER)


def runtime(tool: Path, path: Path) -> tuple[bool, set[tuple[str, int]], str]:
    """What the runtime says: good, the places of its errors, the effective configuration."""
    done = subprocess.run([tool, path], capture_output=True, timeout=60, check=False)
    assert done.returncode in (0, 1), done.stderr.decode(errors="replace")
    errors = {(os.fsdecode(found[1]), int(found[2] or 0)) for found in _ERROR.finditer(done.stderr)}
    return done.returncode == 0, errors, os.fsdecode(done.stdout)


def host(path: Path) -> tuple[bool, set[tuple[str, int]], str]:
    config = load.load(path, table=TABLE)
    errors = {(message.file, message.line) for message in config.messages if message.level == "error"}
    return config.good, errors, config.text()


def agree(tool: Path, path: Path) -> None:
    ours, theirs = host(path), runtime(tool, path)
    shown = "\n".join(map(str, load.load(path, table=TABLE).messages))
    assert ours[1] == theirs[1], shown
    assert ours[0] == theirs[0], shown
    if ours[0]:
        assert ours[2] == theirs[2]


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_on_the_corpus(tool: Path, path: Path) -> None:
    agree(tool, path)


VALUES = (
    "", "0", "1", "2", "17", "-1", "4294967295", "x", "none", "/a", "a", "rel/path", "/" + "a" * 1030, "dir:/r",
    "up", "SIGPWR", "SIGRTMIN+3", "SIGRTMAX-2", "SIGRTMIN+99", "15", "65", "kill chown", "none kill",
    "CAP_SYS_ADMIN 12", "sys_adm", "A=1", "A=2", "AB", "=1", "1A", "empty", "veth", "phys", "proc:mixed sys:ro",
    "proc:ro", "cgroup:rw:force", "a *:* rwm", "c 1:3 rw", "c 1:3 rwmr", "c *:* m", "b 4096:1 r", "c 1:3  r",
    "c 1:3\tr", "proc proc proc ro 0 0", "/a b none bind", "/a b none ro", "a b none bind",
    "a b none bind,relative,optional,create=dir 0", "/a ../b none bind", "t t tmpfs size=1m,mode=755",
    "/a b none bind,uid=1", r"/a\040b /c none rbind", "ro,noatime", "ro,size=1m", "create=dir", "i686",
    "X86_64", "vax", "64M", '"quoted"', "'a", "/bin/sh -c 'a b' ''", '/x "a', "w " * 64, "w " * 65,
    "u 0 100000 65536", "b 0 100000 65536", "b 0 4294967295 1", "g 5 5 0", "u 1 2 3 4", "mnt pid net", "mount user",
    "net", "1h", "-90 s", "9223372036854775807ns", "9223372036854775807us", "10", "bind,idmap=container", "idmap=/n",
    "/a b none bind,idmap=x", "/a b none bind,idmap=container", "/proc/1/ns/net", "10.0.0.2/24", "fe80::1/64", "auto",
    "1024:2048", "unlimited", "lo", "host-name", "bad name", "-x", "unconfined", "unchanged", "generated",
    "/bin/true", "onboot,web", "overlay:/a:/b", "loop:/x.img", "/dev/rtc0 rw", "char-rtc rw", "class:rtc r",
    "16384", "1MB", "DEBUG", "9", "always", "on-failure", "a/b", "l2",
)  # fmt: skip
NAMES = [
    key.name.replace(".N", ".0").replace(".*", suffix)
    for key in TABLE.keys
    for suffix in ((".memory.max", ".x", ".devices.allow", ".net", ".user", ".uts") if key.prefix else ("",))
    if key.name != "lxc.include"
]
ODD = (
    "lxc.net.N.type",
    "lxc.net.7.type",
    "lxc.net.8.type",
    "lxc.net.12345678.type",
    "lxc.uts",
    "uts.name",
    "lxc.",
    "",
    "lxc.cgroup.",
)


def test_on_every_key_with_every_value(tool: Path, tmp_path: Path) -> None:
    """Each pair alone, so that no other line covers it: a file a key and value, all in few runs."""
    wrong = []
    for name in (*NAMES, *ODD):
        files = []
        for number, value in enumerate(VALUES):
            path = tmp_path / f"{number}.config"
            path.write_text(f"lxc.network.type = empty\n{name} = {value}\n")
            files.append(path)
        done = subprocess.run([tool, *files], capture_output=True, timeout=60, check=False)
        theirs = {(os.fsdecode(found[1]), int(found[2] or 0)) for found in _ERROR.finditer(done.stderr)}
        for path, value in zip(files, VALUES, strict=True):
            ours = {place for place in host(path)[1] if place[0] == str(path)}
            if ours != {place for place in theirs if place[0] == str(path)}:
                wrong.append(f"{name} = {value[:60]}: host {'refuses' if ours else 'accepts'}")
    assert not wrong, f"{len(wrong)} differ\n" + "\n".join(wrong[:60])


line = st.one_of(
    st.builds("{} = {}".format, st.sampled_from([*NAMES, *ODD]), st.sampled_from(VALUES)),
    st.builds("{}{}={}{}".format, st.sampled_from(["", " ", "\t"]), st.sampled_from(NAMES), st.sampled_from(["", " "]),
              st.sampled_from(VALUES)),
    st.sampled_from(["", "# comment", " # x", "lxc.uts.name", "word", "=", "= x", "lxc.uts.name = a\x01b", "a\rb"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=60),
)  # fmt: skip


@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(line, max_size=25), end=st.sampled_from(["\n", "\r\n"]), last=st.booleans())
@example(rows=["lxc.cgroup.dir = sub"], end="\n", last=True)  # a key of its own below a prefix
def test_on_random_files(tool: Path, tmp_path: Path, rows: list[str], end: str, last: bool) -> None:
    path = tmp_path / "config"
    path.write_bytes((end.join(rows) + (end if last else "")).encode())
    agree(tool, path)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200))
def test_on_bytes(tool: Path, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "config"
    path.write_bytes(data)
    agree(tool, path)


def test_on_includes(tool: Path, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "b.conf").write_text("lxc.environment = B=1\nlxc.include = /gone\n")
    (folder / "a.conf").write_text("lxc.uts.name = inner\nlxc.tty.max = 99\n")
    (folder / ".hidden.conf").write_text("lxc.environment = HIDDEN=1\n")
    (folder / "other").write_text("lxc.environment = OTHER=1\n")
    (tmp_path / "fstab").write_text("# x\nproc proc proc ro 0 0\nbad\n")
    for number, text in enumerate(
        (
            f"lxc.include = {folder}\nlxc.uts.name = outer\n",
            f"lxc.include = {folder}/other\nlxc.mount.fstab = {tmp_path}/fstab\n",
            f"lxc.include = {tmp_path}/2.config\n",
            "lxc.include = relative\nlxc.include =\nlxc.include = /dev/null\nlxc.include = /\n",
            f"lxc.mount.fstab = {folder}\n",
            f"lxc.mount.fstab = {tmp_path}/gone\nlxc.mount.fstab =\nlxc.environment = A=1\n",
        )
    ):
        path = tmp_path / f"{number}.config"
        path.write_text(text)
        agree(tool, path)


@pytest.mark.parametrize("count", [7, 8, 9])
def test_on_nested_includes(tool: Path, tmp_path: Path, count: int) -> None:
    for number in range(count):
        (tmp_path / f"p{number}").write_text(f"lxc.include = {tmp_path}/p{number + 1}\nlxc.environment = E{number}=1\n")
    (tmp_path / f"p{count}").write_text("lxc.uts.name = deep\n")
    agree(tool, tmp_path / "p0")


@pytest.mark.parametrize(
    ("row", "count"),
    [
        ("lxc.mount.entry = s /t{} tmpfs ro", 128), ("lxc.cgroup.a.f{} = 1", 64), ("lxc.environment = E{}=1", 64),
        ("lxc.cgroup.devices.allow = c 1:{} r", 512), ("nonsense{}", 31), ("nonsense{}", 32), ("nonsense{}", 33),
        ("lxc.init.cmd = " + "x" * 4000 + "{}", 16), ("#" + "x" * 4094 + "{}", 9), ("#" + "x" * 4094 + "{}", 11),
    ],
)  # fmt: skip
def test_at_the_limits(tool: Path, tmp_path: Path, row: str, count: int) -> None:
    for number in (count, count + 1):
        path = tmp_path / f"{number}.config"
        path.write_text("".join(row.format(n) + "\n" for n in range(number)))
        agree(tool, path)


def test_the_limits_are_the_runtimes() -> None:
    text = (RUNTIME / "src" / "limits.h").read_text()
    limits = {name: int(value) for name, value in re.findall(r"#define (\w+_MAX)\s+([0-9]+)", text)}
    ours = {name: value for name, value in vars(language).items() if name.endswith("_MAX")}
    assert ours and ours.items() <= limits.items()
