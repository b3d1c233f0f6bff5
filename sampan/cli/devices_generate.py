"""`sampan devices generate`: the rules of one container on one board."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click

from sampan.cli.devices_names import one
from sampan.core import paths
from sampan.core.errors import EXIT_USAGE, SampanError, did_you_mean
from sampan.devices import catalogue, export, policyfile, resolve


def request(function: Callable[..., None]) -> Callable[..., None]:
    """The options that say whose list of what."""
    for option in (
        click.option("--profile", "profiles", multiple=True, help="A profile, besides or without a container."),
        click.option("--container", metavar="NAME|FILE", help="Of configs/containers, or a configuration file."),
        click.option("--board", required=True, metavar="BOARD[@KERNEL]", help="Whose numbers."),
    ):
        function = option(function)
    return function


def resolved(board: str, container: str | None, profiles: tuple[str, ...]) -> resolve.Resolved:
    """The list that was asked for."""
    if not container and not profiles:
        raise SampanError("neither a container nor a profile was named", code=EXIT_USAGE)
    policy = policyfile.read(config_file(container)) if container else policyfile.Policy("--profile", "lxc")
    policy.entries += [policyfile.entry(1, "allow", f"profile:{name}") for name in profiles]
    return resolve.resolve(policy, one(board), catalogue.load())


@click.command("generate")
@request
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def generate(board: str, container: str | None, profiles: tuple[str, ...], as_json: bool) -> None:
    """Resolve what a container asks for to the smallest list of numbers on BOARD."""
    found = resolved(board, container, profiles)
    print(_json(found) if as_json else export.lxc2(found, ""), end="")


def config_file(container: str) -> Path:
    """A configuration by its name in configs/containers, or by its path."""
    folder = paths.ROOT / "configs" / "containers"
    path = folder / f"{container}.config"
    if path.is_file():
        return path
    if Path(container).is_file():
        return Path(container)
    known = [each.name.removesuffix(".config") for each in folder.glob("*.config")]
    raise SampanError(f"there is no container {container!r}", hint=did_you_mean(container, known), code=EXIT_USAGE)


def _json(found: resolve.Resolved) -> str:
    rules = [{"rule": str(each.rule), "device": each.device, "origin": each.origin} for each in found.grants]
    nodes = [{"path": f"/dev/{node.name}", "number": node.number} for node in found.nodes]
    board = {"board": found.facts.board, "kernel": found.facts.kernel}
    data = board | {"rules": rules, "nodes": nodes, "absent": list(found.absent)}
    return json.dumps(data, indent=2) + "\n"


COMMANDS = (generate,)
