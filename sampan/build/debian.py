"""Packages and sources from Debian through a private apt root.

apt runs with its own state, cache and an empty package list below the downloads folder, for
any architecture, as an ordinary user; the system's dpkg and apt are only read (its sources,
keyrings and proxies). What was fetched stays in the downloads folder.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sampan.board.model import DebianKernel
from sampan.build import debsources, fetch
from sampan.build.debsources import Kind
from sampan.core import paths
from sampan.core.errors import SampanError
from sampan.core.files import sha256_file, write_text
from sampan.core.progress import note
from sampan.core.run import run, tool_env

_CONFIG = """\
#clear APT::Update;
#clear DPkg;
#clear APT::Architectures;
APT::Architecture "{arch}";
APT::Architectures {{ "{arch}"; }};
APT::Sandbox::User "";
Dir::State "{root}/state";
Dir::State::status "{root}/state/status";
Dir::Cache "{root}/cache";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
Dir::Log "{root}/log";
Dir::Etc::sourcelist "{root}/debian.sources";
Dir::Etc::sourceparts "-";
Dir::Etc::preferences "-";
Dir::Etc::preferencesparts "-";
Acquire::Languages "none";
Acquire::GzipIndexes "true";
Acquire::Retries "2";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
"""
_META_DEPTH = 3  #: metapackage -> metapackage -> package is the most there is


@dataclass(frozen=True)
class Package:
    """A binary package of the index."""

    name: str
    version: str
    file: str  #: base name in the pool
    sha256: str
    size: int  #: bytes
    depends: str


class AptRoot:
    """A private apt root for one Debian architecture (or "source") and release, below downloads/apt/."""

    def __init__(self, arch: str, release: str = debsources.CODENAME) -> None:
        self.arch = arch
        self.release = release
        name = arch if release == debsources.CODENAME else f"{arch}-{release}"
        self.root = fetch.folder() / "apt" / name

    def prepare(self) -> None:
        """Write configuration and sources; SampanError when the system has no Debian sources."""
        archives = debsources.find()
        for name in ("state/lists/partial", "cache/archives/partial"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.root / "state/status").touch()
        native = "amd64" if self.arch == "source" else self.arch
        write_text(self.root / "apt.conf", _CONFIG.format(arch=native, root=self.root))
        kind: Kind = "source" if self.arch == "source" else "binary"
        write_text(
            self.root / "debian.sources", "\n".join(item.stanza(native, kind, self.release) for item in archives)
        )

    def update(self) -> list[str]:
        """Fetch the indexes. Returns apt's complaints: one bad index need not stop the others."""
        done = run([*self._tool("apt-get"), "-q", "update"], check=False)
        return _complaints(done.stdout + done.stderr)

    def show(self, name: str) -> Package | None:
        """The candidate version of a package; None when the indexes do not know it."""
        done = run([*self._tool("apt-cache"), "show", "--no-all-versions", name], check=False)
        fields = (debsources.parse_deb822(done.stdout) or [{}])[0]
        if done.returncode != 0 or "sha256" not in fields:
            return None
        return Package(
            name=fields["package"],
            version=fields["version"],
            file=Path(fields["filename"]).name,
            sha256=fields["sha256"],
            size=int(fields["size"]),
            depends=fields.get("depends", ""),
        )

    def download(self, package: Package) -> Path:
        """Fetch a package into the downloads folder, verified."""
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=self.root) as folder:
            wanted = f"{package.name}={package.version}"
            done = run([*self._tool("apt-get"), "-q", "download", wanted], cwd=Path(folder), check=False)
            files = list(Path(folder).glob("*.deb"))
            if done.returncode != 0 or len(files) != 1:
                raise fetch.cannot_fetch(wanted, [package.file], _why(_complaints(done.stdout + done.stderr)))
            return fetch.adopt(files[0], package.file, package.sha256, size=package.size)

    def source(self, name: str, version: str, files: Mapping[str, str]) -> None:
        """Fetch a source package; `files` (name -> SHA-256) are verified and kept."""
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=self.root) as folder:
            argv = [*self._tool("apt-get"), "-q", "source", "--download-only", f"{name}={version}"]
            done = run(argv, cwd=Path(folder), check=False)
            missing = [file for file in files if not (Path(folder) / file).is_file()]
            if missing:
                raise fetch.cannot_fetch(f"{name} {version}", missing, _why(_complaints(done.stdout + done.stderr)))
            for file, sha256 in files.items():
                fetch.adopt(Path(folder) / file, file, sha256)

    def _tool(self, program: str) -> list[str]:
        return [program, "-c", str(self.root / "apt.conf")]


def _complaints(output: str) -> list[str]:
    return [line for line in output.splitlines() if re.match(r"^(E|W|Err)[: ]", line)]


def _why(complaints: list[str]) -> str:
    errors = [line for line in complaints if line.startswith("E:")] or complaints
    return "".join(f"\n  | {line}" for line in errors[:6]) or "apt gave no reason"


def _need_apt(what: str, names: list[str]) -> None:
    if not shutil.which("apt-get", path=tool_env()["PATH"]):
        raise fetch.cannot_fetch(what, names, "this host has no apt-get")


def kernel_package(name: str, arch: str, version: DebianKernel = "6.1") -> Path:
    """The .deb of a kernel: `name` is a metapackage (linux-image-armmp) or a versioned package.

    `arch` is Debian's name (amd64, i386, armhf, arm64), `version` chooses the release. A fitting file
    of the downloads folder is used as it is, without network; remove it to get a newer one.
    """
    with fetch.locked(f"apt-{arch}"):
        return _kernel_present(name, arch, version) or _kernel_fetched(name, arch, version)


def _kernel_pattern(name: str, arch: str, version: DebianKernel) -> re.Pattern[str]:
    """File names of the packages that `name` may stand for; a metapackage itself holds no kernel."""
    flavour = re.escape(name.removeprefix("linux-image-"))
    if not re.match(r"\d", flavour):
        flavour = rf"{re.escape(version)}\.\d[\w.+~]*(?:-\d+)?-{flavour}"
    return re.compile(rf"^linux-image-{flavour}(?:-unsigned)?_[^_]+_{re.escape(arch)}\.deb$")


def _kernel_present(name: str, arch: str, version: DebianKernel) -> Path | None:
    pattern = _kernel_pattern(name, arch, version)
    found = sorted(path for path in fetch.folder().glob("linux-image-*.deb") if pattern.match(path.name))
    if len(found) > 1:
        raise SampanError(
            f"{len(found)} packages fit {name} ({arch}): {', '.join(path.name for path in found)}",
            hint=f"keep one of them in {paths.shown(fetch.folder())}, or name the version in board.toml",
        )
    if not found:
        return None
    record = found[0].with_name(found[0].name + ".sha256")
    if record.is_file():
        return fetch.verify(found[0], record.read_text(encoding="utf-8").split()[0])
    note(f"{found[0].name}: put there by hand, taken as it is")
    return found[0]


def _kernel_fetched(name: str, arch: str, version: DebianKernel) -> Path:
    release = debsources.KERNEL_SUITES[version]
    by_hand = [f"linux-image-{version}.*-{name.removeprefix('linux-image-')}_*_{arch}.deb"]
    _need_apt(name, by_hand)
    root = AptRoot(arch, release)
    root.prepare()
    complaints = root.update()
    package = root.show(name)
    for _ in range(_META_DEPTH):
        follow = re.search(r"\b(linux-image-[^\s,|(]+)", package.depends) if package else None
        if not follow:
            break
        package = root.show(follow[1])
    if package is None:
        why = _why(complaints) if complaints else f"Debian {release} has no such package for {arch}"
        raise fetch.cannot_fetch(name, by_hand, why)
    for line in complaints:
        note(f"apt: {line}")
    path = root.download(package)
    write_text(path.with_name(path.name + ".sha256"), f"{sha256_file(path)}  {path.name}\n")
    return path


def source_files(name: str, version: str, files: Mapping[str, str]) -> list[Path]:
    """The files of a source package (name -> pinned SHA-256), fetched when they are not there."""
    with fetch.locked("apt-source"):
        if any(fetch.present(file, sha256) is None for file, sha256 in files.items()):
            _need_apt(f"{name} {version}", list(files))
            root = AptRoot("source")
            root.prepare()
            for line in root.update():
                note(f"apt: {line}")
            root.source(name, version, files)
        return [paths.downloads_dir() / file for file in files]
