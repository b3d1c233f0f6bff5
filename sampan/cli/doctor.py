"""`sampan doctor`: the host's tools in one table, KVM honestly, and what to do."""

from __future__ import annotations

import json

import click

from sampan.cli.table import print_table
from sampan.core import tools
from sampan.core.errors import EXIT_MISSING, SampanError
from sampan.qemu import accel


@click.command("doctor")
@click.option("--install", is_flag=True, help="Install what is missing through apt (root).")
@click.option("--probe-kvm", is_flag=True, help="Prove anew whether KVM works, by a timed boot.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def command(install: bool, probe_kvm: bool, as_json: bool) -> None:
    """Show which system tools are there, their versions and what each is for."""
    absent = tools.missing(("build", "boot", "flash", "test"))
    if install and absent:
        tools.install(absent)
    found = tools.find()
    kvm = accel.status(probe=probe_kvm)
    if as_json:
        print(json.dumps({"tools": [_record(item) for item in found], "kvm": kvm.as_dict()}, indent=2))
    else:
        rows = [
            [item.tool.program, "ok" if item.path else "missing", item.version, item.tool.use, item.tool.purpose]
            for item in found
        ]
        rows.append(["kvm", kvm.verdict, "", "boot", kvm.reason])
        print_table(["tool", "state", "version", "for", "what it does"], rows)
    lacking = [item.tool for item in found if not item.path]
    if needed := [tool for tool in lacking if tool.use in ("build", "boot")]:
        raise SampanError(f"{len(needed)} tools are missing", hint="`sampan doctor --install`", code=EXIT_MISSING)
    if not as_json:
        rest = f", {len(lacking)} needed only by the tests or for FAT partitions are missing" if lacking else ""
        print(f"\nready to build and boot{rest}")


def _record(item: tools.Found) -> dict[str, str]:
    return {
        "tool": item.tool.program,
        "package": item.tool.package,
        "use": item.tool.use,
        "path": item.path,
        "version": item.version,
        "purpose": item.tool.purpose,
    }
