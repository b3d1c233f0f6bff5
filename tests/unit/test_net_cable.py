"""The cable to a virtual switch: what a person says of it, and when a frame arrives."""

from __future__ import annotations

import pytest

from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.qemu.net import Cable, Way


def test_the_words_of_a_cable() -> None:
    assert Cable.parse("lab") == Cable("lab")
    assert Cable.parse("lab,delay=5ms,loss=0.01,rate=10M,seed=7") == Cable("lab", 0.005, 0.01, 10e6, 7)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no name of a switch"),
        ("../up", "no name of a switch"),
        ("lab,dealy=5ms", "'dealy' is unknown"),
        ("lab,delay=5", "delay=5: not such as 5ms"),
        ("lab,loss=2", "loss=2"),
        ("lab,rate=0", "rate=0"),
    ],
)
def test_what_is_no_cable_is_said(text: str, says: str) -> None:
    with pytest.raises(SampanError) as caught:
        Cable.parse(text)
    assert says in caught.value.message and caught.value.code == EXIT_USAGE


def test_a_cable_without_faults_passes_at_once() -> None:
    way = Way(Cable("lab"), "out")
    assert [way.arrival(1.0, 1500) for _ in range(3)] == [1.0, 1.0, 1.0]


def test_the_rate_and_the_delay_add_up() -> None:
    way = Way(Cable("lab", delay=0.005, rate=12_000.0), "out")
    assert [way.arrival(0.0, 1500) for _ in range(3)] == pytest.approx([1.005, 2.005, 3.005])
    assert way.arrival(10.0, 1500) == pytest.approx(11.005)


def test_losses_come_at_their_rate_and_are_the_same_again() -> None:
    ways = [Way(Cable("lab", loss=0.1, seed=3), "out") for _ in range(2)]
    lost = [[way.arrival(0.0, 100) is None for _ in range(5000)] for way in ways]
    assert lost[0] == lost[1] and 400 < sum(lost[0]) < 600


def test_a_full_cable_drops() -> None:
    way = Way(Cable("lab", rate=1000.0), "out")
    taken = [way.arrival(0.0, 1500) for _ in range(600)]
    assert sum(moment is not None for moment in taken) == 512
