"""How each kind of value is read; which key is of which kind says runtime/keys.toml.

One reader a kind, named like those of runtime/src/conf_values.c. A reader gets the value, never
empty, and the context; it raises Wrong, and keeps what later lines are judged by.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from sampan.config import language as limit
from sampan.config import life, mounts, names, nets, rules, spaces, symbols
from sampan.config.keys import Key
from sampan.config.language import size
from sampan.config.mounts import Wrong
from sampan.core.errors import SampanError

_WORD = re.compile(r"""(?:[^ \t"']|"[^"]*"|'[^']*')+""")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HOST = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{limit.NAME_LEN_MAX - 1}}}")
_CGROUP_FILE = re.compile(rf"(?=[^.])(?=.*\.)[a-z0-9_.-]{{1,{limit.NAME_LEN_MAX}}}")
_AUTO = re.compile(r"proc(:(mixed|rw))?|sys(:(ro|mixed|rw))?|cgroup(2|-full)?(:(ro|mixed|rw))?(:force)?")
_BACKENDS = ("dir", "btrfs", "loop", "lvm", "overlay", "overlayfs")
_NO_BACKEND = "not supported: a root file system is dir:, loop:, overlay:, btrfs:, lvm: or a plain path"


@dataclass
class Context:
    """What one load knows when it reads a value."""

    key: Key
    name: str = ""  #: the key as written
    rest: str = ""  #: what stands for the `*` of a prefix key
    nic: int = -1  #: interface the line is about
    keep: Callable[[str], None] = lambda text: None  #: counts what the runtime would have to keep
    warn: Callable[[str], None] = lambda text: None
    cap_drop: bool = False
    cap_keep: bool = False
    environment: set[str] = field(default_factory=set)
    devices: dict[str, int] = field(default_factory=lambda: {"allow": 0, "deny": 0, "expect": 0})
    cgroup: list[tuple[str, str]] = field(default_factory=list)
    mounts: int = 0
    sets: dict[tuple[str, str], tuple[str, str, int]] = field(default_factory=dict)  #: kind, name -> value, place
    place: tuple[str, int] = ("", 0)  #: file and line being read
    hooks: list[str] = field(default_factory=list)  #: stages
    groups: int = 0
    nics: dict[int, nets.Nic] = field(default_factory=dict)
    spaces: spaces.Spaces = field(default_factory=spaces.Spaces)


def _string(value: str, on: Context) -> None:
    on.keep(value)


def _command(value: str, on: Context) -> None:
    if len(found := _WORD.findall(value)) > limit.WORDS_MAX or not found or _WORD.sub("", value).strip(limit.BLANKS):
        raise Wrong("must be at most 64 words (WORDS_MAX), each quote closed")
    on.keep(value)


def _path(value: str, on: Context) -> None:
    if not value.startswith("/"):
        raise Wrong("the path must be absolute")
    if size(value) >= limit.PATH_LEN_MAX:
        raise Wrong("the path is too long (PATH_LEN_MAX)")
    on.keep(value)


def _rootfs(value: str, on: Context) -> None:
    prefix, colon, rest = value.partition(":")
    if not value.startswith("/") and colon:
        _backend(prefix, on)
        value = rest
    if colon and prefix.startswith("overlay"):
        _layers(value)
        on.keep(value)
    elif value:
        _path(value, on)


def _backend(value: str, on: Context) -> None:
    if value not in _BACKENDS:
        raise Wrong(_NO_BACKEND)


def _label(value: str, on: Context) -> None:
    if value == "generated":
        raise Wrong("not supported: no profile is generated; name one that is loaded")
    if value not in ("unconfined", "unchanged"):
        on.keep(value)


def _layers(value: str) -> None:
    layers = value.split(":") if value else []
    for at, layer in enumerate(layers, 1):
        fresh = at == len(layers) and layer.partition(",")[0] == "tmpfs"
        if not layer.startswith("/") and not fresh:
            raise Wrong("each layer must be an absolute path; the last may be tmpfs")
    if len(layers) < 2:
        raise Wrong("must be overlay:LOWER:UPPER")
    if len(layers) > limit.LAYERS_MAX + 1:
        raise Wrong("more layers than the runtime holds (LAYERS_MAX)")


def _console(value: str, on: Context) -> None:
    _string(value, on) if value == "none" else _path(value, on)


def _subdir(value: str, on: Context) -> None:
    if value.startswith("/") or any(part.startswith(".") for part in re.split("/+", value.rstrip("/"))):
        raise Wrong("the directory must lead down: no leading / and no name that begins with .")
    if size(value) > limit.NAME_LEN_MAX:
        raise Wrong("the directory is longer than 64 bytes (NAME_LEN_MAX)")
    on.keep(value)


def _hostname(value: str, on: Context) -> None:
    if not _HOST.fullmatch(value):
        raise Wrong("a host name is 1 to 64 of a-z A-Z 0-9 . _ - and begins with a letter or digit")
    on.keep(value)


def _number(value: str, on: Context) -> None:
    if names.number(value, 0, on.key.max or 0) is None:
        raise Wrong(f"must be a number from 0 to {on.key.max}")


def _id(value: str, on: Context) -> None:
    _number(value, on)
    on.spaces.ids[on.key.field.removeprefix("init_")[0]] = int(value)


def _bool(value: str, on: Context) -> None:
    if value not in ("0", "1") and names.number(value, 0, 1) is None:
        raise Wrong("must be 0 or 1")


def _only(value: str, on: Context) -> None:
    if value not in on.key.only:
        raise Wrong(f"not supported: {on.key.reason}")


def _arch(value: str, on: Context) -> None:
    if not names.architecture(value):
        raise Wrong("unknown architecture")


def _signal(value: str, on: Context) -> None:
    if not names.signal(value):
        raise Wrong("must be a signal: SIGTERM, SIGRTMIN+3, 15")


def _caps(value: str, on: Context) -> None:
    keep = on.key.field == "cap_keep"
    if on.cap_drop if keep else on.cap_keep:
        raise Wrong("lxc.cap.keep and lxc.cap.drop exclude each other")
    for word in value.split():
        if not names.capability(word) and not (keep and word == "none"):
            raise Wrong(f"unknown capability {word}")
    if keep:
        on.cap_keep = True
    else:
        on.cap_drop = True


def _environment(value: str, on: Context) -> None:
    name = value.partition("=")[0]
    if not _VARIABLE.fullmatch(name):
        raise Wrong("must be NAME=VALUE or NAME, of letters, digits and _")
    variable = f"{on.key.name} {name}"
    if variable not in on.environment and len(on.environment) == limit.ENVS_MAX:
        raise Wrong("more variables than the runtime holds (ENVS_MAX)")
    on.environment.add(variable)
    on.keep(value)


def _mount(value: str, on: Context) -> None:
    if on.mounts == limit.MOUNTS_MAX:
        raise Wrong("more mounts than the runtime holds (MOUNTS_MAX)")
    try:
        fields = mounts.parse(value)
    except Wrong as wrong:
        if wrong.hint:
            wrong.hint = f"{on.key.name} = {wrong.hint}"
        raise
    for text in fields[:3]:
        on.keep(text)
    if idmap := mounts.options(fields[3]).idmap:
        on.keep(idmap)
    on.mounts += 1


def _fstab(value: str, on: Context) -> None:
    if not value.startswith("/"):
        raise Wrong("must be an absolute path")
    on.keep(value)


def _rootfs_options(value: str, on: Context) -> None:
    given = mounts.options(value)
    if given.words & mounts.OWN:
        raise Wrong("create=, optional and relative belong to lxc.mount.entry")
    for text in filter(None, (given.idmap, ",".join(given.data))):
        on.keep(text)


def _mount_auto(value: str, on: Context) -> None:
    for word in value.split():
        name, colon, rest = word.partition(":")
        if name == "shmounts" and colon:
            host, two, inside = rest.partition(":")
            if not host.startswith("/") or (two and not inside.startswith("/")):
                raise Wrong("must be shmounts:/HOST/FOLDER[:/FOLDER/INSIDE]")
            _mount(f"{host} {inside if two else '/dev/.lxc-mounts'} none rbind,create=dir,rslave 0 0", on)
        elif not _AUTO.fullmatch(word):
            raise Wrong(
                "must be of proc[:mixed|rw], sys[:ro|mixed|rw], cgroup[-full][:ro|mixed|rw][:force], "
                "shmounts:/HOST[:/INSIDE]"
            )


def _cgroup(value: str, on: Context) -> None:
    if not _CGROUP_FILE.fullmatch(on.rest):
        raise Wrong("the key must end in CONTROLLER.FILE")
    if on.rest.startswith("devices."):
        hint = "lxc.cgroup.devices.allow and lxc.cgroup.devices.deny are the device keys"
        raise Wrong("unknown key", hint)
    if len(on.cgroup) == limit.CGVALUES_MAX:
        raise Wrong("more cgroup values than the runtime holds (CGVALUES_MAX)")
    on.cgroup.append((on.key.name, on.rest))
    on.keep(on.rest)
    on.keep(value)


def _devices(value: str, on: Context) -> None:
    try:
        if on.key.kind == "devices_expect":
            symbols.parse_expected(value)
        elif symbols.is_symbol(value):
            symbols.parse(value)
        else:
            rules.parse(value)
    except SampanError as error:
        raise Wrong(error.message, error.hint) from error
    if sum(on.devices.values()) == limit.DEVRULES_MAX:
        raise Wrong("more device rules than the runtime holds (DEVRULES_MAX)")
    on.devices[str(on.key.kind).removeprefix("devices_")] += 1
    on.keep(value)


def _net_clear(value: str, on: Context) -> None:
    raise Wrong("takes only an empty value, which clears all interfaces")


def _nic_clear(value: str, on: Context) -> None:
    raise Wrong("takes only an empty value, which clears the interface")


def _nic_type(value: str, on: Context) -> None:
    on.nics[on.nic].kind = value if value in nets.TYPES else "empty"  # one message is enough
    if value not in nets.TYPES:
        raise Wrong("must be a network type: empty, none, veth, macvlan, ipvlan, vlan or phys")


def _nic_flags(value: str, on: Context) -> None:
    if value != "up":
        raise Wrong("must be up, or empty")
    on.nics[on.nic].up = True


def _nic_name(value: str, on: Context) -> None:
    nets.name(value)
    on.keep(value)


def _choice(value: str, on: Context) -> None:
    if value not in on.key.only:
        raise Wrong(on.key.reason)


def _nic_hwaddr(value: str, on: Context) -> None:
    nets.hwaddr(value)


def _nic_address(value: str, on: Context) -> None:
    version, route = nets.family(on.name), on.key.kind == "nic_route"
    if sum(len(nic.addresses) for nic in on.nics.values()) == limit.ADDRS_MAX:
        raise Wrong("more addresses than the runtime holds (ADDRS_MAX)")
    if said := nets.address(value, version, route):
        on.warn(said)
    on.nics[on.nic].addresses.append((version, route))


def _nic_gateway(value: str, on: Context) -> None:
    version, nic = nets.family(on.name), on.nics[on.nic]
    nic.gateways.pop(version, None)
    nic.gateways[version] = nets.gateway(value, version)


def _set(value: str, on: Context) -> None:
    kind = on.key.kind or ""
    {"prlimit": life.prlimit, "sysctl": life.sysctl, "proc": life.proc}[kind](on.rest, value)
    if not value:
        on.sets.pop((kind, on.rest), None)
        return
    if (kind, on.rest) not in on.sets and len(on.sets) == limit.SETS_MAX:
        raise Wrong("more values than the runtime holds (SETS_MAX)")
    on.keep(on.rest)
    on.keep(value)
    on.sets[kind, on.rest] = value, *on.place


def _hook(value: str, on: Context) -> None:
    if len(on.hooks) == limit.HOOKS_MAX:
        raise Wrong("more hooks than the runtime holds (HOOKS_MAX)")
    on.hooks.append(on.key.name)
    on.keep(value)


def _hook_clear(value: str, on: Context) -> None:
    raise Wrong("the key only takes an empty value, which clears the hooks")


def _group(value: str, on: Context) -> None:
    for name in life.groups(value):
        if on.groups == limit.GROUPS_MAX:
            raise Wrong("more groups than the runtime holds (GROUPS_MAX)")
        on.keep(name)
        on.groups += 1


def _spaces(value: str, on: Context) -> None:
    said = on.spaces
    both = (said.clone, said.keep) if on.key.field == "ns_clone" else (said.keep, said.clone)
    spaces.listed(value, *both)


def _share(value: str, on: Context) -> None:
    spaces.share(on.rest, value)
    if value:
        on.spaces.shared.add(on.rest)
        on.keep(value)


def _idmap(value: str, on: Context) -> None:
    if len(on.spaces.ranges) == limit.IDMAPS_MAX:
        raise Wrong("more ranges of ids than the runtime holds (IDMAPS_MAX)")
    on.spaces.ranges.append(spaces.idmap(value, *on.place))


READERS: dict[str, Callable[[str, Context], None]] = {
    "arch": _arch, "backend": _backend, "bool": _bool, "caps": _caps, "cgroup": _cgroup, "cgroup2": _cgroup,
    "command": _command, "console": _console, "count": _number, "devices_allow": _devices, "devices_deny": _devices,
    "devices_expect": _devices,
    "environment": _environment, "fstab": _fstab, "hostname": _hostname, "id": _id, "idmap": _idmap, "label": _label,
    "mount": _mount, "mount_auto": _mount_auto, "net_clear": _net_clear, "nic_address": _nic_address,
    "nic_clear": _nic_clear, "nic_flags": _nic_flags, "nic_gateway": _nic_gateway, "nic_hwaddr": _nic_hwaddr,
    "nic_name": _nic_name, "nic_route": _nic_address, "nic_type": _nic_type,
    "only": _only, "path": _path, "rootfs": _rootfs, "rootfs_options": _rootfs_options,
    "signal": _signal, "string": _string, "subdir": _subdir, "choice": _choice,
    "prlimit": _set, "sysctl": _set, "proc": _set, "hook": _hook, "hook_clear": _hook_clear,
    "group": _group, "share": _share, "spaces": _spaces,
    "offset": lambda value, on: spaces.offset(value),
    "gids": lambda value, on: life.gids(value, on.key.max or 0),
    "size": lambda value, on: life.size(value, on.key.max or 0),
    "log_level": lambda value, on: life.log_level(value),
    "log_facility": lambda value, on: life.log_facility(value),
}  # fmt: skip
