"""The asyncio core for ordinary code: one loop in one thread, and calls into it.

The thread lives as long as the process. That matters: the kernel's parent-death signal, which
ends an emulator whose starter is killed, is sent when the *thread* that started it ends.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from sampan.serial.console import Console
from sampan.serial.matcher import Match
from sampan.serial.session import BOOT_SILENCE, COMMAND_SECONDS, LOGIN_SECONDS, Result, Session

_T = TypeVar("_T")
_CANCEL_SECONDS = 5.0


class LoopThread:
    """An asyncio loop in a daemon thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._main, name="sampan lines", daemon=True)
        self.thread.start()

    def _main(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def call(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine on the loop and wait for it. Ctrl-C here cancels it there."""
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result()
        except BaseException:
            if not future.done():
                future.cancel()
                with contextlib.suppress(BaseException):
                    concurrent.futures.wait([future], _CANCEL_SECONDS)
            raise


_shared: LoopThread | None = None
_lock = threading.Lock()


def shared_loop() -> LoopThread:
    """The process's loop thread, made at the first call."""
    global _shared
    with _lock:
        if _shared is None or not _shared.thread.is_alive():
            _shared = LoopThread()
        return _shared


class SyncConsole:
    """A console and its login for ordinary code; see Console and Session for what each call does."""

    def __init__(self, console: Console, thread: LoopThread | None = None) -> None:
        self.console = console
        self.session = Session(console)
        self._thread = thread or shared_loop()

    def login(
        self, user: str = "root", password: str = "", timeout: float = LOGIN_SECONDS, patience: float = BOOT_SILENCE
    ) -> None:
        self._thread.call(self.session.login(user, password, timeout, patience))

    def run(self, command: str, timeout: float = COMMAND_SECONDS) -> Result:
        return self._thread.call(self.session.run(command, timeout))

    def leave(self) -> None:
        self._thread.call(self.session.leave())

    def expect(self, *needles: bytes | str, timeout: float = COMMAND_SECONDS) -> Match:
        return self._thread.call(self.console.expect(as_bytes(needles), timeout))

    def write(self, data: bytes | str) -> None:
        self._thread.call(self.console.write(data))

    def send_break(self) -> None:
        self._thread.call(self.console.send_break())

    def close(self) -> None:
        async def close() -> None:
            self.console.close()

        self._thread.call(close())


def as_bytes(needles: Sequence[bytes | str]) -> list[bytes]:
    return [needle.encode() if isinstance(needle, str) else needle for needle in needles]
