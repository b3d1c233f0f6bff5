"""Logging in on a console and running commands there (the wire format is in shell.py)."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.serial import shell
from sampan.serial.clock import Deadline
from sampan.serial.console import Console
from sampan.serial.errors import CommandTimeout, LineNoise, LoginRefused, LoginTimeout, PasswordWanted, SessionLost

LOGIN_SECONDS = 60.0  #: of the machine's clock; a boot takes 2 to 5
COMMAND_SECONDS = 60.0
BOOT_SILENCE = 10.0  #: a booting kernel may say nothing for so long

_FIRST_RETRY = 2.0
_SILENCE = 0.5  #: seconds without a byte in the middle of an answer
_TRIES = 8
_ENTER_SECONDS = 30.0
_SHORT = 5.0
_LOGIN_PROMPT = re.compile(rb"[\r\n]\S+ login: ")
_MakeLine = Callable[[str], bytes]


class CommandFailed(SampanError):
    """`Result.check` found an exit status that is not 0."""


@dataclass(frozen=True)
class Result:
    """How a command ended: its exit status and what it wrote to stdout and stderr.

    `checked`: a checksum vouches for the output (the target has cksum, md5sum or sha256sum).
    """

    command: str
    status: int
    raw: bytes
    checked: bool

    @property
    def ok(self) -> bool:
        return self.status == 0

    @property
    def output(self) -> str:
        """The output as text; bytes that are not UTF-8 show as \\xNN."""
        return self.raw.decode("utf-8", errors="backslashreplace")

    def check(self) -> Result:
        """Itself when the status is 0, else CommandFailed with the output."""
        if self.status:
            lines = "".join(f"\n  | {line}" for line in self.output.rstrip().splitlines()[-25:])
            raise CommandFailed(f"on the target: exit status {self.status}\n  # {self.command}{lines}")
        return self


class Session:
    """A login on a console. Commands run one at a time, each in its own subshell, as ssh runs them."""

    def __init__(self, console: Console, *, quiet_kernel: bool = True) -> None:
        """`quiet_kernel`: keep the kernel's messages off the console while commands run."""
        self.console = console
        self._quiet_kernel = quiet_kernel
        self.kernel_level: int | None = None  #: console log level while the session lasts, when readable
        self._tool = ""  #: the target's checksum tool; "" outside the loop
        self._one_at_a_time = asyncio.Lock()

    async def login(
        self, user: str = "root", password: str = "", timeout: float = LOGIN_SECONDS, patience: float = BOOT_SILENCE
    ) -> None:
        """From any state of a getty or a shell to a prompt. Raises LoginTimeout, LoginRefused, KernelPanic, ...

        `patience`: seconds of silence until a newline is typed; short where nothing boots.
        """
        console = self.console
        deadline = Deadline(console.clock, timeout)
        nonce = _nonce()
        done = shell.MARK + b"P" + nonce.encode()
        needles = [done, b"login: ", b"assword: ", b"ogin incorrect"]
        asked: set[str] = set()  # what was typed so far
        while deadline.left > 0:
            heard = console.received
            # A prompt is only a hint to look at once: what counts is the answer to the probe.
            hints = [b"# ", b"$ "] if "user" in asked and "probe" not in asked else []
            match = await console.poll([*needles, *hints], _sooner(deadline, console, patience))
            quiet = console.received == heard
            if match is None and not quiet and "probe" in asked and _at_prompt(console):
                await console.write(shell.probe_line(nonce))  # somebody is logged in already
            elif match is None and ("user" in asked or quiet):
                await console.write(shell.probe_line(nonce) if "user" in asked else b"\n")
                asked.add("probe")
                patience = min(max(2.0, patience * 2), 10.0)
            elif match is None or match.before.endswith(b"Last "):
                continue
            elif match.needle == done:
                await console.expect([b"\n"], _SHORT)
                return
            elif match.needle == b"login: ":
                if "user2" in asked:
                    raise console.error(LoginRefused, f"the login as {user!r} does not get through")
                asked = {"user", "user2"} if "user" in asked else {"user"}
                await console.write(user + "\n")
                patience = 1.0
            elif match.needle == b"assword: " and "user" not in asked:
                await console.write(b"\n")  # somebody else's, left half-way
            elif match.needle == b"assword: ":
                await self._send_password(user, password)
                asked.add("password")
                patience = 5.0  # a wrong one is answered late on purpose
            elif match.needle == b"ogin incorrect" and "password" not in asked:
                continue
            elif match.needle == b"ogin incorrect":
                raise console.error(LoginRefused, f"the login as {user!r} was refused: wrong user or password")
            else:
                await console.write(shell.probe_line(nonce))
                asked.add("probe")
                patience = 2.0
        raise console.error(
            LoginTimeout,
            f"no login within {timeout:g} s",
            hint="the last lines show where it stopped; a slower machine needs a longer time-out",
        )

    async def _send_password(self, user: str, password: str) -> None:
        if not password:
            await self.console.write(b"\n")  # back to the login
            raise self.console.error(
                PasswordWanted,
                f"the login as {user!r} wants a password and none was given",
                "password_file in targets.toml, $SAMPAN_PASSWORD, or a terminal to be asked at",
            )
        self.console.log.note("password sent")  # and not shown
        await self.console.transport.write(password.encode() + b"\n")

    async def run(self, command: str, timeout: float = COMMAND_SECONDS) -> Result:
        """Run `command` (sh) and return its status and output, checked.

        stdin is empty. Raises CommandTimeout (the command was interrupted), SessionLost,
        LineNoise (no intact answer after many tries), or what ended the machine. Never a wrong result.
        """
        if "\0" in command:
            raise SampanError("a command cannot hold a NUL byte", code=EXIT_USAGE)
        async with self._one_at_a_time:
            await self._enter()
            self.console.log.note(f"run: {command}")
            reply = await self._ask(command, timeout)
            self.console.log.note(f"status {reply.status}, {len(reply.output)} bytes")
            return Result(command, reply.status, reply.output, reply.checked)

    async def _ask(self, command: str, timeout: float) -> shell.Reply:
        console = self.console
        nonce = _nonce()
        execute = shell.execute_line(nonce, command, self._tool)
        whole = b"".join(shell.load_lines(command)) + execute
        head, trailer, refusal, alive = (shell.MARK + kind + nonce.encode() for kind in (b"H", b"T", b"B", b"P"))
        console.clear()
        await console.write(whole)
        deadline = Deadline(console.clock, timeout)
        patience, failures, arrived = _FIRST_RETRY, 0, b""
        while deadline.left > 0 and failures < _TRIES:
            heard = console.received
            match = await console.poll([trailer, refusal, head, alive], _sooner(deadline, console, patience))
            arrived += match.before + match.needle if match else console.clear()
            if match is None:
                if head not in arrived:
                    self._check_reboot(arrived, command)
                    patience *= 2  # it still runs, or the line to run it was lost: S_x knows which
                elif console.received != heard:
                    continue  # a long answer on a slow line
                await console.write(execute + shell.probe_line(nonce))
            elif match.needle == head:
                patience = _SILENCE  # the answer is on its way: from here on silence means damage
            elif match.needle == alive:
                await self._check_loop(command)
            elif match.needle == refusal:
                failures, arrived = failures + 1, b""
                await console.write(whole)
            else:
                rest = await console.poll([b"\n"], _sooner(deadline, console, _SILENCE))
                try:
                    return shell.parse(arrived + (rest.before + rest.needle if rest else b""), nonce)
                except shell.Damaged as damage:
                    failures, arrived = failures + 1, b""
                    console.log.note(f"damaged answer ({damage}), asking again")
                    await console.write(execute)
        if failures >= _TRIES:
            raise console.error(LineNoise, f"no intact answer after {failures} tries: {command}")
        await self._interrupt()
        raise console.error(CommandTimeout, f"not done within {timeout:g} s: {command}")

    async def _check_loop(self, command: str) -> None:
        """A probe was answered: "in" by the loop, "" by the login shell when the loop is gone."""
        rest = await self.console.poll([b"\n"], Deadline(self.console.clock, _SILENCE))
        if rest is not None and rest.before.strip() == b";":
            raise self._lost(command)

    def _check_reboot(self, arrived: bytes, command: str) -> None:
        if _LOGIN_PROMPT.search(arrived):
            raise self._lost(command)

    def _lost(self, command: str) -> SessionLost:
        self._forget()
        return self.console.error(SessionLost, f"the shell ended while this ran, how far is unknown: {command}")

    async def _interrupt(self) -> None:
        """Stop what runs; the next command finds out by itself where the shell is."""
        await self.console.write(b"\x03")
        self._forget()

    def _forget(self) -> None:
        self._tool = ""
        self.console.answers_cursor = True

    async def _enter(self) -> None:
        """Be in the command loop: start it when the login shell answers, check that it is whole."""
        if self._tool:
            return
        console = self.console
        deadline = Deadline(console.clock, _ENTER_SECONDS)
        # No line editor in the loop: a cursor answer would only be taken for a command.
        console.answers_cursor = False
        while await self._answer(shell.probe_line, "P", deadline) != "in":
            await console.write(shell.ENTER)
        # The first newline takes what a late cursor answer may have left in the input.
        await console.write(b"\n" + shell.PREPARE)
        functions = shell.functions(quiet_kernel=self._quiet_kernel)
        while deadline.left > 0:
            await console.write(b"".join(shell.load_lines(functions)))
            tool, sums = shell.split_sum(await self._answer(shell.sum_line, "U", deadline))
            if tool and sums == shell.checksum(tool, functions.encode()):
                level = await self._answer(lambda nonce: shell.START + nonce.encode() + b"\n", "R", deadline)
                self.kernel_level = int(level) if level.isdigit() else None
                self._tool = tool
                if self._quiet_kernel and self.kernel_level != 1:
                    console.log.note(f"kernel messages cannot be silenced (level {level or 'unknown'})")
                return
        console.answers_cursor = True
        raise console.error(SessionLost, "the shell does not take commands")

    async def _answer(self, make: _MakeLine, kind: str, deadline: Deadline) -> str:
        """Send a one-line question until its answer comes intact."""
        patience = 2.0
        while deadline.left > 0:
            nonce = _nonce()
            mark = shell.MARK + kind.encode() + nonce.encode()
            await self.console.write(make(nonce))
            match = await self.console.poll([mark], _sooner(deadline, self.console, patience))
            if match is not None:
                rest = await self.console.poll([b"\n"], _sooner(deadline, self.console, patience))
                text = shell.answer(mark + (rest.before if rest else b""), kind, nonce)
                if text is not None:
                    return text
            patience *= 2
        raise self.console.error(SessionLost, "the shell does not answer")

    async def leave(self) -> None:
        """Back to the plain login shell with the kernel's messages as they were."""
        if self._tool:
            self._forget()
            await self.console.write(shell.LEAVE)


def _at_prompt(console: Console) -> bool:
    """Whether the last thing the console said looks like a shell's prompt."""
    last = (console.log.tail() or [""])[-1].removesuffix("\\x1b[6n")
    return last.endswith(("# ", "$ "))


def _nonce() -> str:
    return secrets.token_hex(4)


def _sooner(deadline: Deadline, console: Console, seconds: float) -> Deadline:
    return Deadline(console.clock, min(deadline.left, seconds))
