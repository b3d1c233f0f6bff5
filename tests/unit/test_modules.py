"""Which modules an image gets, and in which order a board loads them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from elf_files import module

from sampan.build import modules
from sampan.core.errors import SampanError


@pytest.fixture
def tree(tmp_path: Path) -> modules.Tree:
    """ext4 as Debian's armmp kernel has it, with a compressed module and two crc32c implementations."""

    def add(relative: str, **values: str) -> None:
        path = tmp_path / "kernel" / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        data = module({key: value.split("|") for key, value in values.items()})
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)

    add("fs/ext4/ext4.ko", depends="mbcache,jbd2,crc16", softdep="pre: crc32c", alias="fs-ext4|ext3")
    add("fs/jbd2/jbd2.ko", depends="crc16")
    add("fs/mbcache.ko", depends="")
    add("lib/crc16.ko.gz", depends="")
    add("crypto/crc32c_generic.ko", depends="", alias="crypto-crc32c|crc32c")
    add("arch/crc32-arm-ce.ko", depends="", alias="crypto-crc32c|crc32c")
    add("net/veth.ko", depends="", softdep="post: bridge pre: absent-alias")
    add("a/loop-a.ko", depends="", softdep="pre: loop-b")
    add("a/loop-b.ko", depends="", softdep="pre: loop-a")
    add("bad/needs.ko", depends="gone")
    (tmp_path / "modules.builtin").write_text("kernel/drivers/block/virtio_blk.ko\nkernel/fs/tmp-fs.ko\n")
    (tmp_path / "modules.builtin.modinfo").write_bytes(b"zlib.alias=crypto-deflate\0")
    return modules.read_tree(tmp_path)


def names(order: list[modules.Module]) -> list[str]:
    return [item.name for item in order]


def test_everything_loads_after_what_it_needs(tree: modules.Tree) -> None:
    order = names(modules.closure(tree, ["ext4"]))
    assert sorted(order) == ["crc16", "crc32c_generic", "ext4", "jbd2", "mbcache"]
    assert order[-1] == "ext4"
    assert order.index("crc16") < order.index("jbd2")


def test_a_soft_dependency_by_alias_takes_the_generic_implementation(tree: modules.Tree) -> None:
    assert names(tree.providers("crc32c")) == ["crc32c_generic"]
    assert tree.providers("crypto_deflate") == []


def test_dashes_and_underscores_are_the_same(tree: modules.Tree) -> None:
    assert names(modules.closure(tree, ["crc32-arm-ce"])) == names(modules.closure(tree, ["crc32_arm_ce"]))


def test_built_in_ones_need_no_file(tree: modules.Tree) -> None:
    assert modules.closure(tree, ["virtio_blk", "tmp_fs", "zlib"]) == []


def test_only_what_is_wanted_goes_in_and_only_once(tree: modules.Tree) -> None:
    assert names(modules.closure(tree, ["veth", "mbcache", "veth"])) == ["veth", "mbcache"]


def test_soft_dependencies_in_a_circle_end(tree: modules.Tree) -> None:
    assert sorted(names(modules.closure(tree, ["loop_a"]))) == ["loop_a", "loop_b"]


def test_an_unknown_name_gets_the_nearest(tree: modules.Tree) -> None:
    with pytest.raises(SampanError, match="board.toml: kernel.load: the kernel has no module 'virtio_block'") as caught:
        modules.closure(tree, ["virtio_block"], "board.toml: kernel.load")
    assert caught.value.hint == "did you mean 'virtio_blk'?"


def test_a_missing_dependency_is_named(tree: modules.Tree) -> None:
    with pytest.raises(SampanError, match="needs module 'gone'"):
        modules.closure(tree, ["needs"])


def test_modules_dep_lists_the_nearest_first(tree: modules.Tree) -> None:
    lines = modules.modules_dep(modules.closure(tree, ["ext4"])).splitlines()
    table = {line.split(":")[0]: line.split(":")[1].split() for line in lines}
    needed = table["kernel/fs/ext4/ext4.ko"]
    assert set(needed) == {"kernel/fs/mbcache.ko", "kernel/fs/jbd2/jbd2.ko", "kernel/lib/crc16.ko"}
    # modprobe loads a line from right to left.
    assert needed.index("kernel/lib/crc16.ko") > needed.index("kernel/fs/jbd2/jbd2.ko")
    assert table["kernel/lib/crc16.ko"] == []


def test_modules_alias_covers_what_the_kernel_asks_for(tree: modules.Tree) -> None:
    text = modules.modules_alias(modules.closure(tree, ["ext4"]))
    assert "alias fs-ext4 ext4\n" in text and "alias crypto-crc32c crc32c_generic\n" in text
    assert "crc32_arm_ce" not in text


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(SampanError, match="no such folder of kernel modules"):
        modules.read_tree(tmp_path / "6.1.0")
