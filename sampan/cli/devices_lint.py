"""`sampan devices lint`: what is wrong with a list of devices somebody wrote."""

from __future__ import annotations

from pathlib import Path

import click

from sampan.cli.devices_names import built, chosen
from sampan.devices import catalogue, finding, lintreport, policyfile
from sampan.devices import lint as linter

_WRITERS = {"text": lintreport.as_text, "json": lintreport.as_json, "sarif": lintreport.as_sarif}


@click.command("lint")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("--board", "boards", multiple=True, metavar="BOARD[@KERNEL]", help="Judge by this one, not by all.")
@click.option("--format", "form", type=click.Choice(list(_WRITERS)), default="text", show_default=True)
@click.option("--strict", is_flag=True, help="Exit status 1 for warnings too.")
@click.option("--ignore", multiple=True, type=click.Choice(list(finding.LINTS)), help="Leave this lint out.")
def lint(files: tuple[Path, ...], boards: tuple[str, ...], form: str, strict: bool, ignore: tuple[str, ...]) -> None:
    """Check the device rules in FILE...: LXC configurations, OCI config.json, CDI, systemd units.

    Exit status 1 when there is an error, 2 when a file cannot be read.
    """
    facts = chosen(boards)
    shipped = {name: release for name in {each.board for each in facts} if (release := built(name))}
    found = [
        each
        for file in files
        for each in linter.check(policyfile.read(file), facts, catalogue.load(), shipped if boards else None)
        if each.lint not in ignore
    ]
    click.echo(_WRITERS[form](found), nl=False)
    if any(each.level == "error" or (strict and each.level == "warning") for each in found):
        raise click.exceptions.Exit(1)


COMMANDS = (lint,)
