"""Root file systems that are no plain folder: images, block devices, overlays, and read-only ones."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from mounts import tmpfs
from runtime_lab import Lab, gone, make_root, need_own_root, wait_for

from sampan.core.run import run

pytestmark = pytest.mark.both_ways

MAKERS = {
    "squashfs": ["gensquashfs", "-q", "-c", "gzip", "--pack-dir", "{root}", "{image}"],
    "ext4": ["mkfs.ext4", "-q", "-d", "{root}", "{image}", "8M"],
    "erofs": ["mkfs.erofs", "--quiet", "{image}", "{root}"],
}


def need(tool: str) -> str:
    found = shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if not found:
        pytest.skip(f"needs {tool}")
    return found


def make_image(kind: str, image: Path, root: Path) -> Path:
    if kind not in Path("/proc/filesystems").read_text().split():
        pytest.skip(f"needs a kernel with {kind}")
    tool, *words = MAKERS[kind]
    run([need(tool), *(word.format(root=root, image=image) for word in words)])
    return image


@pytest.fixture(autouse=True)
def own_root() -> None:
    need_own_root()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A root file system to make images of."""
    root = tmp_path / "source"
    make_root(root)
    (root / "etc/mark").write_text("from the image\n")
    return root


def loops(image: Path) -> list[str]:
    """Loop devices that use a file."""
    paths = Path("/sys/block").glob("loop*/loop/backing_file")
    return [str(path) for path in paths if path.read_text().strip() == str(image)]


@pytest.fixture
def readonly_medium(tmp_path: Path) -> Iterator[Path]:
    """A folder that is mounted read-only when `seal` has been made in it by the test."""
    with tmpfs(tmp_path / "medium") as folder:
        yield folder


def seal(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)


@pytest.mark.parametrize("prefix", ["", "loop:"])
@pytest.mark.parametrize("kind", ["squashfs", "ext4", "erofs"])
def test_an_image_is_a_root(any_lab: Lab, source: Path, kind: str, prefix: str) -> None:
    image = make_image(kind, any_lab.path / f"root.{kind}", source)
    name = any_lab.make("image", f"lxc.rootfs.path = {prefix}{image}", root=False)
    script = "cat /etc/mark; echo x >/etc/new && echo written; grep ' / ' /proc/mounts"
    done = any_lab.sampan("execute", name, "--", "/bin/sh", "-c", script)
    assert "from the image" in done.stdout, done.stderr
    assert ("written" in done.stdout) == (kind == "ext4")
    assert kind in done.stdout
    wait_for(lambda: loops(image) == [])


def test_an_image_on_a_readonly_medium(any_lab: Lab, source: Path, readonly_medium: Path) -> None:
    """LXC opens it for writing and gives up (lxc/lxc#1239)."""
    for kind in ("squashfs", "ext4"):
        make_image(kind, readonly_medium / kind, source)
    seal(readonly_medium)
    for kind in ("squashfs", "ext4"):
        name = any_lab.make(kind, f"lxc.rootfs.path = {readonly_medium / kind}", root=False)
        done = any_lab.sampan("execute", name, "--", "/bin/sh", "-c", "cat /etc/mark; touch /new")
        assert "from the image" in done.stdout, done.stderr
        assert "Read-only file system" in done.stderr
        wait_for(lambda kind=kind: loops(readonly_medium / kind) == [])  # type: ignore[misc]


def test_options_of_the_images_file_system(lab: Lab, source: Path) -> None:
    image = make_image("ext4", lab.path / "root.ext4", source)
    path = f"lxc.rootfs.path = loop:{image}"
    name = lab.make("options", path, "lxc.rootfs.options = ro,noload,nosuid", root=False)
    before = image.read_bytes()
    done = lab.sampan("execute", name, "--", "/bin/sh", "-c", "grep ' / ' /proc/mounts")
    options = set(done.stdout.split()[3].split(","))
    assert {"ro", "nosuid", "norecovery"} <= options or {"ro", "nosuid", "noload"} <= options, done.stdout
    assert image.read_bytes() == before
    wrong = lab.make("wrong", path, "lxc.rootfs.options = nosuchoption", root=False)
    done = lab.sampan("execute", wrong, "--", "/bin/true")
    assert done.returncode == 125 and "ext4" in done.stderr
    wait_for(lambda: loops(image) == [])


def test_a_block_device_is_a_root(lab: Lab, source: Path) -> None:
    image = make_image("ext4", lab.path / "disk", source)
    device = run([need("losetup"), "--find", "--show", image]).stdout.strip()
    try:
        name = lab.make("disk", f"lxc.rootfs.path = {device}", root=False)
        done = lab.sampan("execute", name, "--", "/bin/sh", "-c", "cat /etc/mark; touch /new")
        assert done.returncode == 0, done.stderr
        assert done.stdout == "from the image\n"
    finally:
        run([need("losetup"), "-d", device])


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"nothing" * 20000, "no file system is recognised"), (b"hsqs" + bytes(70000), "squashfs"), (b"", "recognised")],
)
def test_a_broken_image_is_named_and_its_loop_given_back(lab: Lab, content: bytes, said: str) -> None:
    image = lab.path / "broken"
    image.write_bytes(content)
    name = lab.make("broken", f"lxc.rootfs.path = {image}", root=False)
    done = lab.sampan("start", name)
    assert done.returncode == 1 and said in done.stderr and str(image) in done.stderr
    wait_for(lambda: loops(image) == [])


def test_an_image_goes_back_when_supervisor_and_container_are_killed(any_lab: Lab, source: Path) -> None:
    image = make_image("squashfs", any_lab.path / "root.sqfs", source)
    name = any_lab.make("killed", f"lxc.rootfs.path = {image}", root=False)
    any_lab.ok("start", name)
    assert loops(image) != []
    supervisor = any_lab.state(name)["supervisor"]
    os.kill(supervisor, 9)
    wait_for(lambda: gone(supervisor))
    any_lab.ok("stop", "-k", name)
    wait_for(lambda: loops(image) == [])


@pytest.mark.parametrize("prefix", ["overlay", "overlayfs"])
def test_an_overlay_keeps_what_is_written(any_lab: Lab, source: Path, prefix: str) -> None:
    upper, second = any_lab.path / "upper", any_lab.path / "second"
    second.mkdir()
    (second / "top").write_text("second layer\n")
    layers = f"{second}:{source}:{upper}"
    name = any_lab.make("over", f"lxc.rootfs.path = {prefix}:{layers}", root=False)
    script = "cat /etc/mark /top; echo new >>/etc/mark; rm /top"
    done = any_lab.sampan("execute", name, "--", "/bin/sh", "-c", script)
    assert done.stdout == "from the image\nsecond layer\n", done.stderr
    assert (upper / "etc/mark").read_text() == "from the image\nnew\n"
    assert (source / "etc/mark").read_text() == "from the image\n"
    assert (second / "top").exists()
    again = any_lab.sampan("execute", name, "--", "/bin/sh", "-c", "cat /etc/mark; ls /top; grep ' / ' /proc/mounts")
    assert again.stdout.startswith("from the image\nnew\n") and "No such file" in again.stderr
    assert str(any_lab.path) not in again.stdout, "paths of the host in /proc/mounts"


def test_an_overlay_over_an_image_with_a_fresh_tmpfs(any_lab: Lab, source: Path) -> None:
    shutil.rmtree(source / "dev")
    image = make_image("squashfs", any_lab.path / "root.sqfs", source)
    name = any_lab.make("fresh", f"lxc.rootfs.path = overlay:{image}:tmpfs,size=2m", root=False)
    script = "ls /etc/new; echo x >/etc/new; cat /etc/mark; head -c 4000000 /dev/zero >/big || echo full"
    for _ in range(2):
        done = any_lab.sampan("execute", name, "--", "/bin/sh", "-c", script)
        assert done.stdout == "from the image\nfull\n", "the tmpfs has its size"
        assert "/etc/new: No such file" in done.stderr
    wait_for(lambda: loops(image) == [])


def test_a_legacy_backend_names_the_kind(lab: Lab, source: Path) -> None:
    path = f"lxc.rootfs = {source}:{lab.path / 'delta'}"
    for lines in ([path, "lxc.rootfs.backend = overlayfs"], ["lxc.rootfs.backend = overlayfs", path]):
        name = lab.make("legacy", *lines, root=False)
        assert lab.ok("execute", name, "--", "/bin/cat", "/etc/mark") == "from the image\n"
        lab.ok("destroy", name)
    bad = lab.make("bad", f"lxc.rootfs = {source}", "lxc.rootfs.backend = overlayfs", root=False)
    assert "no LOWER:UPPER" in lab.sampan("start", bad).stderr


@pytest.mark.parametrize("verb", ["execute", "start"])
def test_missing_mount_points_of_a_readonly_root(any_lab: Lab, source: Path, verb: str) -> None:
    for missing in ("dev", "proc", "sys"):
        shutil.rmtree(source / missing)
    (source / "sbin/init").unlink()
    (source / "sbin/init").write_text("#!/bin/sh\nls /dev/null /proc/self/mounts /sys/kernel /data/deep\ntouch /x\n")
    (source / "sbin/init").chmod(0o755)
    image = make_image("squashfs", any_lab.path / "root.sqfs", source)
    name = any_lab.make(
        "bare",
        f"lxc.rootfs.path = {image}",
        "lxc.mount.auto = proc:mixed sys:ro",
        "lxc.mount.entry = tmpfs data/deep tmpfs create=dir 0 0",
        root=False,
    )
    words = ["--", "/sbin/init"] if verb == "execute" else ["-F"]
    done = any_lab.sampan(verb, name, *words)
    assert "/dev/null" in done.stdout and "/proc/self/mounts" in done.stdout, done.stderr
    text = done.stdout + done.stderr
    assert "/x: Read-only file system" in text and "No such file" not in text
    wait_for(lambda: loops(image) == [])


def test_a_missing_mount_point_that_nobody_may_make_is_named(lab: Lab, source: Path) -> None:
    image = make_image("squashfs", lab.path / "root.sqfs", source)
    name = lab.make("named", f"lxc.rootfs.path = {image}", "lxc.mount.entry = tmpfs nowhere tmpfs defaults", root=False)
    done = lab.sampan("execute", name, "--", "/bin/true")
    assert done.returncode == 125 and "mount point /nowhere" in done.stderr and "create=dir" in done.stderr
    wait_for(lambda: loops(image) == [])


def test_lxc_rootfs_mount_is_used_where_it_exists(any_lab: Lab) -> None:
    place = any_lab.path / "place"
    place.mkdir()
    for where in (place, any_lab.path / "missing"):
        name = any_lab.make("place", f"lxc.rootfs.mount = {where}", f"lxc.mount.entry = tmpfs {where}/tmp tmpfs rw")
        done = any_lab.sampan("execute", name, "--", "/bin/grep", " /tmp ", "/proc/mounts")
        assert "tmpfs /tmp tmpfs" in done.stdout, done.stderr
        assert list(place.iterdir()) == []
        any_lab.ok("destroy", name)


def test_a_folder_has_no_options_of_a_file_system(lab: Lab) -> None:
    name = lab.make("dir", "lxc.rootfs.options = ro,size=1m")
    done = lab.sampan("start", name)
    assert done.returncode == 1 and "size=1m" in done.stderr


def test_flags_of_the_hosts_mount_stay(any_lab: Lab, readonly_medium: Path) -> None:
    """`ro` on a bind of a nosuid,nodev medium must not take these two away."""
    subprocess.run(["mount", "-o", "remount,nosuid,nodev", readonly_medium], check=True)
    with tmpfs(readonly_medium, "noexec"), tmpfs(readonly_medium / "sub"):
        name = any_lab.make(
            "flags", f"lxc.mount.entry = {readonly_medium} tmp none rbind,ro 0 0", "lxc.rootfs.options = ro"
        )
        script = "grep ' /tmp' /proc/mounts; touch /tmp/x; touch /tmp/sub/x; touch /x"
        done = any_lab.sampan("execute", name, "--", "/bin/sh", "-c", script)
        outer, inner = (line.split()[3].split(",") for line in done.stdout.splitlines())
        assert {"ro", "noexec"} <= set(outer) and "ro" in inner
        assert done.stderr.count("Read-only file system") == 3
