"""`sampan devices predict`: device numbers and classes of a board that was never booted."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sampan.cli.devices_names import one
from sampan.cli.table import print_table
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.files import read_text
from sampan.devices import dtb as trees
from sampan.devices import predict as predictor
from sampan.devices.facts import Facts

_FILE = click.Path(path_type=Path)


@click.command("predict")
@click.option("--system-map", "map_", type=_FILE, help="System.map of a kernel: majors of built-in drivers.")
@click.option("--config", type=_FILE, help="Its configuration: tells what modules will take numbers, too.")
@click.option("--dtb", type=_FILE, help="Device tree blob of a board: classes it will have.")
@click.option("--board", default="", metavar="BOARD[@KERNEL]", help="Compare with recorded facts.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def predict(map_: Path | None, config: Path | None, dtb: Path | None, board: str, as_json: bool) -> None:
    """Tell the device numbers of a kernel, and the devices of a board, from files of its build alone.

    Exit status 1 when a recorded kernel (--board) has other majors than predicted.
    """
    if not map_ and not dtb:
        raise SampanError("nothing to predict from", hint="--system-map FILE, --dtb FILE, or both", code=EXIT_USAGE)
    facts = one(board) if board else None
    majors = _majors(map_, config, facts) if map_ else []
    classes = _classes(dtb, facts) if dtb else []
    if as_json:
        print(json.dumps({"majors": majors, "classes": classes}, indent=2))
    for rows in (majors, classes) if not as_json else ():
        if rows:
            print_table(list(rows[0]), [list(row.values()) for row in rows])
    if any(row.get("recorded", "").startswith("WRONG") for row in majors):
        raise click.exceptions.Exit(1)


def _majors(path: Path, config: Path | None, facts: Facts | None) -> list[dict[str, str]]:
    functions, unknown = predictor.read(path)
    text = read_text(config) if config else ""
    if lost := predictor.missing(text, functions):
        raise SampanError(f"{config}: {lost[0]} is built in there, and not in {path}", hint="are they of one kernel?")
    rows = []
    for major in predictor.majors(functions, unknown):
        number = f"{major.kind} {major.number}"
        if major.otherwise != major.number:
            number += f" or {major.otherwise}"
        row = {"driver": major.name, "major": number, "by": major.init}
        if facts:
            (check,) = predictor.against([major], facts)
            real = ", ".join(map(str, check.real)) or "not there"
            row["recorded"] = real if check.right else f"WRONG: {real}"
        rows.append(row)
    later = [
        {"driver": name, "major": "by load order", "by": f"module, {row.config}"}
        for name, row in predictor.as_modules(text)
    ]
    return rows + [row | ({"recorded": ""} if facts else {}) for row in later]


def _classes(path: Path, facts: Facts | None) -> list[dict[str, str]]:
    nodes = trees.read(path)
    if facts and facts.machine and facts.machine != trees.machine(nodes):
        raise SampanError(
            f"{path}: this is the tree of {trees.machine(nodes)!r}, {facts.name} is {facts.machine!r}",
            hint="compare with the facts of that board",
            code=EXIT_USAGE,
        )
    rows = []
    for name, places in trees.classes(nodes).items():
        row = {"class": name, "nodes of the tree": ", ".join(places[:3]) + (", ..." if len(places) > 3 else "")}
        if facts:
            found = [node.name for node in facts.nodes if node.subsystem == name and node.driver]
            more = f" and {len(found) - 3} more" if len(found) > 3 else ""
            row["devices"] = ", ".join(found[:3]) + more or "none: driver missing, module not loaded, or an empty slot"
        rows.append(row)
    return rows


COMMANDS = (predict,)
