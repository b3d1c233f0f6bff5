"""A host of one's own for network tests: a network namespace with a bridge and a cable, seen through pyroute2."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pyroute2 import NetNS
from runtime_lab import Lab, Result, run_lab, wait_for


@dataclass
class Net:
    """One network namespace, named by a process in it."""

    pid: int

    @contextmanager
    def open(self) -> Iterator[Any]:
        with NetNS(f"/proc/{self.pid}/ns/net") as sockets:
            yield sockets

    def links(self) -> dict[str, Any]:
        with self.open() as ns:
            return {link.get("ifname"): link for link in ns.get_links()}

    def names(self) -> set[str]:
        return set(self.links())

    def link(self, name: str) -> Any:
        return self.links()[name]

    def data(self, name: str) -> tuple[str, dict[str, Any]]:
        """The kind of a link and what is special about it."""
        info = dict(self.link(name).get("linkinfo")["attrs"])
        return info["IFLA_INFO_KIND"], dict(info.get("IFLA_INFO_DATA", {"attrs": []})["attrs"])

    def addresses(self, name: str) -> set[tuple[str, int, str | None]]:
        """Address, prefix length, broadcast address; link-local ones left out."""
        with self.open() as ns:
            index = ns.link_lookup(ifname=name)[0]
            found = [a for a in ns.get_addr(index=index) if not str(a.get("address")).startswith("fe80:")]
            return {(a.get("address"), a["prefixlen"], a.get("broadcast")) for a in found}

    def routes(self, family: int) -> set[tuple[str, str | None, str]]:
        """Network, gateway, interface: of the main table, without multicast and link-local."""
        with self.open() as ns:
            names = {link["index"]: link.get("ifname") for link in ns.get_links()}
            found = set()
            for route in ns.get_routes(family=family, table=254):
                to = f"{route.get('dst')}/{route['dst_len']}" if route.get("dst") else "default"
                if not to.startswith(("fe80:", "ff00:")):
                    found.add((to, route.get("gateway"), names.get(route.get("oif"), "?")))
            return found

    def proxies(self) -> set[tuple[str, str]]:
        """Addresses that somebody else is answered for, and where. (pyroute2 cannot ask for these.)"""
        command = ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--", "ip", "-o", "neigh", "show", "proxy"]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        return {(line.split()[0], line.split()[2]) for line in lines}


@dataclass
class NetLab:
    """A lab whose runtime runs in a namespace of its own: `host` has lo, br0 and the cable cab0-cab1, up."""

    lab: Lab
    holder: subprocess.Popen[bytes]
    host: Net
    before: set[str] = field(default_factory=set)

    def run(self, verb: str, *words: str | Path) -> Result:
        command = ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", "--", *self.lab.command(verb, *words)]
        return subprocess.run(command, env=self.lab.environment(), text=True, capture_output=True, timeout=120)

    def ok(self, verb: str, *words: str | Path) -> str:
        done = self.run(verb, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def make(self, label: str, *lines: str) -> str:
        """A container of these lxc.net.N lines ("0.type = veth"); its name."""
        return self.lab.make(label, *(f"lxc.net.{line}" for line in lines))

    def start(self, label: str, *lines: str) -> tuple[str, Net]:
        name = self.make(label, *lines)
        self.ok("start", name)
        return name, self.inside(name)

    def refuse(self, label: str, *lines: str) -> str:
        """A start that must fail; what it said."""
        name = self.make(label, *lines)
        done = self.run("start", name)
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stderr

    def state(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ok("info", name, "--json"))
        return found

    def inside(self, name: str) -> Net:
        return Net(self.state(name)["pid"])

    def attach(self, name: str, script: str) -> Result:
        return self.run("attach", name, "--", "/bin/sh", "-c", script)

    def stop(self, name: str) -> None:
        self.ok("stop", "-k", name)

    def kill_supervisor(self, name: str) -> None:
        os.kill(self.state(name)["supervisor"], signal.SIGKILL)
        wait_for(lambda: self.state(name)["supervisor"] is None)


def net_lab(binary: Path, folder: Path, env: dict[str, str]) -> Iterator[NetLab]:
    """A net lab; the test must leave its host with the interfaces it began with."""
    if not shutil.which("ip") or not shutil.which("nsenter"):
        pytest.skip("needs ip and nsenter (apt-get install iproute2 util-linux)")
    holder = subprocess.Popen(["unshare", "-n", "sleep", "1000"])
    here = os.readlink("/proc/self/ns/net")
    wait_for(lambda: os.readlink(f"/proc/{holder.pid}/ns/net") != here)
    host = Net(holder.pid)
    try:
        with host.open() as ns:
            ns.link("set", index=1, state="up")
            ns.link("add", ifname="br0", kind="bridge", mtu=1480, address="02:00:00:00:00:01", state="up")
            ns.addr("add", index=ns.link_lookup(ifname="br0")[0], address="10.9.0.1", prefixlen=24)
            ns.link("add", ifname="cab0", kind="veth", peer="cab1", state="up")
            ns.link("set", index=ns.link_lookup(ifname="cab1")[0], state="up")
        for lab in run_lab(binary, folder, env):
            mine = NetLab(lab, holder, host, host.names())
            yield mine
            assert host.names() == mine.before, "the test's containers left interfaces behind"
    finally:
        holder.kill()
        holder.wait()


def can_make(kind: str) -> bool:
    """Does this kernel have links of this kind?"""
    arguments = {"vlan": ["link", "cab0", "name", "probe", "type", "vlan", "id", "2"]}
    words = arguments.get(kind, ["link", "cab0", "name", "probe", "type", kind])
    script = f"ip link add cab0 type veth peer name cab1 && ip link add {' '.join(words)}"
    return subprocess.run(["unshare", "-n", "sh", "-c", script], capture_output=True, check=False).returncode == 0


def need_kind(kind: str) -> None:
    if not can_make(kind):
        pytest.skip(f"this kernel has no {kind}; the boot test has")


__all__ = ["Net", "NetLab", "need_kind", "net_lab"]
