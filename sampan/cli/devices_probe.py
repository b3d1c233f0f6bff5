"""`sampan devices probe BOARD`: boot a board's image and ask its kernel for the facts."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from sampan.cli.devices_facts import keep
from sampan.core import tools
from sampan.core.errors import SampanError
from sampan.devices import dump


@click.command("probe")
@click.argument("board")
@click.option("--out", type=click.Path(path_type=Path), help="Write here, not to board/BOARD/facts.")
@click.option("--force", is_flag=True, help="Replace other facts of the same board and kernel.")
def probe(board: str, out: Path | None, force: bool) -> None:
    """Boot BOARD's image under QEMU, probe it over its serial console, and record the facts."""
    # QEMU's modules cost more to import than all other subcommands do.
    from sampan.cli.boot import build_if_absent
    from sampan.qemu.boot import booted
    from sampan.qemu.machine import BootOptions

    tools.ensure(["boot"])
    build_if_absent(board)
    with tempfile.TemporaryDirectory() as folder:
        options = BootOptions(snapshot=True, log=Path(folder) / "console.log")
        with booted(board, options) as machine:
            done = machine.run(dump.script())
            if not done.ok:
                raise SampanError(f"{board}: the probe ended with status {done.status}")
            found = dump.parse(done.raw.decode("utf-8"), board, f"probe of {board}")
            machine.poweroff()
    keep(found, out, force)


COMMANDS = (probe,)
