"""`python -m sampan.build.devices`: the device lists of the containers in an image.

For each of rootfs.containers the configuration that is installed, the rules, the /dev nodes and a page
that says why, resolved with the facts of the kernel that the image is built with. A name that does not
resolve ends the build; numbers are taken as they are, and what lint says of them stands in the page.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from sampan.build import action
from sampan.build import kernel as kernels
from sampan.build.containers import SUFFIX
from sampan.build.containers import folder as configurations
from sampan.build.image import DeviceList
from sampan.core.errors import SampanError
from sampan.core.files import read_text, write_bytes, write_text
from sampan.core.progress import note
from sampan.devices import catalogue, naming, plan, policyfile, report


def load(path: Path) -> dict[str, DeviceList]:
    """Read devices.json."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, DeviceList])
    except (OSError, msgspec.MsgspecError) as error:
        raise SampanError(f"{path}: {error}", hint="build the board again") from error


def resolved(board: str, kernel: str, name: str) -> tuple[DeviceList, str]:
    """The list of one container, and its page ("" when there are no facts to write one from)."""
    policy = policyfile.read(configurations() / f"{name}{SUFFIX}")
    policy.path = f"configs/containers/{name}{SUFFIX}"  # the same words in every checkout
    facts = plan.facts_of(board, kernel, policy)
    if facts is None:
        rules = [entry.text for entry in policy.entries if entry.form == "number"]
        none = DeviceList(
            facts="", everything=not policy.deny_all, rules=rules, nodes=[], errors=0, warnings=0, report=""
        )
        return none, ""
    found = plan.make(name, policy, facts, catalogue.load())
    count = {level: sum(each.level == level for each in found.findings) for level in ("error", "warning")}
    listed = DeviceList(
        facts=facts.name,
        everything=not found.listed,
        rules=[str(rule) for rule in (found.rules if found.listed else found.model.rules.values())],
        nodes=[f"/dev/{node.name} {node.number}" for node in found.nodes],
        errors=count["error"],
        warnings=count["warning"],
        report=f"devices/{name}/report.html",
    )
    return listed, report.page(found, [])


def installed(board: str, kernel: str, name: str) -> str:
    """The configuration as the image gets it: profiles are devices by name, which is what the runtime takes."""
    path = configurations() / f"{name}{SUFFIX}"
    text = read_text(path)
    facts = plan.facts_of(board, kernel, policyfile.read(path))
    return naming.without_profiles(text, facts, catalogue.load()) if facts else text


_NO_PAGE = "<!doctype html><title>no facts</title><p>No facts of this board under this kernel are recorded.\n"


def build(board: str, kernel: str, names: list[str], out: Path) -> None:
    """Write devices.json and the pages beside it."""
    found = {name: resolved(board, kernel, name) for name in names}  # all errors before the first byte
    for name, text in {name: installed(board, kernel, name) for name in names}.items():
        write_text(out.parent / name / "config", text)
    for name, (listed, page) in found.items():
        write_text(out.parent / name / "report.html", page or _NO_PAGE)
        if listed.errors:
            note(f"{name}: lint finds {listed.errors} errors in its device list: {listed.report}")
    data = msgspec.json.encode({name: listed for name, (listed, _) in found.items()}, order="sorted")
    write_bytes(out, msgspec.json.format(data) + b"\n")


def _parser() -> argparse.ArgumentParser:
    parser = action.parser("sampan.build.devices", "Resolve the device lists of an image's containers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="configs/containers/NAME.config")
    parser.add_argument("--board", required=True)
    parser.add_argument("--kernel", type=Path, required=True, help="kernel.json")
    parser.add_argument("--out", type=Path, required=True, help="devices.json; the pages go beside it")
    return parser


def _main(args: argparse.Namespace) -> None:
    build(args.board.partition("@")[0], kernels.load(args.kernel).release, args.names, args.out)


if __name__ == "__main__":
    sys.exit(action.main(_parser, _main))
