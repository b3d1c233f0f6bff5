"""The `sampan` command: a table of commands, each imported only when it is called.

Importing QEMU's, rich's and SCons' modules for a `--help` would cost more than the answer.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys

import click

from sampan import __version__
from sampan.core.errors import EXIT_INTERRUPTED, EXIT_USAGE, SampanError, nearest

#: command -> (module below sampan.cli, help line)
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "Build, boot and walk through two containers on a serial console."),
    "test": ("test", "Run the whole test-suite."),
    "doctor": ("doctor", "Which system tools are there, which are missing, and does KVM work?"),
    "boards": ("boards", "List the boards."),
    "build": ("build", "Build the images of boards."),
    "boot": ("boot", "Boot a board's image under QEMU and talk to its serial console."),
    "vm": ("vm", "Machines under QEMU in the background: up, down, ls, console, ..."),
    "on": ("on", "Run a verb on a target over its serial line: ls, start, exec, shell, push, ..."),
    "terminal": ("terminal", "A terminal on a target's line, beside what else runs over it."),
    "size": ("size", "Tell where the bytes of an image went."),
    "config": ("config", "Check, show and convert container configurations."),
    "devices": ("devices", "Device numbers and allow-lists: by name, per board, explained."),
    "seccomp": ("seccomp", "System call filters: compile policies for the target."),
    "kernel": ("kernel", "Check a kernel for what containers need."),
}


class LazyGroup(click.Group):
    """A group whose commands live in one module each, loaded on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"sampan.cli.{COMMANDS[cmd_name][0]}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            near = nearest(name, COMMANDS)
            hint = f"did you mean `sampan {near}`?" if near else "`sampan --help` lists the commands"
            raise SampanError(f"there is no command {name!r}", hint=hint, code=EXIT_USAGE)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sampan")
def group() -> None:
    """Minimal root file systems, device allow-lists and containers for embedded boards."""


def main() -> None:
    """Entry point: expected failures print one message, a closed pipe is no failure."""
    # A closed terminal ends us like Ctrl-C, so that every `finally` runs and no QEMU stays behind;
    # nohup's wish is kept.
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = group.main(prog_name="sampan", standalone_mode=False)
        sys.stdout.flush()
    except SampanError as error:
        print(f"sampan: {error}", file=sys.stderr)
        code = error.code
    except click.exceptions.Abort:
        code = _interrupted()
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except KeyboardInterrupt:
        code = _interrupted()
    except BrokenPipeError:
        # The reader (`| head`) has what it wanted; keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 0
    sys.exit(code if isinstance(code, int) else 0)


def _interrupted() -> int:
    print("\nsampan: interrupted", file=sys.stderr)
    return EXIT_INTERRUPTED


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt
