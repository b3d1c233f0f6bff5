"""`sampan on TARGET VERB ...`: the target's own verbs, over whatever line leads there."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType

import click

from sampan.control.client import Connection, LineFailure
from sampan.control.packets import Kind
from sampan.control.target import Line, resolve
from sampan.core.errors import EXIT_USAGE, SampanError

#: Verbs that a person sits at: a terminal over there when there is one here.
_SEATED = ("attach", "console", "execute")


@click.command("on", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("target")
@click.argument("verb")
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def command(target: str, verb: str, words: tuple[str, ...]) -> None:
    """Run VERB on TARGET: `ls`, `start NAME`, `exec NAME -- CMD`, `run -- CMD`, `shell`, `push FILE PATH`, ...

    TARGET is qemu:BOARD[:INSTANCE], a serial device (/dev/ttyUSB0?baud=115200), socket://HOST:PORT,
    rfc2217://HOST:PORT, or a name from targets.toml. Verbs of the target have the options, the
    output and the exit code they have there. $SAMPAN_PASSWORD is for a login that asks for one.
    """
    line = resolve(target)
    special = _SPECIAL.get(verb)
    if special:
        sys.exit(special(line, list(words)))
    sys.exit(program(line, [verb, *words], verb=True, seated=verb in _SEATED))


def program(line: Line, words: Sequence[str], *, verb: bool = False, seated: bool = False) -> int:
    """A program there with our stdin, stdout and stderr; its exit code."""
    terminal = seated and os.isatty(0) and os.isatty(1)
    size = shutil.get_terminal_size()
    request: dict[str, object] = {"do": "run", "words": list(words), "verb": verb, "urgent": seated}
    if terminal:
        request |= {"terminal": True, "size": [size.lines, size.columns], "environment": _environment()}
    with Connection(line, request) as connection:
        if not terminal:
            return _join(connection, forward=signal.SIGINT)
        from sampan.serial.terminal import raw_mode

        def resized(number: int, frame: FrameType | None) -> None:
            now = shutil.get_terminal_size()
            connection.size(now.lines, now.columns)

        signal.signal(signal.SIGWINCH, resized)
        with raw_mode():
            return _join(connection)


def _environment() -> Mapping[str, str]:
    return {"TERM": os.environ.get("TERM", "vt100")}


def _join(connection: Connection, forward: signal.Signals | None = None) -> int:
    """Bytes to and fro until the program ends. Ctrl-C goes to it; twice gives it up."""
    reading = True
    interrupts = 0
    while True:
        try:
            wanted = [connection.fileno(), *([0] if reading and connection.writable() else [])]
            ready = select.select(wanted, [], [], 0.2 if reading else None)[0]
            if 0 in ready and reading:
                reading = _pass_on(connection, os.read(0, 65536))
            if connection.fileno() in ready:
                for kind, payload in connection.read():
                    if kind == Kind.END:
                        return int(json.loads(payload)["status"])
                    _show(kind, payload)
        except KeyboardInterrupt:
            interrupts += 1
            if forward is None or interrupts > 1:
                raise
            connection.signal(forward)


def _pass_on(connection: Connection, data: bytes) -> bool:
    """Input for the program; false at its end, and when the program has ended meanwhile."""
    try:
        connection.input(data)
    except SampanError:
        return False  # what became of it is read next
    return bool(data)


def _show(kind: Kind, payload: bytes) -> None:
    if kind == Kind.NOTE:
        print(f"[sampan: {payload.decode()}]", file=sys.stderr, flush=True)
        return
    view = memoryview(payload)
    while view:
        view = view[os.write(1 if kind == Kind.STDOUT else 2, view) :]
    assert kind in (Kind.STDOUT, Kind.STDERR)


def _after_dashes(words: list[str]) -> list[str]:
    return words[1:] if words[:1] == ["--"] else words


def _exec(line: Line, words: list[str]) -> int:
    if not words:
        raise SampanError("exec: which container?", hint="sampan on TARGET exec NAME -- CMD", code=EXIT_USAGE)
    return program(line, ["attach", *words], verb=True, seated=True)


def _run(line: Line, words: list[str]) -> int:
    words = _after_dashes(words)
    if not words:
        raise SampanError("run: what?", hint="sampan on TARGET run -- CMD", code=EXIT_USAGE)
    return program(line, words, seated=True)


def _shell(line: Line, words: list[str]) -> int:
    return program(line, ["sh", "-l"], seated=True)


def _logs(line: Line, words: list[str]) -> int:
    """The kernel's log: with -f as it goes on."""
    if words not in ([], ["-f"]):
        raise SampanError("logs takes -f and nothing else", code=EXIT_USAGE)
    return program(line, ["cat", "/dev/kmsg"] if words else ["dmesg"])


def _push(line: Line, words: list[str]) -> int:
    return _files(line, words, push=True)


def _pull(line: Line, words: list[str]) -> int:
    return _files(line, words, push=False)


def _files(line: Line, words: list[str], *, push: bool) -> int:
    from sampan.cli.meter import Meter
    from sampan.control.remote import Target

    if len(words) != 2:
        raise SampanError("from where, to where?", hint="push FILE PATH, pull PATH FILE", code=EXIT_USAGE)
    began = time.monotonic()
    target = Target(line, lambda text: _show(Kind.NOTE, text.encode()))
    meter = Meter(f"{'push' if push else 'pull'} {os.path.basename(words[0])}")
    try:
        move = target.push if push else target.pull
        moved = move(words[0], words[1], progress=meter)
    except (LineFailure, KeyboardInterrupt):
        meter.close()
        print("[sampan: the same command goes on where this one stopped]", file=sys.stderr)
        raise
    meter.close()
    seconds = time.monotonic() - began
    print(f"{moved.size} bytes in {seconds:.1f} s, {moved.sent} over the line, sha256 checked", file=sys.stderr)
    return 0


_SPECIAL: dict[str, Callable[[Line, list[str]], int]] = {
    "exec": _exec,
    "run": _run,
    "shell": _shell,
    "logs": _logs,
    "push": _push,
    "pull": _pull,
}
