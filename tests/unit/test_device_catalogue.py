"""The catalogue recognises what real kernels have, and its wrong rows are refused with a hint."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sampan.core.errors import SampanError
from sampan.devices import catalogue, policyfile, store
from sampan.devices.catalogue import load

FACTS = store.load_all()


def test_every_recorded_node_is_recognised() -> None:
    rows = load()
    unknown = {(node.subsystem, node.name) for facts in FACTS for node in facts.nodes if not rows.of_node(node)}
    assert unknown == set()


def test_every_recorded_driver_is_recognised() -> None:
    """One without a device, too: it may get one tomorrow, and somebody must have said how dangerous that is."""
    rows = load()
    majors = {(major.kind, major.name) for facts in FACTS for major in facts.majors} - {("c", "misc")}
    assert {major for major in majors if not rows.of_driver(*major)} == set()


#: Devices that boards have in the field and none of QEMU's models has, and their row.
FIELD = {
    "dm-0": "dm",
    "md0": "md",
    "bcache0": "bcache",
    "ubiblock0_0": "ubiblock",
    "hda1": "ide-disk",
    "xvda": "xen-disk",
    "st0": "tape",
    "nst0": "tape",
    "sch0": "tape-changer",
    "dax0.0": "dax",
    "cxl/mem0": "cxl",
    "ipmi0": "ipmi",
    "mei0": "mei",
    "counter0": "counter",
    "gnss0": "gnss",
    "comedi0": "comedi",
    "drm_dp_aux0": "drm-aux",
    "dvb/adapter0/demux0": "dvb",
    "gpiomem": "gpiomem",
    "vcio": "vcio",
    "vchiq": "vchiq",
    "vc-mem": "vc-mem",
    "rpivid-hevcmem": "rpivid",
    "mtdblock0": "mtdblock",
    "mtd0ro": "mtd",
}


@pytest.mark.parametrize(("name", "row"), FIELD.items(), ids=list(FIELD))
def test_devices_of_the_field_are_recognised_by_name(name: str, row: str) -> None:
    assert load().of_path(name) == [row]


def test_static_numbers_agree_with_every_recorded_kernel() -> None:
    """A number that the catalogue says is fixed belongs to that row wherever it exists."""
    rows = load()
    for facts in FACTS:
        for node in facts.nodes:
            fixed = rows.of_number(node.kind, node.major, node.minor)
            assert not fixed or fixed == [rows.of_node(node)], (facts.name, node)


def test_misc_names_agree_with_every_recorded_kernel() -> None:
    rows = load()
    for facts in FACTS:
        for misc in facts.misc:
            node = facts.by_number.get(("c", 10, misc.minor))
            assert node is None or rows.of_misc(misc.name) == rows.of_node(node), (facts.name, misc)


def test_nothing_that_moves_has_a_fixed_number() -> None:
    for row in load().devices.values():
        for span in row.spans:
            dynamic = [(234, 254), (384, 511)] if row.type == "c" else [(240, 254)]
            assert not any(span.major[0] <= last and first <= span.major[1] for first, last in dynamic), row


def test_the_danger_of_a_profile_is_its_worst_device() -> None:
    rows = load()
    assert rows.danger(rows.profile("base")) == "harmless"
    assert rows.danger(rows.profile("rtc")) == "shared"
    assert rows.danger(rows.profile("gpio")) == "high"
    assert rows.danger(rows.profile("mtd-ro")) == "never"
    with pytest.raises(SampanError, match="no device profile 'rct'") as caught:
        rows.profile("rct")
    assert "rtc" in str(caught.value)


ROW = """
[device.null]
type = "c"
what = "nothing"
nodes = ["null"]
numbers = ["1:3"]
danger = "harmless"
source = "mem.c"
[profile.base]
what = "base"
devices = ["null"]
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('source = "mem.c"', "", "device.null: source: missing"),
        ('source = "mem.c"', 'source = ""', "device.null: source: "),
        ('source = "mem.c"', 'source = " "', "device.null: source: "),
        (ROW, 'device = ["null"]', "device: no table"),
        (ROW, "device = {null = 1}", "device.null: "),
        ("nodes =", "node =", "device.null: node: unknown key.*\n.*did you mean 'nodes'"),
        ('"harmless"', '"harmles"', "device.null: danger: 'harmles' is not one of .*\n.*did you mean 'harmless'"),
        ('"harmless"', '"high"', "a reason belongs"),
        ('"1:3"', '"4096:3"', "out of range"),
        ('"1:3"', '"1:5-3"', "out of range"),
        ('"1:3"', '"1"', "not MAJOR:MINOR"),
        ('["null"]\n[', '["null"]\n[', ""),
        ('devices = ["null"]', 'devices = ["nul"]', "profile.base.devices: there is no device 'nul'.*\n.*'null'"),
        ('devices = ["null"]', "devices = []", "profile.base: devices: "),
        ("[profile.base]", "[profiles.base]", "profiles: unknown table"),
        ("[profile.base]", "[profile.Base]", "'Base' is no name"),
        ('danger = "harmless"', 'danger = "harmless"\nreaches = ["x"]', "there is no device 'x'"),
        ("[device.null]", "[device.null", "not TOML"),
        (
            "[profile.base]",
            '[device.twin]\ntype = "c"\nwhat = "t"\nnumbers = ["1:*"]\n'
            'danger = "harmless"\nsource = "s"\n[profile.base]',
            "device.twin: numbers: device.null holds some",
        ),
        ('nodes = ["null"]\nnumbers = ["1:3"]', "", "nothing says how to recognise it"),
    ],
)
def test_a_wrong_row(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "devices.toml"
    path.write_text(ROW.replace(old, new))
    if not message:
        assert catalogue.load(path).of_number("c", 1, 3) == ["null"]
        return
    assert new != old
    with pytest.raises(SampanError) as caught:
        catalogue.load(path)
    assert re.search(message, str(caught.value)), str(caught.value)


def test_lint_knows_the_capabilities_of_every_row() -> None:
    """Of what is kept, lint infers what is lost; one that it does not know would never be missed."""
    wanted = {cap for row in catalogue.load().devices.values() for cap in row.caps}
    kept = policyfile.loads("lxc.cap.keep = kill\n", "config")
    assert wanted and wanted <= kept.lost_caps
