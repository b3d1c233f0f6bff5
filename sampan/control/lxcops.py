"""What python-lxc's containers do, as operations on a target (sampan.control.calls).

A container here is a name, a folder and the configuration that was read of it. Results are those of
python-lxc (compared with python3-lxc 5.0): False where the C library refuses, KeyError for a key that
is none, a wait status for what is run inside.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sampan.control import lxcconst as const
from sampan.control.calls import Call, Done, OnOutput, Steps
from sampan.control.lxcconfig import LxcConfig

DEFAULT_PATH = "/var/lib/lxc"
_UNSAVED = "/run/sampan/.unsaved"  #: configurations that containers were started with and that were not saved
#: Writes stdin to a file, whole or not at all.
_WRITE = 'mkdir -p "${1%/*}" && cat >"$1.new" && mv -f "$1.new" "$1"'
_WRITE_PRIVATE = "umask 077;" + _WRITE  #: the runtime wants its folder for itself
#: A folder with a configuration and no root file system yet is what save_config leaves: create begins anew.
_AGAIN = '[ ! -e "$1/rootfs" ] && rm -f "$1/config" && rmdir "$1"'
_ANY_CGROUP = re.compile(r"[a-z0-9_]+(\.[a-zA-Z0-9_]+)+")
_ADDRESS = re.compile(r"^\d+:\s+([^\s@]+)\S*\s+(inet6?)\s+([0-9a-f:.]+)", re.MULTILINE)
_LINK = re.compile(r"^\d+:\s+([^\s:@]+)", re.MULTILINE)


#: Where stdout and stderr go; None: into the Done.
Outputs = tuple[OnOutput | None, OnOutput | None]


class Ops:
    """One container. Each method is an operation; the configuration is kept between them."""

    def __init__(self, name: str, config_path: str = "") -> None:
        self.name = name
        self.path = config_path or DEFAULT_PATH
        self._config: LxcConfig | None = None

    @property
    def folder(self) -> str:
        return posixpath.join(self.path, self.name)

    @property
    def file(self) -> str:
        return posixpath.join(self.folder, "config")

    def call(self, verb: str, *words: str, stdin: bytes = b"", to: Outputs = (None, None)) -> Call:
        """A verb about this container; its stdout and stderr go `to`."""
        return Call((verb, "-n", self.name, "-P", self.path, *words), stdin, True, on_stdout=to[0], on_stderr=to[1])

    def do(self, verb: str, *words: str) -> Steps[bool]:
        """A verb that works or does not."""
        done = yield self.call(verb, *words)
        return done.ok

    # ---- what it does now

    def look(self) -> Steps[Mapping[str, Any]]:
        """`info --json`; nothing when there is no such container."""
        done = yield self.call("info", "--json")
        return json.loads(done.stdout) if done.ok else {}

    def state(self) -> Steps[str]:
        found = yield from self.look()
        return str(found.get("state", "STOPPED"))

    def running(self) -> Steps[bool]:
        return (yield from self.state()) != "STOPPED"

    def init_pid(self) -> Steps[int]:
        found = yield from self.look()
        return int(found.get("pid") or -1)

    def defined(self) -> Steps[bool]:
        done = yield Call(("test", "-f", self.file))
        return done.ok

    def wait(self, state: str, timeout: int) -> Steps[bool]:
        return (yield from self.do("wait", "-s", state.upper(), "-t", str(timeout)))

    # ---- life

    def start(self, useinit: bool, daemonize: bool, cmd: Sequence[str], to: Outputs) -> Steps[bool]:
        words = ["-d" if daemonize else "-F"] if not useinit else ["-d"] if daemonize else []
        if self._config is not None and self._config.changed:
            words += ["-f", (yield from self._put_unsaved())]
        if cmd:
            words += ["--", *cmd]
        done = yield self.call("execute" if useinit else "start", *words, to=to)
        return done.ok

    def _put_unsaved(self) -> Steps[str]:
        """The configuration as it is here, in a file of its own: a start goes by it, and saves nothing."""
        path = posixpath.join(_UNSAVED, self.name)
        config = yield from self._loaded()
        (yield Call(("sh", "-c", _WRITE_PRIVATE, "write", path), config.text().encode())).check()
        return path

    def stop(self) -> Steps[bool]:
        done = yield self.call("stop", "-k")
        return done.status in (0, 2)  # 2: it did not run

    def shutdown(self, timeout: int) -> Steps[bool]:
        """Ask it to end; -1: however long that takes, 0: do not wait. It is not killed."""
        how = ["-W"] if timeout == 0 else ["--nokill", "-t", str(timeout if timeout > 0 else 2**31 - 1)]
        done = yield self.call("stop", *how)
        return done.status in (0, 2)

    # ---- configuration

    def _loaded(self) -> Steps[LxcConfig]:
        if self._config is None:
            read = yield from self._read(self.file)
            self._config = read or LxcConfig()
        return self._config

    def _read(self, path: str) -> Steps[LxcConfig | None]:
        text = yield Call(("cat", path))
        if not text.ok:
            return None
        shown = yield Call(("config", "show", "--json", path), verb=True)
        if not shown.ok:
            return None
        return LxcConfig(text.output, [(row["key"], row["value"]) for row in json.loads(shown.stdout)])

    def load_config(self, path: str) -> Steps[bool]:
        read = yield from self._read(path or self.file)
        if read is None:
            return False
        read.changed = bool(path) and path != self.file
        self._config = read
        return True

    def save_config(self, path: str) -> Steps[bool]:
        config = yield from self._loaded()
        done = yield Call(("sh", "-c", _WRITE, "write", path or self.file), config.text().encode())
        if done.ok and path in ("", self.file):
            config.changed = False
        return done.ok

    def clear_config(self) -> None:
        self._config = LxcConfig()

    def _there(self) -> Steps[LxcConfig]:
        """The configuration; liblxc knows no key at all as long as there is none."""
        config = yield from self._loaded()
        if not config.entries and not config.changed:
            raise KeyError("Invalid configuration key")
        return config

    def get_config_item(self, key: str) -> Steps[str | list[str]]:
        return (yield from self._there()).get(key)

    def get_keys(self, key: str) -> Steps[list[str]]:
        config = yield from (self._there() if key else self._loaded())
        return config.keys(key)

    def set_config_item(self, key: str, value: str | list[str]) -> Steps[bool]:
        config = yield from self._loaded()
        if key == "lxc.include":  # only the target can tell what it comes to
            return (yield from self._include(config, value))
        return config.replace(key, value)

    def append_config_item(self, key: str, value: str) -> Steps[bool]:
        config = yield from self._loaded()
        return (yield from self._include(config, value)) if key == "lxc.include" else config.append(key, value)

    def _include(self, config: LxcConfig, value: str | list[str]) -> Steps[bool]:
        files = value if isinstance(value, list) else [value]
        text = config.text() + "".join(f"lxc.include = {file}\n" for file in files)
        path = posixpath.join(_UNSAVED, self.name)
        (yield Call(("sh", "-c", _WRITE_PRIVATE, "write", path), text.encode())).check()
        read = yield from self._read(path)
        if read is not None:
            read.changed = True
            self._config = read
        return read is not None

    def clear_config_item(self, key: str) -> Steps[bool]:
        return (yield from self._loaded()).clear(key)

    def get_running_config_item(self, key: str) -> Steps[str | None]:
        """A value of the file it was started with; None when it does not run or has no such value."""
        found = yield from self.look()
        if found.get("state", "STOPPED") == "STOPPED":
            return None
        read = yield from self._read(str(found["config"]))
        try:
            value = read.get(key) if read is not None else ""
        except KeyError:
            return None
        return (value if isinstance(value, str) else "".join(f"{each}\n" for each in value)) or None

    # ---- making and unmaking

    def create(self, template: str, args: Iterable[str] | Mapping[str, str], bdevtype: str) -> Steps[bool]:
        if isinstance(args, Mapping):
            args = [word for key, value in args.items() for word in (f"--{key}", str(value))]
        config = yield from self._loaded()
        words = ["-f", (yield from self._put_unsaved())] if config.entries else []
        if (yield from self.defined()):
            again = yield Call(("sh", "-c", _AGAIN, "again", self.folder))
            if not again.ok:
                return not template  # as liblxc: what is made already is made
        words += ["-t", template] if template else []
        words += ["-B", bdevtype] if bdevtype else []
        done = yield self.call("create", *words, "--", *args)
        if done.ok:
            self._config = None  # create has completed it
        return done.ok

    def destroy(self) -> Steps[bool]:
        done = yield self.call("destroy")
        if done.ok:
            self.clear_config()
            yield Call(("rm", "-f", posixpath.join(_UNSAVED, self.name)))
        return done.ok

    def clone(
        self, newname: str, config_path: str, flags: int, bdevtype: str, newsize: int, hookargs: Iterable[str]
    ) -> Steps[bool]:
        words = ["-N", newname, *(["-p", config_path] if config_path else [])]
        words += ["-K"] if flags & const.LXC_CLONE_KEEPNAME else []
        words += ["-M"] if flags & const.LXC_CLONE_KEEPMACADDR else []
        words += ["-B", bdevtype] if bdevtype else []
        words += ["-L", str(newsize)] if newsize else []
        tail = ["--", *hookargs] if hookargs else []
        if flags & (const.LXC_CLONE_SNAPSHOT | const.LXC_CLONE_MAYBE_SNAPSHOT):
            if (yield from self.do("copy", *words, "-s", *tail)):
                return True
            if not flags & const.LXC_CLONE_MAYBE_SNAPSHOT:
                return False
        return (yield from self.do("copy", *words, *tail))

    def rename(self, new_name: str) -> Steps[bool]:
        return (yield from self.do("copy", "-R", "-N", new_name))

    # ---- snapshots

    def snapshot(self, comment_path: str) -> Steps[str | bool]:
        before = {row[0] for row in (yield from self.snapshot_list())}
        if not (yield from self.do("snapshot", *(["-c", comment_path] if comment_path else []))):
            return False
        new = {row[0] for row in (yield from self.snapshot_list())} - before
        return min(new) if new else False

    def snapshot_list(self) -> Steps[tuple[tuple[str, str, str, str], ...]]:
        """(name, file of the comment, time, folder it is in) of each."""
        done = yield self.call("snapshot", "-L", "--json")
        if not done.ok:
            return ()
        snaps = posixpath.join(self.folder, "snaps")
        return tuple(
            (row["name"], posixpath.join(snaps, row["name"], "comment"), row["time"], snaps)
            for row in json.loads(done.stdout)
        )

    def snapshot_restore(self, name: str, newname: str) -> Steps[bool]:
        words = ("-N", newname) if newname else ()
        restored = yield from self.do("snapshot", "-r", name, *words)
        if restored and not newname:
            self._config = None
        return restored

    # ---- looking in and handing in

    def get_interfaces(self) -> Steps[tuple[str, ...]]:
        done = yield self._beside("ip", "-o", "link")
        return tuple(_LINK.findall(done.output)) if done.ok else ()

    def get_ips(self, interface: str, family: str) -> Steps[tuple[str, ...]]:
        """Its addresses, those of `lo` only when it is asked for."""
        done = yield self._beside("ip", "-o", "addr")
        rows = _ADDRESS.findall(done.output) if done.ok else []
        return tuple(
            address
            for name, kind, address in rows
            if (name == interface if interface else name != "lo") and (not family or kind == family)
        )

    def _beside(self, *words: str) -> Call:
        """A program of the target in the container's network."""
        return self.call("attach", "-s", "NETWORK", "--", *words)

    def add_device_net(self, name: str, destname: str) -> Steps[bool]:
        """An interface of the target into the container, under another name."""
        pid = yield from self.init_pid()
        if pid < 0:
            return False
        moved = yield Call(("ip", "link", "set", name, "netns", str(pid)))
        if not moved.ok or destname in ("", name):
            return moved.ok
        renamed = yield self._beside("ip", "link", "set", name, "name", destname)
        return renamed.ok

    def detach_interface(self, name: str) -> Steps[bool]:
        pid = yield from self.init_pid()
        done: Done | None = None
        if pid > 0:
            done = yield self._beside("ip", "link", "set", name, "netns", "1")
        return done is not None and done.ok

    def get_cgroup_item(self, key: str) -> Steps[str]:
        done = yield self.call("cgroup", key)
        if not done.ok or not _ANY_CGROUP.fullmatch(key):
            raise KeyError("Invalid cgroup entry")
        return done.output.rstrip("\n")

    # ---- programs inside

    def attach(self, words: Sequence[str], how: Attach, to: Outputs = (None, None)) -> Steps[Call]:
        """The call that runs a program inside, with lxc.environment as liblxc does it."""
        config = yield from self._loaded()
        environment = config.get("lxc.environment") or []
        variables = [word for each in environment if "=" in each for word in ("-v", each)]
        return self.call("attach", *variables, *how.options(), "--", *how.inside(words), stdin=how.stdin, to=to)


class Attach:
    """python-lxc's keywords of attach and attach_wait. TypeError for others."""

    def __init__(
        self,
        *,
        namespaces: int = -1,
        personality: int = -1,
        initial_cwd: str = "",
        uid: int = -1,
        gid: int = -1,
        env_policy: int = const.LXC_ATTACH_KEEP_ENV,
        extra_env_vars: Iterable[str] = (),
        extra_keep_env: Iterable[str] = (),
        attach_flags: int = const.LXC_ATTACH_DEFAULT,
        stdin: bytes = b"",
    ) -> None:
        if personality not in (-1, 0):
            raise ValueError("personality: a program inside has the container's own")
        self._namespaces = namespaces
        self._cwd = initial_cwd
        self._ids = uid, gid
        self._clear = env_policy == const.LXC_ATTACH_CLEAR_ENV
        self._set, self._keep = tuple(extra_env_vars), tuple(extra_keep_env)
        self._elevated = not attach_flags & const.LXC_ATTACH_DROP_CAPABILITIES
        self.stdin = stdin

    def options(self) -> list[str]:
        """For `sampan attach`."""
        words = ["-e"] if self._elevated else []
        if self._namespaces not in (-1, 0):
            words += ["-s", "|".join(name for bit, name in const.NAMESPACES.items() if self._namespaces & bit)]
        words += ["--clear-env"] if self._clear else []
        words += [word for each in self._set for word in ("-v", each)]
        words += [word for each in self._keep for word in ("--keep-var", each)]
        for option, value in zip("ug", self._ids, strict=True):
            words += [f"-{option}", str(value)] if value >= 0 else []
        return words

    def inside(self, words: Sequence[str]) -> list[str]:
        """The command; sh goes to the folder first, and stays where it is when there is none."""
        if not self._cwd:
            return list(words)
        return ["sh", "-c", 'cd "$1" 2>/dev/null;shift;exec "$@"', "sh", self._cwd, *words]


def wait_status(done: Done) -> int:
    """As waitpid's, which attach_wait returns; -1 when nothing was run. A signal N counts as exit code 128 + N."""
    return -1 if done.status == 125 else done.status << 8


def listed(active: bool, defined: bool, config_path: str) -> Steps[tuple[str, ...]]:
    """Names of containers."""
    words = [*([] if defined else ["--active"]), *([] if active else ["--defined"])]
    done = yield Call(("ls", "-1", "-P", config_path or DEFAULT_PATH, *words), verb=True)
    return tuple(done.output.split()) if done.ok else ()
