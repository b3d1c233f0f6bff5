"""Finding text in a byte stream that arrives in pieces.

The result never depends on how the stream was cut: of several needles the one wins whose
last byte comes first in the stream (the first given, when two end on the same byte).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_KEEP = 8 << 20


@dataclass(frozen=True)
class Match:
    """A found needle: its index among those asked for, and what stood before it."""

    index: int
    needle: bytes
    before: bytes


class Matcher:
    """The bytes that nobody has consumed yet, at most `limit` of them (the newest)."""

    def __init__(self, limit: int = _KEEP) -> None:
        self._data = bytearray()
        self._limit = limit
        self._searched: tuple[tuple[bytes, ...], int] = ((), 0)  #: needles, and how far they were looked for
        self.dropped = 0  #: bytes thrown away because nobody consumed them
        self.received = 0  #: all bytes ever fed

    def feed(self, data: bytes) -> None:
        self.received += len(data)
        self._data += data
        if len(self._data) > self._limit:
            excess = len(self._data) - self._limit
            self._consume(excess)
            self.dropped += excess

    def take(self, needles: Sequence[bytes]) -> Match | None:
        """Consume up to and with the needle that is complete first, or None."""
        asked = tuple(needles)
        done = self._searched[1] if self._searched[0] == asked else 0
        best: tuple[int, int] | None = None
        for index, needle in enumerate(needles):
            if not needle:
                raise ValueError("an empty needle matches everything")
            # Only needles that end before the best one so far are of interest.
            start = self._data.find(needle, max(0, done - len(needle) + 1), best[0] - 1 if best else len(self._data))
            if start >= 0:
                best = (start + len(needle), index)
        if best is None:
            self._searched = (asked, len(self._data))
            return None
        end, index = best
        needle = needles[index]
        match = Match(index, needle, bytes(self._data[: end - len(needle)]))
        self._consume(end)
        return match

    def clear(self) -> bytes:
        """Consume and return everything."""
        data = bytes(self._data)
        self._consume(len(data))
        return data

    def _consume(self, count: int) -> None:
        del self._data[:count]
        self._searched = ((), 0)
