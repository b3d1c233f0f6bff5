"""Checks of isolation rules about user and shared namespaces; isolation_rules.py has the table."""

from __future__ import annotations

import shlex
import subprocess

from isolation_files import shell
from runtime_lab import Lab, wait_for

MAP = ("lxc.idmap = b 0 100000 65536", "lxc.rootfs.options = idmap=container")


def root_is_nobody_outside(lab: Lab) -> None:
    """A file of the host's root, bound in: no id inside is its owner."""
    secret = lab.path / "secret"
    secret.write_text("host")
    secret.chmod(0o600)
    entry = f"lxc.mount.entry = {secret} tmp/secret none bind,create=file"
    hook = f"lxc.hook.pre-mount = sh -c 'cat {secret} && exit 9; true'"
    name = lab.make("u", *MAP, entry, hook)
    done = shell(lab, name, "cat /tmp/secret")
    assert done.returncode == 1 and "host" not in done.stdout, (done.stdout, done.stderr)


def makes_no_nodes(lab: Lab) -> None:
    name = lab.make("n", *MAP)
    done = shell(lab, name, "mknod /tmp/mem c 1 1; mknod /dev/mem c 1 1; ls /tmp /dev/mem")
    assert done.stderr.count("not permitted") == 2, done.stderr


def others_survive_a_halt(lab: Lab) -> None:
    first = lab.make("first", "lxc.init.cmd = /bin/sleep 1000", "lxc.mount.auto = proc")
    lab.ok("start", first)
    bystander = lab.popen("attach", first, "--", "/bin/sleep", "999")
    wait_for(lambda: "sleep 999" in lab.attach(first, "ps").stdout)
    second = lab.make("second")
    script = "trap '' HUP; sleep 1000 & exec sleep 1000"
    lab.ok("execute", "-d", second, "--share-pid", first, "--", "/bin/sh", "-c", script)
    lab.ok("stop", second)
    wait_for(lambda: lab.state(second)["state"] == "STOPPED")
    alive = "sleep 999" in lab.attach(first, "ps").stdout
    lab.ok("stop", "-k", first)
    bystander.wait(20)
    assert alive


def namespace_ends_at_its_root(lab: Lab) -> None:
    """Started below a chroot that is a mount: the root of its namespace is the container's, not the host's."""
    name, host = lab.make("c", "lxc.mount.auto = proc"), lab.path / "host"
    host.mkdir()
    start = lab.command("execute", name, "--", "/bin/busybox", "nsenter", "--mount=/proc/1/ns/mnt", "/bin/ls", "/")
    script = f"mount --rbind / {host} && mount --make-rslave {host} && exec chroot {host} {shlex.join(start)}"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script], env=lab.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {"bin", "sbin", "proc"} <= set(done.stdout.split()) and "home" not in done.stdout.split(), done.stdout
