"""`sampan kernel check FILE`: has this kernel what containers need?"""

from __future__ import annotations

import click


@click.group("kernel")
def command() -> None:
    """Check a kernel for what containers need."""
