"""`sampan config`: check, show and convert container configurations without a target."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from sampan.config import convert as converter
from sampan.config import keys, oci
from sampan.config.load import Config, Message, load
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.files import read_text, refuse_os_error

EXIT_BAD = 1
_FILES = click.Path(path_type=Path)
_ROOT = click.option(
    "--root", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR",
    help="The target's file system on this machine: where lxc.include and fstabs are looked up.",
)  # fmt: skip
_JSON = click.option("--json", "as_json", is_flag=True, help="JSON.")


@click.group()
def command() -> None:
    """Check, show and convert container configurations."""


def _json(value: Any) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def _read(path: Path, root: Path | None, table: keys.Table) -> Config:
    if not path.exists():
        raise SampanError(f"{path}: there is no such file", code=EXIT_USAGE)
    return load(path, root=root, table=table)


def _say(messages: list[Message]) -> None:
    for message in messages:
        click.echo(str(message), err=True)


@command.command()
@click.argument("files", type=_FILES, nargs=-1, required=True, metavar="FILE...")
@_ROOT
@_JSON
def check(files: tuple[Path, ...], root: Path | None, as_json: bool) -> None:
    """Say what is wrong with each line, as the runtime would. Exit code 1: some FILE has errors."""
    table = keys.load(keys.default_path())
    configs = [(path, _read(path, root, table)) for path in files]
    if as_json:
        _json([message for _, config in configs for message in config.messages])
    for path, config in configs if not as_json else ():
        _say(config.messages)
        if config.good:
            click.echo(f"{path}: ok")
    sys.exit(0 if all(config.good for _, config in configs) else EXIT_BAD)


@command.command()
@click.argument("file", type=_FILES)
@_ROOT
@_JSON
def show(file: Path, root: Path | None, as_json: bool) -> None:
    """Print what FILE comes to: includes followed, old keys under their new names, cleared values gone."""
    config = _read(file, root, keys.load(keys.default_path()))
    if not config.good:
        _say(config.messages)
        sys.exit(EXIT_BAD)
    if as_json:
        _json(config.entries)
    else:
        click.echo(config.text(), nl=False)


@command.command()
@click.argument("file", type=_FILES)
@click.option(
    "--from",
    "origin",
    type=click.Choice(["lxc", "oci"]),
    default="lxc",
    show_default=True,
    help="lxc: any LXC configuration; oci: config.json of a bundle.",
)
@click.option("--bundle", metavar="DIR", help="oci: folder of the bundle on the target (default: that of FILE).")
@click.option(
    "--cgroup",
    type=click.IntRange(1, 2),
    default=2,
    show_default=True,
    help="oci: cgroup version of the target, for resource limits.",
)
@click.option("--strict", is_flag=True, help="oci: exit code 1 when something cannot be expressed.")  # fmt: skip
def convert(file: Path, origin: str, bundle: str | None, cgroup: int, strict: bool) -> None:
    """Write FILE in LXC's modern keys to standard output; FILE itself is never touched."""
    if origin == "oci":
        done = oci.translate(read_text(file), str(file), bundle=bundle or str(file.resolve().parent), version=cgroup)
        click.echo(done.text(), nl=False)
        for path, why in done.lost:
            click.echo(f"{file}: {path}: not expressed: {why}", err=True)
        sys.exit(EXIT_BAD if strict and done.lost else 0)
    try:
        converted = converter.convert(file.read_bytes(), str(file))
    except OSError as error:
        refuse_os_error(error, "read", file)
    _say(converted.messages)
    if not converted.good:
        sys.exit(EXIT_BAD)
    click.echo(converted.text, nl=False)
