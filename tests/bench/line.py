"""The bars of the serial line: `PYTHONPATH=.:tests/support python tests/bench/line.py [GROUP...]` prints the table.

The link's rows run in virtual time, with the host's Python at one end and the agent's C code at the other,
so they say the same on a busy machine. The others pace a real line with the same model in real time: run them alone.
Needs gcc; lrzsz for the modem protocols; labgrid's own environment is made below build/ (PyPI).
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from line_link import hundred_row, link_rows
from line_peers import labgrid_row, modem_row
from line_rows import CLEAN, Row
from line_session import session_rows, shell_row
from serial_pair import FULL, agent_library, agent_pair, noise

from sampan.cli.table import print_table


def rows(words: list[str]) -> Iterator[Row]:
    """Groups by name: link, hundred, modem, labgrid, session, shell; all without one."""
    chosen = words or ["link", "modem", "labgrid", "session", "shell", "hundred"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        library = agent_library(folder)
        ours = agent_pair(library, CLEAN, noise(300_000)).rate() / FULL
        for word in chosen:
            group = folder / word
            group.mkdir()
            if word == "link":
                yield from link_rows(library)
            elif word == "hundred":
                yield hundred_row(library, 100)
            elif word == "modem":
                yield modem_row("YMODEM-1K (lrzsz)", ["sb", "-k"], ["rb"], 300_000, ours)
                yield modem_row("ZMODEM (lrzsz)", ["sz"], ["rz"], 300_000, ours)
            elif word == "labgrid":
                yield labgrid_row(40_000, ours)
            elif word == "session":
                yield from session_rows(group)
            elif word == "shell":
                yield shell_row(group, 1000)


def main() -> None:
    found = []
    for row in rows(sys.argv[1:]):
        print("  ".join(row), file=sys.stderr, flush=True)
        found.append(row)
    print_table(["what", "seen", "bar", ""], found)


if __name__ == "__main__":
    main()
