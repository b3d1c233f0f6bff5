"""What goes wrong on a console. Each error shows the last lines and says where the whole log is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sampan.core.errors import SampanError
from sampan.core.paths import shown


class ConsoleError(SampanError):
    """A failure seen on a console.

    `what` is one line, `tail` the last lines that came from the board, `log` the file with all
    of it (None when no log is written).
    """

    def __init__(self, what: str, *, tail: Sequence[str] = (), log: Path | None = None, hint: str = "") -> None:
        lines = [what, *(f"  | {line}" for line in tail)]
        if not tail:
            lines.append("  (the console said nothing)")
        if log is not None:
            lines.append(f"  full log: {shown(log)}")
        super().__init__("\n".join(lines), hint=hint)
        self.what = what
        self.tail = list(tail)
        self.log = log


class BootFailed(ConsoleError):
    """The machine ended before there was a login."""


class KernelPanic(BootFailed):
    """The kernel said "Kernel panic"; `what` holds its line."""


class LoginTimeout(BootFailed):
    """No login prompt, or no shell behind it, in time."""


class LoginRefused(BootFailed):
    """The login was refused or asked for a password that was not given."""


class PasswordWanted(LoginRefused):
    """The login asked for a password and none was given."""

    reason = "password"


class ExpectTimeout(ConsoleError):
    """An expected text did not come in time."""


class CommandTimeout(ConsoleError):
    """A command did not end in time. It was interrupted."""


class LineNoise(ConsoleError):
    """A result could not be read intact. Nothing wrong was returned instead."""


class SessionLost(ConsoleError):
    """The shell that ran a command is gone (reboot, logout, killed); whether it finished is unknown."""
