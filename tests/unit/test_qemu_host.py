"""QEMU's host side without QEMU: its clock, the accelerator's verdict, paths that cannot be used."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_qemu_argv import image

from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.qemu import accel, prepare
from sampan.qemu.machine import BootOptions
from sampan.qemu.process import MachineClock, cpu_seconds


def test_the_clock_of_a_busy_process_is_its_processor_time() -> None:
    """Two spinners on one processor: each gets half, and so does its clock."""
    spin = [sys.executable, "-c", "while True: pass"]
    one = {next(iter(os.sched_getaffinity(0)))}
    rivals = [subprocess.Popen(spin, preexec_fn=lambda: os.sched_setaffinity(0, one)) for _ in range(3)]
    try:
        used = cpu_seconds(rivals[0].pid) or 0.0
        clock, started = MachineClock(rivals[0].pid), time.monotonic()
        while time.monotonic() - started < 1.5:
            clock.now()
            time.sleep(0.06)
        passed = clock.now()
        assert passed <= (cpu_seconds(rivals[0].pid) or 0.0) - used + 0.3
        assert passed < 1.2, "it was starved of two thirds of the time"
    finally:
        for rival in rivals:
            rival.kill()
            rival.wait()


def test_the_clock_of_a_sleeper_is_wall_time() -> None:
    sleeper = subprocess.Popen(["sleep", "1000"])
    try:
        clock, started = MachineClock(sleeper.pid), time.monotonic()
        while time.monotonic() - started < 0.5:
            clock.now()
            time.sleep(0.06)
        assert clock.now() >= 0.3
        sleeper.send_signal(signal.SIGSTOP)
        before = clock.now()
        time.sleep(0.2)
        assert clock.now() > before, "a stopped machine still times out"
    finally:
        sleeper.kill()
        sleeper.wait()


def test_foreign_code_is_emulated_and_kvm_for_it_refused(tmp_path: Path) -> None:
    foreign = image("qemuarm")
    assert accel.choose(foreign, tmp_path, "auto").accel == "tcg"
    with pytest.raises(SampanError, match="cannot run armv7 code natively"):
        accel.choose(foreign, tmp_path, "kvm")


def test_kvm_is_not_tried_unasked_where_the_processor_lacks_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(accel, "_KVM", tmp_path / "kvm")
    assert accel.status().reason == "there is no /dev/kvm"
    assert accel.status().verdict == "does not work"
    (tmp_path / "kvm").write_bytes(b"")
    report = accel.status()
    assert report.works is None and "no kernel was booted under it yet" in report.reason


def test_the_boards_own_disk_is_made_once(tmp_path: Path) -> None:
    pristine = tmp_path / "data.ext4"
    with pristine.open("wb") as disk:
        disk.write(b"head")
        disk.seek(8 << 20)
        disk.write(b"tail")
        disk.truncate(64 << 20)
    board = image()
    own = prepare.data_disk(board, tmp_path, BootOptions())
    assert own == tmp_path / "run/data.ext4"
    assert own.read_bytes() == pristine.read_bytes()
    assert own.stat().st_blocks * 512 < 1 << 20, "holes stay holes"
    own.write_bytes(b"mine")
    assert prepare.data_disk(board, tmp_path, BootOptions()).read_bytes() == b"mine"


def test_a_snapshot_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "data.ext4").write_bytes(b"x")
    assert prepare.data_disk(image(), tmp_path, BootOptions(snapshot=True)) == tmp_path / "data.ext4"
    assert not (tmp_path / "run").exists()


def test_logs_of_two_machines_have_two_names(tmp_path: Path) -> None:
    first, second = prepare.open_log(tmp_path, None), prepare.open_log(tmp_path, None)
    assert [log.path for log in (first, second)] == [tmp_path / "run/console.log", tmp_path / "run/console-2.log"]
    first.close()
    assert prepare.open_log(tmp_path, None).path == tmp_path / "run/console.log"
    second.close()


def test_a_socket_path_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for path, says in [
        (tmp_path / "file", "is there already and is not a socket"),
        (tmp_path / "none" / "qmp", "there is no folder"),
        (tmp_path / ("x" * 120), "longer than the 107 bytes"),
    ]:
        with pytest.raises(SampanError, match=says) as caught:
            prepare.free_socket_path(path)
        assert caught.value.code == EXIT_USAGE
    assert (tmp_path / "file").read_text() == "mine"


def test_an_occupied_socket_is_left_alone_and_a_stale_one_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "qmp"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with pytest.raises(SampanError, match="another program listens there"):
            prepare.free_socket_path(path)
    assert path.exists()
    prepare.free_socket_path(path)
    assert not path.exists()
