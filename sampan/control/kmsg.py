"""The kernel's log as people read it."""

from __future__ import annotations

import re

_RECORD = re.compile(rb"(\d+),\d+,(\d+),[^;]*;(.*)", re.DOTALL)


class KernelLog:
    """Lines with time stamps, as dmesg has them, of what comes from /dev/kmsg in pieces.

    >>> log = KernelLog()
    >>> log.feed(b"6,339,5140900,-;NET: Regis")
    b''
    >>> log.feed(b"tered\\n SUBSYSTEM=net\\ncat: read error\\n")
    b'[    5.140900] NET: Registered\\ncat: read error\\n'
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """The lines that are whole now. What belongs to a record besides its text is left out."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return b"".join(_line(line) for line in lines if not line.startswith(b" "))


def _line(record: bytes) -> bytes:
    found = _RECORD.fullmatch(record)
    if found is None:
        return record + b"\n"
    seconds, microseconds = divmod(int(found[2]), 1_000_000)
    return b"[%5d.%06d] %s\n" % (seconds, microseconds, found[3])
