"""What a build action is made of: the source files its module imports, and the packages.

SCons sees a command line only; that an edited helper changes what `python -m sampan.build.X`
does it cannot know. So each step of the graph depends on these files. Over-approximates:
an import inside a function, or one merely quoted at the start of a line, counts.
"""

from __future__ import annotations

import functools
import re
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from sampan.core.paths import ROOT

# Not ast: parsing all of the package would cost a no-op build a tenth of a second.
_IMPORT = re.compile(
    r"""^[ \t]*(?:
        from[ \t]+(?P<module>[.\w]+)[ \t]+import[ \t]+(?P<names>\([^)]*\)|[^\n#;]+)
        | import[ \t]+(?P<plain>[^\n#;]+)
    )""",
    re.MULTILINE | re.VERBOSE,
)
_COMMENT = re.compile(r"#[^\n]*")
#: Import names whose package on PyPI is called something else.
_PACKAGES = {"elftools": "pyelftools", "serial": "pyserial", "qemu": "qemu_qmp", "SCons": "scons"}


@dataclass(frozen=True)
class Made:
    """The files of this checkout and the installed packages (their RECORD) behind a module."""

    files: tuple[Path, ...]
    packages: tuple[Path, ...]


@functools.cache
def of(module: str, root: Path = ROOT) -> Made:
    """Everything `python -m module` runs, transitively, sorted."""
    files: set[Path] = set()
    foreign: set[str] = set()
    waiting = [module]
    while waiting:
        for path in _files(waiting.pop(), root) - files:
            files.add(path)
            names = _names(path, root)
            waiting += [name for name in names if name.partition(".")[0] == module.partition(".")[0]]
            foreign |= {name.partition(".")[0] for name in names}
    records = _records()
    wanted = {_PACKAGES.get(name, name).lower() for name in foreign - sys.stdlib_module_names}
    return Made(tuple(sorted(files)), tuple(sorted(records[name] for name in wanted & records.keys())))


def _files(module: str, root: Path) -> set[Path]:
    """The module's file and the __init__.py of every package above it; none for a name that is no module."""
    parts = module.split(".")
    found = {root.joinpath(*parts[:count], "__init__.py") for count in range(1, len(parts) + 1)}
    found.add(root.joinpath(*parts).with_suffix(".py"))
    return {path for path in found if _is_file(path)}


@functools.cache
def _is_file(path: Path) -> bool:
    return path.is_file()


@functools.cache
def _names(path: Path, root: Path) -> frozenset[str]:
    """Every dotted name a file imports; `from a import b` gives a and a.b, for b may be a module."""
    found: set[str] = set()
    package = path.parent.relative_to(root).parts
    for match in _IMPORT.finditer(path.read_text(encoding="utf-8")):
        if match["plain"]:
            found |= {part.split()[0] for part in match["plain"].split(",") if part.split()}
            continue
        module = match["module"]
        if module.startswith("."):
            up = len(module) - len(module.lstrip("."))
            above = package[: len(package) - up + 1]
            module = ".".join((*above, *filter(None, [module.lstrip(".")])))
        names = _COMMENT.sub("", match["names"]).strip("() \t\n").split(",")
        found |= {module} | {f"{module}.{name.split()[0]}" for name in names if name.split()}
    return frozenset(found)


@functools.cache
def _records() -> dict[str, Path]:
    """RECORD of every installed package: version and SHA-256 of each of its files, in one file."""
    site = Path(sysconfig.get_path("purelib"))
    return {
        folder.name.partition("-")[0].lower(): folder / "RECORD"
        for folder in site.glob("*.dist-info")
        if (folder / "RECORD").is_file()
    }


def package_record(name: str) -> Path | None:
    """RECORD of one installed package, None when it is not installed from a wheel."""
    return _records().get(name.lower())
