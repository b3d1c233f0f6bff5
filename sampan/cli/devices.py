"""`sampan devices`: which device numbers a container may use, on which board."""

from __future__ import annotations

import click

from sampan.cli import devices_facts, devices_lint, devices_names


@click.group("devices")
def command() -> None:
    """Device numbers and allow-lists: by name, per board, explained."""


for _subcommand in (*devices_names.COMMANDS, *devices_lint.COMMANDS, *devices_facts.COMMANDS):
    command.add_command(_subcommand)
