"""`sampan seccomp`: policies for system calls, compiled on the host."""

from __future__ import annotations

from pathlib import Path

import click

from sampan.config import seccomp, seccomp_bpf, seccomp_calls
from sampan.core.files import read_text, write_bytes


@click.group("seccomp")
def command() -> None:
    """System call filters: LXC's text policies become programs that the target only loads."""


@command.command("compile")
@click.argument("policies", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--arch",
    "arches",
    multiple=True,
    type=click.Choice(list(seccomp_calls.OF_ARCH)),
    help="Only this one (again for more); all of them otherwise.",
)
def compile_(policies: tuple[Path, ...], arches: tuple[str, ...]) -> None:
    """Write POLICY.ARCH.bpf beside each POLICY; copy both to the target."""
    for path in policies:
        text = read_text(path)
        policy = seccomp.parse(text, str(path))
        for arch in arches or seccomp_calls.OF_ARCH:
            data = seccomp_bpf.blob(policy, path.read_bytes(), arch)
            out = path.with_name(f"{path.name}.{arch}.bpf")
            write_bytes(out, data)
            print(f"{out}: {len(data)} bytes")
