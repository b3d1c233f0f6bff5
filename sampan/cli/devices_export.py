"""`sampan devices export` and `import`: lists in the words of other tools, and back."""

from __future__ import annotations

import re
from pathlib import Path

import click

from sampan.cli.devices_generate import request, resolved
from sampan.cli.devices_names import one
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.devices import export as writers
from sampan.devices import guard as guards
from sampan.devices import naming, policyfile

_PATH = re.compile(r"/[A-Za-z0-9._/-]+")


@click.command("export")
@request
@click.option("--format", "form", type=click.Choice([*writers.FORMATS, "guard"]), required=True)
@click.option("--guard", default="", metavar="PATH", help="Where the guard is on the target; hook it in.")
def export(board: str, container: str | None, profiles: tuple[str, ...], form: str, guard: str) -> None:
    """Write the list of a container on BOARD as another tool wants it, or its guard script."""
    found = resolved(board, container, profiles)
    if form == "guard":
        click.echo(guards.script(found), nl=False)
        return
    if guard and not _PATH.fullmatch(guard):
        raise SampanError(
            f"--guard {guard!r}: hooks need an absolute path on the target",
            hint="of letters, digits and . _ - / alone: systemd and shells act on others",
            code=EXIT_USAGE,
        )
    click.echo(writers.FORMATS[form](found, guard), nl=False)
    for text in writers.lost(found, form, guard):
        click.echo(f"note: {text}", err=True)


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--board", required=True, metavar="BOARD[@KERNEL]", help="Where the list was right.")
def import_list(file: Path, board: str) -> None:
    """Rewrite the numbers in FILE as names: what they are on BOARD. Prints LXC's keys."""
    click.echo(naming.named(policyfile.read(file), one(board)), nl=False)


COMMANDS = (export, import_list)
