"""Tables for people, the same way everywhere."""

from __future__ import annotations

import io
from collections.abc import Sequence

_STYLES = {"ok": "green", "missing": "red", "works": "green", "optional": "yellow"}


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """Print rows under headings; columns numbered in `right` are aligned right (figures).

    In a pipe there is no colour and no wrapping, so that grep and awk see one row a line.
    """
    # Imported here: most runs of a command print no table, and this takes as long as all the rest.
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = Console(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number in right else "left")
    for row in rows:
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    if terminal.is_terminal:
        terminal.print(table)
        return
    text = io.StringIO()
    Console(highlight=False, width=10_000, file=text).print(table)
    for line in text.getvalue().splitlines():
        print(line.rstrip())  # rich fills the last column up with blanks
