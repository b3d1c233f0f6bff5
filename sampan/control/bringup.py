"""From a line in any state to an agent that answers: is one there, else log in and start it.

Whatever else stands there is recognised and said: a boot loader, a program that is no shell, an
unfinished command, another bit rate, a dead kernel, silence.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sampan.control import sendagent
from sampan.control.bareshell import BareSession
from sampan.control.programs import Programs
from sampan.core.errors import SampanError
from sampan.serial import shell
from sampan.serial.agent import AgentSession, NoAgent, OtherVersion
from sampan.serial.clock import Deadline
from sampan.serial.console import Console
from sampan.serial.errors import ConsoleError, KernelPanic, LoginTimeout
from sampan.serial.session import LOGIN_SECONDS, Session

_THERE_SECONDS = 0.5  #: an agent that runs answers at once, or within a round trip of a slow adapter
_PROMPT_SECONDS = 1.5
_SHELL_SECONDS = 3.0
_SILENT_SECONDS = 20.0  #: a board that boots says something sooner
_DEAD_SECONDS = 15.0  #: the same after a panic: a kernel that reboots by itself may be quiet until its login
_ECHO_SECONDS = 12.0  #: a board that boots says more than what was typed
_SCREEN_SECONDS = 5.0
_STEP = 0.2
_START = b"sampan agent\n"
_LACKING = (b"not found", b"unknown verb", b"not executable", b"Exec format error", b"Permission denied")
_GIVE_UP = b"\x03\x03\x03"  #: what makes an agent leave that speaks another version
#: Ctrl-U first: what somebody left half-typed must not be run by our newline.
_KNOCK = b"\x15\n"
_LOADERS = (b"=> ", b"U-Boot> ", b"u-boot# ", b"grub> ", b"barebox@")
_PROMPTS = [b"login: ", b"assword: ", b"# ", b"$ ", *_LOADERS]
_LOADER_SAYS = re.compile(rb"Unknown command .*help|Hit any key to stop autoboot")
_SCREEN = re.compile(rb"\x1b\[(\d*(;\d*)?H|2J|\?25l|\?1049h)")
_CURSOR = re.compile(r"\x1b\[[0-9;]*[nJK]")
_CONTINUED = re.compile(r"(^|\s)> $")
#: Control characters as the log spells them: cursor movements, rubbed-out letters.
_NOISE = re.compile(r"\\x1b\[[0-9;?]*[A-Za-z]|\\x0d|(\\x08 ?)+|\\x15")
_PROOF = 4  #: lines
_AT_PROMPT = re.compile(r"(login: |[#$] )$|^$")
_AT_TERMINAL = "`sampan terminal TARGET` shows it"
_LAST_SCREEN = 400  #: bytes at the end of what was heard in which a program's drawing counts
_STRANGE = 4  #: bytes that no console prints
_DRAWN_SECONDS = 0.5  #: a prompt stands still for longer than it takes to be drawn
_LOOKS = 10


class BootLoader(ConsoleError):
    """The board stands in its boot loader."""


class NotAtPrompt(ConsoleError):
    """Something reads what is typed, and it is no shell at its prompt."""


class Silent(ConsoleError):
    """Nothing at all comes from the board."""


class WrongRate(ConsoleError):
    """What comes is no text: the two sides have different bit rates."""


_Found = TypeVar("_Found", bound=ConsoleError)


@dataclass(frozen=True)
class Login:
    """Who logs in when the line asks for it."""

    user: str = "root"
    password: str = ""
    timeout: float = LOGIN_SECONDS


@dataclass(frozen=True)
class State:
    """What the owner of the line knows of it."""

    panic: str = ""  #: of the kernel, after which nothing came up yet
    recent: bytes = b""  #: what came last, before anything was typed
    hush: Callable[[bool], None] = lambda hush: None  #: called around what nobody wants to read


async def refuse_if_typing(typist: str, last: Callable[[], str]) -> None:
    """Type nothing while a person at a terminal of this line is in the middle of something.

    `last` tells the line on the console that is not ended; while it changes, as a prompt that is being drawn does, it
    is looked at again.
    """
    before = ""
    for _ in range(_LOOKS if typist else 0):
        now = last()
        if _AT_PROMPT.search(now):
            return
        if now == before:
            break
        before = now
        await asyncio.sleep(_DRAWN_SECONDS)
    if typist:
        what = f"{typist} is at a terminal on this line, and not at an empty prompt: {before.strip()!r}"
        raise SampanError(what, hint="finish there what is begun, or quit that terminal")


async def agent_on(console: Console, login: Login, say: Callable[[str], None], state: State) -> Programs:
    """A session with the agent on `console`; starts it by one line at the login shell when none runs.

    Where none can run, one with the shell itself.

    Raises LoginRefused, KernelPanic, an error of this module, or why the line ended.
    """
    last = state.recent.rpartition(b"\n")[2].decode(errors="replace")
    if _drawn(state.recent) and not _AT_PROMPT.search(_CURSOR.sub("", last).strip("\r")):
        raise _drawing(console)  # what we would type would be commands to it
    state.hush(True)
    session = AgentSession(console)
    try:
        await session.start(_THERE_SECONDS)
        return session
    except NoAgent:
        pass
    except OtherVersion:
        await console.write(_GIVE_UP)
    if console.ended:
        await console.fail_ended()
    state.hush(False)
    await reach_shell(console, login, say, state)
    state.hush(True)
    console.clear()
    await console.write(_START)
    try:
        return await _begun(console)
    except NoAgent as error:
        said = console.clear()
        if not any(words in said for words in _LACKING):
            raise console.error(NoAgent, error.what, "a very noisy line, or the agent was ended at once") from None
    except OtherVersion as error:
        say(error.message)
        await console.write(_GIVE_UP)
        await reach_shell(console, login, say, state)
    try:
        folder = await sendagent.send(console, say)
    except sendagent.CannotSend as error:
        say(f"{error.what}; programs run by the bare shell: slowly, one at a time, without a terminal")
        return BareSession(console)
    await reach_shell(console, login, say, state)
    console.clear()
    await console.write(f"PATH={folder}:$PATH sampan agent\n")
    return await _begun(console)


async def _begun(console: Console) -> AgentSession:
    session = AgentSession(console)
    await session.start()
    return session


async def reach_shell(console: Console, login: Login, say: Callable[[str], None], state: State) -> None:
    """A shell at its prompt, from whatever the line shows now."""
    console.clear()
    await console.write(_KNOCK)
    match = await console.poll(_PROMPTS, Deadline(console.clock, _PROMPT_SECONDS))
    if match is not None and match.needle in _LOADERS:
        raise _loader(console)
    if match is not None and match.needle in (b"# ", b"$ ") and await _is_shell(console):
        return
    if match is None and _CONTINUED.search((console.log.tail() or [""])[-1]):
        what = 'the shell waits for the rest of a command (its prompt is "> ")'
        raise _short(console, NotAtPrompt, what, f"{_AT_TERMINAL}; Ctrl-C there gives the command up")
    say(f"logging in as {login.user}" if match else "no prompt yet: waiting for a login")
    await console.write(b"\n")
    await _log_in(console, login, state)


async def _log_in(console: Console, login: Login, state: State) -> None:
    """Session.login, given up as soon as it is clear what stands there instead of a login."""
    typing = asyncio.ensure_future(Session(console).login(login.user, login.password, login.timeout))
    waiting = _Waiting(console, state)
    try:
        while not typing.done():
            await asyncio.wait([typing], timeout=_STEP)
            if not typing.done():
                waiting.look()
        await typing
    except LoginTimeout:
        waiting.look(late=True)
        raise
    finally:
        while not typing.done():  # one cancellation may be swallowed by wait_for()
            typing.cancel()
            await asyncio.wait([typing], timeout=_STEP)
        waiting.close()


class _Waiting:
    """Looks at what comes while a login is awaited, and raises what it shows."""

    def __init__(self, console: Console, state: State) -> None:
        self._console = console
        self._panic = state.panic
        self._screen = _drawn(state.recent)
        self._spoke = bool(state.recent.strip())
        self._began = console.clock.now()
        self._heard = bytearray()
        self._sent_before = console.sent
        self.close = console.tap(self._heard.extend)

    def look(self, *, late: bool = False) -> None:
        """`late`: the login's time is over. Raises when it is clear what stands there."""
        console, heard = self._console, bytes(self._heard)
        after = console.clock.now() - self._began
        if b"login: " in heard or b"assword: " in heard:
            return  # a login there is; what becomes of it is its own matter
        silent = _DEAD_SECONDS if self._panic else _ECHO_SECONDS if self._screen else _SILENT_SECONDS
        if not heard.strip() and after > silent:
            raise self._silence()
        if _LOADER_SAYS.search(heard) and (late or after > _SCREEN_SECONDS):
            raise _loader(console)
        if strange(heard) and (late or after > _SCREEN_SECONDS):
            hint = "?baud=RATE behind the device: 115200 is usual, then 1500000, 921600, 57600, 38400, 9600"
            raise _short(
                console,
                WrongRate,
                f"what comes over {console.transport.description} is no text: another bit rate?",
                hint,
            )
        echoed = len(heard) <= 2 * (console.sent - self._sent_before) + 16
        if _SCREEN.search(heard) and b"\n[ " not in heard and (late or after > _SCREEN_SECONDS):
            raise _drawing(console)
        if heard and echoed and (late or after > _ECHO_SECONDS):
            what = "what is typed comes back and nothing answers: a program is in the foreground, and no shell"
            raise _short(console, NotAtPrompt, what, f"{_AT_TERMINAL}; Ctrl-C there may end it")

    def _silence(self) -> ConsoleError:
        console = self._console
        if self._panic:
            what = f"the kernel has panicked and is dead: {self._panic}"
            return _short(console, KernelPanic, what, "reset the board; panic=5 on its command line makes it reboot")
        if self._screen:
            return _drawing(console)
        if self._spoke:
            what = "the board has fallen silent: nothing answers what is typed"
            return _short(console, Silent, what, "it hangs, is off, or a program that echoes nothing has the terminal")
        hint = "is the board on, RX and TX crossed, the console on this UART?"
        if "://" in console.transport.description:
            hint += " Does another client have the line?"
        return _short(console, Silent, "nothing at all comes from the board", hint)


def _drawn(recent: bytes) -> bool:
    """Has a program drawn on the screen since the last prompt?"""
    tail = recent[-_LAST_SCREEN:]
    return bool(_SCREEN.search(tail[max(tail.rfind(prompt) for prompt in (b"# ", b"$ ", b"login: ")) + 1 :]))


def _drawing(console: Console) -> NotAtPrompt:
    what = "a program that draws on the screen (vi, top, ...) has the terminal, and no shell"
    return _short(console, NotAtPrompt, what, f"{_AT_TERMINAL}; end the program there")


def _loader(console: Console) -> BootLoader:
    what = "the board stands in its boot loader (U-Boot), no Linux runs"
    return _short(console, BootLoader, what, "type `boot` at `sampan terminal TARGET`")


def _short(console: Console, kind: type[_Found], what: str, hint: str) -> _Found:
    """What is recognised needs few lines of proof, and none of what this program typed itself."""
    lines = [_NOISE.sub("", line).strip() for line in console.log.tail()]
    ours = ("@@SAM", "sampan agent", "#~")
    tail = [line for line in lines if line and not any(word in line for word in ours)][-_PROOF:]
    return kind(what, tail=tail, log=console.log.path, hint=hint)


async def _is_shell(console: Console) -> bool:
    """Does something evaluate what is typed? A prompt alone may be a program's."""
    nonce = secrets.token_hex(4)
    await console.write(shell.probe_line(nonce))
    mark = shell.MARK + b"P" + nonce.encode()
    match = await console.poll([mark, b"Unknown command"], Deadline(console.clock, _SHELL_SECONDS))
    if match is not None and match.needle != mark:
        raise _loader(console)
    return match is not None


def strange(heard: bytes) -> bool:
    """Mostly bytes that no console prints: two rates that do not agree."""
    text = heard.decode("utf-8", errors="replace")
    count = sum(char == "\ufffd" or (char < " " and char not in "\a\b\t\n\r\x1b") for char in text)
    return count >= _STRANGE and count * 3 > len(text)
