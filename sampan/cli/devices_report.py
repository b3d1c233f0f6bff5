"""`sampan devices report`: a page on what a container may touch, why, and what was proved."""

from __future__ import annotations

from pathlib import Path

import click

from sampan.cli.devices_generate import config_file
from sampan.cli.devices_names import one
from sampan.core.files import write_text
from sampan.core.paths import shown
from sampan.devices import catalogue, plan, policyfile, proof, report


@click.command("report")
@click.option("--board", required=True, metavar="BOARD[@KERNEL]", help="Default kernel: that of the built image.")
@click.option("--container", required=True, metavar="NAME|FILE", help="Of configs/containers, or a configuration file.")
@click.option("--out", type=click.Path(path_type=Path), help="Default: build/BOARD/devices/CONTAINER/KERNEL.html.")
def page(board: str, container: str, out: Path | None) -> None:
    """Write one self-contained HTML page: who may touch what on BOARD and why, and what verify proved."""
    path = config_file(container)
    facts, policy = one(board), policyfile.read(path)
    policy.path = shown(path)
    name = path.name.removesuffix(".config")
    found = plan.make(name, policy, facts, catalogue.load())
    proofs = proof.load_all(facts.board, name)
    target = out or proof.folder(facts.board, name) / f"{facts.kernel}.html"
    write_text(target, report.page(found, proofs))
    print(f"{shown(target)}: {' '.join(found.count)}; {len(proofs)} proof{'s' * (len(proofs) != 1)}")


COMMANDS = (page,)
