"""The same manifest gives the same bytes: in another folder, as another user, under another umask, later.

On a difference the test names the structure, not an offset.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from content import EPOCH, write_inputs

from sampan.build.compare import compare
from sampan.core.paths import ROOT

OTHER_USER = 12345
#: Output file -> module and its own arguments, and whether the manifest may have extended attributes.
IMAGES = {
    "rootfs.cpio": ("cpio", ["--format", "cpio"], False),
    "rootfs.cpio.gz": ("cpio", ["--format", "cpio.gz"], False),
    "rootfs.cpio.zst": ("cpio", ["--format", "cpio.zst"], False),
    "rootfs.ext4": ("ext4", [], True),
    "rootfs.squashfs": ("squashfs", [], True),
    "rootfs-xz.squashfs": ("squashfs", ["--compressor", "xz"], True),
}


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user may pass through: pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(prefix="sampan-test.") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def other_user() -> list[str]:
    """How to run a program as another user: [] when this one may not."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={OTHER_USER}", f"--regid={OTHER_USER}", "--clear-groups"]


def build(folder: Path, *, umask: int, prefix: list[str]) -> dict[str, bytes]:
    """Every image, by the command lines of the build, from inputs and a package of its own in `folder`."""
    old = os.umask(umask)
    try:
        folder.mkdir(parents=True)
        args = write_inputs(folder)
        for name in ("sampan", "board", "configs"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        if prefix:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, OTHER_USER, OTHER_USER)
        attributes = f"{folder}/attributes.manifest"
        for out, more in (("plain", []), ("full", [attributes])):
            run(folder, prefix, "rootfs", [*args, *more, "--out", f"{folder}/{out}.manifest"])
        for name, (module, more, full) in IMAGES.items():
            stem = f"{folder}/{'full' if full else 'plain'}"
            given = ["--manifest", f"{stem}.manifest", "--sources", f"{stem}.sources", "--epoch", str(EPOCH)]
            run(folder, prefix, module, [*given, *more, "--out", f"{folder}/{name}"])
        run(folder, prefix, "data", ["--size", "16M", "--out", f"{folder}/data.ext4"])
    finally:
        os.umask(old)
    made = [*IMAGES, "plain.manifest", "full.manifest", "data.ext4"]
    return {name: (folder / name).read_bytes() for name in made}


def run(folder: Path, prefix: list[str], module: str, args: list[str]) -> None:
    argv = [*prefix, sys.executable, "-m", f"sampan.build.{module}", *args]
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder)}
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}\n{done.stdout}{done.stderr}"


def interpreter_is_open(prefix: list[str]) -> bool:
    """Whether the other user may run this Python with its packages (not when they lie in a closed home)."""
    argv = [*prefix, sys.executable, "-c", "import msgspec, zstandard"]
    return subprocess.run(argv, cwd="/", capture_output=True, check=False).returncode == 0


def assert_same(first: dict[str, bytes], second: dict[str, bytes]) -> None:
    found = [
        f"{name}: {difference}"
        for name, data in first.items()
        if hashlib.sha256(data).digest() != hashlib.sha256(second[name]).digest()
        for difference in compare(data, second[name])[:5]
    ]
    assert not found, "\n".join(["these structures differ:", *found])


def test_images_are_the_same_elsewhere_under_another_umask_and_later(open_folder: Path) -> None:
    first = build(open_folder / "a", umask=0o022, prefix=[])
    time.sleep(1.1)  # no time stamp has the same second
    second = build(open_folder / "another-folder/of-a-longer-name", umask=0o077, prefix=[])
    assert_same(first, second)
    assert all(str(open_folder).encode() not in data for data in first.values())


def test_images_are_the_same_as_another_user(open_folder: Path) -> None:
    prefix = other_user()
    if not prefix:
        pytest.skip("becoming another user takes root")
    if not interpreter_is_open(prefix):
        pytest.skip(f"uid {OTHER_USER} may not run {sys.executable}")
    first = build(open_folder / "as-root", umask=0o022, prefix=[])
    time.sleep(1.1)
    second = build(open_folder / "as-user", umask=0o027, prefix=prefix)
    assert (open_folder / "as-user/rootfs.ext4").stat().st_uid == OTHER_USER
    assert_same(first, second)
