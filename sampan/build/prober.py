"""The program that verify sends to a target: sampan/devices/prober.c for the target's machine.

It has no libc, so each machine needs no more than an instruction set: two calls of zig, 0.2 s,
kept in build/toolchain/ until the source changes.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path

from sampan.build import toolchain
from sampan.core import paths
from sampan.core.errors import SampanError
from sampan.core.files import write_bytes
from sampan.core.run import run

SOURCE = paths.ROOT / "sampan" / "devices" / "prober.c"
#: uname -m -> zig's target and options; the oldest of each family, which its newer ones run too.
MACHINES: dict[str, tuple[str, ...]] = {
    r"i[3-6]86": ("x86-linux-musl", "-mcpu=i586"),
    r"x86_64": ("x86_64-linux-musl",),
    r"arm.*": ("arm-linux-musleabi", "-mcpu=arm926ej_s", "-marm"),
    r"aarch64": ("aarch64-linux-musl",),
}
_PLAIN = ("-fomit-frame-pointer", "-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables")
_WARN = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
_COMPILE = ("-std=gnu11", "-ffreestanding", "-Os", "-Xclang", "-Oz", "-g0", "-fno-sanitize=all", *_PLAIN, *_WARN)
_LAYOUT = ("-Wl,--gc-sections", "-Wl,--build-id=none", "-Wl,-z,norelro", "-Wl,-z,max-page-size=4096")
_LINK = ("-nostdlib", "-static", "-s", *_LAYOUT)


def program(machine: str) -> bytes:
    """The prober for a machine by its name in `uname -m`."""
    options = next((each for pattern, each in MACHINES.items() if re.fullmatch(pattern, machine)), None)
    if options is None:
        raise SampanError(f"verify has no prober for a machine {machine!r}", hint="it has one for x86 and ARM")
    digest = hashlib.sha256(repr((options, _COMPILE, _LINK)).encode() + SOURCE.read_bytes()).hexdigest()[:16]
    kept = paths.build_dir() / "toolchain" / f"prober-{options[0]}-{digest}"
    if not kept.is_file():
        write_bytes(kept, _compiled(options), mode=0o755)
    return kept.read_bytes()


def _compiled(options: tuple[str, ...]) -> bytes:
    command: list[str | Path] = [toolchain.zig(), "cc", "-target", *options]
    with tempfile.TemporaryDirectory(prefix="sampan-prober-") as folder:
        out = Path(folder) / "prober"
        run([*command, *_COMPILE, "-c", SOURCE, "-o", f"{out}.o"], env=toolchain.env())
        run([*command, *_LINK, f"{out}.o", "-o", out], env=toolchain.env())
        return out.read_bytes()
