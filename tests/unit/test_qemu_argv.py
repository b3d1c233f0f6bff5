"""QEMU's command line from an image: the whole list, and what each option changes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from sampan.board.load import load
from sampan.build.image import FORMAT, File, Image, KernelInfo
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.qemu.machine import BootOptions, Wiring, argv, cmdline, has_port

HERE = Path("/images/qemuarm64")
WIRING = Wiring(console_fd=7, qmp_fd=9, data=HERE / "run/data.ext4")


def _file(name: str) -> File:
    return File(file=name, sha256="0" * 64, size=1)


def image(board: str = "qemuarm64") -> Image:
    known = load(board)
    kernel = KernelInfo(
        release="6.1.0",
        version="6.1.1-1",
        image=_file("kernel/image"),
        boot=_file("kernel/boot"),
        config=_file("kernel/config"),
        modules=[],
    )
    return Image(
        format=FORMAT,
        board=board,
        description=known.description,
        arch=known.arch,
        console=known.console,
        kernel=kernel,
        rootfs={"cpio.gz": _file("rootfs.cpio.gz")},
        initrd="cpio.gz",
        manifest=_file("rootfs.manifest"),
        data=_file("data.ext4"),
        cmdline=f"console={known.console.tty},115200 quiet",
        qemu=known.qemu,
    )


def test_the_whole_command() -> None:
    assert argv(image(), HERE, BootOptions(), WIRING, "tcg") == [
        "qemu-system-aarch64",
        *("-name", "sampan-qemuarm64"),
        *("-machine", "virt"),
        *("-accel", "tcg,tb-size=64", "-cpu", "cortex-a57"),
        *("-m", "256M", "-smp", "1"),
        *("-display", "none", "-monitor", "none", "-nodefaults", "-no-user-config"),
        "-no-reboot",
        *("-chardev", "socket,id=console,fd=7", "-serial", "chardev:console"),
        *("-chardev", "socket,id=qmp,fd=9", "-mon", "chardev=qmp,mode=control"),
        *("-object", "rng-random,id=rng0,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng0"),
        *("-drive", "if=none,id=data,format=raw,file=/images/qemuarm64/run/data.ext4"),
        *("-device", "virtio-blk-pci,drive=data"),
        *("-kernel", "/images/qemuarm64/kernel/boot"),
        *("-initrd", "/images/qemuarm64/rootfs.cpio.gz"),
        *("-append", "console=ttyAMA0,115200 quiet cryptomgr.notests=1 mitigations=off panic=-1 sampan.cgroup=v2"),
    ]


def after(option: str, command: list[str]) -> list[str]:
    """The values of every `option` of a command."""
    return [command[i + 1] for i, word in enumerate(command) if word == option]


def test_kvm_takes_the_hosts_processor() -> None:
    command = argv(image(), HERE, BootOptions(), WIRING, "kvm")
    assert (after("-accel", command), after("-cpu", command)) == (["kvm"], ["host"])


def test_snapshot_and_memory() -> None:
    command = argv(image(), HERE, BootOptions(snapshot=True, ram="1G"), WIRING, "tcg")
    assert after("-drive", command)[0].endswith(",snapshot=on")
    assert after("-m", command) == ["1G"]


def test_a_comma_in_a_path_is_no_option() -> None:
    wiring = Wiring(7, 9, Path("/a,b/data.ext4"))
    command = argv(image(), HERE, BootOptions(qmp=Path("/run/x,y")), wiring, "tcg")
    assert after("-drive", command) == ["if=none,id=data,format=raw,file=/a,,b/data.ext4"]
    assert "socket,id=qmp2,path=/run/x,,y,server=on,wait=off" in after("-chardev", command)


def test_without_a_disk_there_is_no_drive() -> None:
    command = argv(image(), HERE, BootOptions(), Wiring(7, 9), "tcg")
    assert not after("-drive", command)


def test_a_board_of_its_own_gets_its_tree_its_uart_and_its_card() -> None:
    """The models of real boards: no bus to plug into, so what is there is named as the machine wants it."""
    known = image("sabrelite")
    known = msgspec.structs.replace(known, kernel=msgspec.structs.replace(known.kernel, dtb=_file("kernel/dtb")))
    command = argv(known, HERE, BootOptions(), WIRING, "tcg")
    assert after("-dtb", command) == [str(HERE / "kernel/dtb")]
    assert after("-serial", command) == ["null", "chardev:console"]  # ttymxc1 is the second
    assert "-cpu" not in command and not after("-object", command)
    assert after("-device", command) == ["sd-card,drive=data"]
    assert after("-drive", argv(image("raspi2b"), HERE, BootOptions(snapshot=True), WIRING, "tcg")) == [
        f"if=sd,id=data,format=raw,file={WIRING.data},snapshot=on"
    ]
    assert not after("-drive", argv(image("smdkc210"), HERE, BootOptions(), WIRING, "tcg"))


def test_an_agents_port_is_the_last_device() -> None:
    """Behind all others, so that none of them has another address for it."""
    for board, bus in (("qemuarm64", "virtio-serial-pci"), ("qemuarm", "virtio-serial-device")):
        wiring = Wiring(7, 9, HERE / "data", agent_fd=11, net_fd=13, mac="52:54:00:00:00:01")
        command = argv(image(board), HERE, BootOptions(watchdog=True, ports=True), wiring, "tcg")
        assert after("-device", command)[-2:] == [bus, "virtserialport,chardev=agent,name=org.sampan.0"]
        assert "socket,id=agent,fd=11" in after("-chardev", command)
    assert not has_port(image("raspi2b")) and has_port(image("qemux86"))


def test_the_boards_parameters_for_qemu_are_given() -> None:
    words = cmdline(image("qemux86-64"), BootOptions()).split()
    assert "no_timer_check" in words and words.index("no_timer_check") < words.index("panic=-1")


def test_a_card_is_waited_for_and_a_disk_that_is_there_at_once_is_not() -> None:
    assert " sampan.data=20" in cmdline(image("ast2600-evb"), BootOptions())
    assert "sampan.data" not in cmdline(image("qemuarm"), BootOptions())


def test_the_users_kernel_parameters_come_last() -> None:
    line = cmdline(image(), BootOptions(cgroup="hybrid", append="loglevel=7 panic=5"))
    assert line.endswith(" panic=-1 sampan.cgroup=hybrid loglevel=7 panic=5")


def test_no_board_has_a_network() -> None:
    for board in ("qemux86-64", "qemux86", "qemuarm", "qemuarm64"):
        command = argv(image(board), HERE, BootOptions(), WIRING, "tcg")
        assert "-nodefaults" in command
        assert not after("-netdev", command) and not after("-nic", command)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cgroup": "v3"}, "--cgroup v3"),
        ({"ram": "lots"}, "--ram lots"),
        ({"ram": "-1G"}, "--ram -1G"),
        ({"append": "a\nb"}, "--append"),
    ],
)
def test_bad_options_are_named(options: dict[str, str], says: str) -> None:
    with pytest.raises(SampanError) as caught:
        BootOptions(**options)  # type: ignore[arg-type]
    assert says in caught.value.message
    assert caught.value.code == EXIT_USAGE
