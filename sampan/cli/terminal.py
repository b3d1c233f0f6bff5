"""`sampan terminal TARGET`: a person's terminal on a line, beside what else runs over it."""

from __future__ import annotations

import sys

import click

from sampan.control.target import resolve


@click.command("terminal")
@click.argument("target")
@click.option("--watch", is_flag=True, help="Only look; Ctrl-a t takes the keyboard later.")
def command(target: str, watch: bool) -> None:
    """A terminal on TARGET's line: keys go to the board, Ctrl-a x quits and leaves the line as it is.

    Any number of terminals and of `sampan on` share a line; one terminal has the keyboard, the others watch.
    TARGET as for `sampan on`. What the line says is kept with dates (Ctrl-a l tells where). A lost line (an unplugged
    adapter) is waited for. Without a terminal at stdin, its bytes are sent, and the answer shown until it is quiet.
    """
    from sampan.control.terminal import sit

    line = resolve(target)
    ended = sit(line, watch=watch)
    print(f"\n[sampan: {ended or f'{target}: the line is left as it is'}]", file=sys.stderr)
