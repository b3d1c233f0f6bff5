"""What the tests of the runtime's configuration reader share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Read:
    """What conftool said: `fields` as name=value lines, `said` on stderr without the folder."""

    good: bool
    fields: list[str]
    said: str


Reader = Callable[..., Read]
