"""Which line a target's name means, and who logs in there.

`qemu:BOARD[:INSTANCE]`, a device (`/dev/ttyUSB0?baud=115200`), a URL, or a name of targets.toml:

    [bench]
    line = "/dev/ttyUSB0?baud=115200"
    user = "root"
    password_file = "~/.config/sampan/bench.password"
    board = "qemuarm"
    agent = "/dev/ttyUSB1?baud=921600"

`agent` is a second line on which nothing but an agent runs; commands take it when one answers there.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl

from sampan.board import load as boards
from sampan.core.errors import EXIT_USAGE, SampanError, did_you_mean
from sampan.core.files import refuse_os_error

_SCHEMES = ("socket://", "rfc2217://", "unix://")
_FORMS = "qemu:BOARD, /dev/ttyUSB0, socket://HOST:PORT, rfc2217://HOST:PORT, or a name of targets.toml"
_KEYS = ("line", "agent", "user", "password_file", "board", "power_on", "power_off")


@dataclass(frozen=True)
class Line:
    """What a target's name comes to."""

    target: str  #: as a person wrote it
    url: str  #: what opens it
    baud: int = 115200
    user: str = "root"
    password: str = ""
    board: str = ""  #: of which it is; "" when nothing tells
    agent: str = ""  #: a second line, LINE?baud=RATE, for nothing but an agent
    power_on: str = ""  #: commands of this host that switch it, see sampan.control.power
    power_off: str = ""
    machine: str = ""  #: name of the QEMU instance behind the line; "" for a real one


def resolve(target: str) -> Line:
    """The line of a target. Raises SampanError when there is none of this name."""
    return _with_password(_resolve(target))


def files() -> tuple[Path, Path]:
    """Where names are looked up; the first one wins."""
    return Path("targets.toml"), Path(os.path.expanduser("~/.config/sampan/targets.toml"))


def _resolve(target: str) -> Line:
    if target.startswith("qemu:"):
        return _machine(target)
    name, question, options = target.partition("?")
    if not name.startswith((*_SCHEMES, "/")):
        return _named(target)
    found = dict(parse_qsl(options, keep_blank_values=True))
    wrong = sorted(set(found) - {"baud", "user", "board"})
    if wrong or (question and not found):
        text = wrong[0] if wrong else options
        raise SampanError(f"{target}: {text!r} is no option of a line", hint="?baud=RATE&user=NAME", code=EXIT_USAGE)
    baud = found.get("baud", "115200")
    if not baud.isdigit() or not int(baud):
        raise SampanError(f"{target}: {baud!r} is no bit rate", hint="?baud=115200", code=EXIT_USAGE)
    return Line(target, name, int(baud), found.get("user", "root"), board=found.get("board", ""))


def _machine(target: str) -> Line:
    from sampan.qemu import places

    board, _, instance = target.removeprefix("qemu:").partition(":")
    place, state = places.find(instance or board)
    agent = f"unix://{place.agent}" if place.agent.exists() else ""
    return Line(target, f"unix://{place.console}", board=state.board, agent=agent, machine=place.name)


def _named(target: str) -> Line:
    known: dict[str, tuple[Path, dict[str, object]]] = {}
    for path in reversed(files()):
        known |= {name: (path, entry) for name, entry in _read(path).items()}
    if target not in known:
        near = f"did you mean qemu:{target}?" if target in boards.names() else ""
        hint = near or (did_you_mean(target, known) if known else _FORMS)
        raise SampanError(f"{target}: no such target", hint=hint, code=EXIT_USAGE)
    path, entry = known[target]
    line = entry["line"]
    if str(line) in known:
        raise SampanError(f"{path}: [{target}] line: another name of this file", hint=_FORMS, code=EXIT_USAGE)
    found = replace(_resolve(str(line)), target=target)
    secret = _password(path, str(entry["password_file"])) if "password_file" in entry else found.password
    user, board = (str(entry.get(key, given)) for key, given in (("user", found.user), ("board", found.board)))
    agent = str(entry.get("agent", ""))
    if agent:
        _resolve(agent)  # what is no line is said now
    on, off = (str(entry.get(key, "")) for key in ("power_on", "power_off"))
    return replace(found, user=user, board=board, password=secret, agent=agent, power_on=on, power_off=off)


def _read(path: Path) -> dict[str, dict[str, object]]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        refuse_os_error(error, "read", path)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SampanError(f"{path}: {error}", code=EXIT_USAGE) from error
    for name, entry in tables.items():
        if not isinstance(entry, dict) or not isinstance(entry.get("line"), str):
            raise SampanError(f'{path}: {name}: a target is a table, [{name}] with line = "..."', code=EXIT_USAGE)
        for key, value in entry.items():
            if key not in _KEYS:
                raise SampanError(
                    f"{path}: [{name}] {key}: no such key", hint=did_you_mean(key, _KEYS), code=EXIT_USAGE
                )
            if not isinstance(value, str):
                raise SampanError(f"{path}: [{name}] {key}: not a text", hint=f'{key} = "..."', code=EXIT_USAGE)
    return tables


def _password(table: Path, name: str) -> str:
    path = table.absolute().parent / os.path.expanduser(name)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SampanError(f"{table}: password_file: {path}: {error}", code=EXIT_USAGE) from error
    return lines[0] if lines else ""


def _with_password(line: Line) -> Line:
    given = os.environ.get("SAMPAN_PASSWORD", "")
    return replace(line, password=given) if given else line
