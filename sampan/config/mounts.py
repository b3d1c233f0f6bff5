"""Mounts as lines of fstab: SOURCE TARGET TYPE OPTIONS [DUMP [PASS]]; the shapes that runtime/src/conf_mount.c takes.

Source of the language: fstab(5), mount(8) for the options, lxc.container.conf(5) for LXC's own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sampan.config.language import BLANKS, PATH_LEN_MAX, size, words

FLAGS = frozenset(
    words(
        "defaults ro rw nosuid suid nodev dev noexec exec sync async dirsync remount mand nomand noatime atime"
        " nodiratime diratime relatime norelatime strictatime nostrictatime"
    )
)
BINDS = frozenset({"bind", "rbind"})
PROPAGATIONS = frozenset(words("private rprivate shared rshared slave rslave unbindable runbindable"))
OWN = frozenset({"optional", "relative", "create=dir", "create=file"})
NAMES = ("source", "target", "type", "options")
_OCTAL = re.compile(r"\\([0-3][0-7]{2})")


class Wrong(ValueError):
    """Why a value is refused, with what was probably meant."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.text, self.hint = text, hint


@dataclass
class Options:
    """A list of mount options, sorted."""

    words: set[str] = field(default_factory=set)  #: those with a meaning of their own
    data: list[str] = field(default_factory=list)  #: what the file system gets
    idmap: str = ""  #: "container", or the path of a user namespace

    @property
    def bind(self) -> bool:
        """Is it a bind mount?"""
        return bool(self.words & BINDS)


def options(text: str) -> Options:
    """Options from `a,b,c`."""
    out = Options()
    for word in filter(None, text.split(",")):
        if word in FLAGS | BINDS | PROPAGATIONS | OWN:
            out.words.add(word)
        elif word.startswith("create="):
            raise Wrong("create= takes dir or file")
        elif word.startswith("idmap="):
            out.idmap = word.removeprefix("idmap=")
            if out.idmap != "container" and not out.idmap.startswith("/"):
                raise Wrong("idmap= takes container or the path of a user namespace")
        else:
            out.data.append(word)
    if out.data and out.bind:
        raise Wrong(f"a bind mount has no option {','.join(out.data)}")
    return out


def parse(line: str) -> list[str]:
    """The fields of a mount, unescaped; Wrong when it is none."""
    fields = re.split(r"[ \t]+", line.strip(BLANKS))
    _check_fields(fields)
    for name in fields[:4]:
        if r"\000" in name:
            raise Wrong(r"\000 stands for a byte no path can hold")
    fields[:4] = [_OCTAL.sub(lambda found: chr(int(found[1], 8)), name) for name in fields[:4]]
    _check_mount(fields, options(fields[3]))
    return fields


def _number(text: str) -> bool:
    return bool(re.fullmatch(r"[0-9]+", text)) and int(text) < 2**32


def _check_fields(fields: list[str]) -> None:
    if len(fields) > 2 and fields[2].startswith("/"):
        raise Wrong(f"field 3, the file system type, is a path: {fields[2]}", _repeated(fields))
    if len(fields) < 4:
        raise Wrong(f"field {len(fields) + 1}, the {NAMES[len(fields)]}, is missing")
    if len(fields) > 6:
        raise Wrong(f"field 7 is one too many: {fields[6]}")
    for place, name in ((4, "dump"), (5, "pass")):
        if len(fields) > place and not _number(fields[place]):
            raise Wrong(f"field {place + 1}, {name}, is no number: {fields[place]}")


def _repeated(fields: list[str]) -> str:
    """The line that was meant where the mount point stands twice, as seen from inside and from outside."""
    rest = fields[3:]
    for _ in range(2):
        if rest and _number(rest[-1]):
            rest.pop()
    source = fields[0]
    if len(rest) >= 2:
        kind, words = rest[0], rest[1]
    else:
        words = rest[0] if rest else "defaults"
        kind = "none" if source.startswith("/") else source
        if kind == "none" and "bind" not in words:
            words = f"bind,{words}"
    return f"{source} {fields[2]} {kind} {words} 0 0"


def _check_mount(fields: list[str], given: Options) -> None:
    source, target, kind = fields[:3]
    if ".." in target.split("/"):
        raise Wrong("the target must not hold ..")
    if size(target) >= PATH_LEN_MAX or size(source) >= PATH_LEN_MAX:
        raise Wrong("a path is too long (PATH_LEN_MAX)")
    if kind in ("none", "bind") and not (given.bind or given.words & ({"remount"} | PROPAGATIONS)):
        raise Wrong("the type none needs the option bind or rbind")
    if given.bind and not source.startswith("/") and "relative" not in given.words:
        raise Wrong("the source of a bind mount must be absolute, or the option relative be given")
    if given.idmap and (not given.bind or "relative" in given.words):
        raise Wrong("idmap= is for bind mounts of the host's files")
