"""The system's Debian sources, so that the mirrors and keyrings a person configured keep working.

Both spellings are read: one-line files (sources.list) and deb822 (*.sources). Only entries of
the Debian archive itself count; foreign repositories are left alone. The suites are
sampan's choice, whatever the host runs: an image does not depend on the host's release.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sampan.board.model import DebianKernel
from sampan.core.errors import EXIT_MISSING, EXIT_USAGE, SampanError

Kind = Literal["binary", "source"]

CODENAME = "bookworm"
#: Which release of Debian has which kernel.
KERNEL_SUITES: dict[DebianKernel, str] = {"5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie"}
#: Suite names of the Debian archive: a foreign repository uses others, or its own key.
_DEBIAN = re.compile(
    r"^(bullseye|bookworm|trixie|forky|sid|oldoldstable|oldstable|stable|testing|unstable)"
    r"(-updates|-security|-backports|/updates)?$"
)
_ONE_LINE = re.compile(r"^deb(?:-src)?\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<parts>.+)$")


@dataclass(frozen=True)
class Archive:
    """One copy of the Debian archive as the system names it."""

    uri: str  #: as in sources.list: http, https, file, mirror+file, ...
    security: bool  #: the security archive, whose suite is RELEASE-security
    options: tuple[tuple[str, str], ...] = ()  #: deb822 fields that go along: Signed-By, Trusted

    def stanza(self, arch: str, kind: Kind, release: str = CODENAME) -> str:
        """The deb822 stanza of a private apt root for one Debian architecture."""
        suites = f"{release}-security" if self.security else f"{release} {release}-updates"
        types, target = ("deb", "Packages") if kind == "binary" else ("deb-src", "Sources")
        lines = [f"Types: {types}", f"URIs: {self.uri}", f"Suites: {suites}", "Components: main"]
        # This index alone: a desktop's other index files are of no use here.
        lines += [f"Architectures: {arch}", f"Targets: {target}"]
        lines += [f"{key}: {value}" for key, value in self.options]
        return "\n".join(lines) + "\n"


def find(etc: Path = Path("/etc/apt")) -> list[Archive]:
    """The archives the system is configured for, or those of the file $SAMPAN_APT_SOURCES names.

    Raises SampanError when there are none.
    """
    chosen = os.environ.get("SAMPAN_APT_SOURCES")
    if chosen:
        if not Path(chosen).is_file():
            raise SampanError(f"SAMPAN_APT_SOURCES={chosen}: no such file", code=EXIT_USAGE)
        files = [Path(chosen)]
    else:
        parts = etc / "sources.list.d"
        files = [etc / "sources.list", *sorted(parts.glob("*.list")), *sorted(parts.glob("*.sources"))]
    found = list(dict.fromkeys(archive for path in files for archive in _read(path)))
    if not found:
        raise SampanError(
            f"no Debian apt sources in {chosen or etc}",
            hint="name a sources file with SAMPAN_APT_SOURCES=FILE, or put the files in downloads/ by hand",
            code=EXIT_MISSING,
        )
    return found


def _read(path: Path) -> Iterator[Archive]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return  # a file this user may not read is as good as none: apt would skip it, too
    yield from _deb822(text) if _is_deb822(text) else _one_line(text)


def _is_deb822(text: str) -> bool:
    return re.search(r"^(Types|URIs|Suites)\s*:", text, re.MULTILINE | re.IGNORECASE) is not None


def _one_line(text: str) -> Iterator[Archive]:
    for line in text.splitlines():
        match = _ONE_LINE.match(line.partition("#")[0].strip())
        if not match or "main" not in match["parts"].split():
            continue
        options = dict(part.split("=", 1) for part in (match["options"] or "").split() if "=" in part)
        yield from _archives([match["uri"]], [match["suite"]], options)


def _deb822(text: str) -> Iterator[Archive]:
    for stanza in parse_deb822(text):
        enabled = stanza.get("enabled", "yes").lower() not in ("no", "false", "0")
        if enabled and "main" in stanza.get("components", "").split():
            yield from _archives(stanza.get("uris", "").split(), stanza.get("suites", "").split(), stanza)


def _archives(uris: list[str], suites: list[str], options: dict[str, str]) -> Iterator[Archive]:
    signed_by = options.get("signed-by", "")
    if signed_by and "debian" not in signed_by.lower() and "BEGIN PGP" not in signed_by:
        return  # a foreign repository that copies Debian's suite names
    kept = tuple(
        (name, options[name.lower()])
        for name in ("Signed-By", "Trusted", "Check-Valid-Until", "Allow-Insecure")
        if options.get(name.lower())
    )
    for suite in filter(_DEBIAN.match, suites):
        for uri in uris:
            yield Archive(uri, suite.endswith(("-security", "/updates")), kept)


def parse_deb822(text: str) -> list[dict[str, str]]:
    """Stanzas of a control file: field names in lower case, continuation lines kept as they are."""
    stanzas: list[dict[str, str]] = [{}]
    name = ""
    for line in text.splitlines():
        if not line.strip():
            stanzas.append({})
            name = ""
        elif line.startswith("#"):
            continue
        elif line[0] in " \t":
            if name:
                stanzas[-1][name] += "\n" + line
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            stanzas[-1][name] = value.strip()
    return [stanza for stanza in stanzas if stanza]
