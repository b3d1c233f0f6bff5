"""lxc-net: the bridge of containers without a place on the wire, and what comes back through it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from runtime_lab import Lab, need_own_root

pytestmark = pytest.mark.both_ways

ROUTER, OUTSIDE = f"sampan-nat-router{os.getpid()}", f"sampan-nat-outside{os.getpid()}"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def router(lab: Lab) -> Iterator[list[str]]:
    """Runs a command in a network between the bridge and an outside that has no route back."""
    need_own_root()
    if not shutil.which("nft"):
        pytest.skip("needs nft (apt-get install nftables)")
    for name in (ROUTER, OUTSIDE):
        ip("netns", "add", name)
    try:
        ip("link", "add", "nat0", "netns", ROUTER, "type", "veth", "peer", "name", "nat1", "netns", OUTSIDE)
        for name, link, address in ((ROUTER, "nat0", "192.0.2.1/24"), (OUTSIDE, "nat1", "192.0.2.2/24")):
            ip("-n", name, "addr", "add", address, "dev", link)
            ip("-n", name, "link", "set", link, "up")
        yield ["ip", "netns", "exec", ROUTER]
    finally:
        for name in (ROUTER, OUTSIDE):
            ip("netns", "del", name)


def run(router: list[str], lab: Lab, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*router, *command], env=lab.environment(), capture_output=True, text=True, timeout=60, check=False
    )


def net(router: list[str], lab: Lab, *words: str) -> str:
    done = run(router, lab, str(lab.binary), "net", *words)
    assert done.returncode == 0, done.stderr
    return run(router, lab, "nft", "list", "ruleset").stdout


def test_what_is_behind_it_reaches_the_other_side(router: list[str], lab: Lab) -> None:
    lines = ("type = veth", "link = lxcbr0", "flags = up", "ipv4.gateway = auto", "ipv4.address = 10.0.3.2/24")
    name = lab.make("nat", *(f"lxc.net.0.{line}" for line in lines))
    ping = lab.command("execute", name, "--", "/bin/busybox", "ping", "-c", "1", "-W", "5", "192.0.2.2")
    rules = net(router, lab, "start")
    assert net(router, lab, "start") == rules  # a second time changes nothing
    assert "ip saddr 10.0.3.0/24 ip daddr != 10.0.3.0/24 masquerade" in rules
    assert "1 packets received" in run(router, lab, *ping).stdout
    run(router, lab, "nft", "flush", "ruleset")
    assert "1 packets received" not in run(router, lab, *ping).stdout
    assert net(router, lab, "stop") == net(router, lab, "stop") == ""
    assert "lxcbr0" not in run(router, lab, "ip", "link").stdout


def test_a_bridge_and_a_network_of_ones_own(router: list[str], lab: Lab) -> None:
    assert "10.8.0.0/16" in net(router, lab, "--bridge", "br7", "--address", "10.8.4.1/16", "start")
    assert "inet 10.8.4.1/16" in run(router, lab, "ip", "addr", "show", "br7").stdout
    assert net(router, lab, "-b", "br7", "stop") == ""
    for bad in (["-a", "10.8.4.1", "start"], ["-a", "10.8.4.1/33", "start"], ["on"], []):
        assert run(router, lab, str(lab.binary), "net", *bad).returncode != 0
