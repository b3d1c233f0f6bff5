"""The simulated line: its pace, each of its faults, and that chance is the same every time."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.serial.linesim import Line, Pipe
from sampan.serial.linespec import LineSpec, PipeSpec

RATE = 11520.0  #: bytes a second at 115200 8N1


def through(pipe: Pipe, data: bytes) -> bytes:
    """All of `data` sent as fast as the driver takes it; what arrives. Leaves the clock at the end."""
    out = bytearray()
    while data or not pipe.idle:
        data = data[pipe.write(data) :]
        moment = pipe.next_event()
        assert moment is not None
        pipe.advance(moment)
        out += pipe.read()
    return bytes(out)


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def test_a_clean_line_has_the_pace_of_its_bit_rate() -> None:
    pipe = Pipe(PipeSpec())
    data = noise(115200)
    assert through(pipe, data) == data
    assert pipe.now == pytest.approx(10.0, rel=1e-6)


def test_bytes_arrive_one_after_the_other() -> None:
    pipe = Pipe(PipeSpec())
    assert pipe.write(b"abcd") == 4
    pipe.advance(2.5 / RATE)
    assert pipe.read() == b"ab"
    pipe.advance(4 / RATE)
    assert pipe.read(1) == b"c" and pipe.waiting == 1
    assert pipe.read() == b"d" and pipe.idle and pipe.next_event() is None


def test_an_instant_line_needs_no_time() -> None:
    line = Line(LineSpec.parse("instant"))
    assert line.host.write(b"x" * 4096) == 4096
    assert line.board.read() == b"x" * 4096 and line.now == 0.0


def test_a_full_driver_takes_no_more() -> None:
    pipe = Pipe(PipeSpec(buffer=10))
    assert (pipe.write(b"x" * 12), pipe.room) == (10, 0)
    pipe.advance(3 / RATE)
    assert (pipe.room, pipe.write(b"y" * 12)) == (3, 3)


def test_flips_and_drops_come_at_their_rate() -> None:
    pipe = Pipe(PipeSpec(flip=1e-3))
    data = noise(1_000_000)
    got = through(pipe, data)
    wrong = [sent ^ seen for sent, seen in zip(data, got, strict=True) if sent != seen]
    assert len(wrong) == pipe.counters.flipped == pytest.approx(1000, rel=0.15)
    assert all(bits.bit_count() == 1 for bits in wrong)
    pipe = Pipe(PipeSpec(drop=1e-3))
    assert 1_000_000 - len(through(pipe, data)) == pipe.counters.lost == pytest.approx(1000, rel=0.15)


def test_everything_can_be_hit() -> None:
    assert through(Pipe(PipeSpec(drop=1.0)), b"abc") == b""
    got = through(Pipe(PipeSpec(flip=1.0)), b"abc")
    assert all(sent ^ seen for sent, seen in zip(b"abc", got, strict=True))


def test_a_burst_takes_bytes_in_a_row() -> None:
    pipe = Pipe(PipeSpec(burst=64, burst_every=1.0))
    data = bytes(range(256)) * 900  # so few bursts that no two overlap
    got = through(pipe, data)
    bursts, rest = divmod(len(data) - len(got), 64)
    assert rest == 0 and bursts == pytest.approx(pipe.now, rel=0.5)


def test_a_burst_on_an_idle_line_is_over_before_anybody_speaks() -> None:
    pipe = Pipe(PipeSpec(burst=64, burst_every=0.1))
    lost = 0
    for second in range(100):
        pipe.advance(float(second))
        pipe.write(b"PING")
        pipe.advance(second + 0.5)
        lost += pipe.read() != b"PING"
    assert lost < 20


def test_a_dead_line_loses_all_for_its_time() -> None:
    pipe = Pipe(PipeSpec())
    pipe.write(b"x" * 2304)
    pipe.advance(0.05)
    pipe.cut(0.1)
    pipe.advance(1.0)
    assert len(pipe.read()) == pytest.approx(1152, abs=1)
    pipe = Pipe(PipeSpec(dead=0.5, dead_every=2.0))
    got = through(pipe, bytes(1_000_000))
    assert 0.1 < pipe.counters.lost / 1_000_000 < 0.4 and len(got) + pipe.counters.lost == 1_000_000


def test_kernel_messages_land_between_any_two_bytes() -> None:
    pipe = Pipe(PipeSpec(printk=25.0))
    data = b"\x01" * 115200
    got = through(pipe, data)
    messages = got.count(b"\r\n")
    assert got.replace(b"\x01", b"").count(b"[") == messages
    assert messages == pytest.approx(25 * pipe.now, rel=0.3)
    assert len(got) == len(data) + pipe.counters.noise


def test_messages_come_on_an_idle_line_too() -> None:
    pipe = Pipe(PipeSpec(printk=5.0))
    pipe.advance(10.0)
    assert pipe.read().count(b"\r\n") == pytest.approx(50, rel=0.4)


def test_a_splice_cuts_written_pieces() -> None:
    pipe = Pipe(PipeSpec(splice=0.5))
    cut = 0
    for _ in range(200):
        cut += through(pipe, b"ack-ack-ack") != b"ack-ack-ack"
    assert 70 < cut < 130


def test_what_is_injected_overtakes_what_waits() -> None:
    pipe = Pipe(PipeSpec())
    pipe.write(b"0123456789")
    pipe.advance(4 / RATE)
    pipe.inject(b"<key>")
    pipe.advance(1.0)
    assert pipe.read() == b"0123<key>456789"


def test_a_usb_adapter_hands_over_full_packets_or_late_ones() -> None:
    pipe = Pipe(PipeSpec(latency=0.016))
    pipe.write(b"x" * 70)
    pipe.advance(0.0053)  # 61 bytes
    assert pipe.read() == b""
    pipe.advance(0.0054)
    assert len(pipe.read()) == 62
    pipe.advance(0.0054 + 0.0155)
    assert pipe.read() == b""
    pipe.advance(0.0054 + 0.0162)
    assert len(pipe.read()) == 8


def test_a_delay_shifts_and_keeps_the_pace() -> None:
    pipe = Pipe(PipeSpec(delay=0.5))
    data = noise(11520)
    assert through(pipe, data) == data
    assert pipe.now == pytest.approx(1.5, rel=1e-3)


def test_a_full_fifo_loses_what_comes() -> None:
    pipe = Pipe(PipeSpec(fifo=16))
    pipe.write(bytes(range(40)))
    pipe.advance(1.0)
    assert pipe.read() == bytes(range(16)) and pipe.counters.overrun == 24


def test_a_reset_board_forgets_what_it_did_not_send() -> None:
    pipe = Pipe(PipeSpec())
    pipe.write(b"x" * 100)
    pipe.advance(10 / RATE)
    assert pipe.discard() == 90
    pipe.write(b"U-Boot")
    pipe.advance(1.0)
    assert pipe.read() == b"x" * 10 + b"U-Boot"


FAULTY = "115200,flip=1e-2,drop=1e-2,burst=16/0.05s,dead=10ms/0.2s,printk=50/s,splice=0.2,latency=16ms,delay=3ms,seed=3"


@settings(max_examples=60, deadline=None)
@given(
    writes=st.lists(st.tuples(st.floats(0, 0.05), st.binary(min_size=1, max_size=300)), max_size=12),
    steps=st.lists(st.floats(1e-5, 0.05), min_size=1, max_size=8),
)
def test_the_bytes_do_not_depend_on_how_time_is_cut(writes: list[tuple[float, bytes]], steps: list[float]) -> None:
    def run(finely: bool) -> bytes:
        line, now, out, turn = Line(LineSpec.parse(FAULTY)), 0.0, b"", 0
        for pause, data in [*writes, (2.0, b"")]:
            end = now + pause
            while finely and now < end:
                now = min(end, now + steps[turn % len(steps)])
                turn += 1
                line.advance(now)
                out += line.host.read()
            now = end
            line.advance(now)
            line.board.write(data)
        return out + line.host.read()

    assert run(True) == run(False)


def test_a_hundred_megabytes_in_seconds() -> None:
    """A protocol's soak test must not wait for the line: 100 MB are 2.4 hours at 115200."""
    line = Line(LineSpec.parse("115200,ber=1e-6,drop=1e-6,burst=64/s,printk=1/s"))
    piece, left = noise(4096), 100_000_000
    began, got = time.process_time(), 0
    while left > 0:
        left -= line.board.write(piece)
        line.advance(line.next_event() or 0.0)
        got += len(line.host.read())
    assert time.process_time() - began < 30
    assert got > 98_000_000 and line.now > 8600


def test_the_words_of_a_line() -> None:
    spec = LineSpec.parse("9600,drop=1e-6,burst=64/10s,dead=2s/30s,printk=5/s,latency=16ms,delay=200us,fifo=16,seed=7")
    assert spec.to_board == PipeSpec(
        baud=9600, drop=1e-6, burst=64, burst_every=10.0, dead=2.0, dead_every=30.0, delay=2e-4, fifo=16
    )
    assert spec.to_host.printk == 5.0 and spec.to_host.latency == pytest.approx(0.016)
    assert spec.to_host.drop == 1e-6 and spec.seed == 7
    assert LineSpec.parse("ber=1e-5").to_host.flip == pytest.approx(8e-5, rel=1e-3)
    assert LineSpec.parse("115200") == LineSpec()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "baud="),
        ("fast", "baud=fast: not a bit rate"),
        ("115200,brust=64/s", "'brust' is unknown"),
        ("115200,drop=2", "drop=2: not a probability"),
        ("115200,drop=nan", "drop=nan"),
        ("115200,ber=-1", "ber=-1"),
        ("115200,latency=16", "latency=16: not a time"),
        ("115200,burst=64", "burst=64: not BYTES/TIME"),
        ("115200,burst=64/0s", "burst=64/0s"),
        ("115200,printk=5/m", "printk=5/m"),
        ("115200,printk=5/0s", "printk=5/0s"),
        ("115200,fifo=x", "fifo=x"),
    ],
)
def test_what_is_no_line_is_said(text: str, says: str) -> None:
    with pytest.raises(SampanError) as caught:
        LineSpec.parse(text)
    assert says in caught.value.message and caught.value.code == EXIT_USAGE
