"""QEMU's command line, a pure function of an image and what the user asked for.

The caller names the file descriptors of the console and of QMP: both are sockets that are there
before QEMU is, so there is no path, no race and no byte that is lost.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sampan.build.image import Image
from sampan.core.errors import EXIT_USAGE, SampanError, did_you_mean
from sampan.qemu.net import Cable
from sampan.qemu.plug import PORT_DEVICES
from sampan.serial.linespec import LineSpec

Cgroup = Literal["v1", "v2", "hybrid"]
AccelChoice = Literal["auto", "tcg", "kvm"]
CGROUPS = ("v1", "v1-single", "v2", "hybrid")

_SIZE = re.compile(r"^[1-9][0-9]*[KMG]?$")
AGENT_PORT = "org.sampan.0"  #: as rootfs/skeleton/etc/init.d/rcS looks for it
#: MiB of translated code TCG keeps. The default (a quarter of the RAM, up to 1 GiB) only costs memory.
_TB_MIB = 64
_TB_MIB_CLONE = 32  #: many clones run at once
_CARD_SECONDS = 20  #: a card is waited for; a host that boots many boards at once is slow


@dataclass(frozen=True, kw_only=True)
class BootOptions:
    """What a user may change about one boot; "" and None mean what the image says."""

    cgroup: str = "v2"  #: cgroup layout the image mounts: v1, v2 or hybrid
    ram: str = ""  #: such as 512M
    append: str = ""  #: further kernel parameters, last
    snapshot: bool = False  #: throw away what is written to the data disk
    data: Path | None = None  #: data disk to use instead of the board's own
    accel: AccelChoice = "auto"
    qmp: Path | None = None  #: unix socket for a second QMP client
    log: Path | None = None  #: console log; default run/console.log beside image.json
    reboot: bool = False  #: let a reset reboot the machine; else it ends QEMU
    watchdog: bool = False  #: an Intel 6300ESB watchdog on the PCI bus
    ports: bool = False  #: PCI Express and USB ports to plug devices into
    net: str = ""  #: the cable to a virtual switch, see sampan.qemu.net
    display: bool = False  #: a graphics card, for screenshots
    fast: bool = False  #: begin with a boot snapshot: a shell that is logged in, and a pristine data disk
    line: str = ""  #: simulate a serial line between QEMU and its users, see sampan.serial.linespec

    def __post_init__(self) -> None:
        if self.cgroup not in CGROUPS:
            raise SampanError(
                f"--cgroup {self.cgroup}: no such layout", hint=did_you_mean(self.cgroup, CGROUPS), code=EXIT_USAGE
            )
        if self.ram and not _SIZE.match(self.ram):
            raise SampanError(f"--ram {self.ram}: not a size", hint="such as 256M or 1G", code=EXIT_USAGE)
        if self.fast and self.data is not None:
            raise SampanError(
                "--fast and --data: a boot snapshot has a data disk of its own",
                hint="without --fast the machine boots with any disk",
                code=EXIT_USAGE,
            )
        if self.line:
            LineSpec.parse(self.line)
        if self.net:
            Cable.parse(self.net)
        if "\n" in self.append or "\0" in self.append:
            raise SampanError("--append: kernel parameters are one line", code=EXIT_USAGE)


@dataclass(frozen=True)
class Wiring:
    """What the starter provides: descriptors that QEMU inherits, and the disk that was made ready."""

    console_fd: int
    qmp_fd: int
    data: Path | None = None
    net_fd: int = -1  #: stream socket of the network card's frames; -1: no card
    mac: str = ""  #: of that card; a clone's card begins with the one of its snapshot
    agent_fd: int = -1  #: the port that an agent has for itself; -1: none
    ram: Path | None = None  #: file that holds the memory
    kernel: Path | None = None  #: instead of the image's
    incoming_fd: int = -1  #: begin with the state that is read here, and a private copy of `ram`; -1: boot


def argv(image: Image, folder: Path, options: BootOptions, wiring: Wiring, accel: Literal["tcg", "kvm"]) -> list[str]:
    """The command that boots `image`, whose files lie in `folder`."""
    qemu = image.qemu
    return [
        qemu.system,
        *("-name", f"sampan-{image.board}"),
        *("-machine", qemu.machine + (",memory-backend=ram" if wiring.ram else "")),
        *_cpu(image, accel, wiring),
        *("-m", options.ram or qemu.memory),
        *_memory(options.ram or qemu.memory, wiring),
        *("-smp", str(qemu.smp)),
        # Nothing but what is named here: no default NIC, floppy, CD or display; no network.
        *("-display", "none", "-monitor", "none", "-nodefaults", "-no-user-config"),
        # A panic ends in a reset (panic=-1) and a reset ends QEMU: nothing waits for ever.
        *([] if options.reboot else ["-no-reboot"]),
        *("-chardev", f"socket,id=console,fd={wiring.console_fd}"),
        *("-serial", "null") * qemu.uart,
        *("-serial", "chardev:console"),
        *("-chardev", f"socket,id=qmp,fd={wiring.qmp_fd}", "-mon", "chardev=qmp,mode=control"),
        *_second_qmp(options.qmp),
        *_entropy(qemu.rng),
        *_data_disk(qemu.drive, wiring.data, options.snapshot or wiring.incoming_fd >= 0),
        *_network(qemu.drive, wiring),
        *(part for device in (*qemu.devices, *_extras(image, options)) for part in ("-device", device)),
        *_agent_port(qemu.rng, wiring),
        *("-kernel", str(wiring.kernel or folder / image.kernel.boot.file)),
        *(["-dtb", str(folder / image.kernel.dtb.file)] if image.kernel.dtb else []),
        *("-initrd", str(folder / image.rootfs[image.initrd].file)),
        *("-append", cmdline(image, options)),
    ]


def cmdline(image: Image, options: BootOptions) -> str:
    """The kernel command line; the user's own words come last and so win."""
    own = ["panic=-1", f"sampan.cgroup={options.cgroup}"]
    if image.qemu.drive == "sd":
        own.append(f"sampan.data={_CARD_SECONDS}")
    return " ".join(filter(None, [image.cmdline, *image.qemu.cmdline, *own, options.append]))


def _cpu(image: Image, accel: Literal["tcg", "kvm"], wiring: Wiring) -> list[str]:
    if accel == "kvm":
        return ["-accel", "kvm", "-cpu", "host"]
    size = _TB_MIB if wiring.incoming_fd < 0 else _TB_MIB_CLONE
    return ["-accel", f"tcg,tb-size={size}", *(["-cpu", image.qemu.cpu] if image.qemu.cpu else [])]


def _memory(size: str, wiring: Wiring) -> list[str]:
    """Memory in a file. Its writer shares it; a clone maps it copy-on-write and is told where its state is."""
    if wiring.ram is None:
        return []
    share = "on" if wiring.incoming_fd < 0 else "off"
    return [
        *("-object", f"memory-backend-file,id=ram,size={size},mem-path={_escaped(wiring.ram)},share={share}"),
        *([] if wiring.incoming_fd < 0 else ["-incoming", "defer"]),
    ]


def _second_qmp(path: Path | None) -> list[str]:
    if path is None:
        return []
    return [
        *("-chardev", f"socket,id=qmp2,path={_escaped(path)},server=on,wait=off"),
        *("-mon", "chardev=qmp2,mode=control"),
    ]


def _extras(image: Image, options: BootOptions) -> list[str]:
    """Devices that only some uses want."""
    graphics = "VGA" if image.arch in ("x86", "x86_64") else "virtio-gpu-pci"
    return [
        *(["i6300esb"] if options.watchdog else []),
        *([graphics] if options.display else []),
        *(PORT_DEVICES if options.ports else ()),
    ]


def _entropy(device: str) -> list[str]:
    if not device:
        return []
    return ["-object", "rng-random,id=rng0,filename=/dev/urandom", "-device", f"{device},rng=rng0"]


def _data_disk(device: str, path: Path | None, throw_away: bool) -> list[str]:
    if path is None or not device:
        return []
    snapshot = ",snapshot=on" if throw_away else ""
    if device == "sd":
        return ["-drive", f"if=sd,id=data,format=raw,file={_escaped(path)}{snapshot}"]
    return [
        *("-drive", f"if=none,id=data,format=raw,file={_escaped(path)}{snapshot}"),
        *("-device", f"{device},drive=data"),
    ]


def _network(drive: str, wiring: Wiring) -> list[str]:
    """A virtio card on the bus that the board's disk is on, with an address of its own."""
    if wiring.net_fd < 0:
        return []
    card = drive.replace("blk", "net") if drive.startswith("virtio-blk") else "virtio-net-pci"
    return [
        *("-netdev", f"socket,id=net0,fd={wiring.net_fd}"),
        *("-device", f"{card},netdev=net0,mac={wiring.mac}"),
    ]


def has_port(image: Image) -> bool:
    """Can this machine have a virtio port beside its UART?"""
    return bool(image.qemu.rng)


def _agent_port(entropy: str, wiring: Wiring) -> list[str]:
    """A port beside the UART, on the bus that the random generator is on; last, so that nothing else moves."""
    if wiring.agent_fd < 0:
        return []
    return [
        *("-chardev", f"socket,id=agent,fd={wiring.agent_fd}"),
        *("-device", entropy.replace("rng", "serial")),
        *("-device", f"virtserialport,chardev=agent,name={AGENT_PORT}"),
    ]


def _escaped(path: Path) -> str:
    """A path inside an option list: QEMU ends a value at a comma, and a doubled one is a comma."""
    return str(path).replace(",", ",,")
