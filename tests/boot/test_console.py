"""A shared machine of every board: commands over its console, and what it cost to get there."""

from __future__ import annotations

import random

import pytest

from sampan.qemu.boot import Machine
from sampan.serial.errors import CommandTimeout, SessionLost

#: Processor seconds from exec to the shell under TCG. A busy host does not change them much, but it
#: does change them (caches, other tenants), so twice the bar is the alarm; `sampan demo` prints the figure.
BARS = {"x86_64": 3.0, "x86": 5.0, "armv7": 5.0, "aarch64": 3.0}


def test_boots_within_its_processor_time(machine: Machine) -> None:
    assert 0 < machine.boot_cpu_seconds < 2 * BARS[machine.image.arch]


def test_it_is_the_machine_of_the_image(machine: Machine) -> None:
    assert machine.run("uname -r").output == machine.image.kernel.release + "\n"
    assert machine.run("hostname").output == machine.image.board + "\n"


def test_status_and_exact_output(machine: Machine) -> None:
    assert machine.run("exit 3").status == 3
    assert machine.run("echo out; echo err >&2; false").output == "out\nerr\n"
    assert machine.run("printf 'a\\001\\015\\012\\377\\000z'").raw == b"a\x01\r\n\xff\0z"
    quoted = 'it\'s "quoted" $HOME `x` \\ é\t😀'
    assert machine.run(f"cat <<'END'\n{quoted}\nEND").output == quoted + "\n"


def test_output_of_any_size_comes_whole(machine: Machine) -> None:
    result = machine.run("i=0; while [ $i -lt 8000 ]; do echo line $i; i=$((i+1)); done")
    assert result.output == "".join(f"line {i}\n" for i in range(8000))


def test_what_comes_back_is_checked(machine: Machine) -> None:
    assert machine.run("true").checked, "the image needs cksum, md5sum or sha256sum"


def test_kernel_messages_are_silenced_and_come_back(machine: Machine) -> None:
    before = machine.run("cat /proc/sys/kernel/printk").output.split()
    assert before[0] == "1"
    machine.console.leave()
    machine.console.write("cat /proc/sys/kernel/printk; echo E''ND\n")
    shown = machine.console.expect("END").before.decode()
    assert "1\t" not in shown.splitlines()[1][:2]


def test_noise_never_makes_a_wrong_result(machine: Machine) -> None:
    """Emergency messages pass every console level; a hundred a second, right into the answers."""
    noise = "while :; do echo '<0>noise noise noise noise' >/dev/kmsg; sleep 0.01; done"
    pid = machine.run(f"({noise}) >/dev/null 2>&1 & echo $!").output.strip()
    try:
        for _ in range(10):
            number = random.randrange(1_000_000)
            result = machine.run(f"for i in 1 2 3 4 5 6 7 8; do echo {number}; done; exit {number % 200}")
            assert (result.status, result.output) == (number % 200, f"{number}\n" * 8)
    finally:
        machine.run(f"kill {pid}").check()


def test_an_endless_command_is_interrupted(machine: Machine) -> None:
    with pytest.raises(CommandTimeout, match="sleep 9999"):
        machine.run("sleep 9999", timeout=1)
    assert machine.run("echo next").output == "next\n"
    assert machine.run("ps | grep -c '[s]leep 9999'").output == "0\n"


def test_a_killed_shell_is_told_and_recovered(machine: Machine) -> None:
    with pytest.raises(SessionLost):
        machine.run("kill -9 $$")
    assert machine.run("echo back").output == "back\n"


def test_qmp_answers(machine: Machine) -> None:
    assert machine.qmp("query-status") == {"running": True, "singlestep": False, "status": "running"}
