"""`sampan on TARGET install CONTAINER`: a container's folder goes to a target."""

from __future__ import annotations

import json
import sys
import time

import click

from sampan.control.target import Line


@click.command("install")
@click.argument("container", metavar="FOLDER|NAME")
@click.option("--name", default="", help="Its name on the target (default: the folder's).")
@click.option("--replace", is_flag=True, help="Put it in the place of the one of this name; its snapshots stay.")
@click.option("--start", is_flag=True, help="Start it there; the one that runs is stopped first.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
@click.pass_obj
def install(line: Line, container: str, name: str, replace: bool, start: bool, as_json: bool) -> None:
    """Put a container on the target: FOLDER (config and rootfs/, an image, or rootfs.manifest), or a
    configs/containers/NAME.

    Nothing is changed there before all has arrived and the target accepts the configuration.
    """
    from sampan.cli.meter import Meter
    from sampan.control import install as installer
    from sampan.control.remote import Target

    package = installer.read(container, name)
    began = time.monotonic()
    target = Target(line, lambda text: print(f"[sampan: {text}]", file=sys.stderr, flush=True))
    meter = Meter(f"install {package.name}")
    try:
        done = installer.install(target, package, replace=replace, start=start, progress=meter)
    finally:
        meter.close()
    seconds = time.monotonic() - began
    if as_json:
        record = {"name": done.name, "bytes": done.size, "sent": done.sent, "seconds": round(seconds, 3)}
        print(json.dumps(record))
    else:
        print(f"{done.name}: {done.size} bytes, {done.sent} over the line in {seconds:.1f} s")
