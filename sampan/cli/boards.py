"""`sampan boards`: what can be built and booted."""

from __future__ import annotations

import json
import sys

import click

from sampan.board.load import load, names
from sampan.cli.table import print_table
from sampan.core.errors import SampanError
from sampan.core.paths import boards_dir, shown


@click.command("boards")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def command(as_json: bool) -> None:
    """List the boards: a folder with a board.toml below board/ is one. `all`: `build --all` builds it."""
    rows: list[dict[str, str]] = []
    broken: list[SampanError] = []
    for name in names():
        try:
            board = load(name)
        except SampanError as error:
            broken.append(error)
            continue
        kernel = board.kernel.package or board.kernel.image
        console = f"{board.console.tty},{board.console.baud}"
        rows.append(
            {
                "board": name,
                "arch": board.arch,
                "console": console,
                "kernel": kernel,
                "all": "yes" if board.build.default else "",
                "description": board.description,
            }
        )
    if as_json:
        print(json.dumps(rows, indent=2))
    elif rows:
        print_table(list(rows[0]), [list(row.values()) for row in rows])
    else:
        print(f"no boards in {shown(boards_dir())}", file=sys.stderr)
    if broken:
        raise SampanError("\n".join(str(error) for error in broken), code=broken[0].code)
