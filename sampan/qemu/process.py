"""QEMU as a process: starting it so that it never outlives its starter, and its own clock."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sampan.core.errors import EXIT_MISSING, SampanError
from sampan.core.run import tool_env

_TICKS = os.sysconf("SC_CLK_TCK")
_PR_SET_PDEATHSIG = 1
_LOOK_SECONDS = 0.05  #: a look costs some reads of /proc; it is asked for with every piece of output
# Looked up before any fork: between fork and exec nothing may be imported or locked.
_prctl = ctypes.CDLL(None, use_errno=True).prctl


class Process:
    """A started program whose output goes to `on_output`, reaped by us so that its times are known."""

    def __init__(self, popen: subprocess.Popen[bytes], on_output: Callable[[bytes], None]) -> None:
        loop = asyncio.get_running_loop()
        self.pid = popen.pid
        self.cpu_seconds = 0.0  #: user and system time, exact, once it has ended
        self.ended: asyncio.Future[int] = loop.create_future()  #: exit status, negative for a signal
        self._popen = popen
        self._on_output = on_output
        assert popen.stdout is not None
        self._pipe = popen.stdout
        os.set_blocking(self._pipe.fileno(), False)
        # A pidfd cannot mean another process, however late a signal is sent.
        self._pidfd = os.pidfd_open(popen.pid)
        loop.add_reader(self._pipe.fileno(), self._read)
        loop.add_reader(self._pidfd, self._reap)

    @classmethod
    def start(cls, argv: Sequence[str], keep_fds: Sequence[int], on_output: Callable[[bytes], None]) -> Process:
        """Start `argv` in a session of its own (Ctrl-C here is ours, not its), killed when we die.

        stdin is empty; stdout and stderr come through one pipe. On a running loop.
        """
        starter = os.getpid()

        def die_with_the_starter() -> None:
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != starter:  # it died between fork and prctl
                os._exit(1)

        try:
            popen = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=tuple(keep_fds),
                env=tool_env(),
                start_new_session=True,
                preexec_fn=die_with_the_starter,
            )
        except FileNotFoundError as error:
            raise SampanError(
                f"{argv[0]}: not found", hint="`sampan doctor --install` installs it", code=EXIT_MISSING
            ) from error
        except PermissionError as error:
            raise SampanError(f"{argv[0]}: not executable", code=EXIT_MISSING) from error
        return cls(popen, on_output)

    def kill(self) -> None:
        """SIGKILL; nothing when it has ended."""
        if not self.ended.done():
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _read(self) -> None:
        try:
            data = self._pipe.read(65536)
        except OSError:
            data = b""
        if data:
            self._on_output(data)
        elif data is not None:
            self._close_pipe()

    def _close_pipe(self) -> None:
        if not self._pipe.closed:
            asyncio.get_running_loop().remove_reader(self._pipe.fileno())
            self._pipe.close()

    def _reap(self) -> None:
        pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        if pid == 0:
            return
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        if not self._pipe.closed:
            self._read()
            self._close_pipe()
        self.cpu_seconds = usage.ru_utime + usage.ru_stime
        self._popen.returncode = os.waitstatus_to_exitcode(status)
        if not self.ended.done():
            self.ended.set_result(self._popen.returncode)


def cpu_seconds(pid: int) -> float | None:
    """Processor time of all threads of a process, in steps of 10 ms; None when it is gone."""
    fields = _stat_fields(Path(f"/proc/{pid}/stat"))
    return None if fields is None else (int(fields[11]) + int(fields[12])) / _TICKS


def _stat_fields(path: Path) -> list[str] | None:
    """Fields of a stat file from the third (state) on; the second may hold blanks and brackets."""
    try:
        return path.read_text().rpartition(") ")[2].split()
    except OSError:
        return None


def _wants_to_run(pid: int) -> bool:
    """Whether a thread of the process is on a processor or waits for one."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return False
    return any(fields[0] == "R" for thread in threads if (fields := _stat_fields(thread / "stat")))


class MachineClock:
    """The time of an emulated machine: the processor time it got, and the time it slept.

    While the emulator wants to run and the host lets it wait, this clock stands still. Wall time
    counts only between two looks at which all its threads slept, so an idle guest (a login that
    never comes) still times out. Looks should be a fraction of a second apart.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._time = 0.0
        self._cpu = cpu_seconds(pid) or 0.0
        self._wall = time.monotonic()
        self._slept = True

    def now(self) -> float:
        wall = time.monotonic()
        if wall - self._wall < _LOOK_SECONDS:
            return self._time
        cpu = cpu_seconds(self.pid)
        if cpu is None:  # gone: nothing is left to wait for but our own threads
            self._time += wall - self._wall
        else:
            sleeps = not _wants_to_run(self.pid)
            used, passed = max(0.0, cpu - self._cpu), wall - self._wall
            self._time += max(used, passed) if sleeps and self._slept else used
            self._slept, self._cpu = sleeps, cpu
        self._wall = wall
        return self._time
