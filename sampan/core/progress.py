"""Progress for a person: each step has a name, a result and a time.

On a terminal the running step shows a spinner; in a log or a pipe each step is one line when
it ends, so that a CI log reads the same. All of it goes to stderr: stdout belongs to results.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Step:
    """A running step; `result` is shown behind its name when it ends."""

    title: str
    result: str = ""
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


def note(text: str) -> None:
    """A line between steps."""
    print(f"  {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(title: str) -> Iterator[Step]:
    """Show `title` while the block runs, then one line with its time and result."""
    current = Step(title)
    mark = "ok"
    with _spinner(title):
        try:
            yield current
        except BaseException:
            mark = "failed"
            raise
        finally:
            _finish(current, mark)


def _finish(current: Step, mark: str) -> None:
    tail = f"  {current.result}" if current.result else ""
    print(f"{mark:>6} {current.seconds:7.1f} s  {current.title}{tail}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _spinner(title: str) -> Iterator[None]:
    if not sys.stderr.isatty():
        yield
        return
    # rich takes a tenth of a second to import: only where someone looks at a terminal.
    from rich.console import Console

    with Console(stderr=True).status(title):
        yield
