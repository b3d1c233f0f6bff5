"""A small root file system with one of everything, for the tests of the image writers."""

from __future__ import annotations

import random
from pathlib import Path

from sampan.build import manifest
from sampan.build.manifest import Manifest, Sources

EPOCH = 1_700_000_000
BOARD = "qemuarm"

BASE = (
    """
/bin dir 0755 0 0
/dev dir 0755 0 0
/etc dir 0755 0 0
/empty dir 0700 1000 1000
/tmp dir 1777 0 0
/usr dir 0755 0 0
/usr/bin dir 2755 0 50
/bin/busybox file 4755 0 0 @busybox
/bin/again hard - - - /bin/busybox
/usr/bin/another hard - - - /bin/busybox
/etc/hostname file 0644 0 0 @text:hostname
/etc/inittab file 0644 0 0 @template:inittab
/etc/none file 0000 70000 123456 -
/etc/big file 0640 1 2 @big
/etc/zeros file 0644 0 0 @zeros
/etc/a\\040b"c\\134d file 0644 0 0 @text:hostname
/etc/<12> file 0644 0 0 -
/etc/\\303\\244\\377 file 0644 0 0 -
/etc/short link - 3 4 ../tmp/x\\040y"z\\134
/etc/long link 0777 0 0 """
    + "l" * 200
    + """
/dev/console char 0600 0 5 5:1
/dev/vda block 0660 0 6 254:16
/dev/far char 0666 0 0 300:70000
/dev/pipe fifo 0620 8 9
"""
)
#: What a cpio cannot hold.
ATTRIBUTES = """
/etc/xa file 0755 0 0 @text:hostname user.note=a\\040b\\000\\377 security.capability=\\001\\000\\000\\002\\000\\040\\000
/etc/xd dir 0755 0 0 user.d=1
/etc/xl link - 0 0 x trusted.foo=bar
"""


def write_inputs(folder: Path) -> list[str]:
    """Write manifests, an overlay and files; return the arguments of sampan.build.rootfs but for --out."""
    (folder / "overlay/etc/init.d").mkdir(parents=True)
    (folder / "overlay/etc/init.d/rcS").write_text("#!/bin/busybox sh\n")
    (folder / "overlay/etc/init.d/rcS").chmod(0o755)
    (folder / "overlay/etc/motd").write_text("hello\n")
    (folder / "base.manifest").write_text(BASE)
    (folder / "attributes.manifest").write_text(ATTRIBUTES)
    (folder / "inittab").write_text("@TTY@::respawn:/sbin/getty -L @TTY@ @BAUD@ vt100\n")
    (folder / "busybox.links").write_text("".join(f"/usr/bin/applet{number}\n" for number in range(120)))
    noise = random.Random(1)  # not compressible, and the same everywhere
    (folder / "busybox").write_bytes(noise.randbytes(300_001))
    (folder / "big").write_bytes(noise.randbytes(70_000) + bytes(500_000) + noise.randbytes(3))
    (folder / "zeros").write_bytes(bytes(40_960))
    return [
        "--board", BOARD,
        "--links", f"{folder}/busybox.links=/bin/busybox",
        "--file", *(f"{name}={folder}/{name}" for name in ("busybox", "big", "zeros")),
        "--base", f"{folder}/base.manifest", f"{folder}/overlay",
    ]  # fmt: skip


def resolved(folder: Path, *, attributes: bool) -> tuple[Manifest, Sources, list[str]]:
    """The manifest of the inputs in `folder`, made by the action itself, and the writers' arguments."""
    from sampan.build.rootfs import build_parser, make

    folder.mkdir(parents=True, exist_ok=True)
    args = write_inputs(folder)
    if attributes:
        args.append(f"{folder}/attributes.manifest")
    out = folder / "out/rootfs.manifest"
    make(build_parser().parse_args([*args, "--out", str(out)]))
    sources = manifest.sources_path(out)
    given = ["--manifest", str(out), "--sources", str(sources), "--epoch", str(EPOCH)]
    return *manifest.load(out, sources), given
