"""`sampan kernel check FILE`: has this kernel what containers need?"""

from __future__ import annotations

import json
from pathlib import Path

import click

from sampan.build import kernelcheck
from sampan.cli.table import print_table
from sampan.core.errors import SampanError


@click.group("kernel")
def command() -> None:
    """Check a kernel for what containers need."""


@command.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def check(file: Path, as_json: bool) -> None:
    """Check FILE: a .config, config.gz, vmlinux, bzImage, zImage, Image or uImage with IKCONFIG.

    Exit status 1 when a must-have is missing.
    """
    report = kernelcheck.check_file(file)
    if as_json:
        print(json.dumps([_record(row) for row in report.rows], indent=2))
    else:
        print(f"{report.source}: Linux {report.release or '(version unknown)'}\n")
        print_table(["option", "value", "state", "level", "cgroup", "why"], [_cells(row) for row in report.rows])
        verdicts = [f"{name}: {'yes' if report.supports(name) else 'no'}" for name in ("v1", "v2")]
        print(f"\ndevice rules and containers on cgroup {', '.join(verdicts)}")
    if report.missing:
        names = ", ".join(f"CONFIG_{row.option.name}" for row in report.missing)
        raise SampanError(f"{report.source}: {len(report.missing)} must-haves are missing: {names}")


def _cells(row: kernelcheck.Row) -> list[str]:
    state = "ok" if row.ok else "missing" if row.option.level == "must" else "optional"
    why = f"{row.option.reason} ({row.remark})" if row.remark else row.option.reason
    return [row.option.name, row.value, state, row.option.level, row.option.cgroup, why]


def _record(row: kernelcheck.Row) -> dict[str, str | bool]:
    return {
        "option": row.option.name,
        "value": row.value,
        "ok": row.ok,
        "level": row.option.level,
        "cgroup": row.option.cgroup,
        "reason": row.option.reason,
        "remark": row.remark,
    }
