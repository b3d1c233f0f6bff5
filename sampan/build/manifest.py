"""The resolved manifest: the only source of truth of an image's content.

One line an entry, sorted by path, ten columns and more where an entry has several attributes:

    path type mode uid gid rdev sha256 size target attributes

"-" stands for what a type has not. The text holds no path of the build machine; where the
bytes of a sha256 are found on this machine stands in a companion file, see `Sources`. The
input language, from which `sampan.build.rootfs` resolves this, is in docs/manifest.md.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from sampan.core.errors import SampanError
from sampan.core.files import refuse_os_error, write_text

HEADER = "# sampan manifest 1: path type mode uid gid rdev sha256 size target attributes\n"
MODE_MAX = 0o7777
ID_MAX = 2**32 - 2  #: 2^32-1 means "leave it" to chown(2)
MAJOR_MAX, MINOR_MAX = 2**12 - 1, 2**20 - 1  #: of the kernel's dev_t
NAME_MAX, PATH_MAX = 255, 4095  #: bytes
XATTR_SPACES = ("user.", "trusted.", "security.", "system.")
#: What an entry may be excused from (attribute allow=WORD,...); sampan.build.elf says what each means.
ALLOWANCES = ("machine", "closure", "execstack", "wx", "textrel", "runpath", "buildpath", "relro")

_ESCAPE = re.compile(rb"\\([0-7]{3})")
_PLAIN = re.compile(r"[!-\[\]-~]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Kind(StrEnum):
    """What an entry is. `hard` is a further name of a file; `link` is a symbolic link."""

    DIR = "dir"
    FILE = "file"
    LINK = "link"
    HARD = "hard"
    CHAR = "char"
    BLOCK = "block"
    FIFO = "fifo"


NODES = frozenset({Kind.CHAR, Kind.BLOCK})


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an image.

    `path` is absolute and normal ("/" is the root). `rdev` is (major, minor) of a node.
    `target` is a link's text, or for `hard` the path of the file it names. Owner, mode and
    attributes of a `hard` entry are those of that file: its own fields are 0 and empty.
    """

    path: str
    kind: Kind
    mode: int = 0
    uid: int = 0
    gid: int = 0
    rdev: tuple[int, int] = (0, 0)
    sha256: str = ""
    size: int = 0
    target: str = ""
    xattrs: tuple[tuple[str, bytes], ...] = ()
    allow: tuple[str, ...] = ()

    @property
    def parent(self) -> str:
        return self.path.rpartition("/")[0] or "/"

    @property
    def name(self) -> bytes:
        """The path as image formats store it: no leading slash, "" for the root."""
        return encode(self.path[1:])


@dataclass(frozen=True)
class Manifest:
    """All entries of an image, sorted by path, the root first; parents come before children."""

    entries: tuple[Entry, ...]
    by_path: Mapping[str, Entry] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_path", {entry.path: entry for entry in self.entries})

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def of_kind(self, *kinds: Kind) -> Iterator[Entry]:
        return (entry for entry in self.entries if entry.kind in kinds)

    def file_of(self, entry: Entry) -> Entry:
        """The entry that holds mode, owner and bytes: the named file of a `hard` entry, else itself."""
        return self.by_path[entry.target] if entry.kind is Kind.HARD else entry

    def names_of(self) -> dict[str, list[str]]:
        """For each file with further names: all its names, sorted, its own included."""
        names: dict[str, list[str]] = {}
        for entry in self.of_kind(Kind.HARD):
            names.setdefault(entry.target, [entry.target]).append(entry.path)
        return {path: sorted(several, key=encode) for path, several in names.items()}


def encode(text: str) -> bytes:
    """Bytes of a name. Names that are no UTF-8 come through as surrogates (PEP 383)."""
    return text.encode("utf-8", "surrogateescape")


def escape(text: str | bytes) -> str:
    """A field of a manifest: printable ASCII as it is, all else (and a lone "-") as fstab's \\ooo."""
    if isinstance(text, str):
        if _PLAIN.fullmatch(text) and not text.startswith("#") and text != "-":
            return text
        text = encode(text)
    plain = "".join(chr(byte) if 0x21 <= byte <= 0x7E and byte != 0x5C else f"\\{byte:03o}" for byte in text)
    return f"\\{ord(plain[0]):03o}{plain[1:]}" if plain.startswith("#") or plain == "-" else plain


def unescape_bytes(text: str) -> bytes:
    """The bytes of a field; ValueError on a backslash that starts no \\ooo below \\400."""
    data = encode(text)
    if b"\\" not in data:
        return data
    if b"\\" in _ESCAPE.sub(b"", data) or any(int(code, 8) > 0xFF for code in _ESCAPE.findall(data)):
        raise ValueError(f"{text!r}: a backslash is written \\134, a blank \\040")
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), data)


def unescape(text: str) -> str:
    """The text of a field; ValueError as `unescape_bytes`."""
    return unescape_bytes(text).decode("utf-8", "surrogateescape") if "\\" in text else text


def attributes(entry: Entry) -> str:
    """The attribute columns of an entry, "-" when it has none."""
    equals = "\\075"  # of a name; the first plain one ends it
    words = [f"{escape(name).replace('=', equals)}={escape(value)}" for name, value in entry.xattrs]
    if entry.allow:
        words.append(f"allow={','.join(entry.allow)}")
    return " ".join(words) or "-"


def format_entry(entry: Entry) -> str:
    """An entry as its line, without the line's end."""
    hard = entry.kind is Kind.HARD
    mode, uid, gid = ("-", "-", "-") if hard else (f"{entry.mode:04o}", str(entry.uid), str(entry.gid))
    rdev = f"{entry.rdev[0]}:{entry.rdev[1]}" if entry.kind in NODES else "-"
    size = str(entry.size) if entry.kind is Kind.FILE else "-"
    target = escape(entry.target) if entry.target else "-"
    columns = (escape(entry.path), entry.kind, mode, uid, gid, rdev, entry.sha256 or "-", size, target)
    return " ".join((*columns, attributes(entry)))


def format_manifest(manifest: Manifest) -> str:
    """The resolved manifest as text."""
    return HEADER + "".join(f"{format_entry(entry)}\n" for entry in manifest)


def parse_manifest(text: str, name: str = "manifest") -> Manifest:
    """Read a resolved manifest back. It is machine-made: any fault is one error with file and line."""
    if not text.startswith(HEADER):
        raise SampanError(f"{name}:1: not a resolved manifest of this version", hint="build it again")
    entries = []
    for number, line in enumerate(text.split("\n")[1:], start=2):
        if not line:
            continue
        try:
            entries.append(_parse_entry(line))
        except (ValueError, IndexError) as error:
            raise SampanError(f"{name}:{number}: damaged line: {error}", hint="build it again") from error
    return Manifest(tuple(entries))


def _parse_entry(line: str) -> Entry:
    path, kind, mode, uid, gid, rdev, sha256, size, target, *rest = line.split(" ")
    xattrs, allow = parse_attributes(word for word in rest if word != "-")
    major, _, minor = rdev.partition(":")
    return Entry(
        path=unescape(path),
        kind=Kind(kind),
        mode=0 if mode == "-" else int(mode, 8),
        uid=0 if uid == "-" else int(uid),
        gid=0 if gid == "-" else int(gid),
        rdev=(0, 0) if rdev == "-" else (int(major), int(minor)),
        sha256="" if sha256 == "-" else sha256,
        size=0 if size == "-" else int(size),
        target="" if target == "-" else unescape(target),
        xattrs=xattrs,
        allow=allow,
    )


def parse_attributes(words: Iterable[str]) -> tuple[tuple[tuple[str, bytes], ...], tuple[str, ...]]:
    """Extended attributes (sorted by name) and allowances; ValueError says what is wrong."""
    xattrs: dict[str, bytes] = {}
    allow: set[str] = set()
    for word in words:
        name, mark, value = word.partition("=")
        name = unescape(name)
        if not mark:
            raise ValueError(f"{word!r} is no attribute: name=value")
        if name == "allow":
            allow |= _allowances(value)
        elif not name.startswith(XATTR_SPACES) or name in XATTR_SPACES:
            raise ValueError(f"attribute {name!r} is neither allow= nor in {', '.join(XATTR_SPACES)}")
        elif name in xattrs:
            raise ValueError(f"attribute {name!r} is given twice")
        else:
            xattrs[name] = unescape_bytes(value)
    return tuple(sorted(xattrs.items())), tuple(sorted(allow))


def _allowances(value: str) -> set[str]:
    words = set(value.split(","))
    if unknown := words - set(ALLOWANCES):
        raise ValueError(f"allow={sorted(unknown)[0]}: known are {', '.join(ALLOWANCES)}")
    return words


@dataclass(frozen=True)
class Sources:
    """Where the bytes of each sha256 are on this machine: a path, or the bytes themselves."""

    paths: Mapping[str, Path]
    texts: Mapping[str, bytes]

    def read(self, entry: Entry) -> bytes:
        """The bytes of a file entry, proved by their sha256."""
        if entry.sha256 in self.texts:
            return self.texts[entry.sha256]
        path = self.paths.get(entry.sha256)
        if path is None:
            raise SampanError(f"{entry.path}: its bytes are not in the list of sources", hint="build it again")
        try:
            data = path.read_bytes()
        except OSError as error:
            refuse_os_error(error, "read", path)
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise SampanError(f"{path}: changed since the manifest was made", hint="build it again")
        return data


def format_sources(sources: Sources) -> str:
    """One line a sha256: sha256 TAB path, or sha256 TAB data:BASE64 for generated text."""
    lines = {sha256: escape(str(path)) for sha256, path in sources.paths.items()}
    lines |= {sha256: f"data:{base64.b64encode(text).decode()}" for sha256, text in sources.texts.items()}
    return "".join(f"{sha256}\t{where}\n" for sha256, where in sorted(lines.items()))


def parse_sources(text: str, name: str = "sources") -> Sources:
    """Read a list of sources back."""
    paths: dict[str, Path] = {}
    texts: dict[str, bytes] = {}
    for number, line in enumerate(filter(None, text.split("\n")), start=1):
        sha256, _, where = line.partition("\t")
        try:
            if not _SHA256.fullmatch(sha256) or not where:
                raise ValueError("not sha256 TAB path")
            if where.startswith("data:"):
                texts[sha256] = base64.b64decode(where[5:], validate=True)
            else:
                paths[sha256] = Path(unescape(where))
        except (ValueError, binascii.Error) as error:
            raise SampanError(f"{name}:{number}: damaged line: {error}", hint="build it again") from error
    return Sources(paths, texts)


def load(manifest: Path, sources: Path) -> tuple[Manifest, Sources]:
    """Read both files of a resolved manifest."""
    return parse_manifest(read_text(manifest), str(manifest)), parse_sources(read_text(sources), str(sources))


def save(manifest: Manifest, sources: Sources, out: Path) -> None:
    """Write the manifest to `out` and its sources beside it, as `sources_path(out)`."""
    write_text(sources_path(out), format_sources(sources))
    write_text(out, format_manifest(manifest))


def sources_path(manifest: Path) -> Path:
    """rootfs.manifest -> rootfs.sources."""
    return manifest.with_suffix(".sources")


def read_text(path: Path) -> str:
    """A text file whose bytes that are no UTF-8 survive as surrogates."""
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        refuse_os_error(error, "read", path)
