"""System call numbers, from the kernel headers that come with the C compiler (the ziglang wheel).

The same wheel everywhere means the same numbers, and so the same filters, whatever the host is.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sampan.core.errors import EXIT_MISSING, SampanError

_NUMBER = re.compile(r"^#define __NR_(?P<name>\w+) (?:\(__NR_SYSCALL_BASE \+ )?(?P<number>\d+)\)?$", re.MULTILINE)


@dataclass(frozen=True)
class Abi:
    """One way into the kernel: its name in LXC's policies, header, AUDIT_ARCH_* and width of arguments."""

    name: str
    header: str
    audit: int
    bits: int


#: linux/audit.h: EM_* with __AUDIT_ARCH_64BIT (1 << 31) and __AUDIT_ARCH_LE (1 << 30)
X86_64 = Abi("x86_64", "x86-linux-any/asm/unistd_64.h", 0xC000003E, 64)
X86 = Abi("x86", "x86-linux-any/asm/unistd_32.h", 0x40000003, 32)
ARM64 = Abi("arm64", "aarch64-linux-any/asm/unistd_64.h", 0xC00000B7, 64)
ARM = Abi("arm", "arm-linux-any/asm/unistd-eabi.h", 0x40000028, 32)
ABIS = (X86_64, X86, ARM64, ARM)

#: Architecture of a board -> the ABIs its kernel offers, the runtime's own first.
OF_ARCH = {"x86_64": (X86_64, X86), "x86": (X86,), "aarch64": (ARM64, ARM), "armv7": (ARM,)}

X32_BIT = 0x40000000  #: set in the numbers of the x32 ABI, which has X86_64's AUDIT_ARCH

#: ARM's private calls (asm/unistd.h, __ARM_NR_BASE), by the names libseccomp gives them.
_ARM_PRIVATE = {"breakpoint": 1, "cacheflush": 2, "usr26": 3, "usr32": 4, "set_tls": 5, "get_tls": 6}


@cache
def table(abi: Abi) -> dict[str, int]:
    """Name -> number of all calls of an ABI."""
    spec = importlib.util.find_spec("ziglang")
    if spec is None or spec.origin is None:
        raise SampanError("the kernel headers of the ziglang wheel are missing", hint="./sampanw installs it",
                          code=EXIT_MISSING)  # fmt: skip
    text = (Path(spec.origin).parent / "lib/libc/include" / abi.header).read_text(encoding="ascii")
    found = {match["name"]: int(match["number"]) for match in _NUMBER.finditer(text)}
    if abi is ARM:
        found |= {name: 0x0F0000 + number for name, number in _ARM_PRIVATE.items()}
    return found


@cache
def known() -> frozenset[str]:
    """Every name that is a call on some ABI: a policy may name those that this one has not."""
    return frozenset().union(*(table(abi) for abi in ABIS))
