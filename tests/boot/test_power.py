"""A machine's power over the Python API: what was started once is started again as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import sampan
from sampan.core.errors import SampanError
from sampan.qemu import vm
from sampan.qemu.machine import BootOptions


def test_off_and_on(
    folder_of: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("r")))
    vm.up(str(folder_of("qemuarm64")), "board", BootOptions(fast=True))
    try:
        target = sampan.connect("qemu:qemuarm64:board")
        target.run("echo kept >/tmp/file").check()
        with target.console() as console:
            console.write("echo con''sole\n")
            console.expect("console")
        assert target.power.state == "on"
        target.power.off()
        target.power.off()
        assert target.power.state == "off"
        with pytest.raises(SampanError):
            target.run("true")
        target.power.on()
        assert target.power.state == "on" and not target.run("test -e /tmp/file").ok
    finally:
        vm.down("board")
    with pytest.raises(SampanError, match="was not started"):
        vm.power_on("board")
