"""This host as one more machine on a virtual switch: a program in a network namespace of our own.

It has `lo` and `eth0`, whose cable leads to the switch, and nothing of the host's network: tcpdump,
ssh, a DHCP or TFTP server for the boards. No root is needed; who is none is root in there alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import ipaddress
import os
import signal
import socket
import struct
from collections.abc import Sequence
from pathlib import Path

from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.files import refuse_os_error
from sampan.qemu.net import Cable, Plugged
from sampan.qemu.places import switches

_CARD = "eth0"
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_IFREQ = struct.Struct("16sH22x")
_LENGTH = 4  #: bytes before each frame on the way to the cable, as QEMU has them
_FRAME_MAX = 65536 + 64


def run(cable: str, address: str, words: Sequence[str]) -> int:
    """Run a program on the switch of `cable`, with `address` (A.B.C.D/N, or ""); its exit code.

    Moves the calling process into the namespace for good.
    """
    plug = Cable.parse(cable)
    try:
        interface = ipaddress.ip_interface(address) if address else None
    except ValueError as error:
        raise SampanError(f"--address {address}: {error}", hint="such as 10.0.0.254/24", code=EXIT_USAGE) from None
    _enter()
    tap = _card()
    _configure(interface)
    return asyncio.run(_carry(plug, tap, words))


def _enter() -> None:
    """A network namespace; for who is not root in a user namespace in which he is."""
    uid, gid = os.getuid(), os.getgid()
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET | (_CLONE_NEWUSER if uid else 0)) < 0:
        why = os.strerror(ctypes.get_errno())
        hint = (
            "kernel.unprivileged_userns_clone, user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns"
        )
        raise SampanError(f"a network namespace: {why}", hint=f"this system forbids them: see the sysctls {hint}")
    if uid:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            Path("/proc/self", name).write_text(text)


def _card() -> int:
    """The card, as a descriptor that gives and takes its frames."""
    try:
        tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(tap, _TUNSETIFF, _IFREQ.pack(_CARD.encode(), _IFF_TAP | _IFF_NO_PI))
    except OSError as error:
        refuse_os_error(error, "make a network card with", Path("/dev/net/tun"))
    return tap


def _configure(interface: ipaddress.IPv4Interface | ipaddress.IPv6Interface | None) -> None:
    from pyroute2 import IPRoute  # type: ignore[import-untyped]

    with IPRoute() as ip:
        for name in ("lo", _CARD):
            (index,) = ip.link_lookup(ifname=name)
            ip.link("set", index=index, state="up")
            if interface is not None and name == _CARD:
                ip.addr("add", index=index, address=str(interface.ip), prefixlen=interface.network.prefixlen)


async def _carry(cable: Cable, tap: int, words: Sequence[str]) -> int:
    """Frames to and fro as long as the program runs."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    plugged = Plugged(cable, switches(), ours)
    loop = asyncio.get_running_loop()
    stream = bytearray()

    def to_switch() -> None:
        with contextlib.suppress(OSError):  # a cable that takes no more drops the frame, as any does
            frame = os.read(tap, _FRAME_MAX)
            theirs.send(len(frame).to_bytes(_LENGTH) + frame)

    def from_switch() -> None:
        stream.extend(theirs.recv(_FRAME_MAX))
        while len(stream) >= _LENGTH and len(stream) >= (end := _LENGTH + int.from_bytes(stream[:_LENGTH])):
            with contextlib.suppress(OSError):  # the card is down
                os.write(tap, stream[_LENGTH:end])
            del stream[:end]

    loop.add_reader(tap, to_switch)
    loop.add_reader(theirs, from_switch)
    try:
        return await _program(words)
    finally:
        loop.remove_reader(tap)
        loop.remove_reader(theirs)
        plugged.close()
        theirs.close()
        os.close(tap)


async def _program(words: Sequence[str]) -> int:
    try:
        program = await asyncio.create_subprocess_exec(*words)
    except OSError as error:
        refuse_os_error(error, "run", Path(words[0]))
    # Ctrl-C is the program's; whoever ends us ends it.
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, program.send_signal, number)
    status = await program.wait()
    return 128 - status if status < 0 else status
