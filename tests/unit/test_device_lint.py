"""Each lint on files as people write them, judged by recorded kernels."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from sampan.cli.devices import command
from sampan.core import paths
from sampan.core.errors import SampanError
from sampan.devices import catalogue, finding, lint, policyfile, store

FACTS = store.load_all()
ARM = [facts for facts in FACTS if facts.name == "qemuarm@6.1.0-50-armmp"]
SEED = paths.ROOT / "configs" / "containers" / "sys_elinux.config"
DENY = "lxc.cgroup.devices.deny = a\n"


def allow(*values: str) -> str:
    return DENY + "".join(f"lxc.cgroup2.devices.allow = {value}\n" for value in values)


def found(text: str, boards: list[store.Facts] | None = None, **more: dict[str, str]) -> set[tuple[str, int]]:
    policy = policyfile.loads(text, "config")
    return {(each.lint, each.line) for each in lint.check(policy, boards or FACTS, catalogue.load(), **more)}


CASES: dict[str, tuple[str, int]] = {
    "dynamic-literal": (allow("c 254:0 rw"), 2),
    "differs-between-boards": (allow("c 252:0 rw"), 2),
    "names-another-device": (allow("c 204:64 rw"), 2),
    "unresolved": (allow("/dev/rct0 rw"), 2),
    "too-wide": (allow("c 13:* r"), 2),
    "dangerous": (allow("c 10:231 r"), 2),
    "host-owned": (allow("c 204:64 rw"), 2),
    "alias": (allow("c 10:130 rw"), 2),
    "shadowed": (allow("c 1:3 rw", "c 1:3 r"), 3),
    "split-access": (allow("c 1:3 r", "c 1:3 w"), 3),
    "no-effect": (allow("c 1:3 rw") + "lxc.cgroup.devices.deny = c 1:5 rw\n", 3),
    "deny-partial": ("lxc.cgroup.devices.deny = c 1:5 w\n", 1),
    "parse": (allow("c 1:3  rw"), 2),
    "mknod": (allow("c 1:3 rwm"), 2),
    "needs-cap": (allow("c 10:200 rw") + "lxc.cap.drop = net_admin\n", 2),
}


@pytest.mark.parametrize("name", CASES)
def test_each_lint_finds_its_line(name: str) -> None:
    text, line = CASES[name]
    assert (name, line) in found(text)


def test_there_are_the_sixteen_and_each_is_tested() -> None:
    assert set(CASES) | {"stale"} == set(finding.LINTS) and len(finding.LINTS) == 16


def test_stale_facts() -> None:
    assert ("stale", 1) in found(allow("c 1:3 rw"), ARM, shipped={"qemuarm": "6.1.0-51-armmp"})
    assert ("stale", 1) not in found(allow("c 1:3 rw"), ARM, shipped={"qemuarm": "6.1.0-50-armmp"})


def test_a_good_list_has_nothing_said_about_it() -> None:
    values = ["c 1:3 rw", "c 1:5 rw", "c 1:7 rw", "c 1:8 rw", "c 1:9 rw", "c 5:0 rw", "c 5:2 rw", "c 136:* rw"]
    assert found(allow(*values, "/dev/rtc0 rw"), ARM) == set()


@pytest.mark.parametrize(
    "value",
    [
        *["c 1:3", "c 1:3 rwmx", "c 1:3 rrr", "c 4294967295:3 r", "c 1:3 x", "a 1:3 r"],
        *["c  1:3 r", "1:3 rw", "c 1 rw", "x 1:3 r", "profile:rct", "/dev/rtc0  rw", "char-rtc rwx"],
    ],
)
def test_malformed_rules(value: str) -> None:
    assert ("parse", 2) in found(allow(value))


@pytest.mark.parametrize("key", ["lxc.cgroup2.devices.alow", "lxc.cgroup.device.deny", "lxc.cgroup.Devices.deny"])
def test_a_rule_under_a_misspelt_key(key: str) -> None:
    """LXC would write it to a file that no cgroup has, or pass over it: then nothing is denied."""
    assert ("parse", 3) in found(allow("c 1:3 rw") + f"{key} = c 1:5 rw\n")


def test_a_number_kept_for_a_device_that_no_board_has_is_named() -> None:
    policy = policyfile.loads(allow("c 10:200 rw", "c 188:* rw", "c 10:300 rw"), "config")
    said = {each.line: each for each in lint.check(policy, FACTS, catalogue.load()) if each.lint == "unresolved"}
    assert [said[line].level for line in (2, 3, 4)] == ["warning", "warning", "error"]
    assert said[2].message.endswith("; the number is kept for tun") and "serial-usb" in said[3].message


def test_to_set_the_clock_needs_a_capability_to_read_it_none() -> None:
    lost = "lxc.cap.drop = sys_time\n"
    assert ("needs-cap", 2) in found(allow("/dev/rtc0 rw") + lost, ARM)
    assert found(allow("/dev/rtc0 r") + lost, ARM) == set()


def test_a_written_reason_silences_danger_but_not_the_console() -> None:
    text = DENY + "# reason: drives the relays, reviewed 2026-05\nlxc.cgroup2.devices.allow = /dev/gpiochip0 rw\n"
    assert found(text, ARM) == set()
    assert ("dangerous", 2) in found(allow("/dev/gpiochip0 rw"), ARM)
    text = DENY + "# reason: because\nlxc.cgroup2.devices.allow = /dev/ttyAMA0 rw\n"
    assert found(text, ARM) == {("host-owned", 3)}


def test_the_clock_of_the_old_list_is_the_gpio_chip() -> None:
    policy = policyfile.read(SEED)
    said = [str(each) for each in lint.check(policy, FACTS, catalogue.load()) if each.lint == "dynamic-literal"]
    assert len(said) == 1 and "sys_elinux.config:31: error: c 254:0 rwm" in said[0]
    chips = {facts.board for facts in FACTS if ("c", 254, 0) in facts.by_number}
    assert len(chips) > 12 and f"gpiochip0 on {len(chips)} boards (ast2600-evb, cubieboard, +" in said[0]


def levels(text: str) -> set[tuple[str, int, str]]:
    policy = policyfile.loads(text, "config")
    return {(each.lint, each.line, each.level) for each in lint.check(policy, FACTS, catalogue.load())}


def expect(*values: str) -> str:
    return "".join(f"sampan.devices.expect = {value}\n" for value in values)


@pytest.mark.parametrize(
    ("value", "line"), [("c 252:0 rw", "c 252:0 rtc0"), ("c 252:0 rw", "c 252:* rtc"), ("c 252:* rw", "c 252:* rtc")]
)
def test_a_number_that_carries_its_name_is_no_error_on_all_boards(value: str, line: str) -> None:
    assert ("dynamic-literal", 2, "error") in levels(allow(value))
    said = levels(allow(value) + expect("c 1:3 null", line))
    assert ("dynamic-literal", 2, "note") in said
    assert not any(level == "error" for *_, level in said)
    policy = policyfile.loads(allow(value) + expect(line), "config")
    (note,) = (each for each in lint.check(policy, FACTS, catalogue.load()) if each.lint == "dynamic-literal")
    assert f"only where this is {line.split()[2]}, by line 3" in note.message


@pytest.mark.parametrize(
    "line", ["c 252:1 rtc0", "b 252:0 rtc0", "c 1:3 null", "c 252:0 rtc9", "c 252:* misc", "c 251:* rtc"]
)
def test_a_line_about_something_else_holds_nothing(line: str) -> None:
    assert ("dynamic-literal", 2, "error") in levels(allow("c 252:0 rw") + expect(line))


def test_a_driver_of_many_devices_does_not_hold_one_of_them() -> None:
    assert ("dynamic-literal", 2, "error") in levels(allow("c 10:122 rw") + expect("c 10:* misc"))


def test_a_held_number_is_still_dangerous() -> None:
    said = levels(allow("c 254:0 rw") + expect("c 254:0 gpiochip0"))
    assert ("dynamic-literal", 2, "note") in said and ("dangerous", 2, "warning") in said


def test_an_expected_name_that_no_board_has_for_the_number() -> None:
    assert ("names-another-device", 3, "error") in levels(allow("c 1:3 rw") + expect("c 1:3 zero"))
    assert ("names-another-device", 3, "error") in levels(allow("c 136:* rw") + expect("c 136:* rtc"))
    assert not any(line == 3 for _, line, _ in levels(allow("c 1:3 rw") + expect("c 1:3 null")))


@pytest.mark.parametrize("value", ["c 252:0", "rtc0", "a"])
def test_an_expectation_that_cannot_be_read(value: str) -> None:
    assert ("parse", 3, "error") in levels(allow("c 252:0 rw") + expect(value))
    assert ("parse", 3, "error") not in levels(allow("c 252:0 rw") + expect(value, ""))


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("lxc.uts.name = web\n", "error"),
        ("lxc.cgroup.devices.allow = c 1:3 rw\nlxc.cgroup.devices.allow =\n", "error"),
        ("lxc.uts.name = web\nlxc.include = common.conf\n", "warning"),
        ("[Service]\nExecStart=/bin/x\nPrivateDevices=no\n", "error"),
        (json.dumps({"ociVersion": "1.0.2", "linux": {}}), "error"),
    ],
)
def test_without_a_rule_everything_is_open(text: str, level: str) -> None:
    assert levels(text) == {("too-wide", 1, level)}


@pytest.mark.parametrize("line", ["PrivateDevices=yes", "DevicePolicy=closed", "DevicePolicy=strict"])
def test_a_unit_that_closes_its_devices_needs_no_rule(line: str) -> None:
    assert levels(unit("ExecStart=/bin/x", line)) == set()


def test_the_wrong_file_does_not_pass_a_gate(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("lxc.uts.name = web\n")
    done = CliRunner().invoke(command, ["lint", str(file)])
    assert done.exit_code == 1 and "every device of the target is open" in done.output
    for text in ("", "\n\n", "# lxc.cgroup.devices.deny = a\n", "# Read me\nname = value\n", "{}", '{"name": "x"}'):
        file.write_text(text)
        with pytest.raises(SampanError, match="file: (empty, or no|no OCI) configuration") as raised:
            CliRunner().invoke(command, ["lint", str(file)], catch_exceptions=False)
        assert raised.value.code == 2


def test_what_is_said_of_all_kernels_is_read_at_a_glance() -> None:
    policy = policyfile.loads(allow("c 252:0 rw"), "x.config")
    said = {each.lint: each.message for each in lint.check(policy, FACTS, catalogue.load())}
    assert all(len(message) < 300 for message in said.values())
    assert said["names-another-device"].startswith("c 252:0 rw: not one device everywhere: rtc0, rtc's, media's, ")
    assert said["names-another-device"].endswith("`sampan devices why c 252:0` tells where")


def test_an_empty_value_takes_rules_back() -> None:
    assert found(allow("c 1:3 rwmx") + "lxc.cgroup2.devices.allow =\n") == set()


def test_a_list_that_never_denies() -> None:
    assert ("no-effect", 1) in found("lxc.cgroup.devices.allow = c 1:3 rw\n")
    assert ("too-wide", 1) in found("lxc.cgroup.devices.allow = a\n")


UNIT = """[Service]
ExecStart=/bin/x
DeviceAllow=/dev/rtc0 rw
DeviceAllow=char-rtc r
DeviceAllow=
DeviceAllow=/dev/mem r
DeviceAllow=char-gpiochip rw
"""


def test_systemd_units() -> None:
    said = found(UNIT, ARM)
    assert ("dangerous", 6) in said and ("dangerous", 7) in said
    assert not any(line in (3, 4) for _, line in said)


def unit(*lines: str) -> str:
    return "[Service]\n" + "".join(f"{line}\n" for line in lines)


def test_systemd_takes_numbers_in_names() -> None:
    said = found(unit("DeviceAllow=char-254 rw", "DeviceAllow=/dev/char/252:0 r", "DeviceAllow=char-* r"), ARM)
    assert {("dangerous", 2), ("too-wide", 2), ("dynamic-literal", 3), ("too-wide", 4)} <= said
    assert not any(name in ("parse", "unresolved") for name, _ in said)


@pytest.mark.parametrize(
    "value", ["c 252:0 rw", "class:rtc rw", "profile:rtc", "/dev/rtc0 rw optional", "/dev/ttyUSB* rw", "/run/x rw", "a"]
)
def test_what_systemd_does_not_read(value: str) -> None:
    assert ("parse", 2) in found(unit(f"DeviceAllow={value}"), ARM)


def test_capabilities_that_a_unit_takes_away() -> None:
    tun = "DeviceAllow=/dev/net/tun rw"
    assert ("needs-cap", 3) in found(unit("CapabilityBoundingSet=~CAP_NET_ADMIN CAP_KILL", tun))
    assert ("needs-cap", 3) not in found(unit("CapabilityBoundingSet=~CAP_KILL", tun))
    assert ("needs-cap", 3) in found(unit("CapabilityBoundingSet=CAP_KILL", tun))


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ("/dev/rtc0 r", "/dev/rtc0 w", ("split-access", 3)),
        ("/dev/rtc0 rw", "/dev/rtc0 r", ("shadowed", 3)),
        ("/dev/rtc0 r", "/dev/rtc0 rw", ("shadowed", 2)),
        ("char-rtc rw", "/dev/rtc0 r", ("shadowed", 3)),
        ("c 1:* r", "/dev/null r", ("shadowed", 3)),
        ("class:rtc rw", "c 252:0 rw", ("shadowed", 3)),
    ],
)
def test_pairs_of_names(first: str, second: str, says: tuple[str, int]) -> None:
    assert says in found(allow(first, second), ARM)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("/dev/rtc0 rw", "char-rtc r"),
        ("/dev/rtc0 r", "char-rtc rw optional"),
        ("/dev/ttyS0 rw", "/dev/ttyS* r optional"),
    ],
)
def test_a_name_for_more_than_there_is_now_is_not_covered(first: str, second: str) -> None:
    assert not {("shadowed", 3), ("split-access", 3)} & found(allow(first, second), ARM)


@pytest.mark.parametrize("value", ["char-misc r", "char-mem r", "char-tty* r", "class:misc r"])
def test_names_of_collections_are_too_wide(value: str) -> None:
    assert ("too-wide", 2) in found(allow(value), ARM)
    assert ("too-wide", 2) not in found(allow("char-rtc r"), ARM)


def test_an_optional_device_may_be_missing() -> None:
    text = allow("/dev/ttyUSB* rw optional", "/dev/ttyUSB0 rw")
    said = {each.line: each.level for each in lint.check(policyfile.loads(text, "f"), ARM, catalogue.load())}
    assert said == {2: "note", 3: "error"}


def oci(*devices: dict[str, object]) -> str:
    rows = [{"allow": False, "access": "rwm"}, *devices]
    return json.dumps({"linux": {"resources": {"devices": rows}}}, indent=1)


@pytest.mark.parametrize(
    "device",
    [
        {"type": "c", "major": 1, "minor": 3, "access": "rw"},
        *({"allow": allow, "type": "c", "major": 1, "minor": 3, "access": "rw"} for allow in ("yes", 1, None)),
        *({"allow": True, "type": "c", "major": major, "minor": 3, "access": "rw"} for major in ("1", 1.5, True, -2)),
        *({"allow": True, "type": kind, "major": 1, "minor": 3, "access": "rw"} for kind in ("x", 1, "")),
        *({"allow": True, "type": "c", "major": 1, "minor": 3, "access": access} for access in ("", "rx", 6)),
    ],
    ids=str,
)
def test_oci_devices_that_runtimes_refuse(device: dict[str, object]) -> None:
    assert "parse" in {name for name, _ in found(oci(device), ARM)}


def test_an_oci_device_without_allow_leaves_the_lines_of_others() -> None:
    rule = {"type": "c", "major": 1, "minor": 3, "access": "rw"}
    text = oci({"allow": True} | rule, rule, {"allow": True} | rule | {"major": 254, "minor": 0})
    lines = [number for number, line in enumerate(text.split("\n"), 1) if '"allow"' in line]
    assert {("parse", lines[1]), ("dynamic-literal", lines[2])} <= found(text, ARM)


def test_oci_devices_that_runtimes_take() -> None:
    rule = {"allow": True, "access": "rw"}
    assert found(oci(rule | {"type": "u", "major": 1, "minor": 3}), ARM) == set()
    assert {name for name, _ in found(oci(rule | {"type": "c", "major": 13, "minor": -1}), ARM)} == {
        "too-wide",
        "dangerous",
    }


def test_oci_configurations_are_said_by_line() -> None:
    devices = [
        {"allow": False, "access": "rwm"},
        {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rw"},
        {"allow": True, "type": "b", "major": 8, "access": "rw"},
        {"allow": True, "type": "c", "major": 10, "minor": 200, "access": "rw"},
    ]
    caps = {"capabilities": {"bounding": ["CAP_SYS_ADMIN"]}}
    text = json.dumps({"process": caps, "linux": {"resources": {"devices": devices}}}, indent=1)
    lines = [number for number, line in enumerate(text.split("\n"), 1) if '"allow"' in line]
    said = found(text, ARM)
    assert ("too-wide", lines[2]) in said and ("dangerous", lines[2]) in said
    assert ("needs-cap", lines[3]) in said
    assert not any(line == lines[1] for _, line in said)


@pytest.mark.parametrize("text", ['{"linux": []}', '{"linux": {"resources": {"devices": [1]}}}', "{", '{"a": }'])
def test_what_is_no_oci_configuration(text: str) -> None:
    with pytest.raises(SampanError, match="f.json.*: (not JSON|no OCI)"):
        policyfile.loads(text, "f.json")


@given(st.text(max_size=60))
def test_no_value_makes_lint_fall_over(value: str) -> None:
    assert isinstance(found(allow(value.replace("\n", " ")), ARM), set)


def test_on_the_command_line(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text(allow("c 1:3 rw"))
    bad.write_text(allow("c 254:0 rw"))
    run = CliRunner().invoke
    assert run(command, ["lint", str(good)]).exit_code == 0
    assert run(command, ["lint", str(good), str(bad)]).exit_code == 1
    assert run(command, ["lint", "--board", "qemuarm@6.1", "--ignore", "dynamic-literal", str(bad)]).exit_code == 0
    strict = ["lint", "--strict", "--board", "qemuarm@6.1", "--ignore", "dynamic-literal", str(bad)]
    assert run(command, strict).exit_code == 1
    rows = json.loads(run(command, ["lint", "--format", "json", str(bad)]).output)
    assert {"lint", "level", "path", "line", "message"} == set(rows[0])
    sarif = json.loads(run(command, ["lint", "--format", "sarif", str(bad)]).output)["runs"][0]
    assert sarif["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] == 2
    spaced = tmp_path / "a b%.conf"
    spaced.write_text(allow("c 254:0 rw"))
    text = run(command, ["lint", "--format", "sarif", str(spaced)]).output
    assert "/a%20b%25.conf" in text, "a URI, not a path"
    for result in sarif["results"]:
        assert sarif["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(SampanError, match="cannot read") as raised:
            run(command, ["lint", str(path)], catch_exceptions=False)
        assert raised.value.code == 2, "not to be taken for a finding"
