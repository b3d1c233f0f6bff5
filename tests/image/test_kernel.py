"""A board's kernel: from Debian's packages or from files, with the modules it names and nothing else."""

from __future__ import annotations

from pathlib import Path

import kernel_files as made
import msgspec
import pytest
from deb_files import Archive
from elf_files import module

from sampan.board import load
from sampan.board.model import Board
from sampan.build import kernel, kernelcheck
from sampan.core.errors import EXIT_MISSING, SampanError

CONFIG = "# Linux/x86 6.1.0 Kernel Configuration\n" + "".join(
    f"CONFIG_{option.name}=y\n" for option in kernelcheck.options()
)
VMLINUX = made.elf(b"code" * 500 + made.BANNER, pvh=True)
WITH_CONFIG = made.bzimage(made.COMPRESS["lz4"](made.elf(made.BANNER + made.ikconfig(CONFIG), pvh=True)))
TREE = {
    "modules.order": b"",
    "modules.builtin": b"kernel/fs/ext4/ext4.ko\n",
    "kernel/drivers/block/virtio_blk.ko": module({"depends": ["virtio"], "alias": ["virtio:d00000002v*"]}),
    "kernel/drivers/virtio/virtio.ko.xz": made.COMPRESS["xz"](module({"depends": [""]})),
    "kernel/drivers/gpu/huge.ko": module({"depends": [""]}),
}


def board(provider: str, **keys: object) -> Board:
    """qemux86-64 with another kernel table."""
    plain = msgspec.to_builtins(load.load("qemux86-64"))
    table = {"provider": provider, "load": ["virtio_blk", "ext4"]} | keys
    return msgspec.convert(plain | {"name": "mine", "kernel": table}, Board)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A board folder with a kernel of its own."""
    home = tmp_path / "board/mine"
    for name, data in TREE.items():
        path = home / "lib/modules" / made.RELEASE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (home / "bzImage").write_bytes(WITH_CONFIG)
    monkeypatch.setenv("SAMPAN_BOARDS", str(tmp_path / "board"))
    return home


MODULES = f"lib/modules/{made.RELEASE}"


def build(tmp_path: Path, **keys: object) -> kernel.Kernel:
    return kernel.build(_BOARD("files", image="bzImage", modules=MODULES, **keys), tmp_path / "out")


_BOARD = board


@pytest.fixture(autouse=True)
def _boards_are_read_first(monkeypatch: pytest.MonkeyPatch) -> None:
    known = load.load("qemux86-64")
    monkeypatch.setattr(load, "load", lambda name: known)


def test_files_with_ikconfig(files: Path, tmp_path: Path) -> None:
    result = build(tmp_path)
    out = tmp_path / "out"
    assert (result.release, result.boot_shape, result.modules) == (
        made.RELEASE,
        "vmlinux (PVH)",
        ["virtio", "virtio_blk"],
    )
    assert (out / "image").read_bytes() == WITH_CONFIG
    assert (out / "boot").read_bytes()[:4] == b"\x7fELF"
    assert (out / "config").read_text() == CONFIG
    assert (out / "modules/load").read_text() == "virtio\nvirtio_blk\n"
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.ko")) == [
        "modules/kernel/drivers/block/virtio_blk.ko",
        "modules/kernel/drivers/virtio/virtio.ko",
    ]
    assert (out / "modules/kernel/drivers/virtio/virtio.ko").read_bytes()[:4] == b"\x7fELF"


def test_the_manifest_names_every_file_and_folder(files: Path, tmp_path: Path) -> None:
    build(tmp_path)
    lines = (tmp_path / "out/modules.manifest").read_text().splitlines()
    entries = {line.split()[0]: line.split()[1:] for line in lines if not line.startswith("#")}
    base = f"/lib/modules/{made.RELEASE}"
    assert entries[f"{base}/kernel/drivers/block"] == ["dir", "0755", "0", "0"]
    assert entries["/etc/modules"] == ["file", "0644", "0", "0", "modules/load"]
    for path, (kind, *rest) in entries.items():
        if kind == "file":
            assert (tmp_path / "out" / rest[-1]).is_file(), path
        assert str(Path(path).parent) in {*entries, "/lib", "/etc"}, path
    assert (tmp_path / "out/modules/modules.dep").read_text().splitlines()[0] == (
        "kernel/drivers/block/virtio_blk.ko: kernel/drivers/virtio/virtio.ko"
    )


def test_a_module_that_left_the_list_leaves_the_image(files: Path, tmp_path: Path) -> None:
    build(tmp_path)
    build(tmp_path, load=["virtio"])
    assert [path.name for path in (tmp_path / "out").rglob("*.ko")] == ["virtio.ko"]
    assert not list((tmp_path / "out").glob(".*"))


def test_another_build_of_a_module_is_seen(files: Path, tmp_path: Path) -> None:
    first = build(tmp_path)
    assert build(tmp_path) == first
    (files / MODULES / "kernel/drivers/block/virtio_blk.ko").write_bytes(module({"depends": ["virtio"], "v": ["2"]}))
    assert build(tmp_path).modules_sha256 != first.modules_sha256


def test_a_yocto_modules_archive(files: Path, tmp_path: Path) -> None:
    import tarfile

    with tarfile.open(files / "modules-mine.tgz", "w:gz") as archive:
        archive.add(files / "lib", "lib")
    result = kernel.build(board("files", image="bzImage", modules="modules-mine.tgz"), tmp_path / "out")
    assert result.modules == ["virtio", "virtio_blk"]


def test_modules_of_another_kernel_are_refused(files: Path, tmp_path: Path) -> None:
    (files / MODULES).rename(files / "lib/modules/5.10.0-other")
    with pytest.raises(SampanError, match=rf"the kernel is {made.RELEASE}, the modules are for 5\.10\.0-other"):
        kernel.build(board("files", image="bzImage", modules="lib/modules/5.10.0-other"), tmp_path / "out")


def test_a_kernel_that_cannot_run_containers_fails_the_build(files: Path, tmp_path: Path) -> None:
    (files / "config").write_text(CONFIG.replace("CONFIG_CGROUP_BPF=y\n", "").replace("CONFIG_PID_NS=y\n", ""))
    with pytest.raises(SampanError, match="CONFIG_PID_NS=n: a container's init must be PID 1"):
        build(tmp_path, config="config")
    assert not (tmp_path / "out/boot").exists()


def test_a_v1_board_needs_no_bpf(files: Path, tmp_path: Path) -> None:
    (files / "config").write_text(CONFIG.replace("CONFIG_CGROUP_BPF=y\n", ""))
    with pytest.raises(SampanError, match="CONFIG_CGROUP_BPF=n"):
        build(tmp_path, config="config")
    assert build(tmp_path, config="config", cmdline=["quiet", "sampan.cgroup=v1"]).release == made.RELEASE


def test_an_image_without_configuration_says_what_to_give(files: Path, tmp_path: Path) -> None:
    (files / "bzImage").write_bytes(made.bzimage(made.COMPRESS["xz"](VMLINUX)))
    with pytest.raises(SampanError, match="does not hold its configuration") as caught:
        build(tmp_path)
    assert "kernel.config" in caught.value.hint


@pytest.mark.parametrize("key", ["image", "config", "modules"])
def test_a_missing_file_is_named_with_its_key(files: Path, tmp_path: Path, key: str) -> None:
    keys = {"image": "bzImage", "modules": MODULES} | {key: "nowhere"}
    with pytest.raises(SampanError, match=rf"kernel\.{key}: there is no .*nowhere"):
        kernel.build(board("files", **keys), tmp_path / "out")


def test_what_is_no_kernel_is_refused(files: Path, tmp_path: Path) -> None:
    (files / "bzImage").write_bytes(b"<html>404</html>" * 100)
    with pytest.raises(SampanError, match="bzImage: not a kernel image"):
        build(tmp_path)


def test_a_debian_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, name = Archive(tmp_path / "mirror"), f"linux-image-{made.RELEASE}"
    content = {f"boot/vmlinuz-{made.RELEASE}": made.bzimage(made.COMPRESS["zstd"](VMLINUX))}
    content |= {f"boot/config-{made.RELEASE}": CONFIG.encode(), f"boot/System.map-{made.RELEASE}": b"stub"}
    content |= {f"usr/lib/modules/{made.RELEASE}/{path}": data for path, data in TREE.items()}
    archive.add(name, "6.1.9-1", "amd64", files=content)
    monkeypatch.setenv("SAMPAN_APT_SOURCES", str(archive.publish(["bookworm", "bookworm-updates"])))
    monkeypatch.setenv("SAMPAN_DOWNLOADS", str(tmp_path / "downloads"))
    result = kernel.build(board("debian", package=name, debian_arch="amd64"), tmp_path / "out")
    assert (result.release, result.version, result.modules) == (made.RELEASE, "6.1.9-1", ["virtio", "virtio_blk"])
    assert (tmp_path / "out/boot").read_bytes() == VMLINUX


@pytest.mark.network
@pytest.mark.parametrize("name", load.default_names())
def test_the_real_kernel_of_every_board(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    real = load.load(name)
    try:
        result = kernel.build(real, tmp_path)
    except SampanError as error:
        if error.code != EXIT_MISSING:
            raise
        pytest.skip(error.message)
    shapes = {"x86": "vmlinux (PVH)", "x86_64": "vmlinux (PVH)", "armv7": "uImage of the plain Image"}
    assert result.boot_shape == shapes.get(real.arch, "Image")
    assert "virtio_blk" in result.modules
    # What containers need (networks, images, overlays) and what that needs; the whole tree is a hundred times that.
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.ko")) < 4_000_000
