"""Readers of keys about a container's life: limits, hooks, groups, log (runtime/src/conf_life.c)."""

from __future__ import annotations

import re

from sampan.config import language as limit
from sampan.config import names
from sampan.config.language import words
from sampan.config.mounts import Wrong

#: getrlimit(2).
LIMITS = words("cpu fsize data stack core rss nproc nofile memlock as locks sigpending msgqueue nice rtprio rttime")
#: Values of kernel.* that a container has of its own: those of the IPC and UTS namespaces.
SYSCTLS = words(
    "msgmax msgmnb msgmni sem shmall shmmax shmmni shm_rmid_forced auto_msgmni msg_next_id sem_next_id shm_next_id"
    " hostname domainname"
)
PROC = words("oom_score_adj coredump_filter timerslack_ns autogroup loginuid")
LEVELS = words("trace debug info notice warn error crit alert fatal")
#: syslog(3), in the order of its numbers.
FACILITIES = words(
    "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp 12 13 14 15"
    " local0 local1 local2 local3 local4 local5 local6 local7"
)
_UNITS = {"kb": 10, "mb": 20, "gb": 30}
_DOTTED = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def prlimit(name: str, value: str) -> None:
    """`SOFT[:HARD]` of a limit."""
    if name.lower() not in LIMITS:
        raise Wrong("there is no such limit: nofile, nproc, core, memlock, stack...")
    parts = [part for part in re.split("[ \t:]+", value) if part]
    numbers = [2**64 - 1 if part == "unlimited" else names.number(part, 0, 2**63 - 1) for part in parts[:2]]
    soft, hard = (numbers * 2)[:2] if numbers else (None, None)
    if value and (soft is None or hard is None or soft > hard or value.find(":") == len(value) - 1):
        raise Wrong("must be SOFT or SOFT:HARD, numbers or 'unlimited', soft not above hard")


def sysctl(name: str, value: str) -> None:
    """Only what is a container's own."""
    if not _DOTTED.fullmatch(name):
        raise Wrong("a sysctl is named by letters, digits, _ and -, with single dots between")
    group, _, rest = name.partition(".")
    if not (group == "net" and rest or name.startswith("fs.mqueue.") or group == "kernel" and rest.lower() in SYSCTLS):
        raise Wrong("not supported: the value is the whole system's, no container has its own")


def proc(name: str, value: str) -> None:
    """A file of /proc/PID."""
    if name.lower() not in PROC:
        only = "oom_score_adj, coredump_filter, timerslack_ns, autogroup and loginuid"
        raise Wrong(f"not supported: only {only}")


def groups(value: str) -> list[str]:
    """The groups of a line of lxc.group."""
    found = value.split()
    if any(not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", word) for word in found):
        raise Wrong("a group is named as a container is")
    return found


def gids(value: str, most: int) -> None:
    """Numbers with commas or blanks between them."""
    found = [word for word in re.split("[ \t,]+", value) if word]
    if any(names.number(word, 0, most) is None for word in found):
        raise Wrong("must be numbers with commas between them")
    if len(found) > limit.GIDS_MAX:
        raise Wrong("more groups than the runtime holds (GIDS_MAX)")


def size(value: str, most: int) -> None:
    """`auto`, or bytes with KB, MB or GB."""
    found = re.fullmatch(r"([0-9]{1,11}) ?([KMG]B)?", value, re.IGNORECASE)
    if value != "auto" and (not found or int(found[1]) > most >> _UNITS.get((found[2] or "").lower(), 0)):
        raise Wrong(f"must be auto or a size up to {most} bytes, as 64KB")


def log_level(value: str) -> None:
    """0 to 8 or a word."""
    if value.lower() not in LEVELS and names.number(value, 0, 8) is None:
        raise Wrong("must be 0 to 8 or TRACE DEBUG INFO NOTICE WARN ERROR CRIT ALERT FATAL")


def log_facility(value: str) -> None:
    """A word of syslog."""
    if value.lower() not in FACILITIES:
        raise Wrong("must be a facility of syslog: daemon, user, local0...")
