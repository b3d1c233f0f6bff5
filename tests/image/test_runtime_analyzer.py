"""The runtime's sources under clang's static analyzer, that of the compiler that makes the images."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import generated
import pytest
import ziglang
from runtime_tools import RUNTIME, WARNINGS

#: What the analyzer cannot know here: `cleanup` reads what is stored; vfork before an exec is what is meant.
_OFF = ("deadcode.DeadStores", "unix.Vfork", "security.insecureAPI.vfork")
#: A descriptor of a folder that was just opened is none that is below 0.
_DIRFD = "unix.StdCLibraryFunctions"
#: False alarms, file and checker, each looked at.
KNOWN = {
    ("calls.c", "unix.Malloc"),  # what is put into the environment stays there
    ("hooks.c", "unix.Malloc"),  # the same
    ("ls.c", "unix.Malloc"),  # the command ends with it
    ("tree_copy.c", "unix.Malloc"),  # the same
    ("small.c", "unix.Malloc"),  # the allocator itself, whose free() keeps the bytes
    ("cgroup_end.c", _DIRFD),
    ("chan.c", _DIRFD),  # the three are open, or there is no child
    ("resolve.c", _DIRFD),
    ("tree.c", _DIRFD),
    ("conf_mount.c", "core.CallAndMessage"),  # check_fields() has counted them
    ("conf_net.c", "core.UndefinedBinaryOperatorResult"),  # the list of words ends with an empty one
    ("errors.c", "core.UndefinedBinaryOperatorResult"),  # the same
    ("ls.c", "core.CallAndMessage"),  # as many columns as were measured
}
_FOUND = re.compile(r"/(\w+\.c):\d+:\d+: (?:warning|error): .* \[([\w.-]+)\]$", re.M)


@pytest.mark.parametrize("half", [0, 1])
def test_the_analyzer_has_nothing_to_say(half: int, tmp_path: Path) -> None:
    generated.write(tmp_path)
    arch, lib = "x86_64", Path(ziglang.__file__).parent / "lib"
    libc = (f"{arch}-linux-musl", "generic-musl", "x86-linux-any", "any-linux-any")
    system = [word for path in (lib / "include", *(lib / "libc/include" / name for name in libc))
              for word in ("-isystem", str(path))]  # fmt: skip
    quiet = [word for name in _OFF for word in ("-Xclang", f"-analyzer-disable-checker={name}")]
    sources = sorted((RUNTIME / "src").glob("*.c"))[half::2]
    done = subprocess.run(
        [
            sys.executable, "-m", "ziglang", "clang", "--analyze", "-Xclang", "-analyzer-output=text", *quiet,
            "-target", f"{arch}-linux-musl", "-nostdinc", "-std=c11", "-D_GNU_SOURCE", *system,
            f"-I{RUNTIME / 'src/libc'}", f"-I{RUNTIME / 'src'}", f"-I{tmp_path}", *WARNINGS, *sources,
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = {match.groups() for match in _FOUND.finditer(done.stderr)}
    assert found <= KNOWN and (done.returncode == 0 or found), done.stderr
