"""`python -m sampan.build.containers`: a manifest that installs container configurations.

`rootfs.containers` of a board names files of configs/containers/; they land in
/usr/share/sampan/containers/, where `lxc-create -f` finds them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sampan.build import action
from sampan.build.manifest import escape
from sampan.core import paths
from sampan.core.errors import EXIT_USAGE, SampanError, did_you_mean
from sampan.core.files import write_text

SUFFIX = ".config"
TARGET = "/usr/share/sampan/containers"


def folder() -> Path:
    """Where the configurations are."""
    return paths.ROOT / "configs" / "containers"


def manifest(names: list[str]) -> str:
    """Manifest lines for these names; sources are what sampan.build.devices writes beside the manifest."""
    known = sorted(path.name.removesuffix(SUFFIX) for path in folder().glob(f"*{SUFFIX}"))
    lines = []
    for name in sorted(names):
        if name not in known:
            raise SampanError(
                f"rootfs.containers: there is no configs/containers/{name}{SUFFIX}",
                hint=did_you_mean(name, known),
                code=EXIT_USAGE,
            )
        lines.append(f"{TARGET}/{escape(name)}{SUFFIX} file 0644 0 0 devices/{escape(name)}/config\n")
    return "".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = action.parser("sampan.build.containers", "Make a manifest of container configurations.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="configs/containers/NAME.config")
    parser.add_argument("--out", type=Path, required=True, help="the manifest to write")
    return parser


def _main(args: argparse.Namespace) -> None:
    write_text(args.out, manifest(args.names))


if __name__ == "__main__":
    sys.exit(action.main(_parser, _main))
