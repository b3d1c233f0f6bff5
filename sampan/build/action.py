"""The one entry of every build action: `python -m sampan.build.X`.

An action is a command line that the build graph prints and a person can paste. It ends with
0, or with the code of a SampanError whose message is on stderr. SIGTERM unwinds like Ctrl-C,
so that temporary files go.
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from sampan.core.errors import EXIT_INTERRUPTED, SampanError

EXIT_TERMINATED = 128 + signal.SIGTERM

#: Largest time stamp that newc, squashfs and ext4 all hold without extra epoch bits.
EPOCH_MAX = 2**31 - 1


def main(
    build_parser: Callable[[], argparse.ArgumentParser],
    function: Callable[[argparse.Namespace], None],
    argv: Sequence[str] | None = None,
) -> int:
    """Parse `argv` (default: the process's), call `function`, and return the exit code."""
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        function(build_parser().parse_args(argv))
    except SampanError as error:
        print(f"sampan: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, previous)
    return 0


def _terminate(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(EXIT_TERMINATED)


def parser(module: str, description: str) -> argparse.ArgumentParser:
    """A parser for `python -m MODULE`; options are never abbreviated, so adding one breaks nobody."""
    return argparse.ArgumentParser(prog=f"python -m {module}", description=description, allow_abbrev=False)


def pair(text: str) -> tuple[str, str]:
    """argparse type for NAME=VALUE."""
    name, mark, value = text.partition("=")
    if not mark or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def epoch(text: str) -> int:
    """argparse type for --epoch: seconds since 1970 that every image format can hold.

    0 is out: e2fsprogs takes a time of 0 for "now".
    """
    if not text.isdecimal() or not text.isascii() or not 1 <= int(text) <= EPOCH_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time in seconds between 1 and {EPOCH_MAX}")
    return int(text)


def size(text: str) -> int:
    """argparse type for sizes such as 64M: bytes. The spelling is that of board.toml."""
    match = re.fullmatch(r"([1-9][0-9]*)([KMG])", text, re.ASCII)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 64M (K, M or G)")
    return int(match[1]) << {"K": 10, "M": 20, "G": 30}[match[2]]


def add_image_options(to: argparse.ArgumentParser) -> None:
    """The options that every image writer shares."""
    to.add_argument("--manifest", type=Path, required=True, help="the resolved manifest")
    to.add_argument("--sources", type=Path, required=True, help="where the bytes of its files are")
    to.add_argument("--out", type=Path, required=True, help="the image to write")
    to.add_argument("--epoch", type=epoch, required=True, help="time stamp of everything in it, seconds since 1970")
