"""`sampan on TARGET VERB ...`: the target's own verbs, over whatever line leads there."""

from __future__ import annotations

import getpass
import json
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import click

from sampan.control.client import Connection, LineFailure
from sampan.control.packets import Kind
from sampan.control.target import Line, resolve
from sampan.core.errors import EXIT_FAILURE, EXIT_USAGE, SampanError

EXIT_LINE = 255  #: as ssh's: what was asked for did not fail, the way there did

#: $1 name, $2 "1": go on. A log file when the configuration names one, else what the supervisor keeps.
_CONSOLE_LOG = """\
n=$1 t=/run/sampan-logs.$$ s=0 i=0
f=$(sampan info -n "$n" -c lxc.console.logfile) || exit 1
f=${f#*= }
if [ -f "$f" ]; then
[ ! "$2" ] || exec tail -n 100 -f "$f"
[ ! -f "$f.1" ] || cat "$f.1"
exec cat "$f"
fi
[ ! "$2" ] || exec sampan console -q -t 0 -n "$n" </dev/null
trap 'kill $p 2>/dev/null; rm -f $t $t.err' EXIT
sampan console -q -t 0 -n "$n" </dev/null >$t 2>$t.err & p=$!
while kill -0 $p 2>/dev/null && [ ! -s $t ] && [ $((i+=1)) -lt 4 ]; do sleep 1; done
kill -0 $p 2>/dev/null || { wait $p; s=$?; }
cat $t
[ -s $t ] || { cat $t.err >&2; exit $s; }
"""

#: Verbs that a person sits at: a terminal over there when there is one here.
_SEATED = ("attach", "console", "execute")


@click.command("on", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("target")
@click.argument("verb")
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def command(target: str, verb: str, words: tuple[str, ...]) -> None:
    """Run VERB on TARGET, over its line.

    \b
    ls start stop info console monitor ...   the target's own: its options, output, exit codes
    exec NAME -- CMD     a program inside a container
    run -- CMD           a program on the target
    shell                root's shell there
    logs [-f] [NAME]     the kernel's log, or what a container wrote to its console
    push FILE PATH       pull PATH FILE  (--json)
    install CONTAINER    put a container's folder on the target (--name, --replace, --start)
    devices probe|verify ...

    TARGET is qemu:BOARD[:INSTANCE], a serial device (/dev/ttyUSB0?baud=115200), socket://HOST:PORT,
    rfc2217://HOST:PORT, or a name from targets.toml. A login that asks for a password gets the one of
    targets.toml or $SAMPAN_PASSWORD, or asks you. Exit code 255: the line or the board failed, not the program.
    """
    line = resolve(target)
    work = _SPECIAL.get(verb)
    arguments = list(words)
    try:
        try:
            code = work(line, arguments) if work else _own(line, verb, arguments)
        except LineFailure as failure:
            line = _asked(line, failure)
            code = work(line, arguments) if work else _own(line, verb, arguments)
    except LineFailure as failure:
        failure.code = EXIT_LINE if failure.code == EXIT_FAILURE else failure.code
        raise
    sys.exit(code)


def _own(line: Line, verb: str, words: list[str]) -> int:
    return program(line, [verb, *words], verb=True, seated=verb in _SEATED)


def _asked(line: Line, failure: LineFailure) -> Line:
    """The line with a password from the person, when that is what was missing and somebody sits here."""
    if failure.reason != "password" or not os.isatty(0) or not os.isatty(2):
        raise failure
    return replace(line, password=getpass.getpass(f"{line.target}: password of {line.user}: "))


def program(
    line: Line,
    words: Sequence[str],
    *,
    verb: bool = False,
    seated: bool = False,
    edit: Callable[[bytes], bytes] = lambda out: out,
) -> int:
    """A program there with our stdin, stdout (as `edit` makes it) and stderr; its exit code."""
    terminal = seated and os.isatty(0) and os.isatty(1)
    size = shutil.get_terminal_size()
    request: dict[str, object] = {"do": "run", "words": list(words), "verb": verb, "urgent": seated}
    if terminal:
        request |= {"terminal": True, "size": [size.lines, size.columns], "environment": _environment()}
    with Connection(line, request) as connection:
        if not terminal:
            return _join(connection, forward=signal.SIGINT, edit=edit)
        from sampan.control.terminal import on_resize
        from sampan.serial.terminal import raw_mode

        on_resize(connection.size)
        with raw_mode():
            return _join(connection)


def _environment() -> Mapping[str, str]:
    return {"TERM": os.environ.get("TERM", "vt100")}


def _join(
    connection: Connection,
    forward: signal.Signals | None = None,
    edit: Callable[[bytes], bytes] = lambda out: out,
) -> int:
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
                    _show(kind, edit(payload) if kind == Kind.STDOUT else payload)
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
    """The kernel's log, or a container's console: with -f as it goes on."""
    names = [word for word in words if word not in ("-f", "--follow")]
    follow = len(names) < len(words)
    if len(names) > 1 or any(name.startswith("-") for name in names):
        raise SampanError("logs: -f and one name at most", hint="sampan on TARGET logs [-f] [NAME]", code=EXIT_USAGE)
    if names:
        return program(line, ["sh", "-c", _CONSOLE_LOG, "logs", names[0], "1" if follow else ""])
    if not follow:
        return program(line, ["dmesg"])
    from sampan.control.kmsg import KernelLog

    return program(line, ["cat", "/dev/kmsg"], edit=KernelLog().feed)


def _push(line: Line, words: list[str]) -> int:
    return _files(line, words, push=True)


def _pull(line: Line, words: list[str]) -> int:
    return _files(line, words, push=False)


def _files(line: Line, words: list[str], *, push: bool) -> int:
    from sampan.cli.meter import Meter
    from sampan.control.remote import Target

    as_json = "--json" in words
    words = [word for word in words if word != "--json"]
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
    if as_json:
        print(json.dumps({"bytes": moved.size, "sent": moved.sent, "seconds": round(seconds, 3)}))
    else:
        print(f"{moved.size} bytes in {seconds:.1f} s, {moved.sent} over the line, sha256 checked", file=sys.stderr)
    return 0


def _install(line: Line, words: list[str]) -> int:
    from sampan.cli.install import install

    return _called(install, line, words)


def _devices(line: Line, words: list[str]) -> int:
    from sampan.cli.devices import command as devices

    if words[:1] not in (["probe"], ["verify"]):
        hint = "sampan on TARGET devices probe, or devices verify CONTAINER"
        raise SampanError("devices: probe or verify?", hint=hint, code=EXIT_USAGE)
    found = devices.commands[words[0]]
    return _called(found, line, [line.target, *words[1:]])


def _called(work: click.Command, line: Line, words: list[str]) -> int:
    """A command of the host's with this line as its target; its exit code."""
    code = work.main(words, prog_name=f"sampan on {line.target} {work.name}", standalone_mode=False, obj=line)
    return code if isinstance(code, int) else 0


_SPECIAL: dict[str, Callable[[Line, list[str]], int]] = {
    "exec": _exec,
    "run": _run,
    "shell": _shell,
    "logs": _logs,
    "push": _push,
    "pull": _pull,
    "install": _install,
    "devices": _devices,
}
