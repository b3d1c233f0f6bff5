"""One page of numbers: the same devices on all recorded boards and kernels, as Markdown (docs/device-numbers.md)."""

from __future__ import annotations

from collections.abc import Sequence

from sampan.devices.catalogue import Catalogue
from sampan.devices.facts import Facts, Node

#: Rows of the catalogue that get a column.
COLUMNS = ("rtc", "gpio", "watchdog", "hidraw")
_HEAD = """\
# Device numbers of known boards

Made of the recorded facts by `sampan devices table > docs/device-numbers.md`. All are character devices.
A number in brackets: the driver holds that major, and there was no device. `-`: no such driver. The last column
is what `c 254:0` is, which many examples call the clock. Kernels are Debian's, boards are QEMU's models of them.

"""


def page(known: Sequence[Facts], rows: Catalogue) -> str:
    """The page for these facts, in their order."""
    heads = ("board", "kernel", "console", *COLUMNS, "`c 254:0`")
    lines = [_row(heads), _row(["---"] * len(heads))]
    lines += [_row(_cells(facts, rows)) for facts in known]
    spread = [f"- {name}: {_spread(known, rows, name)}" for name in COLUMNS]
    return _HEAD + "\n".join(lines) + "\n\nMajors seen:\n\n" + "\n".join(spread) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(facts: Facts, rows: Catalogue) -> list[str]:
    consoles = ", ".join(f"{each.name} {each.major}:{each.minor}" for each in facts.consoles if each.name != "tty0")
    node = facts.by_number.get(("c", 254, 0))
    holder = ", ".join(facts.drivers("c", 254))
    answer = node.name if node else f"({holder})" if holder else "nothing"
    return [facts.board, facts.kernel, consoles, *(_cell(facts, rows, name) for name in COLUMNS), answer]


def _cell(facts: Facts, rows: Catalogue, name: str) -> str:
    found = [node for node in facts.nodes if rows.of_node(node) == name]
    if found:
        return _numbers(found)
    held = [f"({major}:*)" for driver in rows.devices[name].driver for major in facts.majors_of("c", driver)]
    return ", ".join(held) or "-"


def _numbers(nodes: Sequence[Node]) -> str:
    first, last = nodes[0], nodes[-1]
    return f"{first.major}:{first.minor}" + (f"-{last.minor}" if len(nodes) > 1 else "")


def _spread(known: Sequence[Facts], rows: Catalogue, name: str) -> str:
    """How often each major is the driver's."""
    count: dict[int, int] = {}
    for facts in known:
        for driver in rows.devices[name].driver:
            for major in facts.majors_of("c", driver):
                count[major] = count.get(major, 0) + 1
    return ", ".join(f"{major} ({_times(count[major])})" for major in sorted(count, reverse=True))


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
