"""`sampan devices`: which device numbers a container may use, on which board."""

from __future__ import annotations

import click

from sampan.cli import (
    devices_export,
    devices_facts,
    devices_generate,
    devices_lint,
    devices_names,
    devices_predict,
    devices_probe,
    devices_report,
    devices_verify,
)

_MODULES = (
    devices_names,
    devices_lint,
    devices_generate,
    devices_export,
    devices_facts,
    devices_predict,
    devices_probe,
    devices_report,
    devices_verify,
)


@click.group("devices")
def command() -> None:
    """Device numbers and allow-lists: by name, per board, explained."""


for _module in _MODULES:
    for _subcommand in _module.COMMANDS:
        command.add_command(_subcommand)
