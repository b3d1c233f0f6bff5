"""The walk-through: what a newcomer sees first, as data.

The demo shows it and the boot tests run it, on every board and cgroup version: an app
container and a system container from LXC configuration files of 2012, step by step on a
serial console. Each check is a command as a person would type it, the exit status it must
have and what its output must say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sampan.core.errors import SampanError

CONFIGS = "/usr/share/sampan/containers"


class Reply(Protocol):
    """What a command on the target gave."""

    @property
    def status(self) -> int: ...

    @property
    def output(self) -> str: ...


class Shell(Protocol):
    """A shell on the target."""

    def run(self, command: str) -> Reply: ...


@dataclass(frozen=True)
class Check:
    """One command: `code` is the exit status it must have (None: any but 0), `says` what must
    and `never` what must not match its output (regular expressions, multi-line)."""

    command: str
    code: int | None = 0
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stage:
    """Some checks that belong together; `undo` brings the target back when one fails."""

    name: str
    title: str
    checks: tuple[Check, ...]
    undo: tuple[str, ...] = ()


def app_stage() -> Stage:
    """The app container: the host's own root, one program, PID 1 a minimal init."""
    rootfs = "/var/lib/lxc/app_bash/rootfs"
    look = "hostname; cat /proc/1/comm; grep -c . /proc/mounts; ls /proc | grep -c ^[0-9]"
    return Stage(
        "app",
        "app container: the host's root, /bin/sh inside",
        (
            Check(f"cat {CONFIGS}/app_bash.config", says=(r"^lxc\.utsname = app_bash$",)),
            Check(f"lxc-create -n app_bash -f {CONFIGS}/app_bash.config"),
            Check("lxc-ls", says=(r"^app_bash\s*$",)),
            Check(f"mount --bind / {rootfs}"),
            Check(f"lxc-execute -n app_bash -- /bin/sh -c '{look}'", says=(r"^app_bash$", r"^[2-9]$")),
            Check("lxc-execute -n app_bash -- /bin/sh -c 'cat /proc/mounts'", says=(r" / ", r" /dev/pts devpts ")),
            Check("lxc-execute -n app_bash -- /bin/sh -c 'exit 7'", code=7),
            Check("lxc-execute -n app_bash -d -- /bin/sleep 600"),
            Check("lxc-info -n app_bash -s", says=(r"^State:\s+RUNNING$",)),
            Check("lxc-stop -n app_bash"),
            Check("lxc-info -n app_bash -s", says=(r"^State:\s+STOPPED$",)),
            Check("lxc-destroy -n app_bash", code=None, says=(r"mount",)),
            Check(f"umount {rootfs}"),
            Check("lxc-destroy -n app_bash"),
            Check("lxc-ls", never=(r"app_bash",)),
        ),
        undo=("lxc-stop -k -n app_bash", f"umount {rootfs}", "lxc-destroy -n app_bash"),
    )


def system_stage() -> Stage:
    """The system container: busybox init as PID 1 and a device list."""
    inside = "lxc-attach -n sys_elinux -- "
    broken, fixed = f"{CONFIGS}/sys_elinux.config", f"{CONFIGS}/sys_elinux.fixed.config"
    refused = r"Operation not permitted"
    return Stage(
        "system",
        "system container: busybox init as PID 1, a device list",
        (
            Check(
                f"sampan config check {broken}",
                code=None,
                says=(
                    r"sys_elinux\.config:10: ",
                    r"proc /var/lib/lxc/sys_elinux/rootfs/proc proc nodev,noexec,nosuid 0 0",
                ),
            ),
            Check(f"lxc-create -n sys_elinux -f {fixed} -t busybox"),
            Check("lxc-start -n sys_elinux"),
            Check("lxc-info -n sys_elinux", says=(r"^Name:\s+sys_elinux$", r"^State:\s+RUNNING$", r"^PID:\s+\d+$")),
            Check("lxc-ls -f", says=(r"^sys_elinux\s+RUNNING",)),
            Check(inside + "/bin/sh -c 'hostname; cat /proc/1/comm'", says=(r"^sys_elinux$", r"^init$")),
            Check(inside + "/bin/sh -c 'echo x > /dev/null'"),
            Check(inside + "/bin/sh -c 'head -c 16 /dev/urandom | wc -c'", says=(r"^16$",)),
            Check(inside + "/bin/sh -c 'ls -l /dev/vda /dev/kmsg'", says=(r"^brw", r"^crw")),
            Check(inside + "/bin/sh -c 'head -c 1 /dev/vda'", code=None, says=(refused,)),
            Check(inside + "/bin/sh -c 'echo x > /dev/kmsg'", code=None, says=(refused,)),
            Check(inside + "/bin/sh -c 'mknod /tmp/vda b 254 0'", code=None, says=(refused,)),
            Check("head -c 1 /dev/vda | wc -c", says=(r"^1$",)),
            Check("lxc-stop -n sys_elinux"),
            Check("lxc-info -n sys_elinux -s", says=(r"^State:\s+STOPPED$",)),
            Check("lxc-destroy -n sys_elinux"),
            Check("lxc-ls", never=(r"sys_elinux",)),
        ),
        undo=("lxc-stop -k -n sys_elinux", "lxc-destroy -n sys_elinux"),
    )


def stages() -> tuple[Stage, ...]:
    """All stages, in the order a person would type them."""
    kernel = Stage(
        "kernel", "does the kernel have what containers need?", (Check("lxc-checkconfig", never=(r"\x1b\[31m",)),)
    )
    return (kernel, app_stage(), system_stage())


def run_stage(shell: Shell, stage: Stage, show: Callable[[Check, Reply], None] | None = None) -> None:
    """Run the checks of a stage; the first that does not hold ends it with a SampanError.

    What the stage made is removed then, so that the next stage meets a clean target.
    """
    try:
        for check in stage.checks:
            reply = shell.run(check.command)
            if show:
                show(check, reply)
            judge(check, reply)
    except SampanError:
        for command in stage.undo:
            shell.run(command)
        raise


def judge(check: Check, reply: Reply) -> None:
    """Compare a reply with its check; a difference is a SampanError that shows both."""
    text = reply.output.replace("\r", "")
    faults = [f"exit status {reply.status}, expected {_wanted(check.code)}"] if not _code_fits(check, reply) else []
    faults += [f"output does not match {pattern!r}" for pattern in _absent(check.says, text)]
    faults += [f"output must not match {pattern!r}" for pattern in check.never if re.search(pattern, text, re.M)]
    if faults:
        shown = "".join(f"\n  | {line}" for line in text.splitlines()[-25:])
        raise SampanError(f"on the target: {check.command}\n  {'; '.join(faults)}{shown}")


def _code_fits(check: Check, reply: Reply) -> bool:
    return reply.status != 0 if check.code is None else reply.status == check.code


def _wanted(code: int | None) -> str:
    return "a failure" if code is None else str(code)


def _absent(patterns: Sequence[str], text: str) -> list[str]:
    return [pattern for pattern in patterns if not re.search(pattern, text, re.M)]
