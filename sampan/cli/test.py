"""`sampan test`: everything a commit must pass, exactly as CI runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import click

from sampan.board.load import default_names
from sampan.core import tools
from sampan.core.paths import ROOT


@click.command("test", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.argument("pytest_args", nargs=-1, type=click.UNPROCESSED)
def command(pytest_args: tuple[str, ...]) -> int:
    """Run the test-suite; arguments go to pytest (such as tests/unit, -k NAME, -x).

    Without a path the boards of `build --all` are built first, so that the build shows its progress and the
    tests share its result.
    """
    whole = not any(arg.startswith("tests") for arg in pytest_args)
    tools.ensure(["build", "boot", "test"])
    if whole:
        from sampan.build.scons import build

        build(default_names())
    # Two workers: the machines under test spend their time in QEMU, one core each.
    parallel = ["-n", str(min(4, os.cpu_count() or 1)), "--dist", "loadgroup"] if whole else []
    argv = [sys.executable, "-m", "pytest", *parallel, *pytest_args]
    # A shell's background job ignores Ctrl-C, and so would every program that the tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.run(argv, cwd=ROOT, check=False).returncode
