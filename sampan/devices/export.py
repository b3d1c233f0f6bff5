"""A resolved list in the words of others: LXC, OCI, systemd, Docker, CDI, udev.

All begin from nothing where the format can say so. Each writer takes the list and the place of
the guard on the target ("" for none): the guard refuses a start when a number no longer means
its name, which numbers alone cannot (guard.py writes it). Key and field names: LXC's
lxc.container.conf(5), OCI's config-linux.md, systemd.resource-control(5), docker run(1),
CDI's SPEC.md, udev(7).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from sampan.config.rules import Access
from sampan.devices import guard as guard_of
from sampan.devices.facts import Node
from sampan.devices.resolve import Grant, Resolved


def lxc1(found: Resolved, guard: str) -> str:
    """Keys of cgroup v1: LXC up to 6."""
    return _lxc(found, guard, "lxc.cgroup")


def lxc2(found: Resolved, guard: str) -> str:
    """Keys of cgroup v2: LXC from 4; the only ones of LXC 7."""
    return _lxc(found, guard, "lxc.cgroup2")


def _lxc(found: Resolved, guard: str, prefix: str) -> str:
    lines = _head(found)
    lines += [f"lxc.hook.pre-start = {guard}"] if guard else []
    lines.append(f"{prefix}.devices.deny = a")
    for grant in found.grants:
        lines.append(f"# {grant.device}: {grant.origin}")
        lines += [f"# reason: {grant.reason}"] if grant.reason else []
        lines.append(f"{prefix}.devices.allow = {grant.rule}")
    # sampan compares these with the running kernel; LXC passes over keys that do not begin with lxc.
    lines += [f"sampan.devices.expect = {number} {name}" for number, name in guard_of.expected(found)]
    return "\n".join(lines) + "\n"


def oci(found: Resolved, guard: str) -> str:
    """The part of an OCI config.json that is about devices."""
    rules: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}]
    for grant in found.grants:
        numbers = {"major": grant.rule.major, "minor": grant.rule.minor}
        given = {name: number for name, number in numbers.items() if number is not None}
        rules.append({"allow": True, "type": grant.rule.kind, **given, "access": letters(grant)})
    nodes = [
        {"path": f"/dev/{node.name}", **_node(node), "fileMode": int(node.mode or "660", 8)} for node in found.nodes
    ]
    # As the kernel's devtmpfs makes them: an ordinary user in the container needs /dev/null, too.
    data: dict[str, Any] = {"linux": {"devices": nodes, "resources": {"devices": rules}}}
    if guard:
        data["hooks"] = {"createRuntime": [{"path": guard}]}
    return json.dumps(data, indent=2) + "\n"


def systemd(found: Resolved, guard: str) -> str:
    """A drop-in for a unit. It names nodes and drivers, which systemd looks up at each start."""
    lines = [*_head(found), "[Service]"]
    lines += [f"ExecStartPre=+{guard}"] if guard else []
    lines += ["DevicePolicy=strict", "DeviceAllow="]
    for grant, node in _with_nodes(found):
        word = "block" if grant.rule.kind == "b" else "char"
        name = f"/dev/{node.name}" if node else f"{word}-{grant.device}"
        lines += [f"# reason: {grant.reason}"] if grant.reason else []
        lines.append(f"DeviceAllow={name} {letters(grant)}")
    return "\n".join(lines) + "\n"


def docker(found: Resolved, guard: str) -> str:
    """Flags of docker run and podman run, one a line. The guard runs before them."""
    lines = []
    for grant, node in _with_nodes(found):
        if node:
            lines.append(f"--device /dev/{node.name}:/dev/{node.name}:{letters(grant)}")
        else:
            lines.append(f"--device-cgroup-rule '{grant.rule}'")
    return "\n".join(lines) + "\n"


def cdi(found: Resolved, guard: str) -> str:
    """A CDI specification: one device `all` with every node. Rules without a node cannot be said."""
    nodes = [
        {"path": f"/dev/{node.name}", **_node(node), "permissions": letters(grant)}
        for grant, node in _with_nodes(found)
        if node
    ]
    edits: dict[str, Any] = {"deviceNodes": nodes}
    if guard:
        edits["hooks"] = [{"hookName": "createRuntime", "path": guard}]
    kind = f"sampan.local/{found.facts.board}"
    data = {"cdiVersion": "0.6.0", "kind": kind, "devices": [{"name": "all", "containerEdits": edits}]}
    return json.dumps(data, indent=2) + "\n"


def udev(found: Resolved, guard: str) -> str:
    """Rules that tag the devices, by name, so that other tools find them however they are numbered."""
    lines = _head(found)
    for node in found.nodes:
        kernel = node.name.rpartition("/")[2]
        lines.append(f'SUBSYSTEM=="{node.subsystem}", KERNEL=="{kernel}", TAG+="sampan"')
    return "\n".join(lines) + "\n"


FORMATS: dict[str, Callable[[Resolved, str], str]] = {
    "lxc1": lxc1,
    "lxc2": lxc2,
    "oci": oci,
    "systemd": systemd,
    "docker": docker,
    "cdi": cdi,
    "udev": udev,
}

_COMMENTS = ("lxc1", "lxc2", "systemd", "udev")  # say themselves what is absent
_NODES_ONLY = ("cdi", "udev")
_NO_HOOK = ("docker", "udev")
_BY_NAME = ("systemd", "udev")  # looked up anew on the target


def lost(found: Resolved, form: str, guard: str) -> list[str]:
    """What the list says and the format cannot."""
    said = [
        f"{form} cannot say {grant.rule} ({grant.device})"
        for grant, node in _with_nodes(found)
        if node is None and form in _NODES_ONLY
    ]
    said += [f"left out: {each}" for each in _left_out(found) if form not in _COMMENTS]
    if guard and form in _NO_HOOK:
        said.append(f"{form} has no hook: run {guard} before each start")
    elif not guard and form not in _BY_NAME:
        said.append(
            "nothing refuses a start when a number is another device's: write --format guard, give --guard PATH"
        )
    return said


def _head(found: Resolved) -> list[str]:
    """The comment lines a list begins with: whose numbers these are, and what was asked for and is not among them."""
    return [f"# devices on {found.facts.name}", *(f"# left out: {text}" for text in _left_out(found))]


def _left_out(found: Resolved) -> list[str]:
    return [f"{text}: {found.facts.name} has no such device" for text in found.absent]


def letters(grant: Grant) -> str:
    """The access of a rule as rwm."""
    pairs = (("r", Access.READ), ("w", Access.WRITE), ("m", Access.MKNOD))
    return "".join(letter for letter, bit in pairs if bit & grant.rule.access)


def _node(node: Node) -> dict[str, Any]:
    return {"type": node.kind, "major": node.major, "minor": node.minor}


def _with_nodes(found: Resolved) -> Iterator[tuple[Grant, Node | None]]:
    for grant in found.grants:
        rule = grant.rule
        exact = rule.major is not None and rule.minor is not None
        yield grant, found.facts.by_number.get((rule.kind, rule.major or 0, rule.minor or 0)) if exact else None
