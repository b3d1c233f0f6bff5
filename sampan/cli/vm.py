"""`sampan vm`: machines in the background."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import click
import msgspec

from sampan.cli.boot import boot_options, build_if_absent
from sampan.cli.table import print_table
from sampan.core import tools
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.paths import shown
from sampan.qemu import vm
from sampan.qemu.machine import BootOptions
from sampan.qemu.places import Place, State


@click.group("vm")
def command() -> None:
    """Machines under QEMU in the background, found by name."""


@command.command("up")
@click.argument("board")
@click.option("--name", default="", help="Name of the machine (default: the board's).")
@click.option("--no-wait", is_flag=True, help="Do not wait until it asks for a login.")
@boot_options
def up(board: str, name: str, no_wait: bool, **options: object) -> None:
    """Start a machine on BOARD's image (a board, or a folder with an image.json)."""
    tools.ensure(["boot"])
    build_if_absent(board)
    state = vm.up(board, name, BootOptions(**options), wait=not no_wait)  # type: ignore[arg-type]
    print(f"{state.name}: {state.state}, pid {state.pid}, log {shown(Place(state.name).log)}")


@command.command("down")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "everything", is_flag=True, help="Every machine, and what is left of ended ones.")
def down(names: tuple[str, ...], everything: bool) -> None:
    """Cut the power of machines and clear them away."""
    if everything == bool(names):
        raise SampanError("which machine?", hint="`sampan vm down NAME...` or `--all`", code=EXIT_USAGE)
    for name in [state.name for state in vm.ls()] if everything else names:
        vm.down(name)


@command.command("ls")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output, with the command line of each.")
@click.option("--running", is_flag=True, help="Only those that live.")
def ls(as_json: bool, running: bool) -> None:
    """List machines: their state, and why they ended."""
    states = [state for state in vm.ls() if state.alive or not running]
    if as_json:
        print(json.dumps([_record(state) for state in states], indent=2))
        return
    rows = [
        [state.name, state.board, state.state, _why(state), str(state.pid or "-"), _age(state.started)]
        for state in states
    ]
    print_table(["name", "board", "state", "reason", "pid", "age"], rows, right=[4])


def _record(state: State) -> dict[str, object]:
    place = Place(state.name)
    where = {"log": str(place.log), "console": str(place.console), "qmp": str(place.qmp)}
    record: dict[str, object] = msgspec.to_builtins(state)
    return record | where


def _why(state: State) -> str:
    again = f"{state.resets} reset{'s' if state.resets > 1 else ''}" if state.resets else ""
    return ", ".join(filter(None, [state.reason, state.detail.partition("\n")[0], again])) or "-"


def _age(started: float) -> str:
    seconds = max(0, int(time.time() - started))
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"


@command.command("qmp")
@click.argument("name")
@click.argument("qmp_command", metavar="COMMAND")
@click.argument("arguments", default="{}", metavar="[JSON]")
def qmp(name: str, qmp_command: str, arguments: str) -> None:
    """Give QEMU a QMP command, such as query-status, and print its answer as JSON."""
    try:
        given = json.loads(arguments)
    except ValueError as error:
        raise SampanError(f"{arguments}: no JSON: {error}", code=EXIT_USAGE) from error
    if not isinstance(given, dict):
        raise SampanError(f"{arguments}: QMP's arguments are a JSON object", code=EXIT_USAGE)
    print(json.dumps(vm.qmp(name, qmp_command, given), indent=2))


@command.command("screenshot")
@click.argument("name")
@click.argument("out", default="", metavar="[FILE]")
def screenshot(name: str, out: str) -> None:
    """Save what a machine's display shows as PNG (default NAME.png)."""
    path = Path(out or f"{name}.png")
    vm.screenshot(name, path)
    print(shown(path.absolute()))


@command.command("net", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--address", default="", metavar="A.B.C.D/N", help="Address of eth0 there.")
@click.argument("switch", metavar="SWITCH[,delay=5ms...]")
@click.argument("words", nargs=-1, metavar="[--] [CMD]...", type=click.UNPROCESSED)
def net(switch: str, address: str, words: tuple[str, ...]) -> None:
    """Run CMD (a shell) in a network namespace of its own whose eth0 is on a virtual switch."""
    from sampan.qemu import lan

    words = words[1:] if words[:1] == ("--",) else words
    sys.exit(lan.run(switch, address, words or (os.environ.get("SHELL", "/bin/sh"),)))


@command.command("plug")
@click.argument("name")
@click.argument("kind", metavar="usb-serial|usb-block|block|net")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--id", "device", default="", help="Name of the device (default: KIND1, KIND2...).")
@click.option("--read-only", is_flag=True, help="The guest cannot write to FILE.")
def plug(name: str, kind: str, file: Path | None, device: str, read_only: bool) -> None:
    """Plug a device into a machine that was started with --ports; prints its id (and pty)."""
    done = vm.plug(name, kind, file, device=device, read_only=read_only)
    print(" ".join(filter(None, [done.id, done.host])))


@command.command("unplug")
@click.argument("name")
@click.argument("device")
def unplug(name: str, device: str) -> None:
    """Pull a device out of a machine, once the guest lets go of it."""
    vm.unplug(name, device)
