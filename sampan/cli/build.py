"""`sampan build BOARD...`: the images of boards."""

from __future__ import annotations

import click

from sampan.board.load import default_names, load, names
from sampan.core import tools
from sampan.core.errors import EXIT_USAGE, SampanError


@click.command("build")
@click.argument("boards", nargs=-1, metavar="BOARD...")
@click.option("--all", "every", is_flag=True, help="All boards but those with build.default = false.")
@click.option("-j", "--jobs", type=click.IntRange(1, 256), default=None, help="Commands at once (default: one a core).")
def command(boards: tuple[str, ...], every: bool, jobs: int | None) -> None:
    """Build the images of boards into build/BOARD/ (CC= and CROSS_COMPILE= as for scons).

    BOARD@KERNEL is the board with another of Debian's kernels: qemuarm@5.10, qemuarm@6.12.
    """
    chosen = [word for word in boards if "=" not in word]
    variables = [word for word in boards if "=" in word]
    if every:
        chosen = default_names()
    if not chosen:
        raise SampanError("which board?", hint=f"one or more of {', '.join(names())}, or --all", code=EXIT_USAGE)
    for name in chosen:
        load(name)
    tools.ensure(["build"])
    from sampan.build.scons import build

    build(chosen, jobs=jobs, args=variables)
