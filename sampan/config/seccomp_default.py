"""Makes seccomp_default.h, the runtime's built-in filter, from runtime/default.seccomp.

python -m sampan.config.seccomp_default --policy runtime/default.seccomp --c build/gen/seccomp_default.h
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sampan.config import seccomp, seccomp_bpf
from sampan.core import paths
from sampan.core.errors import SampanError
from sampan.core.files import read_text, write_text

_MACROS = {"x86_64": "__x86_64__", "x86": "__i386__", "aarch64": "__aarch64__", "armv7": "__arm__"}


def default_path() -> Path:
    """The list in the source tree."""
    return paths.ROOT / "runtime" / "default.seccomp"


def header(policy: Path) -> str:
    """The C text: `SECCOMP_ARCH` and the array `builtin` of struct sock_filter, by architecture."""
    parsed = seccomp.parse(read_text(policy), str(policy))
    out = [f"/* Generated from {policy.name} by sampan.config.seccomp_default; not to be edited. */", ""]
    for arch, macro in _MACROS.items():
        out.append(f"#{'if' if arch == 'x86_64' else 'elif'} defined({macro})")
        out.append(f'#define SECCOMP_ARCH "{arch}"')
        out.append("static const struct sock_filter builtin[] = {")
        insns = [f"{{ {code:#04x}, {true}, {false}, {value:#010x} }}," for code, true, false, value
                 in seccomp_bpf.program(parsed, arch)]  # fmt: skip
        out += ["\t" + " ".join(insns[at : at + 4]) for at in range(0, len(insns), 4)]
        out.append("};")
    return "\n".join([*out, "#else", "#error no system call filter for this architecture", "#endif"]) + "\n"


def main(argv: list[str] | None = None) -> int:
    """Write the header; 0, or the code of a SampanError after its message."""
    parser = argparse.ArgumentParser(prog="sampan.config.seccomp_default", description=__doc__.split("\n")[0])
    parser.add_argument("--policy", type=Path, default=default_path())
    parser.add_argument("--c", type=Path, metavar="OUT", required=True, help="seccomp_default.h for the runtime")
    args = parser.parse_args(argv)
    try:
        write_text(args.c, header(args.policy))
    except SampanError as error:
        print(f"seccomp_default: {error}", file=sys.stderr)
        return error.code
    return 0


if __name__ == "__main__":
    sys.exit(main())
