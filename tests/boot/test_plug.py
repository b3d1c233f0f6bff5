"""Devices that come and go while a machine runs, as the guest sees them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sampan.core.errors import SampanError
from sampan.qemu.boot import Machine, booted
from sampan.qemu.machine import BootOptions

_PATIENCE = 120.0  #: seconds until a test gives up


@pytest.fixture(scope="module", params=("qemux86-64", "qemuarm64"))
def ported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, folder_of: Callable[[str], Path]
) -> Iterator[Machine]:
    """A machine with ports, for each way of PCI hot-plug: ACPI's and the port's own."""
    log = tmp_path_factory.mktemp("plug") / "console.log"
    with booted(folder_of(request.param), BootOptions(snapshot=True, ports=True, log=log)) as machine:
        yield machine


def until(machine: Machine, command: str) -> None:
    end = time.monotonic() + _PATIENCE
    while not machine.run(command).ok:
        assert time.monotonic() < end, command
        time.sleep(0.1)


def test_a_disk_comes_and_goes(ported: Machine, tmp_path: Path) -> None:
    disk = tmp_path / "disk,1.img"
    disk.write_bytes(b"plugged in".ljust(1 << 20, b"\0"))
    plugged = ported.plug("block", disk)
    assert plugged.id == "block1"
    until(ported, "test -b /dev/vdb")
    assert ported.run("head -c 10 /dev/vdb").output == "plugged in"
    ported.run("printf written > /dev/vdb && sync").check()
    ported.unplug("block1")
    until(ported, "test ! -e /dev/vdb")
    assert disk.read_bytes().startswith(b"written")
    again = ported.plug("block", disk, name="mine", read_only=True)
    until(ported, "test -b /dev/vdb")
    assert ported.run("cat /sys/block/vdb/ro").output == "1\n" and again.id == "mine"
    ported.unplug("mine")


def test_a_network_card_comes_and_goes(ported: Machine) -> None:
    cards = "cat /sys/bus/pci/devices/*/class | grep -c 0x020000"
    assert ported.run(cards).output == "0\n"
    plugged = ported.plug("net")
    until(ported, f"test $({cards}) = 1")
    ported.unplug(plugged.id)
    assert ported.run(cards).output == "0\n"


def test_a_usb_adapter_has_a_pty_here(ported: Machine) -> None:
    plugged = ported.plug("usb-serial")
    assert Path(plugged.host).is_char_device()
    assert "QEMU USB Serial" in str(ported.qmp("human-monitor-command", {"command-line": "info usb"}))
    ported.unplug(plugged.id)
    assert "Serial" not in str(ported.qmp("human-monitor-command", {"command-line": "info usb"}))


def test_what_cannot_be_plugged(ported: Machine, tmp_path: Path) -> None:
    for kind, file, says in (
        ("toaster", None, "cannot be plugged"),
        ("block", None, "needs a file"),
        ("net", tmp_path, "takes no file"),
        ("block", tmp_path / "nothing", "there is no such file"),
    ):
        with pytest.raises(SampanError, match=says):
            ported.plug(kind, file)
    with pytest.raises(SampanError, match="is not plugged in"):
        ported.unplug("net7")


def test_all_ports_taken(ported: Machine) -> None:
    ids = [ported.plug("net").id for _ in range(4)]
    with pytest.raises(SampanError, match="all 4 ports are taken"):
        ported.plug("net")
    ported.unplug(ids[2])
    assert ported.plug("net").id == ids[2], "its port and its name are free"


def test_a_machine_without_ports(quick: Path, options: BootOptions) -> None:
    with booted(quick, options) as machine:
        with pytest.raises(SampanError, match="no such port") as caught:
            machine.plug("net")
        assert "--ports" in caught.value.hint
        with pytest.raises(SampanError, match="no such port"):  # the host's half is gone: the name is free
            machine.plug("net", name="net1")
