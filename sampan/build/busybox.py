"""`python -m sampan.build.busybox`: a static busybox from the source tar and kconfig fragments.

Outputs beside --out: NAME.links (one applet path a line, for the manifest) and NAME.config.
Same inputs give the same bytes in any folder: no path of the build
machine goes in, and the banner's time is --epoch.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sampan.build import action, kconfig, toolchain, work
from sampan.core.errors import SampanError
from sampan.core.files import atomic, refuse_os_error, write_text
from sampan.core.run import run

_EPOCH = 1_700_000_000  #: of the banner when no --epoch is given
_CONST_GLOBALS = "extern struct globals *const ptr_to_globals;"
_DECLARED = re.compile(r"^\s*(?:menu)?config\s+(\w+)", re.MULTILINE)

#: One program without blanks: busybox's Makefile hands $(CC) to a shell.
_WRAPPER = """\
#!/bin/sh
exec {command} "$@"
"""
#: zig's driver refuses three linker options ("unsupported linker arg") and warns of two others.
#: busybox asks for -Os; clang's -Oz is 5 % smaller, but zig's driver turns it into -Os unless it
#: goes to clang directly.
_ZIG_WRAPPER = """\
#!/bin/sh
for arg do
    shift
    case $arg in
    -Wl,--warn-common|-Wl,-Map,*|-Wl,--verbose|-falign-*|-finline-limit=*) continue ;;
    -Os) set -- "$@" -Xclang -Oz ;;
    esac
    set -- "$@" "$arg"
done
exec {command} "$@"
"""


@dataclass(frozen=True)
class Result:
    """What a build gives."""

    binary: bytes
    links: list[str]  #: absolute paths of the applets on the target
    config: str  #: the resulting .config


def build(
    chain: toolchain.Toolchain,
    source: Path,
    fragments: Sequence[Path],
    *,
    folder: Path,
    jobs: int = 1,
    epoch: int = _EPOCH,
) -> Result:
    """Configure and compile below `folder`; raises SampanError when a requested symbol was dropped."""
    requests = kconfig.merge([kconfig.read_fragment(path) for path in fragments])
    tree = _unpack(source, folder)
    make = _Make(chain, folder, tree, jobs, epoch)
    config = _configure(make, requests)
    make.run("busybox", "busybox.links")
    links = (make.out / "busybox.links").read_text(encoding="ascii").split()
    return Result((make.out / "busybox").read_bytes(), sorted(links), config)


def _unpack(source: Path, folder: Path) -> Path:
    try:
        with tarfile.open(source) as tar:
            if hasattr(tarfile, "data_filter"):
                tar.extractall(folder, filter="data")
            else:  # Python 3.11.2 has no filters; the tar is made by fetch_busybox
                tar.extractall(folder)
    except (tarfile.TarError, EOFError) as error:
        raise SampanError(f"{source}: {error}", hint="remove it and build again") from error
    except OSError as error:
        refuse_os_error(error, "unpack", source)
    tree = folder / "busybox"
    _let_globals_vary(tree / "include" / "libbb.h")
    return tree


def _let_globals_vary(header: Path) -> None:
    """Declare ptr_to_globals as what it is, a variable.

    busybox tells the compiler that it is const and sets it behind its back. clang believes it, reads
    it before it is set, and on ARM getty dies of that (Debian's 1.35.0; GCC happens to read it later).
    """
    if not header.is_file():
        return  # another version, or no busybox at all: make will tell
    text = header.read_text(encoding="utf-8", errors="surrogateescape")
    changed = text.replace(_CONST_GLOBALS, _CONST_GLOBALS.replace("*const ", "*"))
    header.write_text(changed, encoding="utf-8", errors="surrogateescape")


class _Make:
    """make in an output folder of its own, with the toolchain's variables."""

    def __init__(self, chain: toolchain.Toolchain, folder: Path, tree: Path, jobs: int, epoch: int) -> None:
        self.out = folder / "out"
        self.out.mkdir()
        self.env = toolchain.env() | {
            "SOURCE_DATE_EPOCH": str(epoch),
        }
        self.argv = ["make", "-C", str(tree), f"O={self.out}", f"-j{jobs}", *self._variables(chain, folder)]

    @staticmethod
    def _variables(chain: toolchain.Toolchain, folder: Path) -> list[str]:
        def program(name: str, text: str, command: list[str]) -> Path:
            path = folder / name
            path.write_text(text.format(command=shlex.join(command)), encoding="utf-8")
            path.chmod(0o755)
            return path

        cc = program("cc", _ZIG_WRAPPER if chain.kind == "zig" else _WRAPPER, chain.cc)
        variables = [f"ARCH={toolchain.TARGETS[chain.arch].kernel}", f"CC={cc}", "HOSTCC=cc"]
        if chain.kind == "zig":
            ar = program("ar", _WRAPPER, [chain.cc[0], "ar"])
            return [*variables, f"AR={ar}", "STRIP=true", "SKIP_STRIP=y"]
        # A cc given whole (CC="gcc -m32") has no prefix: the host's binutils read its objects.
        tools = [f"{name.upper()}={chain.prefix}{name}" for name in ("ar", "strip", "nm", "objcopy", "objdump", "ld")]
        return [*variables, *tools]

    def run(self, *targets: str) -> None:
        run([*self.argv, *targets], env=self.env)


def _configure(make: _Make, requests: Mapping[str, kconfig.Request]) -> str:
    """allnoconfig, then the requests, then oldconfig; the result is compared with what was asked.

    Never KCONFIG_ALLCONFIG: this kconfig runs allnoconfig twice and the second run forgets it.
    """
    make.run("allnoconfig")
    config = make.out / ".config"
    base = config.read_text(encoding="utf-8")
    config.write_text(kconfig.apply(base, requests), encoding="utf-8")
    # Answers to questions about symbols that a request made visible: always the default.
    run([*make.argv, "oldconfig"], env=make.env, stdin=b"\n" * 2000)
    result = config.read_text(encoding="utf-8")
    known = re.findall(r"^(?:# )?CONFIG_(\w+)", base + result, re.MULTILINE)
    kconfig.check(requests, result, known)
    return result


def write(result: Result, out: Path) -> None:
    """Write OUT, OUT.links and OUT.config, each at once; the binary last, it stands for all three."""
    write_text(out.with_name(out.name + ".config"), result.config)
    write_text(out.with_name(out.name + ".links"), "".join(f"{link}\n" for link in result.links))
    with atomic(out, 0o755) as temporary:
        temporary.write_bytes(result.binary)


def _parser() -> argparse.ArgumentParser:
    parser = action.parser("sampan.build.busybox", "Build a static busybox.")
    parser.add_argument("--arch", choices=toolchain.ARCHES, required=True)
    parser.add_argument("--source", type=Path, required=True, help="tar made by sampan.build.fetch_busybox")
    parser.add_argument("--fragment", type=Path, nargs="+", required=True, help="kconfig fragments, later ones win")
    parser.add_argument("--toolchain", type=Path, help="ARCH.ready (default: choose now)")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--epoch", type=action.epoch, default=_EPOCH)
    parser.add_argument("--out", type=Path, required=True, help="the binary; OUT.links and OUT.config go beside it")
    return parser


def _main(args: argparse.Namespace) -> None:
    chain = toolchain.load(args.toolchain) if args.toolchain else toolchain.choose(args.arch)
    with work.for_make(args.out.with_name(f".{args.out.name}.work")) as folder:
        result = build(chain, args.source, args.fragment, folder=folder, jobs=args.jobs, epoch=args.epoch)
    write(result, args.out)


if __name__ == "__main__":
    sys.exit(action.main(_parser, _main))
