"""What the rows of the serial line's bars are made of."""

from __future__ import annotations

Row = list[str]
CLEAN = "115200"


def share(value: float) -> str:
    return f"{value:.1%}"


def verdict(good: bool) -> str:
    return "" if good else "MISSED"
