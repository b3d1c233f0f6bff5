"""An OCI runtime configuration (config.json of a bundle) in LXC's keys.

What LXC's language cannot say is named, never dropped in silence. Source of the fields:
OCI runtime specification 1.2, config.md and config-linux.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from sampan.config import mounts
from sampan.core.errors import EXIT_USAGE, SampanError

#: OCI's namespace types and LXC's names for them.
NAMESPACES = {
    "pid": "pid", "network": "net", "mount": "mnt", "ipc": "ipc", "uts": "uts", "user": "user", "cgroup": "cgroup",
    "time": "time",
}  # fmt: skip
#: linux.resources: path -> file of v1, file of v2. Numbers mean the same in both.
RESOURCES = {
    "memory.limit": ("memory.limit_in_bytes", "memory.max"),
    "memory.reservation": ("memory.soft_limit_in_bytes", "memory.low"),
    "pids.limit": ("pids.max", "pids.max"),
    "cpu.cpus": ("cpuset.cpus", "cpuset.cpus"),
    "cpu.mems": ("cpuset.mems", "cpuset.mems"),
}
#: Mounts that the runtime makes by itself, with the nodes in them.
_OWN_MOUNTS = {("tmpfs", "/dev"), ("devpts", "/dev/pts"), ("tmpfs", "/dev/shm")}
#: What every OCI runtime allows besides the list (config-linux.md, "Default Devices").
_DEFAULT_DEVICES = ("1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:2", "136:*")
#: Options that OCI runtimes read themselves and that say what LXC does anyway.
_IMPLIED = frozenset({"rprivate", "private"})


@dataclass
class Translation:
    """Lines of a configuration, and what they leave out: (JSON path, reason)."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    lost: list[tuple[str, str]] = field(default_factory=list)

    def text(self) -> str:
        """The configuration as a file."""
        return "".join(f"{key} = {value}\n" for key, value in self.lines)


class _Reader:
    """Takes fields out of the JSON object; whatever nobody took is lost, and named at the end."""

    def __init__(self, data: dict[str, Any], bundle: str, version: int) -> None:
        self.data, self.bundle, self.v2 = data, PurePosixPath(bundle), version == 2
        self.out = Translation()

    def take(self, path: str, kind: type[Any] = object) -> Any:
        """The value at `a.b.c`, removed from the object; None when there is none or it says nothing."""
        *folders, name = path.split(".")
        at: Any = self.data
        for folder in folders:
            at = at.get(folder)
            if not isinstance(at, dict):
                return None
        value = at.pop(name, None)
        if value is None:
            return None
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise SampanError(f"{path}: {json.dumps(value)[:60]} is not what OCI says it is", code=EXIT_USAGE)
        return value

    def add(self, key: str, value: object, path: str) -> None:
        text = str(value)
        if any(ord(char) < 32 or ord(char) == 127 for char in text):
            self.out.lost.append((path, "a control character cannot be written"))
        elif text and (text[0] in " \t" or text[-1] in " \t" or (text[0] in "\"'" and text[-1] == text[0])):
            self.out.lines.append((key, f'"{text}"'))
        else:
            self.out.lines.append((key, text))

    def lose(self, path: str, why: str) -> None:
        self.out.lost.append((path, why))


def _process(r: _Reader) -> None:
    args = r.take("process.args", list) or []
    if any(not isinstance(word, str) or not word or set(word) & set(" \t\n\"'\\") for word in args):
        r.lose("process.args", "lxc.execute.cmd is words between blanks; give the command to `execute NAME -- ...`")
    elif args:
        r.add("lxc.execute.cmd", " ".join(args), "process.args")
        r.add("lxc.init.cmd", " ".join(args), "process.args")
    cwd = r.take("process.cwd", str)
    if cwd not in (None, "/"):
        r.add("lxc.init.cwd", cwd, "process.cwd")
    for variable in r.take("process.env", list) or []:
        r.add("lxc.environment", variable, "process.env")
    for name, key in (("uid", "lxc.init.uid"), ("gid", "lxc.init.gid")):
        if number := r.take(f"process.user.{name}", int):
            r.add(key, number, f"process.user.{name}")
    if groups := r.take("process.user.additionalGids", list):
        r.add("lxc.init.groups", ",".join(map(str, groups)), "process.user.additionalGids")
    r.take("process.terminal")
    r.take("process.consoleSize")


def _privileges(r: _Reader) -> None:
    sets = r.take("process.capabilities", dict)
    if sets is not None:
        bounding = [str(name).lower().removeprefix("cap_") for name in sets.get("bounding") or []]
        r.add("lxc.cap.keep", " ".join(bounding) or "none", "process.capabilities")
        for name in ("effective", "permitted"):
            if name in sets and sorted(sets[name] or []) != sorted(sets.get("bounding") or []):
                r.lose(f"process.capabilities.{name}", "a container's processes have what the bounding set has")
        for name in ("inheritable", "ambient"):
            if sets.get(name):
                r.lose(f"process.capabilities.{name}", "LXC has one set of capabilities")
    if r.take("process.noNewPrivileges", bool):
        r.add("lxc.no_new_privs", 1, "process.noNewPrivileges")
    for limit in r.take("process.rlimits", list) or []:
        name = str(limit.get("type", "")).removeprefix("RLIMIT_").lower()
        r.add(f"lxc.prlimit.{name}", f"{_limit(limit.get('soft'))}:{_limit(limit.get('hard'))}", "process.rlimits")
    if (score := r.take("process.oomScoreAdj", int)) is not None:
        r.add("lxc.proc.oom_score_adj", score, "process.oomScoreAdj")
    if profile := r.take("process.apparmorProfile", str):
        r.add("lxc.apparmor.profile", profile, "process.apparmorProfile")
    if label := r.take("process.selinuxLabel", str):
        r.add("lxc.selinux.context", label, "process.selinuxLabel")


def _limit(value: object) -> str:
    return "unlimited" if value in (2**64 - 1, -1) else str(value)


def _root(r: _Reader) -> None:
    if name := r.take("hostname", str):
        r.add("lxc.uts.name", name, "hostname")
    if path := r.take("root.path", str):
        r.add("lxc.rootfs.path", r.bundle / path, "root.path")
    words = ["ro"] if r.take("root.readonly", bool) else []
    propagation = r.take("linux.rootfsPropagation", str)
    if propagation and propagation not in _IMPLIED:
        words.append(propagation)
    if words:
        r.add("lxc.rootfs.options", ",".join(words), "root")


def _escape(text: str) -> str:
    return text.replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011")


def _mounts(r: _Reader) -> None:
    for number, row in enumerate(r.take("mounts", list) or []):
        path = f"mounts[{number}]"
        target, kind = str(row.get("destination", "")), str(row.get("type") or "none")
        words = [str(word) for word in row.get("options") or []]
        if kind == "cgroup":
            r.add("lxc.mount.auto", "cgroup:ro" if "ro" in words else "cgroup:rw", path)
            continue
        if (kind, target) in _OWN_MOUNTS:
            continue
        bind = bool(mounts.BINDS & set(words))
        source = str(row.get("source") or kind)
        unknown = [w for w in words if bind and w not in mounts.FLAGS | mounts.BINDS | mounts.PROPAGATIONS]
        for word in unknown:
            r.lose(path, f"{target}: a bind mount has no option {word}")
        if row.get("uidMappings") or row.get("gidMappings"):
            r.lose(path, f"{target}: its own id mappings")
        if bind and not source.startswith("/"):
            source = str(r.bundle / source)
        kept = ",".join(word for word in words if word not in unknown) or "defaults"
        line = " ".join((_escape(source), _escape(target.lstrip("/")), "none" if bind else kind, _escape(kept), "0 0"))
        r.add("lxc.mount.entry", line, path)


def _namespaces(r: _Reader) -> None:
    rows = r.take("linux.namespaces", list)
    if rows is None:
        return
    made = {str(row.get("type")): row.get("path") for row in rows}
    kept = [name for kind, name in NAMESPACES.items() if kind not in made and kind not in ("user", "time", "cgroup")]
    if "net" in kept:
        kept.remove("net")
        r.add("lxc.net.0.type", "none", "linux.namespaces")
    else:
        r.add("lxc.net.0.type", "empty", "linux.namespaces")
    if kept:
        r.add("lxc.namespace.keep", " ".join(kept), "linux.namespaces")
    for kind, path in made.items():
        if path and kind in NAMESPACES:
            r.add(f"lxc.namespace.share.{NAMESPACES[kind]}", path, "linux.namespaces")
    for letter, name in (("u", "uidMappings"), ("g", "gidMappings")):
        for row in r.take(f"linux.{name}", list) or []:
            r.add("lxc.idmap", f"{letter} {row['containerID']} {row['hostID']} {row['size']}", f"linux.{name}")


def _devices(r: _Reader) -> None:
    rows = r.take("linux.resources.devices", list) or []
    for row in rows:
        verb, kind = ("allow" if row.get("allow") else "deny"), row.get("type") or "a"
        if kind == "a" and row.get("major") in (None, -1) and row.get("minor") in (None, -1):
            value = "a"
        else:
            major, minor = ("*" if n in (None, -1) else str(n) for n in (row.get("major"), row.get("minor")))
            value = f"{kind} {major}:{minor} {row.get('access') or 'rwm'}"
        r.add(f"lxc.cgroup.devices.{verb}", value, "linux.resources.devices")
    for numbers in _DEFAULT_DEVICES if rows else ():
        r.add("lxc.cgroup.devices.allow", f"c {numbers} rw", "linux.resources.devices")
    for row in r.take("linux.devices", list) or []:
        r.lose("linux.devices", f"{row.get('path')}: a node is made for an allowed device that the host has")


def _resources(r: _Reader) -> None:
    for path, files in RESOURCES.items():
        value = r.take(f"linux.resources.{path}")
        if value in (None, "", 0):
            continue
        spelled_max = r.v2 or path.startswith("pids.")
        text = "max" if value == -1 and spelled_max else str(value)
        r.add(f"lxc.cgroup{'2' if r.v2 else ''}.{files[r.v2]}", text, f"linux.resources.{path}")
    _cpu(r)
    for name, value in (r.take("linux.sysctl", dict) or {}).items():
        r.add(f"lxc.sysctl.{name}", value, "linux.sysctl")


def _cpu(r: _Reader) -> None:
    shares, quota, period = (r.take(f"linux.resources.cpu.{name}", int) for name in ("shares", "quota", "period"))
    where = "linux.resources.cpu"
    if r.v2:
        if shares:  # the runtimes' formula, from 2..262144 to 1..10000
            r.add("lxc.cgroup2.cpu.weight", 1 + (shares - 2) * 9999 // 262142, where)
        if quota is not None or period:
            r.add("lxc.cgroup2.cpu.max", f"{quota if quota and quota > 0 else 'max'} {period or 100000}", where)
        return
    for name, value in (("shares", shares), ("cfs_period_us", period), ("cfs_quota_us", quota)):
        if value:
            r.add(f"lxc.cgroup.cpu.{name}", value, where)


#: What is left when all is taken: why the language has no word for it.
_REASONS = {
    "hooks": "LXC's hooks run at other stages with other arguments: write lxc.hook.* by hand",
    "linux.seccomp": "write it as a policy in LXC's format and name it in lxc.seccomp.profile",
    "linux.maskedPaths": "the runtime masks its own list",
    "linux.readonlyPaths": "lxc.mount.auto = proc:mixed sys:ro is the usual way",
    "linux.cgroupsPath": "the place of a container's cgroup is fixed",
    "annotations": "there is no place for them",
}
_SAYS_NOTHING = {"ociVersion"}
STEPS: tuple[Callable[[_Reader], None], ...] = (
    _root, _process, _privileges, _mounts, _namespaces, _devices, _resources,
)  # fmt: skip


def _left(at: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, value in at.items():
        full = f"{path}{name}"
        if full in _SAYS_NOTHING or value in (None, {}, [], "", False):
            continue
        if isinstance(value, dict) and full not in _REASONS:
            yield from _left(value, f"{full}.")
        else:
            yield full


def translate(text: str, name: str, *, bundle: str, version: int = 2) -> Translation:
    """LXC's keys for a config.json.

    name: of the file, for messages. bundle: folder of the bundle on the target, which relative
    paths are below. version: of the target's cgroups, 1 or 2, for resource limits.
    """
    try:
        data: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise SampanError(f"{name}:{error.lineno}: not JSON: {error.msg}", code=EXIT_USAGE) from error
    if not isinstance(data, dict) or "ociVersion" not in data:
        raise SampanError(f"{name}: no OCI configuration: ociVersion is missing", code=EXIT_USAGE)
    reader = _Reader(data, bundle, version)
    try:
        for step in STEPS:
            step(reader)
    except SampanError as error:
        raise SampanError(f"{name}: {error.message}", hint=error.hint, code=error.code) from error
    except (AttributeError, KeyError, TypeError) as error:
        raise SampanError(f"{name}: no OCI configuration: {error}", code=EXIT_USAGE) from error
    for path in _left(data):
        reader.lose(path, _REASONS.get(path, "LXC's configuration has no word for it"))
    return reader.out
