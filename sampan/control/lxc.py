"""python-lxc over the cable: `lxc = sampan.connect("qemu:qemuarm").lxc` in place of `import lxc`.

Names, arguments and results are those of python3-lxc 5.0 (docs/python.md has the list with what
differs). Paths are those of the target, as for a script that runs there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from sampan.control import lxcconst, lxcops
from sampan.control.calls import Call, Done, Steps, drive
from sampan.control.lxcattach import (
    File,
    attach_run_command,
    attach_run_shell,
    command_of,
    read_all,
    started,
    writers,
)
from sampan.control.lxcnamed import Named
from sampan.control.lxcnet import ContainerNetworkList

_ARCHES = {"x86_64": 0, "amd64": 0, "i686": 8, "i386": 8, "x86": 8, "arm": 8, "armv7l": 8, "aarch64": 0, "arm64": 0}


class Host(Protocol):
    """A target for ordinary code."""

    def perform(self, call: Call) -> Done: ...

    def console_fd(self, words: Sequence[str]) -> int: ...


class Container(Named):
    """A container on a target, as python-lxc's `lxc.Container`."""

    host: Host  #: set by Lxc for the class it makes

    def __init__(self, name: str, config_path: str | None = None) -> None:
        super().__init__(name, config_path)
        self.network = ContainerNetworkList(self)

    def _drive(self, steps: Steps[Any]) -> Any:
        return drive(steps, self.host.perform)

    def _same(self, name: str, config_path: str | None = None) -> Container:
        return type(self)(name, config_path or self._ops.path)

    # ---- what it is

    @property
    def defined(self) -> bool:
        """There is a configuration."""
        return bool(self._drive(self._ops.defined()))

    @property
    def state(self) -> str:
        """STOPPED, RUNNING, FROZEN, ..."""
        return str(self._drive(self._ops.state()))

    @property
    def running(self) -> bool:
        """Also when it is frozen."""
        return bool(self._drive(self._ops.running()))

    @property
    def init_pid(self) -> int:
        """Its PID 1 as the target sees it, -1 when it does not run."""
        return int(self._drive(self._ops.init_pid()))

    # ---- its life

    def start(
        self, useinit: bool = False, daemonize: bool = True, close_fds: bool = False, cmd: Sequence[str] = ()
    ) -> bool:
        """Start it by the configuration as it is here, saved or not; `useinit`: `cmd` under a minimal PID 1."""
        return bool(
            self._drive(self._ops.start(useinit, daemonize, cmd, (None, None) if daemonize else writers(None, None)))
        )

    def stop(self) -> bool:
        """Kill it. True also when it does not run."""
        return bool(self._drive(self._ops.stop()))

    def shutdown(self, timeout: int = -1) -> bool:
        """Ask it to end and wait (-1: as long as it takes, 0: not at all). False when it runs on; nothing kills it."""
        return bool(self._drive(self._ops.shutdown(timeout)))

    def reboot(self) -> bool:
        """Ask its init to restart it."""
        return bool(self._drive(self._ops.do("stop", "-r")))

    def freeze(self) -> bool:
        return bool(self._drive(self._ops.do("freeze")))

    def unfreeze(self) -> bool:
        return bool(self._drive(self._ops.do("unfreeze")))

    def wait(self, state: str, timeout: int = -1) -> bool:
        """Until it is in `state` (or one of A|B); false when it is not within `timeout` seconds (-1: for ever)."""
        return bool(self._drive(self._ops.wait(state, timeout)))

    # ---- making, copies, snapshots

    def create(
        self,
        template: str | None = None,
        flags: int = 0,
        args: Iterable[str] | Mapping[str, str] = (),
        bdevtype: str | None = None,
        fssize: int = 0,
    ) -> bool:
        """Make it of the configuration as it is here, its root file system by a template."""
        return bool(self._drive(self._ops.create(template or "", args, bdevtype or "")))

    def destroy(self) -> bool:
        """Delete it with all that is in its folder, and forget the configuration."""
        return bool(self._drive(self._ops.destroy()))

    def clone(
        self,
        newname: str,
        config_path: str | None = None,
        flags: int = 0,
        bdevtype: str | None = None,
        bdevdata: str | None = None,
        newsize: int = 0,
        hookargs: Iterable[str] = (),
    ) -> Container | bool:
        """A copy (LXC_CLONE_SNAPSHOT: an overlay on this one), or False."""
        path = config_path or ""
        done = self._drive(self._ops.clone(newname, path, flags, bdevtype or "", newsize, hookargs))
        return self._same(newname, config_path) if done else False

    def rename(self, new_name: str) -> Container | bool:
        """The container under its new name, or False."""
        return self._same(new_name) if self._drive(self._ops.rename(new_name)) else False

    def snapshot(self, comment_path: str | None = None) -> str | bool:
        """Keep its state; the snapshot's name, or False. The comment is in a file of the target."""
        return self._drive(self._ops.snapshot(comment_path or ""))  # type: ignore[no-any-return]

    def snapshot_list(self) -> tuple[tuple[str, str, str, str], ...]:
        """(name, file of the comment, time, folder) of each."""
        return self._drive(self._ops.snapshot_list())  # type: ignore[no-any-return]

    def snapshot_restore(self, name: str, newname: str | None = None) -> bool:
        """Back to it, or a new container of it."""
        return bool(self._drive(self._ops.snapshot_restore(name, newname or "")))

    def snapshot_destroy(self, name: str) -> bool:
        return bool(self._drive(self._ops.do("snapshot", "-d", name)))

    # ---- configuration

    def load_config(self, path: str | None = None) -> bool:
        """Read its configuration again, or another file of the target."""
        return bool(self._drive(self._ops.load_config(path or "")))

    def save_config(self, path: str | None = None) -> bool:
        """Write the configuration as it is here to its place, or to another file of the target."""
        return bool(self._drive(self._ops.save_config(path or "")))

    def get_config_item(self, key: str) -> str | list[str]:
        """A value; a list where several are possible and some are there. KeyError for an unknown key."""
        return self._drive(self._ops.get_config_item(key))  # type: ignore[no-any-return]

    def set_config_item(self, key: str, value: str | list[str]) -> bool:
        """Set a value here; save_config writes it. False, and nothing changed, for a value that is none."""
        return bool(self._drive(self._ops.set_config_item(key, value)))

    def append_config_item(self, key: str, value: str) -> bool:
        """One value more."""
        return bool(self._drive(self._ops.append_config_item(key, value)))

    def clear_config_item(self, key: str) -> bool:
        return bool(self._drive(self._ops.clear_config_item(key)))

    def get_running_config_item(self, key: str) -> str | None:
        """What it was started with; values of a list end with a newline each."""
        return self._drive(self._ops.get_running_config_item(key))  # type: ignore[no-any-return]

    def get_keys(self, key: str | None = None) -> list[str]:
        """All keys, or those below an interface such as lxc.net.0."""
        return self._drive(self._ops.get_keys(key or ""))  # type: ignore[no-any-return]

    # ---- cgroup, devices, network

    def get_cgroup_item(self, key: str) -> str:
        """A file of its cgroup. KeyError when there is none."""
        return str(self._drive(self._ops.get_cgroup_item(key)))

    def set_cgroup_item(self, key: str, value: str) -> bool:
        return bool(self._drive(self._ops.do("cgroup", key, value)))

    def add_device_node(self, src_path: str, dest_path: str | None = None) -> bool:
        """Give it a device of the target."""
        return bool(self._drive(self._ops.do("device", "add", src_path, *([dest_path] if dest_path else []))))

    def remove_device_node(self, src_path: str, dest_path: str | None = None) -> bool:
        return bool(self._drive(self._ops.do("device", "del", src_path, *([dest_path] if dest_path else []))))

    def add_device_net(self, name: str, destname: str | None = None) -> bool:
        """Move a network interface of the target into it."""
        return bool(self._drive(self._ops.add_device_net(name, destname or "")))

    def attach_interface(self, src_ifname: str, dest_ifname: str | None = None) -> bool:
        """The same under liblxc's name."""
        return self.add_device_net(src_ifname, dest_ifname)

    def detach_interface(self, ifname: str) -> bool:
        """Move an interface of its out to the target."""
        return bool(self._drive(self._ops.detach_interface(ifname)))

    def get_interfaces(self) -> tuple[str, ...]:
        """Names of its network interfaces; nothing when it does not run."""
        return self._drive(self._ops.get_interfaces())  # type: ignore[no-any-return]

    def get_ips(
        self, interface: str | None = None, family: str | None = None, scope: int | None = None, timeout: int = 0
    ) -> tuple[str, ...]:
        """Its addresses without those of `lo`; `family` inet or inet6, for `timeout` seconds until there are some."""
        tries = int(os.environ.get("LXC_GETIP_TIMEOUT", timeout))
        while True:
            found: tuple[str, ...] = self._drive(self._ops.get_ips(interface or "", family or ""))
            if found or tries == 0:
                return found
            tries -= 1
            time.sleep(1)

    # ---- programs inside, its console

    def run(self, words: Sequence[str], *, stdin: bytes = b"") -> Done:
        """Run a program inside, and its output. (Not of python-lxc, whose programs write where the script does.)"""
        return self.host.perform(self._drive(self._ops.attach(words, lxcops.Attach(stdin=stdin))))

    def attach_wait(
        self,
        run: Callable[[Any], int],
        payload: object = None,
        *,
        stdin: File | int | None = None,
        stdout: File | int | None = None,
        stderr: File | int | None = None,
        **how: Any,
    ) -> int:
        """Run a program inside to its end; its wait status (exit code << 8), -1 when it was not run.

        `stdin` is read to its end first; without one the program has none. `how`: namespaces,
        initial_cwd, uid, gid, env_policy, extra_env_vars, extra_keep_env, attach_flags.
        """
        words = command_of(run, payload)
        options = lxcops.Attach(stdin=read_all(stdin), **how)
        if not self.running:
            return -1
        call = self._drive(self._ops.attach(words, options, writers(stdout, stderr)))
        return lxcops.wait_status(self.host.perform(call))

    def attach(self, run: Callable[[Any], int], payload: object = None, **how: Any) -> int:
        """The same without waiting; the process id on the target. It is not for os.waitpid, and ends with us."""
        words = command_of(run, payload)
        to = writers(how.pop("stdout", None), how.pop("stderr", None))
        options = lxcops.Attach(stdin=read_all(how.pop("stdin", None)), **how)
        if not self.running:
            return -1
        return started(self.host.perform, self._drive(self._ops.attach(words, options)), to)

    def console(
        self, ttynum: int = -1, stdinfd: int = 0, stdoutfd: int = 1, stderrfd: int = 2, escape: int = 1
    ) -> bool:
        """Sit at a terminal of it (0: the console, -1: any that is free); Ctrl-LETTER q leaves, 1 is a."""
        from sampan.control.consolefd import join

        if not self.running:
            return False
        join(self.host.console_fd(self._console_words(ttynum, escape)), stdinfd, stdoutfd)
        return True

    def console_getfd(self, ttynum: int = -1) -> int | bool:
        """A descriptor that is a terminal of it; closing it leaves. False when it does not run."""
        return self.host.console_fd(self._console_words(ttynum, 1)) if self.running else False

    def _console_words(self, ttynum: int, escape: int) -> tuple[str, ...]:
        letter = chr(ord("a") + max(escape, 1) - 1)
        return self._ops.call("console", *(["-t", str(ttynum)] if ttynum >= 0 else []), "-e", letter).words


class Lxc:
    """What `import lxc` gives, on a target."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.default_config_path = lxcops.DEFAULT_PATH
        #: A class of its own, for isinstance and for those who inherit from it.
        self.Container: type[Container] = type("Container", (Container,), {"host": host})
        self.attach_run_command = attach_run_command
        self.attach_run_shell = attach_run_shell

    def __getattr__(self, name: str) -> int:
        if name.startswith(("LXC_", "CLONE_")):
            return getattr(lxcconst, name)  # type: ignore[no-any-return]
        raise AttributeError(f"lxc has no {name}")

    @property
    def version(self) -> str:
        """That of the target's sampan."""
        done = self._host.perform(Call(("--version",), verb=True))
        return done.output.strip().rpartition(" ")[2]

    def list_containers(
        self, active: bool = True, defined: bool = True, as_object: bool = False, config_path: str | None = None
    ) -> tuple[Any, ...]:
        """Names (or Containers) of those that run, are defined, or both."""
        names = drive(lxcops.listed(active, defined, config_path or ""), self._host.perform)
        return tuple(self.Container(name, config_path) for name in names) if as_object else names

    def get_global_config_item(self, key: str) -> str:
        """lxc.lxcpath, lxc.default_config; KeyError for others."""
        return {"lxc.lxcpath": lxcops.DEFAULT_PATH, "lxc.default_config": "/etc/lxc/default.conf"}[key]

    def arch_to_personality(self, arch: str) -> int:
        """The number of personality(2) for an architecture. KeyError."""
        return _ARCHES[arch]
