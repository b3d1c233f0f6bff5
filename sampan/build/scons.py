"""Runs SCons for `sampan build`: the same graph for everyone, progress, failures as messages.

Hermetic: this interpreter with -I, our own site folder (else ~/.scons/site_scons would be
executed), no SCONSFLAGS. SCons is a process group of its own, so that Ctrl-C, a closed terminal
and a SIGTERM end every compiler below it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from sampan.build.spawn import FAILED
from sampan.core import paths, progress
from sampan.core.errors import EXIT_INTERRUPTED, EXIT_MISSING, SampanError

_GRACE = 10.0  #: seconds SCons gets to write its database after a signal


def command(arguments: Sequence[str], *, jobs: int | None = None) -> list[str]:
    """The command line that runs SCons hermetically in the checkout."""
    if importlib.util.find_spec("SCons") is None:
        raise SampanError(
            "SCons is not installed in this Python environment",
            hint="./sampanw installs it, or: pip install -r requirements.txt",
            code=EXIT_MISSING,
        )
    wide = [f"-j{jobs}"] if jobs else []
    return [sys.executable, "-I", "-m", "SCons", "--site-dir=site_scons", "-Q", *wide, *arguments]


def environment() -> dict[str, str]:
    """The caller's environment without what would change SCons itself."""
    return {name: value for name, value in os.environ.items() if name not in ("SCONSFLAGS", "SCONS_LIB_DIR")}


def build(boards: Sequence[str], *, jobs: int | None = None, args: Sequence[str] = ()) -> None:
    """Build the images of these boards; `args` are further arguments of SCons, such as CC=...

    A failed step is a SampanError with its command, its last lines and the path of the log.
    """
    names = ",".join(boards)
    with progress.step(f"build {' '.join(boards)}") as step:
        count = run([f"board={names}", *args], jobs=jobs)
        step.result = f"{count} steps" if count else "up to date"


def run(arguments: Sequence[str], *, jobs: int | None = None) -> int:
    """Run SCons and show its steps; returns how many there were."""
    argv = command(arguments, jobs=jobs)
    with subprocess.Popen(
        argv,
        cwd=paths.ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
        text=True,
        errors="replace",
    ) as scons:
        assert scons.stdout and scons.stderr
        said: list[str] = []
        listener = threading.Thread(target=_collect, args=(scons.stderr, said))
        listener.start()
        with _passing_on(scons):
            count = _show(scons.stdout)
            status = scons.wait()
        listener.join()
    if status != 0:
        raise _failure(status, said)
    for line in said:
        progress.note(line)
    return count


def _show(stream: IO[str]) -> int:
    count = 0
    for line in stream:
        text = line.strip()
        if text and not text.startswith("scons: "):
            count += 1
            progress.note(text)
    return count


def _collect(stream: IO[str], said: list[str]) -> None:
    said += [line.rstrip("\n") for line in stream]


@contextlib.contextmanager
def _passing_on(scons: subprocess.Popen[str]) -> Iterator[None]:
    """While SCons runs, a signal to us ends all of its group, and we end when it has."""
    try:
        with _signals(scons):
            yield
    except BaseException:
        _stop(scons)
        raise


@contextlib.contextmanager
def _signals(scons: subprocess.Popen[str]) -> Iterator[None]:
    """SIGTERM and SIGHUP unwind as Ctrl-C does (in the main thread, where signals can be set)."""

    def interrupt(number: int, _frame: object) -> None:
        raise SampanError(f"the build was ended by {signal.Signals(number).name}", code=128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(scons: subprocess.Popen[str]) -> None:
    for number in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(scons.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            scons.wait(_GRACE)
            return


def _failure(status: int, said: Sequence[str]) -> SampanError:
    """What to tell a person: our own report where there is one, else all SCons said."""
    if status < 0:
        return SampanError(f"the build was killed by signal {-status}", code=128 - status)
    lines = [line for line in said if not line.startswith("scons: *** [")]
    ours = [line.removeprefix("sampan: ") for line in lines]
    if any(line.startswith(FAILED) for line in lines):
        return SampanError("a step of the build " + "\n".join(lines))
    if "scons: Build interrupted." in lines:
        return SampanError("the build was interrupted", code=EXIT_INTERRUPTED)
    message, _, hint = "\n".join(ours).partition("\n  hint: ")
    return SampanError(message or f"SCons failed (exit status {status})", hint=hint, code=status)


def log() -> Path:
    """The log of the last build that had something to do."""
    return paths.build_dir() / "log" / "build.log"
