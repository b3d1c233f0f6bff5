"""`sampan devices why`, `who`, `diff` and `catalogue`: numbers and names."""

from __future__ import annotations

import json

import click

from sampan.cli.table import print_table
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.paths import build_dir
from sampan.devices import catalogue, names, store
from sampan.devices import diff as differ
from sampan.devices.facts import Facts

_json = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
_board = click.option("--board", "boards", multiple=True, metavar="BOARD[@KERNEL]", help="Ask only this one.")

_all = click.option("--all", "everything", is_flag=True, help="A line for each board and kernel, and the hardware.")


def chosen(boards: tuple[str, ...]) -> list[Facts]:
    """Facts of the boards a person named; all that are recorded when none."""
    return [facts for spec in boards for facts in store.select(spec)] if boards else store.load_all()


def one(spec: str) -> Facts:
    """Facts of BOARD@KERNEL; of those that it may mean, the kernel that its image is built with."""
    board, _, kernel = spec.partition("@")
    for release in (built(spec), built(board)):
        if release.startswith(kernel) and (board, release) in store.names():
            return store.load(board, release)
    image = built(board)
    if image and not kernel:
        # Facts of another kernel would be numbers that this image's has not.
        known = ", ".join(f"{board}@{each.kernel}" for each in store.select(board))
        raise SampanError(
            f"there are no facts of {board} under Linux {image}, which its image has",
            hint=f"`sampan devices probe qemu:{board}` records them; known: {known}",
            code=EXIT_USAGE,
        )
    return store.find(spec)


def built(board: str) -> str:
    """Release of the kernel that the board was last built with, or ""."""
    try:
        data = json.loads((build_dir() / board / "kernel" / "kernel.json").read_text(encoding="utf-8"))
        return str(data["release"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _print(rows: list[dict[str, str]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows, indent=2))
    elif rows:
        print_table(list(rows[0]), [list(row.values()) for row in rows])


@click.command("why")
@click.argument("number", nargs=-1, required=True, metavar="NUMBER")
@_board
@_all
@_json
def why(number: tuple[str, ...], boards: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Tell what NUMBER (c 252:0) is, on every known board and kernel."""
    rule = names.parse_number(" ".join(number))
    rows = []
    for facts in chosen(boards):
        found = names.meaning(facts, catalogue.load(), rule)
        place = names.where(facts, found.nodes[0]) if len(found.nodes) == 1 else ""
        rows.append({"board": facts.board, "kernel": facts.kernel, "device": found.said, "where": place})
    _print(rows if boards or everything or as_json else _by_board(rows, "device"), as_json)


def _by_board(rows: list[dict[str, str]], answer: str) -> list[dict[str, str]]:
    """One row for each board; where its kernels differ, each answer with the kernels, cut as BOARD@ takes them."""
    boards: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        boards.setdefault(row["board"], {}).setdefault(row[answer], []).append(row["kernel"])
    return [{"board": board, answer: _by_kernel(found)} for board, found in boards.items()]


def _by_kernel(found: dict[str, list[str]]) -> str:
    if len(found) == 1:
        return next(iter(found))
    known = [kernel for kernels in found.values() for kernel in kernels]
    texts = [f"{said} on {', '.join(store.short(each, known) for each in kernels)}" for said, kernels in found.items()]
    return "; ".join(texts)


@click.command("who")
@click.argument("name")
@_board
@_all
@_json
def who(name: str, boards: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Tell the numbers of NAME (/dev/rtc0, or rtc for all of the kind), on every known board and kernel."""
    rows = []
    for facts, nodes in names.who(chosen(boards), catalogue.load(), name):
        numbers = ", ".join(f"{node.number} {node.name}" for node in nodes) or "-"
        place = names.where(facts, nodes[0]) if len(nodes) == 1 else ""
        rows.append({"board": facts.board, "kernel": facts.kernel, "number": numbers, "where": place})
    _print(rows if boards or everything or as_json else _by_board(rows, "number"), as_json)


@click.command("diff")
@click.argument("old", metavar="BOARD@KERNEL")
@click.argument("new", metavar="BOARD@KERNEL")
@click.option("--all", "everything", is_flag=True, help="Also what is gone or new.")
@click.option("--exit-code", is_flag=True, help="Exit status 1 when a number was recycled.")
@_json
def diff(old: str, new: str, everything: bool, exit_code: bool, as_json: bool) -> None:
    """Tell, in names, what changed for a list that was written for the first board and kernel."""
    changes = differ.compare(one(old), one(new), catalogue.load())
    shown = [change for change in changes if everything or change.kind in ("recycled", "moved", "renamed")]
    _print([{"change": each.kind, "what": each.text} for each in shown], as_json)
    if exit_code and any(change.kind == "recycled" for change in changes):
        raise click.exceptions.Exit(1)


@click.command("catalogue")
@_json
def list_catalogue(as_json: bool) -> None:
    """List the devices and profiles that can be asked for by name."""
    rows = catalogue.load()
    listed = [
        {"name": name, "kind": "profile", "danger": rows.danger(row), "what": row.what, "why": ", ".join(row.devices)}
        for name, row in rows.profiles.items()
    ]
    listed += [
        {"name": name, "kind": "device", "danger": row.danger, "what": row.what, "why": row.reason}
        for name, row in rows.devices.items()
    ]
    _print(listed, as_json)


COMMANDS = (why, who, diff, list_catalogue)
