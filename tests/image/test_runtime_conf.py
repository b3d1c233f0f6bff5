"""The runtime's configuration reader: what each line comes to, and what each mistake is answered with."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from runtime_conf import Read, Reader

from sampan.config import keys

RO, NOSUID, NODEV, NOEXEC, BIND, REC, PRIVATE, SLAVE = 1, 2, 4, 8, 4096, 16384, 1 << 18, 1 << 19


# -- the files it all began with

SEED_SYSTEM = """\
# network configuration
lxc.utsname = sys_elinux
lxc.network.type = empty
lxc.network.flags = up

# file system configuration
lxc.rootfs = /var/lib/lxc/sys_elinux/rootfs
lxc.mount.entry=/dev /var/lib/lxc/sys_elinux/rootfs/dev none bind 0 0
lxc.mount.entry=devpts /var/lib/lxc/sys_elinux/rootfs/dev/pts devpts gid=5,mode=620,newinstance,ptmxmode=0666 0 0
lxc.mount.entry=%s
lxc.mount.entry=sysfs /var/lib/lxc/sys_elinux/rootfs/sys sysfs defaults  0 0

## Devices
#lxc.cgroup.devices.allow               = a
lxc.cgroup.devices.deny                 = a
# /dev/null
lxc.cgroup.devices.allow                = c 1:3 rwm
lxc.cgroup.devices.allow                = c 136:* rwm
# /dev/rtc
lxc.cgroup.devices.allow                = c 254:0 rwm
"""
PROC = "/var/lib/lxc/sys_elinux/rootfs/proc"


def test_a_system_container_with_legacy_keys(read: Reader) -> None:
    got = read(SEED_SYSTEM % f"proc {PROC} proc nodev,noexec,nosuid 0 0")
    assert got.good and got.said.count("\n") == 1 and "config:2: note: lxc.utsname = sys_elinux" in got.said
    assert got.fields == [
        "utsname=sys_elinux",
        "rootfs=/var/lib/lxc/sys_elinux/rootfs",
        "mount=/dev|/var/lib/lxc/sys_elinux/rootfs/dev|none||0x1000|0|0|",
        "mount=devpts|/var/lib/lxc/sys_elinux/rootfs/dev/pts|devpts|gid=5,mode=620,newinstance,ptmxmode=0666|0|0|0|",
        f"mount=proc|{PROC}|proc||0xe|0|0|",
        "mount=sysfs|/var/lib/lxc/sys_elinux/rootfs/sys|sysfs||0|0|0|",
        "devices=deny",
        "device=c 1:3 rwm",
        "device=c 136:* rwm",
        "device=c 254:0 rwm",
        "nic0=1 up",
    ]


def test_an_app_container_with_legacy_keys(read: Reader) -> None:
    got = read(
        "lxc.utsname = app_bash\nlxc.rootfs = /var/lib/lxc/app_bash/rootfs\n"
        "lxc.mount.entry=/dev /var/lib/lxc/app_bash/rootfs/dev/ none bind 0 0\n"
    )
    assert got.good and got.said.count("\n") == 1
    assert got.fields[2] == "mount=/dev|/var/lib/lxc/app_bash/rootfs/dev/|none||0x1000|0|0|"


def test_the_mount_with_its_target_twice_is_shown_as_it_was_meant(read: Reader) -> None:
    got = read(SEED_SYSTEM % f"proc /proc {PROC} nodev,noexec,nosuid 0 0")
    assert not got.good
    assert f"config:10: lxc.mount.entry = proc /proc {PROC} nodev,noexec,nosuid 0 0: field 3" in got.said
    assert f"the file system type, is a path: {PROC}\n" in got.said
    assert f"\n  hint: lxc.mount.entry = proc {PROC} proc nodev,noexec,nosuid 0 0\n" in got.said


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("sysfs /sys /c/rootfs/sys ro", "sysfs /c/rootfs/sys sysfs ro 0 0"),
        ("sysfs /sys /c/rootfs/sys", "sysfs /c/rootfs/sys sysfs defaults 0 0"),
        ("/dev /dev /c/rootfs/dev bind 0 0", "/dev /c/rootfs/dev none bind 0 0"),
        ("/dev /dev /c/rootfs/dev ro 0 0", "/dev /c/rootfs/dev none bind,ro 0 0"),
        ("/dev /dev /c/rootfs/dev none bind 0 0", "/dev /c/rootfs/dev none bind 0 0"),
        ("none /t /c/rootfs/t tmpfs size=1m 0 0", "none /c/rootfs/t tmpfs size=1m 0 0"),
    ],
)
def test_other_mounts_with_their_target_twice(read: Reader, wrong: str, meant: str) -> None:
    assert f"  hint: lxc.mount.entry = {meant}\n" in read(f"lxc.mount.entry = {wrong}\n").said


# -- grammar


def test_blanks_quotes_comments_and_ends_of_lines(read: Reader) -> None:
    got = read(b"\t lxc.uts.name\t=  'a'  \r\n\n   # c = d\n#lxc.x\nlxc.init.cmd = \"/bin/a # b\"\nlxc.rootfs.path=/r")
    assert (got.good, got.said, got.fields) == (True, "", ["utsname=a", "rootfs=/r", "init_cmd=/bin/a # b"])


def test_quotes_go_only_in_pairs(read: Reader) -> None:
    got = read('lxc.init.cmd = "/bin/a" -x \'y\'\nlxc.console.logfile = "/x"\nlxc.environment = A=\'x"\n')
    assert got.fields == ["console_logfile=/x", "init_cmd=\"/bin/a\" -x 'y'", "env=A='x\""]


def test_a_value_may_hold_an_equals_sign(read: Reader) -> None:
    assert read("lxc.environment = A=b=c\n").fields == ["env=A=b=c"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"lxc.uts.name = a\0b\n", "control character"),
        (b"lxc.uts.name = a\rb\n", "control character"),
        (b"lxc.uts.name = a\x1b[2J\n", "control character"),
        (b"lxc.uts.name = " + b"a" * 5000 + b"\nlxc.no_new_privs = 1\n", "longer than 4096 bytes (CONF_LINE_MAX)"),
    ],
)
def test_lines_that_cannot_be_used(read: Reader, data: bytes, why: str) -> None:
    got = read(b"# first\n" + data)
    assert not got.good and got.said.startswith("config:2: ") and why in got.said


def test_reading_goes_on_behind_a_line_that_is_too_long(read: Reader) -> None:
    got = read(b"a" * 9000 + b"\nlxc.uts.name = b\n")
    assert "utsname=b" in got.fields and got.said.count("\n") == 1


def test_a_line_of_the_greatest_length_is_read(read: Reader) -> None:
    key = b"lxc.init.cmd = "
    assert read(key + b"a" * (4096 - len(key)) + b"\n").good


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("lxc.utsnam = a", "unknown key\n  hint: did you mean lxc.utsname?"),
        ("lxc.uts.nane = a", "unknown key\n  hint: did you mean lxc.uts.name?"),
        ("lcx.uts.name = a", "the key does not begin with lxc.\n  hint: did you mean lxc.uts.name?"),
        ("lxc.net.3.tpye = empty", "unknown key\n  hint: did you mean lxc.net.3.type?"),
        ("lxc.network.3.flag = up", "unknown key\n  hint: did you mean lxc.network.3.flags?"),
        ("lxc.net.N.type = empty", "unknown key"),
        ("lxc.net.type = empty", "unknown key\n  hint: did you mean lxc.net.0.type?"),
        ("lxc.cgroup = a", "unknown key"),
        ("lxc.xyzzy.quux = 1", "unknown key\n"),
        ("lxc. = 1", "unknown key\n"),
        ("= 1", "the key does not begin with lxc.\n"),
        ("lxc.uts.name a", "lxc.uts.name a: no KEY = VALUE\n  hint: lxc.uts.name = a"),
        ("hello world", "hello world: no KEY = VALUE\n"),
        ("lxc.uts.name", "lxc.uts.name: no KEY = VALUE\n"),
        ("lxc." + "a" * 300 + " = 1", "unknown key\n"),
    ],
)
def test_unknown_keys_and_lines_that_are_none(read: Reader, line: str, says: str) -> None:
    got = read(f"\n{line}\n")
    assert not got.good and got.said.startswith("config:2: ") and says in got.said


def test_every_error_is_reported_in_one_pass(read: Reader) -> None:
    got = read("lxc.a = 1\nlxc.init.uid = x\nlxc.tty.max = 99\nlxc.uts.name = ok\nnonsense\n")
    assert [line.split(":")[1] for line in got.said.splitlines() if line.startswith("config")] == ["1", "2", "3", "5"]
    assert "errors=4" in got.fields and "utsname=ok" in got.fields


def test_reading_ends_after_too_many_errors(read: Reader) -> None:
    got = read("nonsense\n" * 500)
    assert got.said.count("no KEY") == 32 and "too many errors" in got.said and "CONF_ERRORS_MAX" in got.said


def test_a_value_is_not_shown_in_full_length(read: Reader) -> None:
    assert len(read("nonsense " * 400 + "\n").said) < 400


# -- files


def test_a_missing_file_a_directory_and_a_fifo(conf_tool: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path, says in ((tmp_path / "none", "cannot open: No such file"), (tmp_path, "not a regular file"),
                       (tmp_path / "fifo", "not a regular file")):  # fmt: skip
        done = subprocess.run([conf_tool, path], capture_output=True, text=True, timeout=10, check=False)
        assert done.returncode == 1 and done.stderr.startswith(f"{path}: {says}")


def test_a_message_stays_one_line_however_long_it_is(read: Reader, tmp_path: Path) -> None:
    options = "x" * (4096 - len("lxc.mount.entry = proc /proc / "))
    assert read(f"lxc.mount.entry = proc /proc / {options}\nlxc.x = 1\n").said.count("\n") == 3


def test_an_empty_file_is_a_configuration(read: Reader) -> None:
    assert read("") == Read(True, [], "")


def test_include_is_read_in_place(read: Reader) -> None:
    got = read(
        "lxc.uts.name = a\nlxc.include = @part\nlxc.tty.max = 2\n", part="lxc.uts.name = b\nlxc.tty.max = 1\nx\n"
    )
    assert got.fields == ["errors=1", "utsname=b", "tty_max=2"] and got.said.startswith("part:3: x: no KEY")


def test_include_of_a_directory_is_sorted(read: Reader, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    for name in ("20.conf", "10.conf", "30.conf.bak", ".40.conf", "05.conf"):
        (tmp_path / "d" / name).write_text(
            f"lxc.uts.name = {name}\nlxc.environment = A{name[:2]}=1\n".replace("=.", "=x")
        )
    got = read("lxc.include = @d\n")
    assert got.fields == ["utsname=20.conf", "env=A05=1", "env=A10=1", "env=A20=1"]


def test_a_file_of_an_included_directory_that_cannot_be_read_is_named(read: Reader, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.conf").symlink_to("gone")
    (tmp_path / "d" / "b.conf").write_text("lxc.uts.name = b\n")
    got = read("lxc.include = @d\n")
    assert got.said == "config:1: lxc.include = d/a.conf: cannot open: No such file or directory\n"
    assert got.fields == ["errors=1", "utsname=b"]


def test_a_directory_with_many_files_is_read_whole(read: Reader, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    for number in range(60):
        (tmp_path / "d" / f"{number:03}-{'x' * 60}.conf").write_text(f"lxc.environment = E{number}=1\n")
    assert read("lxc.include = @d\n").fields == [f"env=E{number}=1" for number in range(60)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lxc.include = @config\n", "config:1: lxc.include = config: the file includes itself"),
        ("lxc.include = @part\n", "part:1: lxc.include = config: the file includes itself"),
        ("lxc.include = part\n", "must be an absolute path"),
        ("lxc.include = @gone\n", "lxc.include = gone: cannot open: No such file"),
        ("lxc.include = /dev/null\n", "not a regular file"),
        ("lxc.include =\n", "must be an absolute path"),
    ],
)
def test_includes_that_cannot_be(read: Reader, text: str, says: str) -> None:
    got = read(text, part="lxc.include = @config\n")
    assert not got.good and says in got.said


def test_includes_are_nested_to_a_limit(read: Reader) -> None:
    chain = {f"p{n}": f"lxc.include = @p{n + 1}\nlxc.environment = E{n}=1\n" for n in range(1, 9)}
    assert read("lxc.include = @p1\n", **(chain | {"p7": "lxc.uts.name = deep\n"})).good
    got = read("lxc.include = @p1\n", **chain)
    assert not got.good and "p7:1: " in got.said and "CONF_DEPTH_MAX" in got.said


# -- limits


@pytest.mark.parametrize(
    ("line", "limit", "name"),
    [
        ("lxc.mount.entry = s /t{} tmpfs ro", 128, "MOUNTS_MAX"),
        ("lxc.cgroup.a.f{} = 1", 64, "CGVALUES_MAX"),
        ("lxc.cgroup.devices.allow = c 1:{} r", 511, "DEVRULES_MAX"),
        ("lxc.environment = E{}=1", 64, "ENVS_MAX"),
    ],
)
def test_one_more_than_fits_is_an_error(read: Reader, line: str, limit: int, name: str) -> None:
    first = "lxc.cgroup.devices.deny = a\n"
    lines = "".join(line.format(number) + "\n" for number in range(limit))
    assert read(first + lines).good
    got = read(first + lines + line.format(limit) + "\n")
    assert f"config:{limit + 2}: " in got.said and name in got.said and got.said.count("\n") == 1


def test_more_strings_than_the_arena_holds(read: Reader) -> None:
    got = read("".join(f"lxc.init.cmd = {'x' * 4000}{n}\n" for n in range(40)))
    assert not got.good and "CONF_BYTES_MAX" in got.said and got.said.count("\n") == 1


# -- the table


def test_every_key_of_the_table_is_known_and_answered_as_it_says(read: Reader) -> None:
    table = keys.load(keys.default_path())
    for key in table.keys:
        name = key.name.replace(".N", ".0").replace(".*", ".x.y")
        nic = next((word for word in ("veth", "macvlan", "ipvlan", "vlan") if f".{word}." in name), "empty")
        got = read(f"lxc.network.type = {nic}\n{name} = \x7e\n")
        status = table.modern(key).status
        assert "unknown key" not in got.said, name
        kind = table.modern(key).kind
        any_text = kind in (
            "command",
            "string",
            "subdir",
            "cgroup",
            "cgroup2",
            "rootfs_options",
            "hook",
            "nic_name",
            "label",
        )
        assert got.good == (status == "ignored" or any_text), name
        refused = status == "unsupported" or kind in ("only", "backend", "proc", "sysctl")
        assert ("not supported: " in got.said) == refused, name
