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
    chips = sum(("c", 254, 0) in facts.by_number for facts in FACTS)
    assert chips > 30 and f"gpiochip0 on {chips} kernels" in said[0]


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
    for result in sarif["results"]:
        assert sarif["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    with pytest.raises(SampanError, match="cannot read"):
        run(command, ["lint", str(tmp_path / "none")], catch_exceptions=False)
