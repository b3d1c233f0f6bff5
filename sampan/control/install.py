"""Installing a container on a target: its folder goes over as one checked stream and takes its place at once.

A container's folder holds `config`, whatever that refers to (hooks, an fstab), and the root file system
as `rootfs/`, as an image (`rootfs.squashfs`, `.ext4`, `.erofs`), or as `rootfs.manifest`, the language of
docs/manifest.md, from which it is made here without root. On the target it is
/var/lib/lxc/NAME: made beside it, read by the target's own reader, and renamed when all of it is right.
"""

from __future__ import annotations

import io
import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sampan.build.manifest import Kind
from sampan.build.manifest_input import read_manifest
from sampan.build.rootfs import Inputs, resolve
from sampan.config.load import load
from sampan.control.calls import TargetError
from sampan.control.remote import Target
from sampan.control.transfer import Progress
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.files import refuse_os_error
from sampan.core.paths import ROOT

HOME = "/var/lib/lxc"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_ROOT_KEY = re.compile(r"^[ \t]*lxc\.rootfs(\.path)?[ \t]*=.*$", re.M)
_IMAGES = ("squashfs", "ext4", "erofs")
_MANIFEST = "rootfs.manifest"
_TYPES = {Kind.LINK: tarfile.SYMTYPE, Kind.HARD: tarfile.LNKTYPE, Kind.DIR: tarfile.DIRTYPE,
          Kind.CHAR: tarfile.CHRTYPE, Kind.BLOCK: tarfile.BLKTYPE, Kind.FIFO: tarfile.FIFOTYPE}  # fmt: skip

#: $1 name, $2 "replace" or "", $3 "start" or "". A gzipped tar is the input: its CRC is checked before anything counts.
_PUT = f"""\
cd {HOME} || exit 1
n=$1 new=.install-$1 old=.replaced-$1
fail() {{ echo "sampan: $n: $1" >&2; exit 1; }}
trap 'rm -rf "$new"' EXIT
runs=; case $(sampan info -n "$n" -s -H 2>/dev/null) in ''|*STOPPED) ;; *) runs=1;; esac
[ -e "$n" ] && [ -z "$2" ] && fail "exists (--replace puts the new one in its place)"
[ "$runs" ] && [ -z "$3" ] && fail "runs (--start stops it, and starts the new one)"
rm -rf "$new" "$old"
set -o pipefail
mkdir -m 0755 "$new" && gzip -dc | tar -xpf - -C "$new" || fail "did not arrive whole, nothing was changed"
sampan config check "$new/config" >&2 || fail "the target refuses its configuration, nothing was changed"
if [ "$runs" ]; then sampan stop -n "$n" || fail "does not stop"; fi
if [ -e "$n" ]; then mv "$n" "$old" || exit 1; fi
mv "$new" "$n" || {{ mv "$old" "$n"; exit 1; }}
[ -d "$old/snaps" ] && mv "$old/snaps" "$n/"
rm -rf "$old"
sync
[ -z "$3" ] || sampan start -n "$n"
"""


@dataclass(frozen=True)
class Package:
    """A container's folder, read and checked on this machine."""

    name: str
    folder: Path | None  #: None: a configuration alone
    config: str  #: as it will stand on the target
    manifest: Path | None


@dataclass(frozen=True)
class Installed:
    """What was done. `size`: bytes of the container's files; `sent`: of the stream."""

    name: str
    size: int
    sent: int


def read(container: str, name: str = "") -> Package:
    """A folder, or a name of configs/containers/NAME.config. Raises SampanError for what no target would take."""
    folder: Path | None = Path(container)
    config = Path(container) / "config"
    shipped = ROOT / "configs" / "containers" / f"{container}.config"
    if not config.is_file():
        if not shipped.is_file():
            hint = (
                "a folder with config and rootfs/ (or rootfs.squashfs, rootfs.manifest), or a configs/containers/NAME"
            )
            raise SampanError(f"{container}: no container's folder", hint=hint, code=EXIT_USAGE)
        folder, config = None, shipped
    name = name or (Path(container).resolve().name if folder else container)
    if not _NAME.fullmatch(name):
        raise SampanError(f"{name!r} is no name of a container", hint="--name NAME", code=EXIT_USAGE)
    try:
        text = config.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SampanError(f"{config}: {error}") from error
    found = load(config)
    if not found.good:
        said = "".join(f"\n{message}" for message in found.messages if message.level == "error")
        raise SampanError(f"{config}: the runtime would refuse it{said}", code=EXIT_USAGE)
    manifest = folder / _MANIFEST if folder and (folder / _MANIFEST).is_file() else None
    return Package(name, folder, _rooted(text, folder, name), manifest)


def _rooted(text: str, folder: Path | None, name: str) -> str:
    """The configuration with the root file system where it will be on the target."""
    if folder is None:
        return text
    images = [f"rootfs.{kind}" for kind in _IMAGES if (folder / f"rootfs.{kind}").is_file()]
    there = ["rootfs"] if (folder / "rootfs").is_dir() or (folder / _MANIFEST).is_file() else []
    if len(images) + len(there) > 1:
        raise SampanError(f"{folder}: {' and '.join(there + images)}: which one is the root file system?")
    if not images + there:
        return text
    line = f"lxc.rootfs.path = {'loop:' if images else ''}{HOME}/{name}/{(images + there)[0]}"
    kept = _ROOT_KEY.sub("", text).strip("\n")
    return f"{line}\n{kept}\n"


def pack(package: Package) -> tuple[bytes, int]:
    """The folder as a gzipped tar, the same for the same content; and the bytes of its files.

    What belongs to the caller belongs to root in it, unless root himself packs: then owners are kept.
    """
    buffer = io.BytesIO()
    size = 0
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for info, data in _members(package):
            info.mtime = int(info.mtime)
            tar.addfile(info, io.BytesIO(data) if info.isreg() else None)
            size += info.size if info.isreg() else 0
    packer = zlib.compressobj(9, wbits=31)
    return packer.compress(buffer.getvalue()) + packer.flush(), size


def _members(package: Package) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    info = tarfile.TarInfo("config")
    data = package.config.encode()
    info.size, info.mode = len(data), 0o644
    yield info, data
    if package.folder is not None:
        yield from _walk(package.folder)
    if package.manifest is not None:
        yield from _made(package.manifest)


def _walk(folder: Path) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    mine = os.geteuid()
    with tarfile.open(fileobj=io.BytesIO(), mode="w") as helper:  # remembers hard links
        for path in sorted(folder.rglob("*"), key=os.fsencode):
            name = path.relative_to(folder).as_posix()
            if name in ("config", _MANIFEST) or name.split("/")[0] == "snaps":
                continue
            try:
                info = helper.gettarinfo(path, name)
                if info is None:  # a socket
                    continue
                data = path.read_bytes() if info.isreg() else b""
            except OSError as error:
                refuse_os_error(error, "read", path)
            info.uname = info.gname = ""
            if mine and info.uid == mine:
                info.uid = info.gid = 0
            info.size = len(data)
            yield info, data


def _made(manifest: Path) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """The root file system that a manifest describes, below rootfs/."""
    found, sources = resolve([read_manifest(manifest)], Inputs({}, {}))
    for entry in found.entries:
        info = tarfile.TarInfo("rootfs" + entry.path.rstrip("/"))
        info.type = _TYPES.get(entry.kind, tarfile.REGTYPE)
        info.mode, info.uid, info.gid = entry.mode, entry.uid, entry.gid
        info.devmajor, info.devminor = entry.rdev
        info.linkname = f"rootfs{entry.target}" if entry.kind is Kind.HARD else entry.target
        data = sources.read(entry) if entry.kind is Kind.FILE else b""
        info.size = len(data)
        yield info, data


def install(
    target: Target,
    package: Package,
    *,
    replace: bool = False,
    start: bool = False,
    progress: Progress = lambda done, total: None,
) -> Installed:
    """Put the container in its place on the target. Raises TargetError; what was there is untouched then."""
    stream, size = pack(package)
    words = ["sh", "-c", _PUT, "install", package.name, "replace" if replace else "", "start" if start else ""]
    done = target.run(words, stdin=stream, passed=lambda count: progress(count, len(stream)))
    if not done.ok:
        said = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        what = said[-1].removeprefix("sampan: ") if said else f"exit status {done.status}"
        raise TargetError(f"{target.line.target}: {what}" + "".join(f"\n  | {line}" for line in said[:-1]))
    return Installed(package.name, size, len(stream))
