"""The runtime's configuration reader: what each line comes to, and what each mistake is answered with."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from runtime_tools import READER, build

from sampan.config import keys

RO, NOSUID, NODEV, NOEXEC, BIND, REC, PRIVATE, SLAVE = 1, 2, 4, 8, 4096, 16384, 1 << 18, 1 << 19


@dataclass
class Read:
    """What conftool said: `fields` as name=value lines, `said` on stderr without the folder."""

    good: bool
    fields: list[str]
    said: str


Reader = Callable[..., Read]


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("conftool"), "conftool", "tests/conftool.c", READER)


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that prints the effective configuration of a file."""
    return build(tmp_path_factory.mktemp("listtool"), "listtool", "tests/listtool.c", READER)


@pytest.fixture
def read(tool: Path, tmp_path: Path) -> Reader:
    def read(text: str | bytes, **others: str) -> Read:
        for name, content in others.items():
            (tmp_path / name).write_text(content.replace("@", f"{tmp_path}/"))
        data = text if isinstance(text, bytes) else text.replace("@", f"{tmp_path}/").encode()
        (tmp_path / "config").write_bytes(data)
        done = subprocess.run([tool, tmp_path / "config"], capture_output=True, timeout=20, check=False)
        assert done.returncode in (0, 1), done.stderr.decode()
        said = done.stderr.decode().replace(f"{tmp_path}/", "")
        return Read(done.returncode == 0, done.stdout.decode().splitlines(), said)

    return read


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


def test_a_missing_file_a_directory_and_a_fifo(tool: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path, says in ((tmp_path / "none", "cannot open: No such file"), (tmp_path, "not a regular file"),
                       (tmp_path / "fifo", "not a regular file")):  # fmt: skip
        done = subprocess.run([tool, path], capture_output=True, text=True, timeout=10, check=False)
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


# -- values


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("lxc.arch = armv7l", ["arch=1"]),
        ("lxc.arch = x86_64", ["arch=2"]),
        ("lxc.rootfs.path = dir:/r", ["rootfs=/r", "root_kind=1"]),
        ("lxc.rootfs.path = btrfs:/r", ["rootfs=/r", "root_kind=1"]),
        ("lxc.rootfs.path = loop:/r.img", ["rootfs=/r.img", "root_kind=2"]),
        ("lxc.rootfs.path = lvm:/dev/vg/r", ["rootfs=/dev/vg/r", "root_kind=2"]),
        ("lxc.rootfs.path = overlayfs:/l1:/l2:/u", ["rootfs=/l1:/l2:/u", "root_kind=3"]),
        ("lxc.rootfs.path = overlay:/l:tmpfs,size=1m", ["rootfs=/l:tmpfs,size=1m", "root_kind=3"]),
        ("lxc.rootfs.path = /odd:name", ["rootfs=/odd:name"]),
        ("lxc.rootfs.backend = overlayfs", ["root_backend=3"]),
        ("lxc.rootfs.options = noload,ro", ["rootfs_flags=1", "rootfs_data=noload"]),
        ("lxc.rootfs.options = ro,noatime,rslave", [
            "rootfs_flags=1025", f"rootfs_propagation={SLAVE | REC}"]),
        ("lxc.rootfs.backend = dir", ["root_backend=1"]),
        ("lxc.mount.auto = proc sys:ro cgroup:rw:force", [
            "auto_proc=2", "auto_sys=1", "auto_cgroup=3", "auto_cgroup_force=1"]),
        ("lxc.mount.auto = proc:rw\tsys:mixed", ["auto_proc=3", "auto_sys=2"]),
        ("lxc.mount.auto = cgroup", ["auto_cgroup=4"]),
        ("lxc.mount.auto = cgroup-full:mixed", ["auto_cgroup=2", "auto_cgroup_full=1"]),
        ("lxc.mount.auto = cgroup2:ro:force", ["auto_cgroup=1", "auto_cgroup_force=1"]),
        ("lxc.mount.auto = shmounts:/a", [f"mount=/a|/dev/.lxc-mounts|none||0x5000|{SLAVE | REC:#x}|1|"]),
        ("lxc.mount.auto = shmounts:/a:/b", [f"mount=/a|/b|none||0x5000|{SLAVE | REC:#x}|1|"]),
        ("lxc.autodev = 0", ["autodev=0"]),
        ("lxc.aa_profile = lxc-default", ["apparmor=lxc-default"]),
        ("lxc.apparmor.profile = unconfined", []),
        ("lxc.selinux.context = u:r:t:s0", ["selinux=u:r:t:s0"]),
        ("lxc.keyring.session = 0", ["keyring=0"]),
        ("lxc.pts = 1024", ["pty_max=1024"]),
        ("lxc.tty = 4", ["tty_max=4"]),
        ("lxc.devttydir = lxc", ["tty_dir=lxc"]),
        ("lxc.console = none", ["console_path=none"]),
        ("lxc.console.path = /dev/tty9", ["console_path=/dev/tty9"]),
        ("lxc.init_uid = 4294967294", ["init_uid=4294967294"]),
        ("lxc.signal.halt = SIGRTMIN+3", ["sig_halt=37"]),
        ("lxc.haltsignal = SIGPWR", ["sig_halt=30"]),
        ("lxc.stopsignal = 9", []),
        ("lxc.signal.reboot = SIGRTMAX-2", ["sig_reboot=62"]),
        ("lxc.environment = PATH", ["env=PATH"]),
        ("lxc.cap.drop = chown CAP_kill 2", [f"cap_drop={1 | 1 << 5 | 1 << 2}"]),
        ("lxc.cap.keep = none", ["cap_keep_set=1"]),
        ("lxc.cap.keep = checkpoint_restore", ["cap_keep_set=1", f"cap_keep={1 << 40}"]),
        ("lxc.no_new_privs = 1", ["no_new_privs=1"]),
        ("lxc.cgroup.memory.limit_in_bytes = 64M", ["cgroup=memory.limit_in_bytes 64M"]),
        ("lxc.cgroup2.memory.max = 64M", ["cgroup2=memory.max 64M"]),
        ("lxc.net.2.type = none", ["nic2=2"]),
        ("lxc.network.1.type = empty", ["nic1=1"]),
        ("lxc.kmsg = 0", []),
        ("lxc.pivotdir = x", []),
        ("lxc.aa_profile = unconfined", []),
        ("lxc.hook.mount =", []),
    ],
)  # fmt: skip
def test_values(read: Reader, line: str, fields: list[str]) -> None:
    got = read(f"{line}\n")
    assert got.good, got.said
    assert got.fields == fields


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("lxc.uts.name = a b", "a host name is"),
        ("lxc.uts.name = " + "a" * 65, "a host name is"),
        ("lxc.arch = vax", "unknown architecture"),
        ("lxc.rootfs.path = rootfs", "must be absolute"),
        ("lxc.rootfs.path = overlay:/a", "must be overlay:LOWER:UPPER"),
        ("lxc.rootfs.path = overlay:/a:b", "each layer must be an absolute path"),
        ("lxc.rootfs.path = overlay:tmpfs:/b", "each layer must be an absolute path"),
        ("lxc.rootfs.path = overlay:" + ":".join("/a" for _ in range(10)), "LAYERS_MAX"),
        ("lxc.rootfs.path = zfs:/a", "not supported: a root file system is dir:"),
        ("lxc.rootfs.path = /" + "a" * 1024, "PATH_LEN_MAX"),
        ("lxc.rootfs.backend = zfs", "not supported: a root file system is dir:"),
        ("lxc.rootfs.options = idmap=container", "not supported: idmap="),
        ("lxc.rootfs.options = create=dir", "belong to lxc.mount.entry"),
        ("lxc.mount.auto = proc:ro", "must be of proc"),
        ("lxc.mount.auto = pro", "must be of proc"),
        ("lxc.mount.auto = cgroup-full:no", "must be of proc"),
        ("lxc.mount.auto = cgroup:force:rw", "must be of proc"),
        ("lxc.mount.auto = proc:mixed:force", "must be of proc"),
        ("lxc.mount.auto = shmounts:a", "must be shmounts:/HOST/FOLDER"),
        ("lxc.mount.auto = shmounts:/a:b", "must be shmounts:/HOST/FOLDER"),
        ("lxc.mount.auto = shmounts", "must be of proc"),
        ("lxc.autodev = 2", "from 0 to 1"),
        ("lxc.autodev = yes", "from 0 to 1"),
        ("lxc.tty.max = 17", "from 0 to 16"),
        ("lxc.pty.max = -1", "from 0 to 1048576"),
        ("lxc.tty.dir = /dev/lxc", "below /dev"),
        ("lxc.tty.dir = ../etc", "below /dev"),
        ("lxc.tty.dir = a/../../etc", "below /dev"),
        ("lxc.console.path = tty1", "must be absolute"),
        ("lxc.init.uid = 4294967295", "from 0 to 4294967294"),
        ("lxc.init.uid = 0x0", "from 0 to"),
        ("lxc.init.gid = root", "from 0 to"),
        ("lxc.init.cwd = tmp", "must be absolute"),
        ("lxc.init.cmd = /bin/sh -c 'a", "each quote closed"),
        ("lxc.execute.cmd = " + "w " * 65, "WORDS_MAX"),
        ("lxc.signal.stop = SIGNO", "must be a signal"),
        ("lxc.signal.halt = TERM", "must be a signal"),
        ("lxc.signal.halt = SIGFOO", "must be a signal"),
        ("lxc.signal.halt = 0", "must be a signal"),
        ("lxc.signal.halt = 65", "must be a signal"),
        ("lxc.signal.halt = SIGRTMIN+99", "must be a signal"),
        ("lxc.environment = =x", "must be NAME=VALUE"),
        ("lxc.environment = 1A=x", "must be NAME=VALUE"),
        ("lxc.environment = A B=x", "must be NAME=VALUE"),
        ("lxc.cap.drop = sys_adm", "unknown capability sys_adm"),
        ("lxc.cap.drop = none", "unknown capability none"),
        ("lxc.cap.drop = 64", "unknown capability 64"),
        ("lxc.no_new_privs = true", "must be 0 or 1"),
        ("lxc.cgroup.devices.deny = a 1:3 r", "a stands for every device"),
        ("lxc.cgroup.devices.allow = c 1:3 rwmx", "one to three of r, w, m"),
        ("lxc.cgroup.devices.allow = c 4294967295:3 r", "major must be"),
        ("lxc.cgroup2.devices.allow = /dev/rtc0 rx", "behind the name stand one to three of r, w, m"),
        ("lxc.cgroup2.devices.allow = /dev/../sda rw", "no name of a device"),
        ("lxc.cgroup2.devices.deny = profile:rtc", "sampan devices generate"),
        ("sampan.devices.expect = c 252:0", "TYPE MAJOR:MINOR NAME"),
        ("lxc.cgroup.devices.list = a", "unknown key"),
        ("lxc.cgroup.memory = 1", "CONTROLLER.FILE"),
        ("lxc.cgroup.../x = 1", "CONTROLLER.FILE"),
        ("lxc.cgroup2.memory.max/../x = 1", "CONTROLLER.FILE"),
        ("lxc.network.flags = up", "lxc.network.type must come first"),
        ("lxc.net.0.flags = up", "lxc.net.0.type is missing"),
        ("lxc.net.0.type = tap", "must be a network type"),
        ("lxc.net.8.type = empty", "NICS_MAX"),
        ("lxc.net.99999999999.type = empty", "unknown key"),
        ("lxc.network.veth.pair = x", "lxc.network.type must come first"),
        ("lxc.net = 1", "takes only an empty value"),
        ("lxc.idmap = u 0 100000 65536", "not supported: containers do not have a user namespace"),
        ("lxc.limit.nofile = many", "must be SOFT or SOFT:HARD"),
        ("lxc.seccomp = policy", "absolute"),
        ("lxc.apparmor.profile = generated", "not supported: no profile is generated"),
        ("lxc.start.delay = soon", "must be a number"),
        ("lxc.hook = x", "the key only takes an empty value"),
    ],
)
def test_refused_values(read: Reader, line: str, why: str) -> None:
    got = read(f"{line}\n")
    assert not got.good and why in got.said
    assert got.said.splitlines()[-1 if "hint" not in got.said else -2].startswith("config:1: ")


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("lxc.uts.name = a\nlxc.uts.name =\n", []),
        ("lxc.mount.entry = a /b tmpfs ro\nlxc.mount.entry =\nlxc.mount.entry = c /d tmpfs rw\n",
         ["mount=c|/d|tmpfs||0|0|0|"]),
        ("lxc.cap.drop = kill\nlxc.cap.drop =\nlxc.cap.keep = chown\n", ["cap_keep_set=1", "cap_keep=1"]),
        ("lxc.environment = A=1\nlxc.environment =\nlxc.environment = B=1\n", ["env=B=1"]),
        ("lxc.environment = A=1\nlxc.environment = AB=1\nlxc.environment = A=2\n", ["env=A=2", "env=AB=1"]),
        ("lxc.cgroup.cpu.shares = 1\nlxc.cgroup2.cpu.shares = 2\nlxc.cgroup.cpu.shares =\n", ["cgroup2=cpu.shares 2"]),
        ("lxc.net.0.type = empty\nlxc.net =\n", []),
        ("lxc.net.0.type = empty\nlxc.net.1.type = empty\nlxc.net.1 =\n", ["nic0=1"]),
        ("lxc.network.type = empty\nlxc.network.flags = up\nlxc.network.type = empty\n", ["nic0=1 up", "nic1=1"]),
        ("lxc.tty.max = 4\nlxc.tty.max =\n", []),
        ("lxc.cap.drop = kill\nlxc.cap.drop = chown\n", ["cap_drop=33"]),
        ("lxc.mount.auto = proc:rw sys\nlxc.mount.auto = proc\n", ["auto_proc=2", "auto_sys=2"]),
        ("lxc.mount.auto = proc:rw sys\nlxc.mount.auto =\n", []),
    ],
)  # fmt: skip
def test_empty_values_clear_and_later_ones_win(read: Reader, text: str, fields: list[str]) -> None:
    got = read(text)
    assert got.good and got.fields == fields


def test_keep_and_drop_exclude_each_other(read: Reader) -> None:
    for text in ("lxc.cap.keep = kill\nlxc.cap.drop = chown\n", "lxc.cap.drop = kill\nlxc.cap.keep = none\n"):
        assert "config:2:" in (said := read(text).said) and "exclude each other" in said


def test_the_hosts_network_stands_alone(read: Reader) -> None:
    assert "stands alone" in read("lxc.net.0.type = none\nlxc.net.1.type = empty\n").said


# -- device rules


def test_both_spellings_feed_one_set_in_the_order_of_the_file(read: Reader) -> None:
    got = read(
        "lxc.cgroup2.devices.deny = a\nlxc.cgroup.devices.allow = c 1:3 r\nlxc.cgroup2.devices.allow = c 1:3 w\n"
        "lxc.cgroup.devices.allow = c 1:5 rwm\nlxc.cgroup2.devices.deny = c 1:5 m\n"
    )
    assert got.good and got.fields == ["devices=deny", "device=c 1:3 rw", "device=c 1:5 rw"]


def test_an_empty_allow_takes_back_what_was_allowed_and_keeps_denying(read: Reader) -> None:
    text = "lxc.cgroup.devices.deny = a\nlxc.cgroup.devices.allow = c 1:3 r\nlxc.cgroup.devices.allow =\n"
    assert read(text).fields == ["devices=deny"]
    assert read(text + "lxc.cgroup.devices.deny =\n").fields == []


def test_rules_without_a_first_deny_of_all_get_a_note(read: Reader) -> None:
    got = read("lxc.cgroup.devices.deny = c 1:3 r\n")
    assert got.good and got.fields == ["devices=allow", "device=c 1:3 r"]
    assert "config:1: warning: " in got.said and "hint: begin with lxc.cgroup.devices.deny = a" in got.said


# -- mounts


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
        ("/a b none bind,idmap=container", "not supported: idmap="),
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


# -- the effective configuration

FLAT = """\
lxc.uts.name = inner
lxc.uts.name = outer
lxc.tty = 4
lxc.tty.max =
lxc.environment = A=1
lxc.environment = AB=1
lxc.environment = A=2
lxc.network.type = empty
lxc.network.flags = up
lxc.network.type = empty
lxc.net.3.type = empty
lxc.net.3 =
lxc.cgroup2.devices.deny = a
lxc.cgroup.devices.allow = c 1:3 rw
lxc.cgroup2.devices.allow = c 1:5 r
lxc.cgroup.cpu.shares = 1
lxc.cgroup.cpu.shares =
lxc.cgroup2.memory.max = 64M
lxc.include = @more
lxc.hook =
lxc.kmsg = 0
"""
FLATTENED = """\
lxc.uts.name = outer
lxc.environment = AB=1
lxc.environment = A=2
lxc.net.0.type = empty
lxc.net.0.flags = up
lxc.net.1.type = empty
lxc.cgroup.devices.deny = a
lxc.cgroup.devices.allow = c 1:3 rw
lxc.cgroup.devices.allow = c 1:5 r
lxc.cgroup2.memory.max = 64M
lxc.cap.drop = kill
"""


def test_what_a_configuration_comes_to(lists: Path, tmp_path: Path) -> None:
    (tmp_path / "more").write_text("lxc.cap.drop = kill\n")
    (tmp_path / "config").write_text(FLAT.replace("@", f"{tmp_path}/"))
    done = subprocess.run([lists, tmp_path / "config"], capture_output=True, text=True, check=True)
    assert done.stdout == FLATTENED
    (tmp_path / "again").write_text(done.stdout)
    assert subprocess.run([lists, tmp_path / "again"], capture_output=True, text=True, check=True).stdout == FLATTENED


def test_a_list_that_does_not_fit(lists: Path, tmp_path: Path) -> None:
    lines = "".join(f"lxc.cap.drop = kill{' ' * 3900}chown\n" for _ in range(40))
    (tmp_path / "config").write_text(lines)
    done = subprocess.run([lists, tmp_path / "config"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "CONF_LIST_MAX" in done.stderr
