"""`sampan size BOARD`: where the bytes of an image went."""

from __future__ import annotations

import sys

import click

from sampan.board.load import load
from sampan.build import size
from sampan.cli.table import print_table
from sampan.core import paths


@click.command("size")
@click.argument("board")
@click.option("--files", type=click.IntRange(0), default=10, show_default=True, help="How many of the largest files.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output, every file.")
def command(board: str, files: int, as_json: bool) -> None:
    """Tell where the bytes of BOARD's image went.

    "packed" is a part's estimated share of the compressed image that the board boots from.
    """
    report = size.report(paths.build_dir() / load(board).name)
    if as_json:
        sys.stdout.write(report.to_json().decode())
        return
    print_table(["image", "bytes"], [[name, f"{count:,}"] for name, count in report.images.items()], right=[1])
    print()
    rows = [[part.name, f"{part.files}", f"{part.size:,}", f"{part.packed:,}"] for part in report.parts]
    print_table(["part", "files", "bytes", "packed"], rows, right=[1, 2, 3])
    print()
    if files:
        largest = [[row.path, f"{row.size:,}", f"{row.packed:,}"] for row in report.rows[:files]]
        print_table(["largest files", "bytes", "packed"], largest, right=[1, 2])
        print()
    state = f"{report.headroom:,} left" if report.headroom >= 0 else f"{-report.headroom:,} too many"
    print(f"rootfs without kernel modules, cpio.gz: {report.core:,} of {report.cap:,} bytes, {state}")
