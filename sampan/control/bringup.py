"""From a line in any state to an agent that answers: is one there, else log in and start it."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from sampan.core.errors import SampanError
from sampan.serial import shell
from sampan.serial.agent import AgentSession, NoAgent
from sampan.serial.clock import Deadline
from sampan.serial.console import Console
from sampan.serial.errors import ConsoleError, LoginTimeout
from sampan.serial.session import LOGIN_SECONDS, Session

_THERE_SECONDS = 0.5  #: an agent that runs answers at once, or within a round trip of a slow adapter
_PROMPT_SECONDS = 1.5
_SHELL_SECONDS = 3.0
_START = b"sampan agent\n"
_PROMPTS = [b"login: ", b"assword: ", b"# ", b"$ ", b"=> "]


class BootLoader(ConsoleError):
    """The board stands in its boot loader."""


class NoSampan(ConsoleError):
    """The target has a shell and no agent."""


@dataclass(frozen=True)
class Login:
    """Who logs in when the line asks for it."""

    user: str = "root"
    password: str = ""
    timeout: float = LOGIN_SECONDS


async def agent_on(console: Console, login: Login, say: Callable[[str], None]) -> AgentSession:
    """A session with the agent on `console`; starts it by one line at the login shell when none runs.

    Raises LoginTimeout, LoginRefused, BootLoader, KernelPanic, NoSampan, or why the line ended.
    """
    session = AgentSession(console)
    with contextlib.suppress(NoAgent):
        await session.start(_THERE_SECONDS)
        return session
    if console.ended:
        await console.fail_ended()
    await reach_shell(console, login, say)
    console.clear()
    await console.write(_START)
    session = AgentSession(console)
    try:
        await session.start()
    except NoAgent as error:
        said = console.clear()
        if b"not found" in said or b"unknown verb" in said:
            hint = "an image of sampan's has it; so has any that got runtime/'s binary as /usr/bin/sampan"
            raise console.error(NoSampan, "the target has no sampan with an agent", hint) from None
        hint = "a wrong baud rate shows as garbage above" if _garbled(console) else ""
        raise console.error(NoAgent, error.what, hint) from None
    return session


async def reach_shell(console: Console, login: Login, say: Callable[[str], None]) -> None:
    """A shell at its prompt, from whatever the line shows now."""
    console.clear()
    await console.write(b"\n")
    match = await console.poll(_PROMPTS, Deadline(console.clock, _PROMPT_SECONDS))
    if match is not None and match.needle == b"=> ":
        raise console.error(
            BootLoader, "the board stands in its boot loader (U-Boot)", "type `boot` at `sampan terminal`"
        )
    if match is not None and match.needle in (b"# ", b"$ ") and await _is_shell(console):
        return
    say(f"logging in as {login.user}")
    await console.write(b"\n")
    try:
        await Session(console).login(login.user, login.password, login.timeout)
    except LoginTimeout as error:
        if _garbled(console):
            hint = "the bytes look like another baud rate: ?baud=RATE behind the device"
            raise console.error(LoginTimeout, error.what, hint) from None
        raise


async def _is_shell(console: Console) -> bool:
    """Does something evaluate what is typed? A prompt alone may be a program's."""
    nonce = secrets.token_hex(4)
    await console.write(shell.probe_line(nonce))
    mark = shell.MARK + b"P" + nonce.encode()
    return await console.poll([mark], Deadline(console.clock, _SHELL_SECONDS)) is not None


def _garbled(console: Console) -> bool:
    """Mostly bytes that no console prints: two rates that do not agree."""
    text = "".join(console.log.tail())
    strange = text.count("\\x") * 4
    return strange > 40 and strange * 2 > len(text)


def reason_of(error: BaseException) -> str:
    """One line of an error, for those whose programs end by it."""
    return error.message.splitlines()[0] if isinstance(error, SampanError) else str(error)
