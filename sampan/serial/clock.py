"""The clock that time-outs on a line run on.

A real board keeps its own time whatever this host does, so its time-outs are wall time. An
emulated machine only lives while the host gives it a processor: its clock (sampan.qemu.process)
stands still when it is starved, so that a loaded host does not fail a healthy boot.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds that only grow."""

    def now(self) -> float:
        """Seconds since an arbitrary start; cheap enough to be called a few times a second."""


class WallClock:
    """The host's monotonic clock."""

    def now(self) -> float:
        return time.monotonic()


class Deadline:
    """`seconds` from now on `clock`."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock.now() + seconds

    @property
    def left(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._end - self._clock.now())
