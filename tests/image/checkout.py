"""A copy of this checkout that a test may edit, with a build that is up to date."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from sampan.core import paths

BOARD = "qemux86-64"
SOURCES = ("SConstruct", "site_scons", "sampan", "runtime", "rootfs", "configs", "board")
#: What a build gives; kernel/ is left out where only its own step could change it.
_NO_OUTPUT = (".sconsign.dblite", "log", "toolchain", "run")


@dataclass(frozen=True)
class Ran:
    """A run of SCons: `steps` are the lines of what it did."""

    status: int
    out: str
    err: str

    @property
    def steps(self) -> list[str]:
        return [line.strip() for line in self.out.splitlines() if line.startswith("  ")]

    @property
    def words(self) -> set[str]:
        """The kinds of steps it did, such as CC and CPIO."""
        return {line.split()[0] for line in self.steps}


class Checkout:
    """The copy at `root`. Its interpreter is this one, under the same name as in the original."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.build = root / "build"
        root.mkdir(parents=True)
        for name in SOURCES:
            source, target = paths.ROOT / name, root / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, target)
        prefix = Path(sys.prefix)
        self.python = sys.executable
        if prefix.is_relative_to(paths.ROOT):
            (root / prefix.relative_to(paths.ROOT)).symlink_to(prefix)
            self.python = str(root / Path(sys.executable).relative_to(paths.ROOT))

    def seed(self) -> None:
        """Start from what is built already: only an image that was built is copied, and SCons judges it."""
        built = paths.build_dir()
        self.build.mkdir()
        for name in ("arch/x86_64", "gen", "src", BOARD, ".sconsign.dblite", "toolchain/x86_64.ready"):
            if (built / name).exists():
                (self.build / name).parent.mkdir(parents=True, exist_ok=True)
                run = ["cp", "-a", "--sparse=always", "--reflink=auto", str(built / name), str(self.build / name)]
                subprocess.run(run, check=True)
        shutil.rmtree(self.build / BOARD / "run", ignore_errors=True)

    def env(self, **extra: str) -> dict[str, str]:
        """As a person's shell, with the fetched files and the compiler's cache of the original."""
        zig = os.environ.get("ZIG_GLOBAL_CACHE_DIR", str(paths.build_dir() / "toolchain" / "zig"))
        shared = {"SAMPAN_DOWNLOADS": str(paths.downloads_dir())}
        shared |= {"ZIG_GLOBAL_CACHE_DIR": zig, "ZIG_LOCAL_CACHE_DIR": zig}
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("SAMPAN_", "SCONS", "PYTHON"))
        }
        return kept | shared | extra

    def argv(self, *arguments: str) -> list[str]:
        return [self.python, "-I", "-m", "SCons", "--site-dir=site_scons", "-Q", *arguments]

    def scons(self, *arguments: str, check: bool = True, umask: int = 0o022, **env: str) -> Ran:
        """Run SCons to its end."""
        done = subprocess.run(
            self.argv(*arguments), cwd=self.root, env=self.env(**env), umask=umask, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def hashes(self) -> dict[str, str]:
        """SHA-256 of every file the build made, by its path."""
        found = {}
        for path in sorted(self.build.rglob("*")):
            name = path.relative_to(self.build)
            if any(part.endswith((".tmp", ".tmp.d")) for part in name.parts):
                continue  # what was being written when a build was killed
            if path.is_file() and name.parts[0] not in _NO_OUTPUT and path.name != "rootfs.sources":
                found[name.as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found
