"""Machines on a virtual switch: they reach each other and nobody else, over the cable they were given."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sampan.core.paths import ROOT
from sampan.qemu.boot import Machine, booted
from sampan.qemu.machine import BootOptions
from sampan.qemu.places import switches


@pytest.fixture(autouse=True, scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("r")))
        yield
        assert not list(switches().glob("*")), "the last machine takes the switch with it"


@pytest.fixture(scope="module")
def lab(
    runtime: None, folder_of: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Machine]]:
    """An x86 board and two ARM boards, one of them behind a long and lossy cable."""
    logs = tmp_path_factory.mktemp("net")
    cables = [("qemux86-64", "lab"), ("qemuarm", "lab"), ("qemuarm64", "lab,delay=40ms,loss=0.3,seed=1")]
    with ExitStack() as stack:
        machines = []
        for number, (board, net) in enumerate(cables, 1):
            options = BootOptions(snapshot=True, net=net, log=logs / board)
            machine = stack.enter_context(booted(folder_of(board), options))
            machine.run(f"ip link set eth0 up && ip addr add 10.9.0.{number}/24 dev eth0").check()
            machines.append(machine)
        yield machines


def test_boards_reach_each_other(lab: list[Machine]) -> None:
    for machine, other in ((lab[0], 2), (lab[1], 1)):
        answer = machine.run(f"ping -c 3 -W 5 10.9.0.{other}")
        assert "3 packets received" in answer.output, answer.output


def test_each_has_an_address_of_its_own(lab: list[Machine]) -> None:
    macs = {machine.run("cat /sys/class/net/eth0/address").check().output for machine in lab}
    assert len(macs) == 3 and all(mac.startswith("52:54:00:") for mac in macs)


def test_a_cable_delays_and_loses(lab: list[Machine]) -> None:
    answer = lab[0].run("ping -c 12 -W 2 10.9.0.3").output
    received = int(re.findall(r"(\d+) packets received", answer)[0])
    assert 0 < received < 12, "0.7 of the requests and 0.7 of their answers"
    times = [float(text) for text in re.findall(r"time=([0-9.]+)", answer)]
    assert min(times) >= 79.0, "40 ms there and 40 ms back"


def test_clones_have_addresses_of_their_own(runtime: None, folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    """One card by PCI, one by MMIO; the snapshot's own address is nobody's."""
    with ExitStack() as stack:
        machines = []
        for number, board in enumerate(("qemuarm64", "qemuarm64", "qemuarm"), 1):
            options = BootOptions(fast=True, net="clones", log=tmp_path / str(number))
            machine = stack.enter_context(booted(folder_of(board), options))
            machine.run(f"ip link set eth0 up && ip addr add 10.8.0.{number}/24 dev eth0").check()
            machines.append(machine)
        macs = [machine.run("cat /sys/class/net/eth0/address").check().output for machine in machines]
        assert len(set(macs)) == 3 and all(mac.startswith("52:54:00:") for mac in macs)
        for other in (2, 3):
            answer = machines[0].run(f"ping -c 3 -W 5 10.8.0.{other}")
            assert "3 packets received" in answer.output, answer.output


def test_this_host_can_be_one_of_them(lab: list[Machine]) -> None:
    """In a network namespace of its own, which has the switch and nothing else."""
    command = [sys.executable, "-m", "sampan", "vm", "net", "--address", "10.9.0.254/24", "lab,delay=10ms", "--"]
    words = ["sh", "-c", "ls /proc/sys/net/ipv4/neigh; cat; exit 7"]
    host = subprocess.Popen([*command, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True)
    assert host.stdout is not None
    assert [host.stdout.readline() for _ in range(2)] == ["eth0\n", "lo\n"]
    answer = lab[0].run("ping -c 3 -W 5 10.9.0.254").output
    assert "3 packets received" in answer, answer
    assert min(map(float, re.findall(r"time=([0-9.]+)", answer))) >= 19.0, "10 ms there and 10 ms back"
    assert host.communicate("said\n")[0] == "said\n" and host.returncode == 7


def test_a_dead_machines_socket_is_cleared_away(lab: list[Machine]) -> None:
    import socket

    stale = switches() / "lab" / "1-1"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left:
        left.bind(str(stale))
    assert "1 packets received" in lab[0].run("ping -c 1 -W 5 10.9.0.2").output
    assert not stale.exists()
