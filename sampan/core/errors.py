"""Errors that a person can act on.

Every expected failure is a `SampanError`: one message that names file, line and value,
and a hint that says what to do. The command line prints it without a traceback and exits
with its code; anything else that escapes is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_FAILURE = 1  #: the work could not be done
EXIT_USAGE = 2  #: the command or a file the user wrote is wrong
EXIT_MISSING = 3  #: a tool, a package or the network is missing
EXIT_INTERRUPTED = 130  #: Ctrl-C (128 + SIGINT)


class SampanError(Exception):
    """An expected failure.

    `message` is one line (details may follow on further lines), `hint` the way out,
    `code` the exit code of the process.
    """

    def __init__(self, message: str, *, hint: str = "", code: int = EXIT_FAILURE) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name a person probably meant, or "" when nothing is near."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return found[0] if found else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint: the nearest known name, else all of them."""
    names = sorted(known)
    near = nearest(name, names)
    return f"did you mean {near!r}?" if near else f"known: {', '.join(names)}"
