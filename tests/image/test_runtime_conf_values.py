"""Values of a configuration: what each comes to, and why one is refused."""

from __future__ import annotations

import pytest
from runtime_conf import Reader

SLAVE, REC = 1 << 19, 16384


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
        ("lxc.rootfs.options = idmap=x", "idmap= takes container"),
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
        ("lxc.tty.dir = /dev/lxc", "must lead down"),
        ("lxc.tty.dir = ../etc", "must lead down"),
        ("lxc.tty.dir = a/../../etc", "must lead down"),
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
        ("lxc.idmap = u 0 100000 65536", "user 0 and group 0 must be mapped"),
        ("lxc.idmap = b 0 100000 4294967295", "must be u, g or b"),
        ("lxc.namespace.share.user = 1", "not supported"),
        ("lxc.time.offset.boot = 90", "must be a number and h"),
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
    ("lines", "why"),
    [
        ("lxc.idmap = b 0 100000 9\nlxc.idmap = u 8 500 3", "overlaps"),
        ("lxc.idmap = b 0 100000 9\nlxc.idmap = g 20 100008 3", "overlaps"),
        ("lxc.idmap = b 0 100000 9\nlxc.init.uid = 9", "lxc.init.uid and lxc.init.gid must be mapped"),
        ("lxc.idmap = b 0 100000 9\nlxc.namespace.keep = user", "leaves no user namespace"),
        ("lxc.namespace.clone = user mnt", "lxc.idmap is missing"),
        ("lxc.namespace.keep = mnt", "always has its own mnt"),
        ("lxc.namespace.keep = net\nlxc.namespace.clone = pid", "exclude each other"),
        ("lxc.namespace.keep = ipc\nlxc.sysctl.kernel.msgmax = 1", "not the container's own"),
    ],
)
def test_refused_as_a_whole(read: Reader, lines: str, why: str) -> None:
    got = read(f"{lines}\n")
    assert not got.good and why in got.said


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
