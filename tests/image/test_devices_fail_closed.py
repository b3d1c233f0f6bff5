"""Lists that LXC lets slip on cgroup v2, each in a started container: it does what v1 does, or does not start."""

from __future__ import annotations

import os
import stat

import pytest
from runtime_lab import Lab

DENY = "deny = a"
NULL, ZERO = "c 1:3", "c 1:5"
#: (rules, what of /dev/null and /dev/zero may be opened: r, w, b for both at once), or why it does not start.
ROWS = [
    ((DENY,), ("", "")),
    ((DENY, "allow = c 1:x rwm"), "devices.allow"),
    ((DENY, "allow = c 1:3"), "devices.allow"),
    ((DENY, f"allow = {NULL} rwm", f"deny = {NULL} w"), ("r", "")),
    (("allow = a", f"deny = {ZERO} w"), ("rwb", "r")),
    ((DENY, f"allow = {NULL} r", f"allow = {NULL} w"), ("rwb", "")),
    ((f"deny = {ZERO} rwm",), ("rwb", "")),
    ((f"allow = {NULL} rwm",), ("rwb", "rwb")),
    ((DENY, "allow = a *:* rwm"), ("rwb", "rwb")),
]


def opened(lab: Lab, name: str) -> tuple[str, ...]:
    """What is opened for real, from inside."""
    ways = {"r": ": <{}", "w": ": >{}", "b": ": <>{}"}
    tries = [f"({way.format(f'/nodes/{node}')}) 2>&- && printf {letter}" for node in ("null", "zero")
             for letter, way in ways.items()]  # fmt: skip
    script = "; ".join([*tries[:3], "printf ,", *tries[3:]])
    return tuple(lab.attach(name, f"{script}; echo").stdout.strip().split(","))


@pytest.mark.parametrize("spelling", ["lxc.cgroup.devices.", "lxc.cgroup2.devices."])
@pytest.mark.parametrize(("rules", "wanted"), ROWS, ids=[" ".join(rules).replace("*", "any") for rules, _ in ROWS])
def test_it_does_what_it_says_or_does_not_start(
    any_lab: Lab, rules: tuple[str, ...], wanted: tuple[str, str] | str, spelling: str
) -> None:
    """Whichever hierarchy the key names: the list holds on the one that the host has."""
    name = any_lab.make("row", *(spelling + rule for rule in rules))
    nodes = any_lab.root(name) / "nodes"
    nodes.mkdir()
    for node, minor in (("null", 3), ("zero", 5)):
        os.mknod(nodes / node, stat.S_IFCHR | 0o666, os.makedev(1, minor))
    started = any_lab.sampan("start", name)
    if isinstance(wanted, str):
        assert started.returncode == 1 and wanted in started.stderr, started.stderr
        assert any_lab.sampan("info", name, "-s").stdout.split()[-1] == "STOPPED"
        return
    assert started.returncode == 0, started.stderr
    try:
        assert opened(any_lab, name) == wanted
    finally:
        any_lab.ok("stop", "-k", name)
