"""Runs the commands of the graph: output kept together, logged, and shown when it matters.

Steps run side by side; each one's output is collected and shown whole, so that two never mix.
The log holds every command as it can be pasted, what it said, its exit status and its time.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sampan.core.paths import shown

FAILED = "failed: "  #: starts the report of a failed step on stderr
_TAIL_LINES = 25


class Spawner:
    """SCons' SPAWN: calls run in several threads at once."""

    def __init__(self, log: Path, *, verbose: bool) -> None:
        self._log = log
        self._verbose = verbose
        self._lock = threading.Lock()
        self._fresh = True

    def __call__(self, shell: str, _escape: Any, _program: str, args: Sequence[str], env: Mapping[str, str]) -> int:
        """Run one command line and return its exit status (128 + N when signal N ended it)."""
        command = " ".join(args)
        started = time.monotonic()
        done = subprocess.run(
            [shell, "-c", command],
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        status = done.returncode if done.returncode >= 0 else 128 - done.returncode
        output = done.stdout.decode(errors="replace")
        with self._lock:
            self._write(f"$ {command}\n{output}[exit {status}, {time.monotonic() - started:.2f} s]\n\n")
            if status != 0:
                self._report(command, status, output)
            elif output and self._verbose:
                sys.stdout.write(output)
                sys.stdout.flush()
        return status

    def _write(self, text: str) -> None:
        try:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            with self._log.open("w" if self._fresh else "a", encoding="utf-8") as stream:
                stream.write(text)
            self._fresh = False
        except OSError:
            pass  # a full disk has been or will be said by the step itself

    def _report(self, command: str, status: int, output: str) -> None:
        lines = output.rstrip().splitlines()
        tail = "".join(f"  | {line}\n" for line in lines[-_TAIL_LINES:])
        cut = f"  | ... {len(lines) - _TAIL_LINES} lines before\n" if len(lines) > _TAIL_LINES else ""
        sys.stderr.write(f"{FAILED}exit status {status}\n  $ {command}\n{cut}{tail}  full log: {shown(self._log)}\n")
        sys.stderr.flush()
