"""One run of the build graph: its environment, its lock, its journal and its end.

SConstruct says what to build; what has to be true around that stands here. Two builds in one
output folder are refused. The journal holds what this run has begun: SCons writes its database
only at the end, so after a kill -9 a target could look up to date that was made from other
sources; the next run takes all of them away first.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import functools
import os
import shlex
import shutil
import sys
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from sampan.board import load
from sampan.build.spawn import Spawner
from sampan.core import paths
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.files import refuse_os_error

#: Time stamp of everything built, seconds since 1970: 2024-01-01. A constant, so that a commit
#: which changes no input changes no image; SOURCE_DATE_EPOCH= on the command line replaces it.
EPOCH = "1704067200"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: What the caller's environment may say: where things are and how to reach the network, never what is built.
_PASSED = (
    "SAMPAN_BUILD", "SAMPAN_BOARDS", "SAMPAN_DOWNLOADS", "ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR", "TMPDIR",
    "HOME", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
)  # fmt: skip


@contextlib.contextmanager
def errors() -> Iterator[None]:
    """Show an expected failure while SConscripts are read as the message it is."""
    try:
        yield
    except SampanError as error:
        print(f"sampan: {error}", file=sys.stderr)
        sys.exit(error.code)


def jobs() -> int:
    """Commands at once: one for each processor this process may use."""
    return len(os.sched_getaffinity(0))


def output() -> str:
    """The output folder as the graph names it: "#build" when it is in the checkout."""
    build = paths.build_dir()
    if any(char.isspace() for char in str(build)) and not build.is_relative_to(paths.ROOT):
        raise SampanError(f"SAMPAN_BUILD: {str(build)!r} has blanks", hint="choose a folder without", code=EXIT_USAGE)
    return f"#{relative(build)}" if build.is_relative_to(paths.ROOT) else str(build)


def python() -> str:
    """This interpreter as commands name it."""
    return relative(Path(sys.executable))


def interpreter() -> str:
    """What of the interpreter can change an output: its version, and zlib's."""
    return f"python {sys.version_info.major}.{sys.version_info.minor} zlib {zlib.ZLIB_RUNTIME_VERSION}"


def relative(path: Path) -> str:
    """A path as commands name it: they run in the checkout."""
    return str(path.relative_to(paths.ROOT) if path.is_relative_to(paths.ROOT) else path)


def environment(epoch: str) -> dict[str, str]:
    """The environment of every command: the same on each machine and for each caller."""
    zig = f"{paths.build_dir()}/toolchain/zig"
    kept = {name: os.environ[name] for name in _PASSED if name in os.environ}
    return (
        {"ZIG_GLOBAL_CACHE_DIR": zig, "ZIG_LOCAL_CACHE_DIR": zig}
        | kept
        | {
            "PATH": PATH,
            "LC_ALL": "C",
            "TZ": "UTC",
            "SOURCE_DATE_EPOCH": epoch,
        }
    )


def tool(name: str) -> Path | None:
    """The file a command of that name runs; None when it is missing (the step itself says so, better)."""
    found = shutil.which(name, path=PATH)
    return Path(found).resolve() if found else None


def resolved(command: str) -> str:
    """A compiler's command with its program as an absolute path: the caller's PATH is not the build's.

    A program that is not found stays as it is; the step that proves the compiler says so.
    """
    program, *options = command.split()
    return " ".join([shutil.which(program) or program, *options])


def preamble(dry: bool, env: Mapping[str, str]) -> None:
    """Before what `scons -n` prints: what makes its lines do the same when they are pasted."""
    if dry:
        print(f"cd {shlex.quote(str(paths.ROOT))}")
        print("export " + " ".join(f"{name}={shlex.quote(value)}" for name, value in sorted(env.items())))


def chosen(value: str) -> list[str]:
    """The boards of board=NAME[,NAME...] or board=all, each once, in that order."""
    names = load.default_names() if value == "all" else [name for name in value.split(",") if name]
    if not names:
        raise SampanError("board=: no board", hint="board=NAME[,NAME...] or board=all", code=EXIT_USAGE)
    return list(dict.fromkeys(names))


def refuse_unknown(arguments: Mapping[str, str], known: Iterator[str]) -> None:
    """NAME=VALUE arguments that no option has."""
    if arguments:
        names = ", ".join(sorted(arguments))
        raise SampanError(f"unknown argument: {names}", hint=f"known: {', '.join(sorted(known))}", code=EXIT_USAGE)


class Session:
    """What a run holds from its start to the end of the process."""

    def __init__(self, *, dry: bool, clean: bool) -> None:
        self.build = paths.build_dir()
        self.log = self.build / "log" / "build.log"
        self._database = self.build / ".sconsign.dblite"
        self._journal = self.build / ".journal"
        self._stream: TextIO | None = None
        self._begun: set[str] = set()
        if dry:
            return
        self._open()
        self._recover()
        self._stamp = self._database_stamp()
        atexit.register(self._end, clean)

    def database(self, *, dry: bool) -> str | None:
        """Name for SConsignFile, which adds .dblite; None where a dry run would have to make the folder."""
        return None if dry and not self.build.is_dir() else str(self._database.with_suffix(""))

    def spawner(self, *, verbose: bool) -> Spawner:
        """SCons' SPAWN for this run."""
        return Spawner(self.log, verbose=verbose)

    def _open(self) -> None:
        """Make the output folder, prove that it can be written, and lock it."""
        try:
            self.build.mkdir(parents=True, exist_ok=True)
            if not os.access(self.build, os.W_OK | os.X_OK):
                probe = self.build / ".writable"
                probe.touch()  # fails, and says whether it is permission or a read-only file system
                probe.unlink()
            # The folder itself is locked: no lock file to leave behind. Python closes it on exec.
            self._fd = os.open(self.build, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            refuse_os_error(error, "write in", self.build)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SampanError(
                f"{paths.shown(self.build)}: another build is running there{_holder(self._fd)}",
                hint="wait for its end, or give this one a folder of its own: SAMPAN_BUILD=DIR",
            ) from error
        except OSError:
            pass  # a network file system without locks: go on as everyone does there

    def _recover(self) -> None:
        """After a run that was killed: take away what it had begun."""
        try:
            begun = self._journal.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return
        for name in begun:
            Path(paths.ROOT, name).unlink(missing_ok=True)
        self._journal.unlink()

    def show(self, line: str, target: list[Any], _source: list[Any], env: Mapping[str, Any]) -> None:
        """SCons' PRINT_CMD_LINE_FUNC: print a step's line as it begins, and note its targets."""
        if env["DRY"]:
            _print_folder(Path(str(target[0])).parent)  # which SCons would make
        sys.stdout.write(f"{line}\n")  # at once: steps run side by side
        sys.stdout.flush()
        if env["DRY"]:
            return
        with contextlib.suppress(OSError):
            if self._stream is None:
                self._stream = self._journal.open("a", encoding="utf-8")
            self._stream.writelines(f"{node}\n" for node in target)
            self._stream.flush()

    def _database_stamp(self) -> int:
        return self._database.stat().st_mtime_ns if self._database.exists() else 0

    def _end(self, clean: bool) -> None:
        """The database is written: what was begun is known to be done. After -c nothing stays."""
        if self._stream is not None:
            self._stream.close()
        if self._database_stamp() != self._stamp:
            self._journal.unlink(missing_ok=True)
        if clean:
            shutil.rmtree(self.log.parent, ignore_errors=True)
            self._prune()

    def _prune(self) -> None:
        """Remove empty folders, then the database when it is all that is left."""
        for folder, _, _ in os.walk(self.build, topdown=False):
            if folder != str(self.build):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
        if {entry.name for entry in os.scandir(self.build)} <= {self._database.name, self._journal.name}:
            shutil.rmtree(self.build, ignore_errors=True)


@functools.cache
def _print_folder(folder: Path) -> None:
    if not Path(paths.ROOT, folder).is_dir():
        print(f"mkdir -p {folder}")


def _holder(fd: int) -> str:
    """Behind a message: " (process N)" of the lock on this file, as /proc/locks tells it; "" when it does not."""
    inode = os.fstat(fd).st_ino
    with contextlib.suppress(OSError):
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            words = line.split()
            if len(words) >= 6 and words[1] == "FLOCK" and words[5].rpartition(":")[2] == str(inode):
                return f" (process {words[4]})"
    return ""
