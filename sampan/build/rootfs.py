"""Resolve manifests, overlay folders, applet links and named files into one manifest.

`python -m sampan.build.rootfs` writes rootfs.manifest and, beside it, rootfs.sources. Later
inputs win over earlier ones, as in Yocto's bbappends and Buildroot's overlays; inside one
input a path stands once. See docs/manifest.md.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from sampan.board import load
from sampan.board.model import Board
from sampan.build import action
from sampan.build.manifest import Entry, Kind, Manifest, Sources, encode, read_text, save
from sampan.build.manifest_input import OVERLAY_MANIFEST, Line, parse_path, read_manifest, read_overlay
from sampan.core.errors import EXIT_USAGE, SampanError, did_you_mean
from sampan.core.files import refuse_os_error, sha256_file

T = TypeVar("T")
_HOLE = re.compile(rb"@([A-Z][A-Z0-9_]*)@")


@dataclass(frozen=True)
class Inputs:
    """What source words of file lines refer to."""

    files: Mapping[str, Path]  #: @NAME
    texts: Mapping[str, str]  #: @text:NAME, and @NAME@ in capitals inside a @template:


def board_texts(board: Board) -> dict[str, str]:
    """Values a board gives to templates: docs/manifest.md lists them."""
    return {
        "board": board.name,
        "hostname": board.rootfs.hostname or board.name,
        "arch": board.arch,
        "tty": board.console.tty,
        "baud": str(board.console.baud),
    }


def links_to(path: Path, target: str) -> list[Line]:
    """A relative symbolic link to `target` for each path in a list such as busybox.links.

    Relative, so that they also hold when the tree is a container's root seen from outside.
    """
    lines = []
    for number, text in enumerate(read_text(path).split("\n"), start=1):
        if not text.strip():
            continue
        where = f"{path}:{number}"
        try:
            name = parse_path(text.strip())
        except ValueError as error:
            raise SampanError(f"{where}: {error}", code=EXIT_USAGE) from error
        entry = Entry(name, Kind.LINK, 0o777, target=relative(name, target))
        lines.append(Line(where, name, entry, path.parent))
    return lines


def relative(link: str, target: str) -> str:
    """The text of a link at `link` that leads to `target`, both absolute in the image."""
    here, there = link.split("/")[1:-1], target.split("/")[1:]
    while here and len(there) > 1 and here[0] == there[0]:
        here, there = here[1:], there[1:]
    return "/".join([".."] * len(here) + there)


def merge(inputs: Iterable[Iterable[Line]]) -> dict[str, Line]:
    """The line that holds for each path. `absent` takes a path and all below it away."""
    merged: dict[str, Line] = {}
    for lines in inputs:
        for line in sorted(lines, key=lambda one: encode(one.path)):
            if line.entry is None:
                below = [path for path in merged if path == line.path or path.startswith(line.path + "/")]
                if not below:
                    raise line.fault("cannot be taken away: no earlier manifest has it")
                for path in below:
                    del merged[path]
            elif not (line.soft and _is_dir(merged.get(line.path))):
                merged[line.path] = line
    return merged


def _is_dir(line: Line | None) -> bool:
    return line is not None and line.entry is not None and line.entry.kind is Kind.DIR


def resolve(inputs: Iterable[Iterable[Line]], given: Inputs) -> tuple[Manifest, Sources]:
    """Merge all inputs, check them against each other and look up every file's bytes."""
    merged = merge(inputs)
    merged.setdefault("/", Line("/", "/", Entry("/", Kind.DIR, 0o755), Path()))
    paths: dict[str, Path] = {}
    texts: dict[str, bytes] = {}
    entries = []
    for line in merged.values():
        assert line.entry is not None
        _check(line, line.entry, merged)
        entries.append(_with_bytes(line, line.entry, given, paths, texts))
    entries.sort(key=lambda entry: encode(entry.path))
    return Manifest(tuple(entries)), Sources(paths, texts)


def _check(line: Line, entry: Entry, merged: Mapping[str, Line]) -> None:
    if entry.path == "/" and entry.kind is not Kind.DIR:
        raise line.fault(f"the root is a dir, not {entry.kind}")
    above = merged.get(entry.parent)
    if above is None:
        raise line.fault(f"there is no {entry.parent}", f"add a line before: {entry.parent} dir 0755 0 0")
    assert above.entry is not None
    if above.entry.kind is not Kind.DIR:
        raise line.fault(
            f"{entry.parent} is no dir but {above.entry.kind} ({above.where})",
            f"use {above.entry.target} in the path" if above.entry.kind is Kind.LINK else "",
        )
    if entry.kind is Kind.HARD:
        named = merged.get(entry.target)
        if named is None or named.entry is None or named.entry.kind is not Kind.FILE:
            raise line.fault(f"{entry.target} is no file of this image", "a hard link names a file")


def _with_bytes(line: Line, entry: Entry, given: Inputs, paths: dict[str, Path], texts: dict[str, bytes]) -> Entry:
    if entry.kind is not Kind.FILE:
        return entry
    found = _bytes_of(line, given)
    if isinstance(found, bytes):
        sha256, size = hashlib.sha256(found).hexdigest(), len(found)
        texts[sha256] = found
    else:
        if not found.is_file():
            raise line.fault(f"its source {found} is not there")
        try:
            size = found.stat().st_size
        except OSError as error:
            refuse_os_error(error, "read", found)
        sha256 = sha256_file(found)
        paths.setdefault(sha256, found.absolute())
    return replace(entry, sha256=sha256, size=size)


def _bytes_of(line: Line, given: Inputs) -> Path | bytes:
    """What a source word means: a path on this machine, or generated bytes."""
    source = line.source
    if source == "-":
        return b""
    if not source.startswith("@"):
        return line.folder / source
    if source.startswith("@text:"):
        return (_look_up(line, given.texts, source[6:], "--text") + "\n").encode()
    if source.startswith("@template:"):
        return _fill(line, line.folder / source[10:], given.texts)
    name, _, below = source[1:].partition("/")
    path = _look_up(line, given.files, name, "--file")
    return path / below if below else path


def _look_up(line: Line, known: Mapping[str, T], name: str, option: str) -> T:
    if name not in known:
        raise line.fault(f"{line.source}: no {option} {name}=...", did_you_mean(name, known) if known else "")
    return known[name]


def _fill(line: Line, path: Path, texts: Mapping[str, str]) -> bytes:
    """A template with every @NAME@ replaced; an unknown NAME is an error with its line."""
    if not path.is_file():
        raise line.fault(f"its template {path} is not there")
    values = {name.upper().encode(): value.encode() for name, value in texts.items()}
    filled = []
    for number, text in enumerate(path.read_bytes().split(b"\n"), start=1):
        for name in _HOLE.findall(text):
            if name not in values:
                known = [value.decode() for value in values]
                raise SampanError(
                    f"{path}:{number}: unknown @{name.decode()}@",
                    hint=did_you_mean(name.decode(), known),
                    code=EXIT_USAGE,
                )
        filled.append(_HOLE.sub(lambda match: values[match[1]], text))
    return b"\n".join(filled)


def input_files(layers: Iterable[Path]) -> list[Path]:
    """Every file that `resolve` will read for these manifests and overlay folders, for the build graph.

    Files named by @NAME are not among them: the graph knows those.
    """
    found: set[Path] = set()
    for layer in layers:
        found |= {path for path in (layer, layer / OVERLAY_MANIFEST) if path.is_file()}
        for line in read_layer(layer):
            source = line.source.removeprefix("@template:")
            if source and source != "-" and not source.startswith("@"):
                found.add(line.folder / source)
    return sorted(found)


def read_layer(path: Path) -> list[Line]:
    """A manifest file, or an overlay folder."""
    return read_overlay(path) if path.is_dir() else read_manifest(path)


def build_parser() -> argparse.ArgumentParser:
    parser = action.parser("sampan.build.rootfs", "Resolve manifests into rootfs.manifest and rootfs.sources.")
    parser.add_argument("--board", required=True, help="its values fill templates: board hostname arch tty baud")
    parser.add_argument(
        "--base", type=Path, nargs="+", action="extend", default=[], required=True, metavar="M",
        help="manifests and overlay folders; later ones win",
    )  # fmt: skip
    parser.add_argument(
        "--links", type=action.pair, nargs="+", action="extend", default=[], metavar="LIST=TARGET",
        help="a symbolic link to TARGET for each path in the file LIST; every manifest wins over these",
    )  # fmt: skip
    parser.add_argument(
        "--file", type=action.pair, nargs="+", action="extend", default=[], metavar="NAME=PATH",
        help="what @NAME means as a file's source (a folder: @NAME/path below it)",
    )  # fmt: skip
    parser.add_argument(
        "--text", type=action.pair, nargs="+", action="extend", default=[], metavar="NAME=VALUE",
        help="what @text:NAME, and @NAME@ in a template, mean",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="rootfs.manifest; rootfs.sources goes beside it")
    return parser


def make(args: argparse.Namespace) -> None:
    """The action."""
    texts = board_texts(load.load(args.board)) | dict(args.text)
    given = Inputs({name: Path(path) for name, path in args.file}, texts)
    layers = [links_to(Path(path), target) for path, target in args.links]
    layers += [read_layer(path) for path in args.base]
    save(*resolve(layers, given), args.out)


if __name__ == "__main__":
    sys.exit(action.main(build_parser, make))
