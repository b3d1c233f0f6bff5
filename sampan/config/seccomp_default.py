"""Makes runtime/src/seccomp_default.h, the built-in filter, from runtime/default.seccomp.

python -m sampan.config.seccomp_default
"""

from __future__ import annotations

from pathlib import Path

from sampan.config import seccomp, seccomp_bpf
from sampan.core import paths
from sampan.core.files import read_text, write_text

POLICY = Path("runtime/default.seccomp")
HEADER = Path("runtime/src/seccomp_default.h")
_MACROS = {"x86_64": "__x86_64__", "x86": "__i386__", "aarch64": "__aarch64__", "armv7": "__arm__"}


def header() -> str:
    """The text of the header."""
    policy = seccomp.parse(read_text(paths.ROOT / POLICY), str(POLICY))
    out = [
        "/* SPDX-License-Identifier: MIT */",
        f"/* Generated from {POLICY} by sampan.config.seccomp_default; not to be edited. */",
        "",
    ]
    for arch, macro in _MACROS.items():
        out.append(f"#{'if' if arch == 'x86_64' else 'elif'} defined({macro})")
        out.append(f'#define SECCOMP_ARCH "{arch}"')
        out.append("static const struct sock_filter builtin[] = {")
        insns = [f"{{ {code:#04x}, {true}, {false}, {value:#010x} }}," for code, true, false, value
                 in seccomp_bpf.program(policy, arch)]  # fmt: skip
        out += ["\t" + " ".join(insns[at : at + 4]) for at in range(0, len(insns), 4)]
        out.append("};")
    return "\n".join([*out, "#else", "#error no system call filter for this architecture", "#endif"]) + "\n"


if __name__ == "__main__":
    write_text(paths.ROOT / HEADER, header())
