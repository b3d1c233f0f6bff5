"""`sampan devices probe TARGET`: ask the kernel of a target for the facts, over its console."""

from __future__ import annotations

from pathlib import Path

import click

from sampan.cli.devices_facts import keep
from sampan.core import tools
from sampan.core.errors import EXIT_USAGE, SampanError


@click.command("probe")
@click.argument("target")
@click.option("--board", default="", help="Which board a serial line is of.")
@click.option("--out", type=click.Path(path_type=Path), help="Write here, not to board/BOARD/facts.")
@click.option("--force", is_flag=True, help="Replace other facts of the same board and kernel.")
@click.pass_context
def probe(context: click.Context, target: str, board: str, out: Path | None, force: bool) -> None:
    """Probe TARGET over its serial console, and record the facts.

    TARGET is qemu:BOARD (its image is booted), a machine that runs (qemu:BOARD:INSTANCE), a serial line such as
    /dev/ttyUSB0?baud=115200, or a name of targets.toml. A line's board is told by --board, ?board= or targets.toml.
    """
    # QEMU's modules cost more to import than all other subcommands do.
    from sampan.control import shells
    from sampan.control.verify import probe as ask

    boots = shells.boots(target, running=bool(context.obj))
    if boots:
        from sampan.cli.boot import build_if_absent

        tools.ensure(["boot"])
        build_if_absent(boots)
    with shells.opened(target, board, running=bool(context.obj)) as opened:
        if not opened.board:
            raise SampanError(f"{target}: which board is it?", hint="--board NAME", code=EXIT_USAGE)
        found = ask(opened.shell, opened.board)
    keep(found, out, force)


COMMANDS = (probe,)
