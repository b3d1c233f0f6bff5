"""A second line on which nothing but an agent runs: a UART of its own, or a port of a virtual machine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from sampan.control.target import Line, resolve
from sampan.core.errors import SampanError
from sampan.serial.agent import AgentSession, NoAgent, OtherVersion
from sampan.serial.clock import Clock
from sampan.serial.console import Console
from sampan.serial.log import LineLog
from sampan.serial.ports import open_port

_THERE_SECONDS = 0.5  #: an agent that runs answers at once, or within a round trip of a slow adapter


class SideLine:
    """The line `target` (LINE?baud=RATE, or ""), opened when it is first asked for."""

    def __init__(self, target: str, clock: Clock, log: LineLog, *, configured: bool = True) -> None:
        """`configured`: a person said that there is an agent, and is told when there is not."""
        self._configured = configured
        self._line: Line | None = resolve(target) if target else None
        self._clock = clock
        self._log = log
        self._console: Console | None = None

    async def agent(self, say: Callable[[str], None]) -> AgentSession | None:
        """A session with the agent there. None when nobody answers, which is said: the console is a way, too."""
        if self._line is None:
            return None
        try:
            if self._console is None or self._console.ended:
                self.close()
                # No log of its own: what is no frame there is an agent's HELLO from before.
                self._console = Console(open_port(self._line.url, self._line.baud), LineLog(None), self._clock)
                self._console.start()
            session = AgentSession(self._console)
            await session.start(_THERE_SECONDS)
        except (NoAgent, OtherVersion) as error:
            self._miss(say, f"no agent on {self._line.url}: {error.message.partition(chr(10))[0]}")
        except SampanError as error:
            self._miss(say, error.message.partition("\n")[0])
        else:
            return session
        return None

    def _miss(self, say: Callable[[str], None], why: str) -> None:
        self._log.note(why)
        if self._configured:
            say(f"{why}; the console it is")

    def close(self) -> None:
        if self._console is not None:
            with contextlib.suppress(SampanError):
                self._console.close()
            self._console = None
