"""Classes predicted from Debian's device trees, against what the boards had when they were probed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.build import deb, debian
from sampan.devices import dtb, store

KERNEL = "6.1.0-50-armmp"
TREES = {
    "ast2600-evb": "aspeed-ast2600-evb",
    "cubieboard": "sun4i-a10-cubieboard",
    "highbank": "highbank",
    "mcimx6ul-evk": "imx6ul-14x14-evk",
    "mcimx7d-sabre": "imx7d-sdb",
    "midway": "ecx-2000",
    "orangepi-pc": "sun8i-h3-orangepi-pc",
    "raspi2b": "bcm2836-rpi-2-b",
    "sabrelite": "imx6q-sabrelite",
    "smdkc210": "exynos4210-smdkv310",
    "vexpress-a15": "vexpress-v2p-ca15-tc1",
    "vexpress-a9": "vexpress-v2p-ca9",
}


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("trees")
    package = debian.kernel_package("linux-image-armmp", "armhf")
    wanted = {f"{name}.dtb" for name in TREES.values()}
    deb.extract(package, folder, lambda name: name.rpartition("/")[2] in wanted)
    yield folder


@pytest.mark.parametrize("board", TREES)
def test_every_class_that_a_board_has_was_predicted(board: str, trees: Path) -> None:
    (path,) = trees.rglob(f"{TREES[board]}.dtb")
    nodes, facts = dtb.read(path), store.load(board, KERNEL)
    assert dtb.machine(nodes) == facts.machine
    hardware = [node for node in facts.nodes if node.driver and "/virtual/" not in node.path]
    missed = {node.subsystem: node.driver for node in hardware if node.subsystem not in dtb.classes(nodes)}
    assert not missed
