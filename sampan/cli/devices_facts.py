"""`sampan devices facts` and `record`: what is known of which board and kernel."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sampan.cli.table import print_table
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.paths import shown
from sampan.devices import catalogue, dump, numbers, store, tsv
from sampan.devices.facts import Facts


@click.command("facts")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def facts(as_json: bool) -> None:
    """List the boards and kernels whose device numbers are known."""
    rows = [
        {
            "board": each.board,
            "kernel": each.kernel,
            "console": ", ".join(console.name for console in each.consoles),
            "nodes": len(each.nodes),
            "machine": each.machine,
        }
        for each in store.load_all()
    ]
    if as_json:
        print(json.dumps(rows, indent=2))
    elif rows:
        print_table(list(rows[0]), [[str(cell) for cell in row.values()] for row in rows], right=(3,))
    else:
        raise SampanError("no facts are recorded", hint="`sampan devices record` makes them from a probe's output")


@click.command("record")
@click.argument("board")
@click.argument("dump_file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace other facts of the same board and kernel.")
def record(board: str, dump_file: Path, force: bool) -> None:
    """Record the facts of BOARD from FILE, the output of sampan/devices/probe.sh on it."""
    if not board.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise SampanError(f"{board!r} is no name of a board", code=EXIT_USAGE)
    keep(dump.read(dump_file, board), None, force)


def keep(found: Facts, out: Path | None, force: bool) -> None:
    """Write facts where they belong, or to `out`; other facts of that kernel stay unless forced."""
    path = out or store.path_of(found.board, found.kernel)
    if not out and not force:
        _refuse_other_machine(found)
    if not out and path.exists() and not force and tsv.read(path) != found:
        raise SampanError(
            f"{shown(path)} holds other facts of the same kernel",
            hint="--force replaces them; `git diff` then shows what changed",
        )
    tsv.write(path, found)
    print(f"{shown(path)}: {len(found.nodes)} nodes, {len(found.majors)} majors")


def _refuse_other_machine(found: Facts) -> None:
    """Facts of one board under another's name would prove that board's lists wrong, or right."""
    known = [store.load(*name) for name in store.names() if name[0] == found.board]
    machines = {each.machine for each in known}
    if machines and found.machine not in machines:
        there, here = (each or "a machine without a device tree" for each in (known[0].machine, found.machine))
        raise SampanError(
            f"this is {here}, and the facts of {found.board} are those of {there}",
            hint="another name for the board; --force when its hardware is another now",
            code=EXIT_USAGE,
        )


@click.command("table")
def table() -> None:
    """Print clock, GPIO, watchdog and hidraw of all known boards as a page of Markdown."""
    print(numbers.page(store.load_all(), catalogue.load()), end="")


COMMANDS = (facts, record, table)
