"""The C compiler for each architecture, and `python -m sampan.build.toolchain`.

By default it is `zig cc` of the ziglang wheel with static musl: one download compiles for
every board, the same on any host. CC or CROSS_COMPILE, as a Yocto SDK or a Debian cross gcc
gives them, replace it; this module is the only place that reads them.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import msgspec

from sampan.board.model import Arch
from sampan.build import action
from sampan.core import paths
from sampan.core.errors import EXIT_MISSING, EXIT_USAGE, SampanError
from sampan.core.files import write_bytes
from sampan.core.run import run, tool_env

ARCHES: tuple[Arch, ...] = get_args(Arch)


@dataclass(frozen=True)
class Target:
    """What one architecture is called elsewhere."""

    zig: str  #: -target of zig cc
    gnu: tuple[str, ...]  #: first parts of `cc -dumpmachine` that make code for it
    kernel: str  #: ARCH= of kbuild and of busybox
    options: tuple[str, ...] = ()  #: further options of zig cc


TARGETS: dict[Arch, Target] = {
    "x86": Target("x86-linux-musl", ("i386", "i486", "i586", "i686"), "i386"),
    "x86_64": Target("x86_64-linux-musl", ("x86_64",), "x86_64"),
    # A32 code: this core's Thumb has no 32-bit instructions.
    "armv6": Target("arm-linux-musleabihf", ("arm", "armv6", "armv6l"), "arm", ("-mcpu=arm1176jzf_s",)),
    # thumb: 29 % smaller than A32 code. Without NEON, as Debian's armhf: many a Cortex-A5, A7 or A9 has none.
    "armv7": Target(
        "thumb-linux-musleabihf",
        ("arm", "armv7", "armv7a", "armv7l", "thumb"),
        "arm",
        ("-mcpu=generic+v7a-neon-d32",),
    ),
    # One instruction instead of two for each address; all code and statics then lie within 1 MB.
    "aarch64": Target("aarch64-linux-musl", ("aarch64",), "arm64", ("-mcmodel=tiny",)),
}


class Toolchain(msgspec.Struct, frozen=True, kw_only=True):
    """A compiler that was chosen; build/toolchain/ARCH.ready holds it as JSON."""

    arch: Arch
    kind: Literal["zig", "cross"]
    cc: list[str]  #: argv prefix of the C compiler, target options included
    prefix: str = ""  #: of binutils, such as arm-linux-gnueabihf- ("" with zig)
    version: str = ""  #: what the compiler says about itself

    @property
    def static(self) -> list[str]:
        """Options that link a static program."""
        return ["-static"]


def choose(arch: Arch, environ: Mapping[str, str] = os.environ) -> Toolchain:
    """The toolchain for `arch`: CC, else CROSS_COMPILE + gcc, else zig.

    A compiler that makes code for another machine is refused: a board must not get it unseen.
    """
    command = shlex.split(environ.get("CC", ""))
    prefix = environ.get("CROSS_COMPILE", "")
    if not command and not prefix:
        return _zig(arch)
    name = "CC" if command else "CROSS_COMPILE"
    command = command or [f"{prefix}gcc"]
    if not shutil.which(command[0], path=tool_env()["PATH"]):
        raise SampanError(
            f"{name}={environ[name]}: {command[0]} not found",
            hint=f"source the SDK's environment file, or unset {name} to use the built-in zig",
            code=EXIT_MISSING,
        )
    machine = run([*command, "-dumpmachine"]).stdout.strip()
    if machine.split("-")[0] not in TARGETS[arch].gnu and not ("-m32" in command and arch == "x86"):
        raise SampanError(
            f"{name}={environ[name]} makes code for {machine}, the board needs {arch}",
            hint=f"unset {name}, or build only boards of its architecture",
            code=EXIT_USAGE,
        )
    banner = run([*command, "--version"]).stdout.splitlines()[0]
    return Toolchain(arch=arch, kind="cross", cc=command, prefix=prefix or _prefix(command), version=banner)


def _prefix(command: list[str]) -> str:
    """The binutils prefix of a compiler: arm-poky-linux-gnueabi-gcc -> arm-poky-linux-gnueabi-."""
    head, mark, _ = command[0].rpartition("-")
    strip = f"{head}-strip"
    return f"{head}-" if mark and shutil.which(strip, path=tool_env()["PATH"]) else ""


def zig() -> Path:
    """The zig program of the ziglang wheel."""
    spec = importlib.util.find_spec("ziglang")
    program = Path(spec.origin).parent / "zig" if spec and spec.origin else None
    if program is None or not program.is_file():
        raise SampanError(
            "zig is not installed in this Python environment",
            hint="./sampanw installs it, or: pip install ziglang; CC= or CROSS_COMPILE= name another compiler",
            code=EXIT_MISSING,
        )
    return program


def _zig(arch: Arch) -> Toolchain:
    from importlib.metadata import version

    command = [str(zig()), "cc", "-target", TARGETS[arch].zig, *TARGETS[arch].options]
    return Toolchain(arch=arch, kind="zig", cc=command, version=f"zig {version('ziglang')}")


def cc(arch: Arch) -> list[str]:
    """The C compiler's argv prefix; add -Os, -static and the files."""
    return choose(arch).cc


def env() -> dict[str, str]:
    """What the compiler needs in its environment: zig's caches, inside the build folder.

    $ZIG_GLOBAL_CACHE_DIR is respected: a CI keeps it between runs (about 30 MB a target).
    """
    cache = os.environ.get("ZIG_GLOBAL_CACHE_DIR") or str(paths.build_dir() / "toolchain/zig")
    local = os.environ.get("ZIG_LOCAL_CACHE_DIR") or cache
    return {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": local}


def load(ready: Path) -> Toolchain:
    """Read an ARCH.ready file."""
    try:
        return msgspec.json.decode(ready.read_bytes(), type=Toolchain)
    except (OSError, msgspec.MsgspecError) as error:
        raise SampanError(f"{ready}: {error}", hint="make it with `python -m sampan.build.toolchain`") from error


_PROBE = """\
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
int main(void) { return printf("%d\\n", errno) < 0 || socket(0, 0, 0) >= 0; }
"""


def warm(toolchain: Toolchain) -> None:
    """Prove that the toolchain links a static program; with zig this builds and caches the libc."""
    with tempfile.TemporaryDirectory(prefix="sampan-cc-") as folder:
        source = Path(folder) / "probe.c"
        source.write_text(_PROBE, encoding="ascii")
        run([*toolchain.cc, "-Os", *toolchain.static, str(source), "-o", f"{folder}/probe"], env=env())


def _parser() -> argparse.ArgumentParser:
    parser = action.parser("sampan.build.toolchain", "Choose and prove the C compiler of one architecture.")
    parser.add_argument("--arch", choices=ARCHES, required=True)
    parser.add_argument("--cc", help="compiler command (default: $CC, else zig)")
    parser.add_argument("--cross-compile", metavar="PREFIX", help="prefix of gcc (default: $CROSS_COMPILE)")
    parser.add_argument("--out", type=Path, required=True, help="ARCH.ready")
    return parser


def _main(args: argparse.Namespace) -> None:
    environ = dict(os.environ)
    environ |= {"CC": args.cc} if args.cc else {}
    environ |= {"CROSS_COMPILE": args.cross_compile} if args.cross_compile else {}
    toolchain = choose(args.arch, environ)
    warm(toolchain)
    write_bytes(args.out, msgspec.json.format(msgspec.json.encode(toolchain)) + b"\n")


if __name__ == "__main__":
    sys.exit(action.main(_parser, _main))
