"""How far a long transfer is, for who sits at a terminal: share, rate, remaining time."""

from __future__ import annotations

import sys
import time

_EVERY = 0.2  #: seconds between two updates
_WINDOW = 10.0  #: seconds that a rate is taken over
_SETTLED = 1.0  #: seconds before which a rate says nothing


class Meter:
    """Called with bytes done and bytes in all. Nothing is printed where nobody looks."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._seen: list[tuple[float, int]] = []
        self._shown = 0.0
        self._tty = sys.stderr.isatty()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        self._seen.append((now, done))
        while now - self._seen[0][0] > _WINDOW:
            del self._seen[0]
        if self._tty and now - self._shown >= _EVERY:
            self._shown = now
            sys.stderr.write(f"\r\x1b[K{line(self._title, self._seen, total)}")
            sys.stderr.flush()

    def close(self) -> None:
        """Take the line away again."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            self._shown = 0.0


def line(title: str, seen: list[tuple[float, int]], total: int) -> str:
    """What is shown, from (time, bytes done) pairs of the last seconds.

    >>> line("push app", [(0.0, 0), (2.0, 20_000)], 100_000)
    'push app:  20 % of 100.0 kB, 10.0 kB/s, 0:08 left'
    """
    now, done = seen[-1]
    seconds = now - seen[0][0]
    text = f"{title}: {100 * done // max(1, total):3} % of {total / 1000:.1f} kB"
    if seconds < _SETTLED or done == seen[0][1]:
        return text
    rate = (done - seen[0][1]) / seconds
    left = int((total - done) / rate + 0.5)
    return f"{text}, {rate / 1000:.1f} kB/s, {left // 60}:{left % 60:02} left"
