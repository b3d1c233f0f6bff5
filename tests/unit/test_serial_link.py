"""Both ends of a session over a simulated line: the exact bytes, in order, or silence that is noticed."""

from __future__ import annotations

import random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from serial_pair import FULL, PythonEnd, noise, python_pair

from sampan.serial.frames import Kind
from sampan.serial.link import Left, Refused, Text


@pytest.mark.parametrize("way", ["down", "up"])
@pytest.mark.parametrize(
    ("spec", "share"),
    [
        ("115200", 0.93),
        ("115200,latency=16ms", 0.90),
        ("115200,splice=0.5", 0.20),
        ("115200,flip=1e-4", 0.84),
        ("115200,flip=1e-3", 0.46),
        ("115200,drop=1e-3", 0.46),
        ("115200,flip=1e-2", 0.05),
        ("115200,burst=64/5s", 0.5),
        ("115200,printk=100/s", 0.02),
        ("9600", 0.055),
        ("921600,fifo=4096", 6.5),
    ],
)
def test_the_exact_bytes_at_a_decent_rate(spec: str, share: float, way: str) -> None:
    size = 60_000 if share > 0.2 else 8_000
    pair = python_pair(spec, **{way: noise(size)})
    assert pair.rate() >= share * FULL


def test_lost_acknowledgements_cost_nothing() -> None:
    """Half of what the target writes is cut by a kernel message."""
    assert python_pair("115200,splice=0.5", down=noise(100_000)).rate() >= 0.90 * FULL


def test_both_ways_at_once() -> None:
    assert python_pair("115200", noise(50_000, 1), noise(50_000, 2)).rate() >= 1.7 * FULL


def test_a_path_that_is_not_clean_gets_text_at_two_thirds_of_the_rate() -> None:
    pair = python_pair("115200", down=noise(60_000))
    real = pair.line.board.read

    def seven_bits(limit: int = -1) -> bytes:
        return bytes(byte & 0x7F for byte in real(limit))

    pair.line.board.read = seven_bits  # type: ignore[method-assign]
    assert pair.rate() >= 0.67 * FULL
    assert pair.host.link.codec == "text"


def test_a_path_that_stops_being_clean_is_left_for_text() -> None:
    pair = python_pair("115200", down=noise(40_000))
    assert not pair.run(2.0)
    assert pair.host.link.codec == "binary"
    real = pair.line.board.read
    pair.line.board.read = lambda limit=-1: real(limit).replace(b"\x11", b"").replace(b"\x13", b"")  # type: ignore[method-assign]
    assert pair.run(60)
    assert pair.host.link.codec == "text"
    assert bytes(pair.target.got) == pair.host.data


def test_silence_is_bridged_within_half_a_second() -> None:
    pair = python_pair("115200", down=noise(60_000), up=noise(10_000))
    pair.run(1.0)
    pair.line.to_host.cut(2.0)
    pair.line.to_board.cut(2.0)
    assert not pair.run(2.0)
    before = len(pair.target.got)
    pair.run(0.5)
    assert len(pair.target.got) > before
    assert pair.run(60)
    assert bytes(pair.target.got) == pair.host.data


def test_a_new_host_gets_a_new_session_and_nothing_of_the_old() -> None:
    pair = python_pair("115200", down=noise(60_000))
    pair.run(1.0)
    assert 0 < len(pair.target.got) < 60_000
    heard = pair.target
    second = PythonEnd("host", b"second" * 100)
    pair.host = second  # the first was killed: what it wrote is still on the wire
    second.link.open(pair.now)
    before = len(heard.got)
    while not second.ups:
        pair.step()
    stale = len(heard.got) - before
    assert bytes(heard.got[: before + stale]) == noise(60_000)[: before + stale]
    for _ in range(2000):
        pair.step()
    assert bytes(heard.got[before + stale :]) == second.data
    assert len(heard.ups) == 2


def test_a_restarted_agent_is_told_apart() -> None:
    pair = python_pair("115200")
    while not pair.host.ups:
        pair.step()
    pair.target = PythonEnd("target", b"")
    before = pair.host.link.heard_at
    for _ in range(3000):
        pair.step()
    assert pair.host.link.silence(pair.now) > 2  # it hears frames of no session of its own: nobody answers
    assert pair.host.link.heard_at <= before + 0.2
    pair.host.link.open(pair.now)
    while len(pair.host.ups) < 2:
        pair.step()
    first, second = pair.host.ups
    assert first.peer.agent != second.peer.agent


def test_a_person_who_types_costs_frames_and_nothing_else() -> None:
    pair = python_pair("115200", down=noise(30_000))
    rng = random.Random(3)
    while pair.now < 2.5:
        pair.step()
        if rng.random() < 0.02:
            pair.line.to_board.inject(rng.choice([b"ls\r", b"\x03", b"#~", b"q", b"\0", b"\x15"]))
    assert pair.run(60)
    assert bytes(pair.target.got) == pair.host.data


def test_the_log_gets_what_is_no_frame() -> None:
    pair = python_pair("115200", up=noise(2_000))
    pair.line.to_host.inject(b"[    1.000000] before\r\n")
    assert pair.run(10)
    pair.line.to_host.inject(b"[    2.000000] after\r\nprompt# ")
    for _ in range(200):
        pair.step()
    text = b"".join(event.data for event in pair.host.events if isinstance(event, Text))
    text += pair.host.link.flush(pair.now + 1)
    assert b"before" in text and text.endswith(b"prompt# ")


def test_a_busy_target_is_not_flooded() -> None:
    """A target that does not read for five seconds (flash) finds less than a tty buffer holds."""
    pair = python_pair("115200", down=noise(60_000))
    pair.run(1.0)
    sent = pair.line.to_board.counters.sent
    real, pair.line.board.read = pair.line.board.read, lambda limit=-1: b""  # type: ignore[method-assign]
    pair.stalled = True
    assert not pair.run(5.0)
    pair.stalled = False
    assert pair.line.to_board.counters.sent - sent < 4096
    pair.line.board.read = real  # type: ignore[method-assign]
    assert pair.run(60)
    assert bytes(pair.target.got) == pair.host.data


def test_goodbye_and_versions() -> None:
    pair = python_pair("115200")
    while not pair.host.ups:
        pair.step()
    assert pair.host.ups[0].peer.about == "sampan"
    pair.host.link.leave(pair.now)
    for _ in range(100):
        pair.step()
    assert any(isinstance(event, Left) for event in pair.target.events)


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = python_pair("115200")
    monkeypatch.setattr("sampan.serial.link.VERSION", 9)
    hello = pair.target.link._say_hello
    pair.step()
    monkeypatch.setattr("sampan.serial.link.VERSION", 1)

    def newer() -> bytes:
        monkeypatch.setattr("sampan.serial.link.VERSION", 9)
        said = hello()
        monkeypatch.setattr("sampan.serial.link.VERSION", 1)
        return said

    pair.target.link._say_hello = newer  # type: ignore[method-assign]
    for _ in range(300):
        pair.step()
    assert [event for event in pair.host.events if not isinstance(event, Text)] == [Refused(9, 9)]
    assert not pair.host.link.up


@settings(max_examples=25, phases=[Phase.explicit, Phase.generate])  # shrinking takes minutes
@given(
    st.floats(0, 0.01),
    st.floats(0, 0.01),
    st.integers(0, 16),
    st.integers(0, 3),
    st.integers(0, 20),
    st.integers(0, 2**32),
    st.integers(0, 3000),
    st.integers(0, 3000),
)
def test_any_loss_gives_the_exact_bytes(
    flip: float, drop: float, burst: int, seconds: int, printk: int, seed: int, down: int, up: int
) -> None:
    """Never a wrong byte, never a byte twice, never a hang."""
    burst_word = f",burst={burst}/{seconds}s" if burst and seconds else ""
    pair = python_pair(
        f"115200,flip={flip:.6f},drop={drop:.6f},printk={printk}/s,seed={seed}{burst_word}",
        noise(down, seed),
        noise(up, seed + 1),
    )
    assert pair.run(300)
    assert bytes(pair.target.got) == pair.host.data
    assert bytes(pair.host.got) == pair.target.data


def test_kinds_fit_the_header() -> None:
    assert max(Kind) < 16
