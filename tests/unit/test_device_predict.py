"""Predictions without a boot, against what the recorded kernels said when they ran."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import pytest
from click.testing import CliRunner

from sampan.cli.devices import command
from sampan.core.errors import SampanError
from sampan.devices import dtb, predict, store

MAPS = {
    path.name.removesuffix(".map.gz"): path
    for path in sorted((Path(__file__).parents[1] / "data" / "systemmap").glob("*.map.gz"))
}
#: How many dynamic majors the drivers built in had taken before the first module was loaded.
BUILT_IN = {
    "5.10.0-32-686": 4,
    "5.10.0-32-arm64": 11,
    "5.10.0-32-armmp": 12,
    "5.10.0-46-amd64": 4,
    "5.10.0-46-cloud-amd64": 4,
    "6.1.0-50-686": 6,
    "6.1.0-50-686-pae": 6,
    "6.1.0-50-armmp": 14,
    "6.1.0-50-rpi": 10,
    "6.1.0-56-amd64": 8,
    "6.1.0-56-arm64": 16,
    "6.1.0-56-cloud-amd64": 9,
    "6.1.0-56-cloud-arm64": 13,
    "6.1.0-57-cloud-amd64": 9,
    "6.1.0-57-cloud-arm64": 13,
    "6.12.107+deb13-amd64": 9,
    "6.12.107+deb13-arm64": 16,
    "6.12.107+deb13-armmp": 13,
    "6.12.117+deb13-cloud-amd64": 10,
}
KERNELS = [name for name in store.names() if name[1] in MAPS]


def majors(kernel: str) -> list[predict.Major]:
    text = gzip.decompress(MAPS[kernel].read_bytes()).decode()
    return predict.majors(predict.initcalls(text, kernel), predict.unknown(text))


@pytest.mark.parametrize("name", KERNELS, ids="@".join)
def test_every_driver_built_in_is_predicted_right(name: tuple[str, str]) -> None:
    facts, found = store.load(*name), majors(name[1])
    wrong = [check for check in predict.against(found, facts) if not check.right]
    assert not wrong
    assert len(found) == BUILT_IN[name[1]]
    # None is left out: whoever holds a number of theirs or a higher one is predicted, unless found by probing.
    lowest = min(major.number for major in found)
    dynamic = {major.name for major in facts.majors if major.kind == "c" and lowest <= major.number <= 254}
    assert dynamic - {major.name for major in found} <= {"virtio-portsdev"}


def test_all_recorded_kernels_are_predicted() -> None:
    assert set(MAPS) == set(BUILT_IN)
    assert set(store.names()) == set(KERNELS)


def test_names_that_a_kernel_is_too_old_for_are_left_out() -> None:
    text = "c0f00004 t __initcall_nvme_core_init6\n"
    assert predict.unknown(text) == {"nvme-generic"}
    assert [major.name for major in predict.majors(["nvme_core_init"], predict.unknown(text))] == ["nvme"]
    text += "c0100000 t nvme_ns_chr_open\n"
    assert [major.name for major in predict.majors(["nvme_core_init"], predict.unknown(text))] == [
        "nvme",
        "nvme-generic",
    ]


def test_of_two_functions_of_one_name_the_first_registers() -> None:
    found = predict.majors(["hid_init", "hid_init", "bsg_init"])
    assert [(major.name, major.number) for major in found] == [("hidraw", 254), ("bsg", 253)]


def test_a_driver_that_may_come_between_is_said() -> None:
    rpmb = majors("6.12.107+deb13-armmp")[-1]
    assert (rpmb.name, rpmb.number, rpmb.otherwise) == ("rpmb", 242, 241)
    assert store.find("qemuarm@6.12").majors_of("c", "rpmb") == [241]  # it has a virtio serial port
    assert store.find("raspi2b@6.12").majors_of("c", "rpmb") == [242]


def test_names_of_both_forms_and_the_extended_range() -> None:
    text = (
        "c0f00008 d __initcall__kmod_rtc_core__295_478_rtc_init4\n"
        "c0f00004 t __initcall_gpiolib_dev_init1\nc0f00000 T start_kernel\n"
        "c0f0000c d __initcall__kmod_8250__1_2_serial8250_init6s\n"
    )
    assert predict.initcalls(text, "-") == ["gpiolib_dev_init", "rtc_init", "serial8250_init"]
    one_each = [name for name, row in predict.table().items() if len(row.char) == 1 and not row.probe]
    many = predict.majors(one_each[:22])
    assert [major.number for major in many[-2:]] == [234, 511]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ffffffffffffffff B The real System.map is in the linux-image-<version>-dbg package\n", "no initcalls"),
        ("0000000000000000 d __initcall__kmod_a__1_1_rtc_init4\n", "addresses are hidden"),
        ("c0f00004 t __initcall_gpiolib_dev_init1\nc0f0", "cut short"),
    ],
)
def test_what_is_no_map_is_refused(text: str, message: str) -> None:
    with pytest.raises(SampanError, match=message):
        predict.initcalls(text, "System.map")


def test_every_row_has_its_source() -> None:
    for name, row in predict.table().items():
        assert row.char or row.block, name
        assert row.source.endswith(".c") and row.config.isupper()


# ---- device trees


class Tree:
    """Writes a flattened device tree."""

    def __init__(self) -> None:
        self.body, self.strings = b"", b""

    def node(self, name: str, *below: bytes, **properties: bytes) -> bytes:
        out = struct.pack(">I", 1) + self._padded(name.encode() + b"\0")
        for key, value in properties.items():
            at = len(self.strings)
            self.strings += key.replace("_", "-").encode() + b"\0"
            out += struct.pack(">3I", 3, len(value), at) + self._padded(value)
        return out + b"".join(below) + struct.pack(">I", 2)

    def blob(self, root: bytes) -> bytes:
        body = root + struct.pack(">I", 9)
        total = 40 + 16 + len(body) + len(self.strings)
        head = (0xD00DFEED, total, 56, 56 + len(body), 40, 17, 16, 0, len(self.strings), len(body))
        return struct.pack(">10I", *head) + bytes(16) + body + self.strings

    @staticmethod
    def _padded(data: bytes) -> bytes:
        return data + bytes(-len(data) % 4)


def board() -> bytes:
    tree = Tree()
    rtc = tree.node("rtc@68", compatible=b"dallas,ds1307\0")
    bus = tree.node("i2c@1000", rtc, compatible=b"fsl,imx6q-i2c\0")
    off = tree.node(
        "i2c@2000", tree.node("tpm@2e", compatible=b"infineon,tpm\0"), compatible=b"x,i2c\0", status=b"disabled\0"
    )
    pins = tree.node("gpio@3000", compatible=b"fsl,imx35-gpio\0", gpio_controller=b"")
    return tree.blob(tree.node("", bus, off, pins, compatible=b"acme,widget\0fsl,imx6q\0"))


def test_classes_of_a_tree() -> None:
    nodes = dtb.parse(board(), "-")
    assert dtb.machine(nodes) == "acme,widget"
    assert dtb.classes(nodes) == {"gpio": ["/gpio@3000"], "i2c-dev": ["/i2c@1000"], "rtc": ["/i2c@1000/rtc@68"]}


@pytest.mark.parametrize("cut", [0, 3, 39, 60, 100, -1])
def test_a_blob_that_is_cut_short_is_refused(cut: int) -> None:
    with pytest.raises(SampanError, match="x.dtb: "):
        dtb.parse(board()[:cut], "x.dtb")


def test_on_the_command_line(tmp_path: Path) -> None:
    path, config, tree = tmp_path / "System.map", tmp_path / "config", tmp_path / "x.dtb"
    path.write_bytes(gzip.decompress(MAPS["6.1.0-50-armmp"].read_bytes()))
    config.write_text("CONFIG_RTC_INTF_DEV=y\nCONFIG_IIO=m\n")
    tree.write_bytes(board())
    argv = ["predict", "--system-map", str(path), "--config", str(config), "--board", "qemuarm@6.1"]
    data = json.loads(CliRunner().invoke(command, [*argv, "--json"], catch_exceptions=False).output)
    assert {"driver": "rtc", "major": "c 252", "by": "rtc_init", "recorded": "252"} in data["majors"]
    assert data["majors"][-1]["major"] == "by load order" and data["majors"][-1]["driver"] == "iio"
    done = CliRunner().invoke(command, [*argv[:-1], "qemuarm@5.10"])
    assert done.exit_code == 1 and "WRONG: 253" in done.output
    done = CliRunner().invoke(command, ["predict", "--dtb", str(tree)], catch_exceptions=False)
    assert "/i2c@1000/rtc@68" in done.output
    for words, message in (
        (["--dtb", str(tree), "--board", "qemuarm@6.1"], "is the tree of 'acme,widget'"),
        ([], "nothing to predict from"),
        (["--system-map", str(config)], "no initcalls"),
    ):
        with pytest.raises(SampanError, match=message):
            CliRunner().invoke(command, ["predict", *words], catch_exceptions=False)
    path.write_text("c0f00004 t __initcall_gpiolib_dev_init1\n")
    with pytest.raises(SampanError, match="rtc_init is built in there, and not in"):
        CliRunner().invoke(command, argv, catch_exceptions=False)
