"""`sampan boot BOARD`: QEMU and a terminal on the board's serial console."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from sampan.core import tools
from sampan.core.paths import build_dir, shown
from sampan.qemu.machine import CGROUPS, BootOptions

_Command = TypeVar("_Command", bound=Callable[..., object])

#: What may be changed about a boot, in the foreground and in the background.
_OPTIONS = (
    click.option("--cgroup", default="v2", metavar="LAYOUT", show_default=True, help=f"One of {', '.join(CGROUPS)}."),
    click.option("--ram", default="", metavar="SIZE", help="Memory, such as 512M (default: board.toml's)."),
    click.option("--append", default="", metavar="TEXT", help="Further kernel parameters."),
    click.option("--data", type=click.Path(path_type=Path), help="Data disk instead of build/BOARD/run/data.ext4."),
    click.option("--snapshot", is_flag=True, help="Throw away what is written to the data disk."),
    click.option("--accel", type=click.Choice(["auto", "tcg", "kvm"]), default="auto", show_default=True),
    click.option(
        "--line", default="", metavar="SPEC", help="Simulate a slow, faulty line: 115200,ber=1e-5,printk=5/s."
    ),
    click.option("--fast", is_flag=True, help="Begin with a snapshot of a booted machine, made at the first time."),
    click.option("--reboot", is_flag=True, help="Let a reset reboot the machine; else it ends."),
    click.option("--watchdog", is_flag=True, help="An Intel 6300ESB watchdog on the PCI bus."),
    click.option("--net", default="", metavar="SPEC", help="A virtual switch: NAME[,delay=5ms,loss=0.01,rate=10M]."),
    click.option("--ports", is_flag=True, help="Ports for `sampan vm plug`."),
    click.option("--display", is_flag=True, help="A graphics card, for `sampan vm screenshot`."),
)


def boot_options(command: _Command) -> _Command:
    """Give a command the options of BootOptions that every boot has."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command("boot")
@click.argument("board")
@boot_options
@click.option("--qmp", type=click.Path(path_type=Path), help="A unix socket for a QMP client of yours.")
@click.option("--log", type=click.Path(path_type=Path), help="Console log instead of build/BOARD/run/console.log.")
@click.option("--script", type=click.Path(path_type=Path), help="Log in, run the lines of a file, power off.")
def command(board: str, script: Path | None, **options: object) -> None:
    """Boot BOARD's image (a board, or a folder with an image.json) and talk to its serial console.

    When stdin is no terminal its lines are run as a script: each as a command, until one fails.
    """
    from sampan.qemu.boot import boot  # `vm up`, which has the same options, starts faster without it

    tools.ensure(["boot"])
    build_if_absent(board)
    sys.exit(boot(board, BootOptions(**options), script))  # type: ignore[arg-type]


def build_if_absent(board: str) -> None:
    """Build the image of a board that has none yet."""
    if "/" in board or (build_dir() / board / "image.json").is_file():
        return
    from sampan.build.scons import build

    print(f"sampan: {shown(build_dir() / board)} has no image yet: building it", file=sys.stderr)
    tools.ensure(["build"])
    build([board])
