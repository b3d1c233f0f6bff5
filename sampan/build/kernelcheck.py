"""Is this kernel able to run containers? Its configuration against configs/kernel/containers.toml.

The configuration comes from a .config, or from inside a kernel image of any shape that was
built with IKCONFIG. Works offline: nothing is booted.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sampan.build import decompress, kconfig, kernelimage
from sampan.core import paths
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.files import refuse_os_error
from sampan.core.progress import note

Level = Literal["must", "should", "may"]
Version = Annotated[str, Meta(pattern=r"^[0-9]+\.[0-9]+$")]
_HEADER = re.compile(r"^# (?:Linux/\S+ |Linux kernel version: )(?P<version>\d+\.\d+(?:\.\d+)?)", re.MULTILINE)


class Option(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One option of containers.toml; that file documents the fields."""

    name: str
    level: Level
    reason: str
    cgroup: Literal["all", "v1", "v2"] = "all"
    since: Version | None = None
    until: Version | None = None
    was: str = ""
    builtin: bool = False


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    option: list[Option]


@dataclass(frozen=True)
class Row:
    """One option and how this kernel has it."""

    option: Option
    value: str  #: "y", "m", "n"; "-" when this kernel's version does not have the option
    ok: bool
    remark: str = ""  #: why it is not ok, or under which name it was found


@dataclass(frozen=True)
class Report:
    """The answer for one kernel."""

    source: str  #: the file it comes from
    release: str  #: uname -r, or the version in the .config's header; "" when unknown
    rows: list[Row]

    @property
    def missing(self) -> list[Row]:
        """The must-haves that are not there: with these the build fails."""
        return [row for row in self.rows if not row.ok and row.option.level == "must"]

    @property
    def warnings(self) -> list[Row]:
        return [row for row in self.rows if not row.ok and row.option.level == "should"]

    def supports(self, cgroup: Literal["v1", "v2"]) -> bool:
        """Whether containers run with that cgroup version."""
        return not any(row.option.cgroup in ("all", cgroup) for row in self.missing)


def options(path: Path | None = None) -> list[Option]:
    """Read containers.toml."""
    path = path or paths.ROOT / "configs/kernel/containers.toml"
    try:
        return msgspec.toml.decode(path.read_bytes(), type=_File).option
    except msgspec.MsgspecError as error:
        raise SampanError(f"{path}: {error}", code=EXIT_USAGE) from error
    except OSError as error:
        refuse_os_error(error, "read", path)


def check_text(config: str, source: str, release: str = "") -> Report:
    """Check the text of a .config. `source` names it in messages."""
    values = kconfig.parse(config)
    header = _HEADER.search(config)
    version = release or (header["version"] if header else "")
    return Report(source, version, [_row(option, values, _number(version)) for option in options()])


def _number(version: str) -> tuple[int, int] | None:
    match = re.match(r"(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else None


def _row(option: Option, values: dict[str, str], version: tuple[int, int] | None) -> Row:
    since, until = _number(option.since or ""), _number(option.until or "")
    value, remark = values.get(option.name, "n"), ""
    if value == "n" and option.was and option.was in values:
        value, remark = values[option.was], f"as {option.was}"
    if value == "n" and version and until and version >= until:
        return Row(option, "-", True, f"always there since {option.until}")
    if value == "n" and version and since and version < since:
        # Its absence is a fact of that kernel, not of its configuration; the need stays.
        return Row(option, "-", option.level != "must", f"needs kernel {option.since}")
    if value == "m" and option.builtin:
        return Row(option, value, False, "must be y: it is needed before modules load")
    return Row(option, value, value != "n", remark)


def check_file(path: Path) -> Report:
    """Check a .config (plain or gzipped, such as /proc/config.gz) or a kernel image with IKCONFIG.

    Raises SampanError when the file holds no configuration.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        refuse_os_error(error, "read", path)
    text = _as_text(data)
    if text is not None:
        return check_text(text, str(path))
    inside = kernelimage.ikconfig(data)
    release = ""
    if inside is None:
        try:
            kernel = kernelimage.unpack(data)
        except kernelimage.NotAKernel as error:
            raise SampanError(
                f"{path}: neither a .config nor a kernel image: {error}",
                hint="give a .config, /proc/config.gz, vmlinux, bzImage, zImage, Image or uImage",
                code=EXIT_USAGE,
            ) from error
        inside, release = kernelimage.ikconfig(kernel.plain), kernel.release
    if inside is None:
        raise SampanError(
            f"{path}: Linux {release}, built without CONFIG_IKCONFIG: its configuration is not inside",
            hint=f"check the .config of that build, on many systems /boot/config-{release}",
            code=EXIT_USAGE,
        )
    return check_text(inside, str(path), release)


def _as_text(data: bytes) -> str | None:
    """The text of a .config; None for anything else."""
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError):
            data = _prefix(data)
    if b"\0" in data[:4096] or not re.search(rb"^(?:# )?CONFIG_\w+[= ]", data, re.MULTILINE):
        return None
    return data.decode("utf-8", "replace")


def _prefix(data: bytes) -> bytes:
    try:
        return decompress.decompress(data)
    except decompress.Damaged:
        return b""


def require(report: Report, cgroup: Literal["v1", "v2"]) -> None:
    """SampanError when a must-have of that cgroup version (or of both) is missing.

    What only the other version lacks is a note: such a kernel works, but not with
    sampan.cgroup= set to that version.
    """
    for row in report.missing:
        if row.option.cgroup not in ("all", cgroup):
            note(f"{report.source}: no containers with cgroup {row.option.cgroup}: {_line(row)}")
    if report.supports(cgroup):
        return
    lines = [_line(row) for row in report.missing if row.option.cgroup in ("all", cgroup)]
    listed = "".join(f"\n  {line}" for line in lines)
    other: Literal["v1", "v2"] = "v1" if cgroup == "v2" else "v2"
    hint = "set these options and build the kernel again"
    if report.supports(other):
        hint += f"; or boot with sampan.cgroup={other} in kernel.cmdline, which this kernel can do"
    raise SampanError(
        f"{report.source}: this kernel cannot run containers with cgroup {cgroup}{listed}",
        hint=f"{hint}; `sampan kernel check FILE` shows all options",
    )


def _line(row: Row) -> str:
    return f"CONFIG_{row.option.name}={row.value}: {row.remark or row.option.reason}"
