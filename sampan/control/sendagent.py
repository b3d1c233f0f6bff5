"""Bring the agent to a target that lacks it, over nothing but its shell.

The runtime goes as text in short commands whose checksums the shell's loop verifies (sampan.serial.shell);
what comes out must have the SHA-256 that it has here before it is run. It stays where it is until the target
is booted again, so the next connection finds it.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path

from sampan.core.errors import SampanError
from sampan.core.paths import build_dir, shown
from sampan.serial.console import Console
from sampan.serial.errors import ConsoleError
from sampan.serial.session import Session

_CHUNK = 4500  #: bytes of the program in a command: half a second at 115200 baud
_COMMAND_SECONDS = 60.0
_NAME = "sampan-sent"
#: uname -m -> our name of the architecture.
_ARCHES = {"x86_64": "x86_64", "aarch64": "aarch64", "armv7l": "armv7", "armv8l": "armv7"}
_ARCHES |= {f"i{family}86": "x86" for family in range(3, 7)}
#: Where a program can be written and run; the first that has it already, with this sum, wins.
_LOOK = """for t in sha256sum 'busybox sha256sum';do $t </dev/null >/dev/null 2>&1&&h=$t&&break;done
for t in base64 'busybox base64';do echo YQ==|$t -d >/dev/null 2>&1&&b="$t -d"&&break;done
for t in gzip 'busybox gzip';do echo|$t -c 2>/dev/null|$t -dc >/dev/null 2>&1&&z=$t&&break;done
p=;for d in /run /dev/shm /tmp /var/tmp;do f=$d/{name}
[ -x $f/sampan ]&&[ "$($h <$f/sampan)" = "{digest}  -" ]&&p=$f&&there=yes&&break
[ "$p" ]||{{ mkdir -p $f&&printf '#!/bin/sh\\n'>$f/try&&chmod 700 $f $f/try&&$f/try&&p=$f; }} 2>/dev/null
rm -f $f/try;done
echo "$(uname -m),$p,$there,$h,$b,$z"
"""


class CannotSend(ConsoleError):
    """The target lacks the agent, and it cannot be sent."""


def binary(arch: str) -> Path:
    """The runtime for an architecture, as the build made it."""
    return build_dir() / "arch" / arch / "sampan"


async def send(console: Console, say: Callable[[str], None]) -> str:
    """Put the agent on a target whose shell is at its prompt; the folder it is in. Raises CannotSend, LineNoise."""
    session = Session(console)
    try:
        machine = (await session.run("uname -m", _COMMAND_SECONDS)).check().output.strip()
        path = binary(_ARCHES.get(machine, machine))
        if not path.is_file():
            what = f"the target has no sampan with an agent, and there is none for {machine} here to send"
            raise console.error(CannotSend, what, f"build a board with that processor: {shown(path)} is sent then")
        return await _bring(session, path.read_bytes(), say)
    finally:
        await session.leave()


async def _bring(session: Session, program: bytes, say: Callable[[str], None]) -> str:
    digest = hashlib.sha256(program).hexdigest()
    look = _LOOK.format(name=_NAME, digest=digest)
    said = (await session.run(look, _COMMAND_SECONDS)).check().output.splitlines()[-1]
    _, folder, there, sums, unbase, unzip = said.split(",")
    if there:
        return folder
    if not folder or not sums:
        lacks = "no folder where programs may run" if not folder else "no sha256sum"
        raise session.console.error(CannotSend, f"the target has no sampan, and {lacks} for the one to be sent")
    packed = gzip.compress(program, mtime=0) if unzip else program
    say(f"the target lacks sampan: sending it ({len(packed) // 1000} kB)")
    await write(session, packed, f"{folder}/part", unbase)
    finish = (
        f"cd {folder}&&{unzip + ' -dc' if unzip else 'cat'} <part >new&&rm part&&chmod 700 new&&"
        f'[ "$({sums} <new)" = "{digest}  -" ]&&mv new sampan||{{ rm -f part new;exit 1;}}'
    )
    if not (await session.run(finish, _COMMAND_SECONDS)).ok:
        raise session.console.error(
            CannotSend, "the agent that was sent is not what arrived", "a full disk, or memory?"
        )
    return folder


async def write(session: Session, data: bytes, path: str, unbase: str) -> None:
    """Make a file of pieces; each command runs once and is checked, or it raises.

    `path` is a shell's word, `unbase` what decodes base64 there ("": nothing does).
    """
    size = _CHUNK if unbase else _CHUNK // 4
    for at in range(0, len(data), size):
        piece = data[at : at + size]
        if unbase:
            command = f"echo {base64.b64encode(piece).decode()}|{unbase}"
        else:
            command = "printf '" + "".join(f"\\{byte:03o}" for byte in piece) + "'"
        result = await session.run(f"{command} >{'>' if at else ''}{path}", _COMMAND_SECONDS)
        if not result.ok:
            raise SampanError(f"on the target: cannot write {path}: {result.output.strip()}")
