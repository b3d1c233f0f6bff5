"""The agent's own C code on a simulated line in virtual time: what its link promises on each kind of bad line."""

from __future__ import annotations

import ctypes
import random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from serial_pair import FULL, AgentEnd, PythonEnd, agent_library, agent_pair, noise


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    return agent_library(tmp_path_factory.mktemp("agent"))


def rate(library: ctypes.CDLL, spec: str, way: str, size: int) -> float:
    return agent_pair(library, spec, **{way: noise(size)}).rate() / FULL


@pytest.mark.parametrize("way", ["down", "up"])
@pytest.mark.parametrize(
    ("spec", "share", "size"),
    [
        ("115200", 0.93, 100_000),
        ("115200,latency=16ms", 0.90, 100_000),
        ("115200,flip=1e-4", 0.9 * 0.943, 400_000),
        ("115200,flip=1e-3", 0.5 * 0.943, 60_000),
        ("115200,flip=1e-2", 0.05, 8_000),
        ("115200,drop=1e-3", 0.5, 60_000),
        ("115200,burst=64/s", 0.75, 100_000),
        ("115200,printk=100/s", 0.02, 8_000),
        ("115200,dead=2s/10s", 0.5, 100_000),
    ],
)
def test_the_exact_bytes_at_the_rate_of_the_bar(
    library: ctypes.CDLL, spec: str, share: float, size: int, way: str
) -> None:
    assert rate(library, spec, way, size) >= share


def test_acknowledgements_cut_by_kernel_messages_cost_nothing(library: ctypes.CDLL) -> None:
    assert rate(library, "115200,splice=0.5", "down", 100_000) >= 0.90


@pytest.mark.parametrize("way", ["down", "up"])
def test_text_alone_has_two_thirds_of_the_line(library: ctypes.CDLL, way: str) -> None:
    """No byte above 127 passes."""
    line = agent_pair(library, "115200", **{way: noise(100_000)})
    for port in (line.line.board, line.line.host):
        real = port.read
        port.read = lambda limit=-1, real=real: bytes(byte & 0x7F for byte in real(limit))  # type: ignore[method-assign]
    assert line.rate() >= 0.68 * FULL
    assert line.host.link.codec == "text"


@pytest.mark.parametrize("moment", [1.0, 1.7, 2.4])
def test_both_go_on_within_half_a_second_of_a_good_line(library: ctypes.CDLL, moment: float) -> None:
    line = agent_pair(library, "115200", noise(60_000, 1), noise(60_000, 2))
    line.run(moment)
    line.line.to_host.cut(2.0)
    line.line.to_board.cut(2.0)
    assert not line.run(2.0)
    before = len(line.host.got), len(line.target.got)
    line.run(0.5)
    assert len(line.host.got) > before[0] and len(line.target.got) > before[1]
    assert line.run(60) and line.exact()


def test_a_reset_in_the_middle_of_a_frame_starts_anew(library: ctypes.CDLL) -> None:
    """What the old boot had queued is cut off, the boot loader speaks, and the new agent knows no old session."""
    line = agent_pair(library, "115200", up=noise(60_000))
    line.run(2.0)
    got = len(line.host.got)
    assert 0 < got < 60_000
    line.line.to_host.discard()
    line.line.to_host.inject(b"\r\n\r\nU-Boot 2023.01\r\n\xff\x00\r\nlogin: ")
    data = noise(20_000, 9)
    line.target = AgentEnd(library, data)
    for _ in range(3000):
        line.step()
    assert bytes(line.host.got[:got]) == noise(60_000)[:got]
    assert line.host.link.silence(line.now) > 1
    line.host.got.clear()
    line.host.link.open(line.now)
    assert line.run(30) and bytes(line.host.got) == data


def test_what_an_earlier_client_left_on_the_line_does_nothing(library: ctypes.CDLL) -> None:
    line = agent_pair(library, "115200", down=noise(60_000))
    line.run(2.0)
    before = len(line.target.got)
    line.host = PythonEnd("host", b"second" * 500)
    line.host.link.open(line.now)
    while line.target.opened < 2:  # type: ignore[attr-defined]
        line.step()
    heard = bytes(line.target.got)
    assert len(heard) >= before and heard == noise(60_000)[: len(heard)]
    line.target.got.clear()
    assert line.run(30) and line.exact()


def test_a_person_who_types_costs_frames_and_nothing_else(library: ctypes.CDLL) -> None:
    line = agent_pair(library, "115200", noise(30_000, 1), noise(30_000, 2))
    rng = random.Random(3)
    while line.now < 2.5:
        line.step()
        if rng.random() < 0.02:
            line.line.to_board.inject(rng.choice([b"ls\r", b"\x03", b"#~", b"q", b"\0", b"\x15"]))
    assert line.run(60) and line.exact()


@settings(max_examples=25, phases=[Phase.explicit, Phase.generate])
@given(
    st.floats(0, 0.01),
    st.floats(0, 0.01),
    st.integers(0, 64),
    st.integers(0, 20),
    st.integers(0, 2**32),
    st.integers(0, 3000),
    st.integers(0, 3000),
)
def test_any_loss_gives_the_exact_bytes(
    library: ctypes.CDLL, flip: float, drop: float, burst: int, printk: int, seed: int, down: int, up: int
) -> None:
    """Never a wrong byte, never a byte twice, never a hang."""
    word = f",burst={burst}/s" if burst else ""
    spec = f"115200,flip={flip:.6f},drop={drop:.6f},printk={printk}/s,seed={seed}{word}"
    line = agent_pair(library, spec, noise(down, seed), noise(up, seed + 1))
    line.connect()
    assert line.run(300) and line.exact()
