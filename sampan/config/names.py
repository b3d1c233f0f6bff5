"""The names that a configuration uses for the kernel's numbers, as runtime/src/conf_names.c knows them."""

from __future__ import annotations

import re

from sampan.config.language import words

#: In the order of linux/capability.h.
CAPABILITIES = words(
    "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service"
    " net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct"
    " sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control"
    " setfcap mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore"
)
#: signal(7); numbers differ between architectures, so that only names are checked here.
SIGNALS = frozenset(
    words(
        "HUP INT QUIT ILL ABRT FPE KILL SEGV PIPE ALRM TERM USR1 USR2 CHLD CONT STOP TSTP TTIN TTOU TRAP BUS STKFLT"
        " URG XCPU XFSZ VTALRM PROF WINCH IO POLL PWR SYS RTMIN RTMAX"
    )
)
#: Real-time signals above the three that musl keeps for itself.
REALTIME_MAX = 64 - 35
#: personality(2): names of `uname -m` and what LXC takes for them.
ARCHITECTURES = frozenset(
    words(
        "arm armel armhf armv4l armv5l armv5tel armv6l armv7l armv7b armv7hl armv8l athlon i386 i486 i586 i686 linux32"
        " mips mipsel ppc powerpc riscv32 x86 aarch64 amd64 arm64 linux64 loongarch64 mips64 mips64el ppc64 ppc64el"
        " ppc64le riscv64 s390x x86_64"
    )
)
_REALTIME = re.compile(r"RTMIN\+([0-9]+)|RTMAX-([0-9]+)")


def number(text: str, low: int, high: int) -> int | None:
    """A decimal number from `low` to `high`; None when it is none."""
    return int(text) if re.fullmatch(r"[0-9]+", text) and low <= int(text) <= high else None


def capability(name: str) -> bool:
    """Is it a capability: its name with or without CAP_, in any case, or its number?"""
    return name.lower().removeprefix("cap_") in CAPABILITIES or number(name, 0, 63) is not None


def signal(name: str) -> bool:
    """Is it a signal: SIGTERM, SIGRTMIN+3, 15?"""
    if number(name, 1, 64) is not None:
        return True
    if not name.startswith("SIG"):
        return False
    found = _REALTIME.fullmatch(name[3:])
    if found:
        return number(found[1] or found[2], 0, REALTIME_MAX) is not None
    return name[3:] in SIGNALS


def architecture(name: str) -> bool:
    """Is it an architecture's name, in any case?"""
    return name.lower() in ARCHITECTURES
