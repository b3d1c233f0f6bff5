"""What a person sees of a long transfer."""

from __future__ import annotations

import pytest

from sampan.cli.meter import line


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        ([(0.0, 0)], "push app:   0 % of 100.0 kB"),
        ([(0.0, 0), (0.5, 9000)], "push app:   9 % of 100.0 kB"),
        ([(0.0, 0), (2.0, 20_000)], "push app:  20 % of 100.0 kB, 10.0 kB/s, 0:08 left"),
        ([(5.0, 10_000), (10.0, 10_500)], "push app:  10 % of 100.0 kB, 0.1 kB/s, 14:55 left"),
        ([(0.0, 50_000), (9.0, 50_000)], "push app:  50 % of 100.0 kB"),
        ([(0.0, 0), (2.0, 100_000)], "push app: 100 % of 100.0 kB, 50.0 kB/s, 0:00 left"),
    ],
)
def test_share_rate_and_rest(seen: list[tuple[float, int]], text: str) -> None:
    assert line("push app", seen, 100_000) == text


def test_nothing_to_send_is_no_division() -> None:
    assert line("pull", [(0.0, 0)], 0).endswith("0 % of 0.0 kB")
