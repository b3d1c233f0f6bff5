"""Which accelerator to use, told honestly.

A /dev/kvm that opens proves little: in nested machines it may run a few instructions and hang
any real kernel, and QEMU's own fallback (accel=kvm:tcg) only looks whether it opens. So KVM is
believed after one timed boot of the board's own image; the answer is kept for this host (kernel,
QEMU, processor). Nobody waits for a hopeless trial by surprise: where the processor shows neither
vmx nor svm the trial runs only when asked for (`sampan doctor --probe-kvm`, `--accel kvm`).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import platform
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from sampan.build import image as images
from sampan.build.image import Image
from sampan.core import paths
from sampan.core.errors import SampanError
from sampan.core.files import write_bytes
from sampan.core.run import run
from sampan.qemu import machine
from sampan.qemu.instance import Instance, Sockets
from sampan.qemu.machine import AccelChoice, BootOptions, Wiring
from sampan.serial.log import LineLog
from sampan.serial.session import Session
from sampan.serial.sync import shared_loop

PROBE_SECONDS = 10.0
_KVM = Path("/dev/kvm")
_GUESTS = {"x86_64": ("x86", "x86_64"), "aarch64": ("aarch64",)}


class AccelReport(msgspec.Struct, frozen=True):
    """What is known about KVM on this host. `works` is None as long as nothing was tried."""

    works: bool | None
    reason: str
    seconds: float = 0.0  #: wall time of the trial boot to the login

    @property
    def verdict(self) -> str:
        return {True: "works", False: "does not work", None: "not proved"}[self.works]

    def as_dict(self) -> dict[str, object]:
        """For --json."""
        return {"works": self.works, "verdict": self.verdict, "reason": self.reason, "seconds": self.seconds}

    def __str__(self) -> str:
        return f"{self.verdict}: {self.reason}"


@dataclass(frozen=True)
class Choice:
    """The accelerator for one boot, and why."""

    accel: Literal["tcg", "kvm"]
    reason: str


def status(probe: bool = False) -> AccelReport:
    """What is known about KVM here. Without `probe` nothing is tried and it takes milliseconds;
    with it, a built image of this host's architecture is booted (at most PROBE_SECONDS)."""
    obstacle = _obstacle()
    if obstacle:
        return AccelReport(False, obstacle)
    if not probe:
        return _known(f"qemu-system-{platform.machine()}")
    image, folder = _native_image()
    if image is None:
        return AccelReport(None, "no image for this host's processor is built yet: `sampan build qemux86-64`")
    return prove(image, folder)


def _known(qemu: str) -> AccelReport:
    return _recall(qemu) or AccelReport(None, f"/dev/kvm opens, but no kernel was booted under it yet{_doubt()}")


def _native_image() -> tuple[Image | None, Path]:
    """A built image whose code this host's processor runs, the widest first."""
    for arch in reversed(_GUESTS.get(platform.machine(), ())):
        for path in sorted(paths.build_dir().glob("*/image.json")):
            with contextlib.suppress(SampanError):
                image = images.load(path.parent)
                if image.arch == arch:
                    return image, path.parent
    return None, Path()


def choose(image: Image, folder: Path, wanted: AccelChoice) -> Choice:
    """The accelerator to boot `image` with; may try KVM once (at most PROBE_SECONDS)."""
    if wanted == "tcg":
        return Choice("tcg", "asked for")
    if image.arch not in _GUESTS.get(platform.machine(), ()):
        if wanted == "kvm":
            raise SampanError(f"--accel kvm: this {platform.machine()} host cannot run {image.arch} code natively")
        return Choice("tcg", f"{image.arch} code on {platform.machine()}")
    obstacle = _obstacle()
    report = AccelReport(False, obstacle) if obstacle else _known(image.qemu.system)
    if report.works is None and (wanted == "kvm" or not _doubt()):
        report = prove(image, folder)
    if report.works:
        return Choice("kvm", report.reason)
    if wanted == "kvm":
        raise SampanError(f"--accel kvm: KVM {report}", hint="--accel tcg emulates; it always works")
    return Choice("tcg", f"KVM {report}")


def prove(image: Image, folder: Path) -> AccelReport:
    """Boot `image` under KVM to its login once, at most PROBE_SECONDS, and remember the answer."""
    report = shared_loop().call(_timed_boot(image, folder))
    _remember(image.qemu.system, report)
    return report


async def _timed_boot(image: Image, folder: Path) -> AccelReport:
    started = time.monotonic()
    try:
        # Wall time on purpose: the question is whether it is fast here and now.
        await asyncio.wait_for(_boot_once(image, folder), PROBE_SECONDS)
    except TimeoutError:
        return AccelReport(False, f"{image.board} does not reach its login within {PROBE_SECONDS:g} s{_doubt()}")
    except SampanError as error:
        return AccelReport(False, f"{image.board} does not boot{_doubt()}: {_gist(error)}")
    seconds = time.monotonic() - started
    return AccelReport(True, f"{image.board} booted to its login in {seconds:.1f} s", seconds)


async def _boot_once(image: Image, folder: Path) -> None:
    sockets = Sockets.make()
    wiring = Wiring(sockets.fd("console"), sockets.fd("qmp"))
    command = machine.argv(image, folder, BootOptions(), wiring, "kvm")
    instance = await Instance.start(command, sockets, LineLog(None))
    try:
        await Session(instance.console).login(timeout=PROBE_SECONDS)
    finally:
        await instance.kill()
        await instance.close()


def _gist(error: SampanError) -> str:
    """What happened, and what QEMU said first, in one line."""
    what, *lines = error.message.splitlines()
    said = [line.removeprefix("  ! ") for line in lines if line.startswith("  ! ")]
    return ": ".join([what, *said[:1]])


def _obstacle() -> str:
    """Why KVM is out of the question, or ""."""
    try:
        os.close(os.open(_KVM, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        return "there is no /dev/kvm"
    except OSError as error:
        return f"/dev/kvm: {error.strerror} (group kvm: `sudo adduser $USER kvm`)"
    return ""


def _doubt() -> str:
    """On x86, hardware that KVM can use shows vmx or svm; without, some other hypervisor pretends."""
    if platform.machine() != "x86_64":
        return ""
    try:
        flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        return ""
    shown = set(flags[1].split()) if flags else set()
    return "" if shown & {"vmx", "svm"} else " (the processor shows neither vmx nor svm)"


def _key(qemu: str) -> Path:
    """Where the answer for this host is kept: another kernel, QEMU or processor asks again."""
    version = run([qemu, "--version"]).stdout.splitlines()[0]
    try:
        model = re.search(r"^model name\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        model = None
    facts = "\n".join([version, platform.release(), platform.version(), model[1] if model else ""])
    return paths.cache_dir() / f"kvm-{hashlib.sha256(facts.encode()).hexdigest()[:16]}.json"


def _recall(qemu: str) -> AccelReport | None:
    try:
        return msgspec.json.decode(_key(qemu).read_bytes(), type=AccelReport)
    except (OSError, msgspec.MsgspecError, SampanError):
        return None


def _remember(qemu: str, report: AccelReport) -> None:
    try:
        write_bytes(_key(qemu), msgspec.json.encode(report))
    except SampanError:
        return  # a host without a writable home asks again; nothing is lost but time
