"""System tools: which there are, what each is for, and how to get the missing ones.

One table; `sampan doctor` shows it, the build and the tests ask it before they start.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sampan.core.errors import EXIT_MISSING, SampanError
from sampan.core.progress import step
from sampan.core.run import run, tool_env

Use = Literal["build", "boot", "flash", "test"]


@dataclass(frozen=True)
class Tool:
    """A program of the system. `package` is Debian's, with what it only recommends but needs here;
    `version` the arguments that print one."""

    program: str
    package: str
    use: Use
    purpose: str
    version: tuple[str, ...] = ("--version",)


TOOLS: tuple[Tool, ...] = (
    Tool("apt-get", "apt", "build", "fetches kernels and the busybox source from Debian"),
    Tool("make", "make", "build", "builds busybox"),
    Tool("cc", "gcc libc6-dev", "build", "builds busybox's kconfig for this host"),
    Tool("patch", "patch", "build", "applies Debian's patches to busybox"),
    Tool("mke2fs", "e2fsprogs", "build", "makes ext4 images", ("-V",)),
    Tool("debugfs", "e2fsprogs", "build", "gives ext4 files their owners, times and nodes", ("-V",)),
    Tool("e2fsck", "e2fsprogs", "build", "checks ext4 images", ("-V",)),
    Tool("tar2sqfs", "squashfs-tools-ng", "build", "makes squashfs images"),
    Tool("mkfs.fat", "dosfstools", "flash", "makes FAT boot partitions, for boards that boot from one", ("--help",)),
    Tool("mcopy", "mtools", "flash", "fills FAT boot partitions"),
    Tool("qemu-system-x86_64", "qemu-system-x86", "boot", "runs qemux86-64"),
    Tool("qemu-system-i386", "qemu-system-x86", "boot", "runs qemux86"),
    Tool("qemu-system-arm", "qemu-system-arm", "boot", "runs qemuarm"),
    Tool("qemu-system-aarch64", "qemu-system-arm", "boot", "runs qemuarm64"),
    Tool("rdsquashfs", "squashfs-tools-ng", "test", "reads squashfs images back"),
    Tool("cpio", "cpio", "test", "reads cpio images back"),
    Tool("busybox", "busybox-static", "test", "root file system of the containers that tests start on this host", ()),
    Tool("ip", "iproute2", "test", "looks at the interfaces of containers", ("-V",)),
    Tool("strace", "strace", "test", "counts and delays system calls", ("-V",)),
    Tool("mkfs.erofs", "erofs-utils", "test", "makes erofs images that containers start from", ("-V",)),
    Tool("apparmor_parser", "apparmor", "test", "compiles a profile that containers are confined by"),
    Tool("nft", "nftables", "test", "reads and flushes the rules of the masquerading bridge"),
    Tool("lxc-start", "lxc python3-lxc", "test", "is given exported device lists; its Python names are compared"),
    Tool("rsync", "rsync", "test", "copies root file systems for LXC, which results are compared with"),
    Tool("runc", "runc", "test", "is given exported device lists"),
    Tool("crun", "crun", "test", "is given exported device lists"),
    Tool("dockerd", "docker.io", "test", "is given exported device lists"),
    Tool(
        "arm-linux-gnueabihf-gcc",
        "gcc-arm-linux-gnueabihf libc6-dev-armhf-cross",
        "test",
        "stands for a Yocto SDK's compiler",
    ),
)

_VERSION = re.compile(r"\d+(?:\.\d+)+[-+~.\w]*")


@dataclass(frozen=True)
class Found:
    """A tool and where it is; `path` is "" when it is missing."""

    tool: Tool
    path: str
    version: str


def find(uses: Iterable[Use] = ("build", "boot", "flash", "test")) -> list[Found]:
    """Look for the tools of these uses, in the table's order."""
    wanted = set(uses)
    return [_look(tool) for tool in TOOLS if tool.use in wanted]


def _look(tool: Tool) -> Found:
    path = shutil.which(tool.program, path=tool_env()["PATH"]) or ""
    if not path:
        return Found(tool, "", "")
    try:
        done = subprocess.run(
            [path, *tool.version],
            env=tool_env(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return Found(tool, "", "")
    match = _VERSION.search((done.stdout + done.stderr).decode(errors="replace"))
    return Found(tool, path, match.group() if match else "?")


def missing(uses: Iterable[Use]) -> list[Tool]:
    """The tools of these uses that are not there; looks only at PATH, so it costs nothing."""
    wanted, path = set(uses), tool_env()["PATH"]
    return [tool for tool in TOOLS if tool.use in wanted and not shutil.which(tool.program, path=path)]


def packages(tools: Iterable[Tool]) -> list[str]:
    """Their Debian packages, sorted, each once."""
    return sorted({name for tool in tools for name in tool.package.split()})


def ensure(uses: Iterable[Use]) -> None:
    """Make sure the tools are there: root gets them through apt, others are told what to do."""
    absent = missing(uses)
    if not absent:
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        install(absent)
        return
    raise SampanError(
        f"missing tools: {', '.join(tool.program for tool in absent)}", hint=_advice(absent), code=EXIT_MISSING
    )


def install(tools: Sequence[Tool]) -> None:
    """Install the Debian packages of `tools` through apt; root only."""
    if not shutil.which("apt-get"):
        raise SampanError("there is no apt-get here", hint=_advice(tools), code=EXIT_MISSING)
    if os.geteuid() != 0:
        raise SampanError("installing packages needs root", hint=_advice(tools), code=EXIT_MISSING)
    wanted = packages(tools)
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    with step(f"install {' '.join(wanted)}"):
        run(["apt-get", "update", "-q"], env=env, check=False)
        run(["apt-get", "install", "-y", "-q", "--no-install-recommends", *wanted], env=env)
    still = [tool.program for tool in tools if not shutil.which(tool.program, path=tool_env()["PATH"])]
    if still:
        raise SampanError(
            f"apt installed {', '.join(wanted)}, but {', '.join(still)} is still missing", code=EXIT_MISSING
        )


def _advice(tools: Iterable[Tool]) -> str:
    listed = list(tools)
    if shutil.which("apt-get"):
        return f"as root: apt-get install {' '.join(packages(listed))} (or `sampan doctor --install`)"
    needs = "; ".join(f"{tool.program} ({tool.purpose})" for tool in listed)
    return f"install with your distribution's package manager: {needs}"
