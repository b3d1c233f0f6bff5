"""What a simulated serial line does to bytes, and the words a person says it in.

    115200,ber=1e-5,drop=1e-6,burst=64/s,printk=5/s,latency=16ms

The first word is the bit rate (`instant`: no pacing), the others are faults: the keys of WORDS.
Events that have a rate come as a Poisson process.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sampan.core.errors import EXIT_USAGE, SampanError, did_you_mean

BITS_PER_BYTE = 10  #: 8N1: start bit, eight data bits, stop bit
USB_PACKET = 62  #: data bytes of a full packet of an FTDI adapter (64 less two of status)


@dataclass(frozen=True, kw_only=True)
class PipeSpec:
    """One direction of a line. Every fault is off by default; seconds, bytes and probabilities."""

    baud: float = 115200.0  #: bits a second on the wire; 0: infinitely fast
    flip: float = 0.0  #: probability that a byte arrives with one bit flipped
    drop: float = 0.0  #: probability that a byte is lost
    burst: int = 0  #: bytes lost in a row ...
    burst_every: float = 0.0  #: ... on average once in so many seconds
    dead: float = 0.0  #: seconds for which everything is lost ...
    dead_every: float = 0.0  #: ... on average once in so many seconds
    printk: float = 0.0  #: kernel messages a second that are put between any two bytes
    splice: float = 0.0  #: probability that a written piece gets a kernel message somewhere inside
    latency: float = 0.0  #: seconds a USB adapter collects bytes for before it hands them over
    delay: float = 0.0  #: seconds a byte is under way besides
    fifo: int = 0  #: bytes that wait at the receiver; what comes when it is full is lost. 0: no limit
    buffer: int = 4096  #: bytes the sender's driver holds; write() takes no more

    @property
    def byte_seconds(self) -> float:
        """Seconds that one byte occupies the wire."""
        return BITS_PER_BYTE / self.baud if self.baud else 0.0


@dataclass(frozen=True, kw_only=True)
class LineSpec:
    """Both directions, and the seed of all chance."""

    to_host: PipeSpec = PipeSpec()
    to_board: PipeSpec = PipeSpec()
    seed: int = 0

    @classmethod
    def parse(cls, text: str) -> LineSpec:
        """The line that `--line TEXT` describes. Raises SampanError for what it does not know."""
        both: dict[str, float] = {}
        host: dict[str, float] = {}
        for number, part in enumerate(text.split(",")):
            name, equals, value = part.strip().partition("=")
            if number == 0 and not equals:
                name, value = "baud", name
            if name not in WORDS:
                raise SampanError(f"--line: {name!r} is unknown", hint=did_you_mean(name, WORDS), code=EXIT_USAGE)
            word = WORDS[name]
            try:
                values = word.read(value)
            except ValueError:
                raise SampanError(f"--line: {name}={value}: not {word.help}", code=EXIT_USAGE) from None
            (host if word.host_only else both).update(zip(word.fields, values, strict=True))
        seed = int(both.pop("seed", 0))
        pipe = _with(PipeSpec(), both)
        return cls(to_host=_with(pipe, host), to_board=pipe, seed=seed)


def _with(spec: PipeSpec, found: Mapping[str, float]) -> PipeSpec:
    whole = {field.name for field in dataclasses.fields(PipeSpec) if isinstance(field.default, int)}
    return dataclasses.replace(spec, **{name: int(value) if name in whole else value for name, value in found.items()})  # type: ignore[arg-type]


def _number(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(text)
    return value


def _baud(text: str) -> tuple[float]:
    value = 0.0 if text == "instant" else _number(text)
    if text != "instant" and value < 50:
        raise ValueError(text)
    return (value,)


def _chance(text: str) -> tuple[float]:
    value = _number(text)
    if value > 1:
        raise ValueError(text)
    return (value,)


def _of_a_byte(text: str) -> tuple[float]:
    """A bit error rate as the probability that one of a byte's eight bits is hit."""
    return (1.0 - (1.0 - _chance(text)[0]) ** 8,)


def _whole(text: str) -> tuple[float]:
    if not text.isdigit():
        raise ValueError(text)
    return (float(text),)


def _seconds(text: str) -> tuple[float]:
    match = re.fullmatch(r"([0-9.e-]*)(us|ms|s)", text)
    if match is None:
        raise ValueError(text)
    return (_number(match[1] or "1") / {"us": 1e6, "ms": 1e3, "s": 1.0}[match[2]],)


def _per_second(text: str) -> tuple[float]:
    count, slash, time = text.partition("/")
    return (_number(count) / (_period(time) if slash else 1.0),)


def _period(text: str) -> float:
    seconds = _seconds(text)[0]
    if seconds <= 0:
        raise ValueError(text)
    return seconds


def _bytes_per_time(text: str) -> tuple[float, float]:
    count, _, time = text.partition("/")
    return (_whole(count)[0], _period(time))


def _time_per_time(text: str) -> tuple[float, float]:
    span, _, time = text.partition("/")
    return (_seconds(span)[0], _period(time))


@dataclass(frozen=True)
class Word:
    """One `name=value` of a line's description."""

    fields: tuple[str, ...]  #: of PipeSpec (or "seed"), in the order of what `read` returns
    read: Callable[[str], tuple[float, ...]]
    help: str  #: what the value is, for the message "not ..."
    host_only: bool = False  #: kernel messages and USB adapters are met on the way to the host only


WORDS: dict[str, Word] = {
    "baud": Word(("baud",), _baud, "a bit rate such as 115200, or instant"),
    "ber": Word(("flip",), _of_a_byte, "a bit error rate from 0 to 1"),
    "flip": Word(("flip",), _chance, "a probability from 0 to 1 that a byte has a flipped bit"),
    "drop": Word(("drop",), _chance, "a probability from 0 to 1 that a byte is lost"),
    "burst": Word(
        ("burst", "burst_every"), _bytes_per_time, "BYTES/TIME such as 64/s: so many bytes are lost in a row"
    ),
    "dead": Word(("dead", "dead_every"), _time_per_time, "TIME/TIME such as 2s/30s: for so long all is lost"),
    "printk": Word(("printk",), _per_second, "N/s: kernel messages between any two bytes", host_only=True),
    "splice": Word(
        ("splice",), _chance, "a probability from 0 to 1 that a kernel message cuts a piece", host_only=True
    ),
    "latency": Word(("latency",), _seconds, "a time such as 16ms that a USB adapter collects bytes", host_only=True),
    "delay": Word(("delay",), _seconds, "a time such as 5ms that each byte is under way"),
    "fifo": Word(("fifo",), _whole, "a number of bytes that wait at the receiver"),
    "buffer": Word(("buffer",), _whole, "a number of bytes that the sender's driver holds"),
    "seed": Word(("seed",), _whole, "a whole number"),
}
