"""How a machine ends, well and badly: each end has its name, its message and leaves nothing behind."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from sampan.core.errors import SampanError
from sampan.qemu.boot import booted, start
from sampan.qemu.instance import QemuDied
from sampan.qemu.machine import BootOptions
from sampan.serial.errors import BootFailed, KernelPanic, LoginTimeout


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_power_off(uart: Path, options: BootOptions) -> None:
    with booted(uart, options) as machine:
        end = machine.poweroff()
        assert (end.reason, end.status, end.clean) == ("poweroff", 0, True)
        assert end.cpu_seconds >= machine.boot_cpu_seconds > 0.1
    assert gone(machine.pid)
    log = (options.log or Path()).read_text()
    assert " login: " in log and "QMP SHUTDOWN" in log and "QEMU ended: poweroff" in log


def test_reboot_is_an_end_with_a_name(quick: Path, options: BootOptions) -> None:
    with booted(quick, options) as machine:
        machine.console.leave()
        machine.console.write("reboot -f\n")
        assert machine.wait(timeout=60).reason == "reset"


def test_leaving_the_block_ends_it(quick: Path, options: BootOptions) -> None:
    with pytest.raises(ZeroDivisionError), start(quick, options) as machine:
        raise ZeroDivisionError
    assert gone(machine.pid)
    machine.close()  # once more is harmless


def test_a_panic_while_a_command_runs(uart: Path, options: BootOptions) -> None:
    with booted(uart, options) as machine:
        with pytest.raises(KernelPanic, match="sysrq triggered crash") as caught:
            machine.run("echo c >/proc/sysrq-trigger")
        assert machine.wait(timeout=60).reason == "panic"
        assert caught.value.log == options.log
        assert f"full log: {options.log}" in str(caught.value)
        with pytest.raises(KernelPanic):
            machine.run("true")


def test_a_panic_at_boot(uart: Path, options: BootOptions) -> None:
    """No init: the kernel says so and the message shows its last lines."""
    with (
        pytest.raises(KernelPanic, match=r"Kernel panic - not syncing: (VFS|No working init)") as caught,
        booted(uart, replace(options, append="rdinit=/no/such/init")),
    ):
        pass
    assert any("Kernel panic" in line for line in caught.value.tail)


def test_a_machine_that_ends_before_its_login(quick: Path, options: BootOptions) -> None:
    with (
        pytest.raises(BootFailed, match="powered off before there was a login"),
        booted(quick, replace(options, append="rdinit=/sbin/poweroff -- -f")),
    ):
        pass


def test_no_login_in_time(uart: Path, options: BootOptions) -> None:
    with (
        pytest.raises(LoginTimeout, match="no login within 5 s") as caught,
        booted(uart, replace(options, append="rdinit=/bin/sleep -- 1000"), login_timeout=5),
    ):
        pass
    assert "full log" in str(caught.value) and caught.value.hint


def test_a_qemu_that_is_killed(quick: Path, options: BootOptions) -> None:
    with booted(quick, options) as machine:
        machine.run("true")
        os.kill(machine.pid, signal.SIGKILL)
        with pytest.raises(QemuDied, match="killed by SIGKILL") as caught:
            machine.run("echo never")
        assert "full log" in str(caught.value)
        assert machine.wait(timeout=10).reason == "died"


def test_a_qemu_that_is_killed_during_boot(quick: Path, options: BootOptions) -> None:
    with start(quick, options) as machine:
        os.kill(machine.pid, signal.SIGKILL)
        with pytest.raises(QemuDied, match="killed by SIGKILL"):
            machine.login()


def test_a_qemu_that_exits_at_once(quick: Path, options: BootOptions) -> None:
    with pytest.raises(QemuDied) as caught:
        start(quick, replace(options, ram="1"))
    with pytest.raises(QemuDied) as caught:
        start(quick, replace(options, ram="999999G"))
    text = str(caught.value)
    assert "qemu-system-aarch64 ended (exit status 1)" in text
    assert "  ! qemu-system-aarch64: " in text, "its own words"
    assert "  $ qemu-system-aarch64 " in text, "the command to try"


def test_the_unread_console_does_not_stop_the_machine(uart: Path, options: BootOptions) -> None:
    """An unread PL011 freezes QEMU; ours is drained while nobody asks for anything."""
    with booted(uart, options) as machine:
        machine.console.leave()
        machine.console.write("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo E''ND\n")
        for _ in range(20):
            assert machine.qmp("query-status")
        machine.console.expect("END", timeout=300)
        assert machine.instance.console.received > 3_000_000


def test_break_reaches_the_kernel(uart: Path, options: BootOptions) -> None:
    with booted(uart, replace(options, append="sysrq_always_enabled=1 ignore_loglevel")) as machine:
        machine.console.leave()
        machine.console.send_break()
        machine.console.write("h")
        machine.console.expect("sysrq: HELP", timeout=60)


def test_two_machines_one_data_disk(quick: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk,1.ext4"
    disk.write_bytes((quick / "data.ext4").read_bytes())
    first = BootOptions(data=disk, log=tmp_path / "1")
    with start(quick, first), pytest.raises(QemuDied) as caught:
        start(quick, replace(first, log=tmp_path / "2"))
    assert "--data FILE" in caught.value.hint


def test_the_data_disk_survives_and_snapshot_does_not(quick: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk.ext4"
    disk.write_bytes((quick / "data.ext4").read_bytes())
    keep = BootOptions(data=disk, log=tmp_path / "log")
    with booted(quick, keep) as machine:
        machine.run("echo kept >/var/lib/lxc/note && sync").check()
        machine.poweroff()
    with booted(quick, replace(keep, snapshot=True)) as machine:
        machine.run("echo lost >/var/lib/lxc/note; sync")
        machine.poweroff()
    with booted(quick, keep) as machine:
        assert machine.run("cat /var/lib/lxc/note").output == "kept\n"


def test_a_second_qmp_client(quick: Path, options: BootOptions, tmp_path: Path) -> None:
    path = tmp_path / "qmp.sock"
    with start(quick, replace(options, qmp=path)):
        assert path.is_socket()
        with pytest.raises(SampanError, match="another program listens there"):
            start(quick, replace(options, qmp=path, log=tmp_path / "other.log"))


def test_missing_files_are_named(quick: Path, tmp_path: Path) -> None:
    with pytest.raises(SampanError, match="no image there"):
        start(tmp_path)
    with pytest.raises(SampanError, match="there is no such file"):
        start(quick, BootOptions(data=tmp_path / "nothing", log=tmp_path / "log"))
