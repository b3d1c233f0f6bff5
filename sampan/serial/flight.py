"""Which frames are under way: selective repeat by evidence, round-trip times, window, frame size.

A serial line never reorders. So when a transmission was answered, every earlier transmission that
was not is lost, and only then is anything sent again: a target that is busy writing to flash gets
small PINGs and no flood of repeated data. Pure arithmetic on times that are passed in.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from sampan.serial.frames import MAX_PAYLOAD

WINDOW_MAX = 32  #: frames; the bitmap of an acknowledgement covers as many
WINDOW = 8  #: frames; more on a line whose round trip shows that it is no UART
WINDOW_INTERACTIVE = 4  #: of bulk data while somebody types: 90 ms at 115200 baud
PAYLOADS = (32, 64, 120, 244, 490, MAX_PAYLOAD)
#: Under way with each: 3 kB at most on a UART, where a read that comes late loses nothing yet.
_FRAMES = (32, 32, 16, 8, 6)
_FIRST, _TYPING, _USUAL = 1, 3, 4  #: what nobody knows yet may be a bad line: begin with small frames
_FAST_SECONDS = 0.015  #: round trips of frames of some size that no UART reaches
_TELLING = 200  #: bytes
_SHORT_SECONDS = 0.05
_LONG_SECONDS = 0.1
_WAIT_FIRST = 0.3
_WAIT_LEAST = 0.03
_WAIT_MOST = 0.25
_ANSWERS_MISSED = 2
_SAMPLE = 16  #: frames after which the loss rate is looked at
_LOSSY, _CLEAN = 0.15, 0.04
_PINGS = 8
STUBBORN = 4  #: transmissions in binary; some byte of the frame may not pass, so then it goes as text


@dataclass(slots=True)
class Sent:
    """A DATA frame that is not acknowledged yet."""

    number: int
    channel: int
    payload: bytes
    sent_at: float = 0.0
    transmission: int = 0  #: which of all transmissions the last one of this frame was
    times: int = 0
    arrived: bool = False
    lost: bool = False


def ahead(number: int, of: int) -> int:
    """How far a 16-bit `number` is ahead of another."""
    return (number - of) & 0xFFFF


class Flight:
    """The sender's memory: frames under way, and what the line is like."""

    def __init__(self, now: float, window: int = WINDOW_MAX, payload: int = MAX_PAYLOAD) -> None:
        self.sent: deque[Sent] = deque()
        self.next_number = 0
        self.round_trip = 0.0  #: smoothed, seconds; 0: not measured yet
        self.deviation = 0.0
        self.repeated = 0  #: DATA frames sent again, in all
        self.stubborn = 0  #: frames that came through only as text
        self.unanswered = 0  #: PINGs since the other side was last heard
        self._most_frames = min(window, WINDOW_MAX)
        self._most_payload = payload
        self._window = float(WINDOW)
        self._transmissions = 0
        self._pings: deque[tuple[int, int, float]] = deque(maxlen=_PINGS)
        self._ping_number = 0
        self._moved_at = now  #: last transmission or answer
        self._level = _FIRST
        self._fast = False  #: no UART: large frames
        self._tried, self._failed = 0, 0

    # ---- what may be sent

    def room(self, *, bulk: bool, interactive: bool) -> bool:
        """May one more frame go out? `bulk` data leaves room for whoever types."""
        level = min(self._level, _TYPING) if interactive else self._level
        frames = int(self._window) if self._window > WINDOW else _FRAMES[level]
        if bulk and interactive:
            frames = min(frames, WINDOW_INTERACTIVE << (_TYPING - level))
        elif not bulk:
            frames += WINDOW_INTERACTIVE
        return len(self.sent) < min(frames, self._most_frames)

    def payload(self, *, interactive: bool) -> int:
        """Bytes a new DATA frame should carry: fewer while somebody types, whose keys wait behind them."""
        level = min(self._level, _TYPING) if interactive else self._level
        if self._level == _USUAL and self._fast:
            level = _USUAL + 1
        return min(PAYLOADS[level], self._most_payload)

    def add(self, channel: int, payload: bytes, now: float) -> Sent:
        """A new frame goes out now."""
        frame = Sent(self.next_number, channel, payload)
        self.next_number = (self.next_number + 1) & 0xFFFF
        self.sent.append(frame)
        self._transmit(frame, now)
        return frame

    def again(self, now: float) -> Sent | None:
        """The next lost frame; it goes out now."""
        for frame in self.sent:
            if frame.lost:
                self.repeated += 1
                self._transmit(frame, now)
                return frame
        return None

    def _transmit(self, frame: Sent, now: float) -> None:
        self._transmissions += 1
        frame.transmission, frame.sent_at, frame.lost = self._transmissions, now, False
        frame.times += 1
        self._moved_at = now
        self._tried += 1

    def ping(self, now: float) -> int:
        """The number of a PING that goes out now."""
        self._transmissions += 1
        self._ping_number = (self._ping_number % 0xFFFF) + 1
        self._pings.append((self._ping_number, self._transmissions, now))
        self._moved_at = now
        self.unanswered += 1
        return self._ping_number

    # ---- what came back

    def acknowledged(self, ack: int, bitmap: int, ping: int, now: float) -> None:
        """An acknowledgement: what is missing next, what is there beyond, which PING it answers."""
        if ahead(ack, self.sent[0].number if self.sent else self.next_number) > len(self.sent):
            return  # of the past: a later one has told more
        full = not self.room(bulk=True, interactive=False)
        # What triggered this answer is the newest transmission it speaks of: only that one's time counts.
        answered, since = next(((sent, at) for number, sent, at in self._pings if ping and number == ping), (0, 0.0))
        size = 0
        for frame in self.sent:
            gap = ahead(frame.number, ack)
            if not frame.arrived and (gap >= 0x8000 or (0 < gap <= WINDOW_MAX and bitmap >> (gap - 1) & 1)):
                frame.arrived, frame.lost = True, False
                self.stubborn += frame.times > STUBBORN
                if frame.transmission > answered:
                    answered, since, size = frame.transmission, frame.sent_at, len(frame.payload)
        if answered:
            self._measure(now - since, full)
            if size >= _TELLING:
                self._fast = now - since < _FAST_SECONDS
        while self.sent and self.sent[0].arrived:
            self.sent.popleft()
        for frame in self.sent:
            if not frame.arrived and not frame.lost and frame.transmission < answered:
                frame.lost = True
                self._failed += 1
        if answered:
            self._moved_at = now
        self._judge()

    def heard(self) -> None:
        """Some frame of the other side arrived: it is there."""
        self.unanswered = 0

    def _measure(self, seconds: float, full: bool) -> None:
        if self.round_trip == 0.0:
            self.round_trip, self.deviation = seconds, seconds / 2
        else:
            self.deviation += (abs(seconds - self.round_trip) - self.deviation) / 4
            self.round_trip += (seconds - self.round_trip) / 8
        if seconds < _SHORT_SECONDS and full:
            self._window = min(self._window + 1, WINDOW_MAX)
        elif seconds > _LONG_SECONDS:
            self._window = max(self._window - 1, WINDOW)

    def _judge(self) -> None:
        """Smaller frames on a lossy line, larger ones on a clean one."""
        if self._tried < _SAMPLE:
            return
        rate = self._failed / self._tried
        if rate > _LOSSY and self._level > 0:
            self._level -= 1
        elif rate < _CLEAN and self._level < _USUAL:
            self._level += 1
        self._tried = self._failed = 0

    # ---- when to ask

    @property
    def wait(self) -> float:
        """Seconds without an answer after which a PING asks for one."""
        if self.round_trip == 0.0:
            return _WAIT_FIRST
        # After two of them nothing of ours waits before a PING any more: only the line's return does.
        most = max(_WAIT_MOST, self.round_trip) if self.unanswered < 2 else _WAIT_MOST
        usual = self.round_trip + 4 * self.deviation + 0.01
        if len(self.sent) > 1:  # one of their answers is due after each of them
            usual = min(usual, _ANSWERS_MISSED * self.round_trip / len(self.sent) + _WAIT_LEAST)
        return min(most, max(_WAIT_LEAST, usual) * (1 << min(self.unanswered, 4)))

    @property
    def due(self) -> float:
        """When that is, while frames are under way."""
        return self._moved_at + self.wait
