"""export: the words of other tools, read back to the same rules; the guard on made-up kernels."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from sampan.cli.devices import command
from sampan.core.errors import SampanError
from sampan.devices import catalogue, export, guard, policyfile, resolve, store

ASKED = """lxc.cgroup2.devices.allow = profile:base
lxc.cgroup2.devices.allow = /dev/rtc0 r
# reason: test
lxc.cgroup2.devices.allow = /dev/vda rm
"""
BOARD = "qemuarm@6.1.0-50-armmp"


@pytest.fixture(scope="module")
def found() -> resolve.Resolved:
    return resolved(ASKED)


def resolved(text: str, board: str = BOARD) -> resolve.Resolved:
    return resolve.resolve(policyfile.loads(text, "c"), store.find(board), catalogue.load())


@pytest.mark.parametrize("form", ["lxc1", "lxc2", "oci", "docker"])
def test_a_list_comes_back_the_same(form: str, found: resolve.Resolved) -> None:
    policy = policyfile.loads(export.FORMATS[form](found, "/etc/guard"), "exported")
    if form in ("oci", "docker"):  # they have no comments: the reason is lost
        policy.entries = [policyfile.entry(e.line, e.verb, e.text, "test") for e in policy.entries]
    assert policy.deny_all
    assert resolve.resolve(policy, found.facts, catalogue.load()).rules == found.rules


def test_a_unit_comes_back_the_same(found: resolve.Resolved) -> None:
    text = export.systemd(found, "/etc/guard")
    assert "ExecStartPre=+/etc/guard\nDevicePolicy=strict\nDeviceAllow=\n" in text
    assert "DeviceAllow=char-pts rw" in text
    policy = policyfile.loads(text, "x.service")
    policy.entries = [policyfile.entry(e.line, e.verb, e.text, "test", e.default) for e in policy.entries]
    assert resolve.resolve(policy, found.facts, catalogue.load()).rules == found.rules


def test_cdi_comes_back_but_for_what_it_cannot_say(found: resolve.Resolved) -> None:
    policy = policyfile.loads(export.cdi(found, "/etc/guard"), "sampan.json")
    assert policy.format == "cdi" and policy.deny_all and len({each.line for each in policy.entries}) > 5
    policy.entries = [policyfile.entry(e.line, e.verb, e.text, "test") for e in policy.entries]
    (lost,) = set(found.rules) - set(resolve.resolve(policy, found.facts, catalogue.load()).rules)
    assert str(lost) == "c 136:* rw"


def test_cdi_as_others_write_it() -> None:
    nodes = [
        {"path": "/dev/clock", "hostPath": "/dev/rtc0"},
        {"path": "/dev/x", "major": 1, "minor": 3, "permissions": "r"},
    ]
    text = json.dumps({"cdiVersion": "0.5.0", "kind": "a/b", "devices": [], "containerEdits": {"deviceNodes": nodes}})
    assert [each.text for each in policyfile.loads(text, "x").entries] == ["a", "/dev/rtc0 rwm", "c 1:3 r"]
    for wrong in ('{"cdiVersion": "0.5.0"}', '{"cdiVersion": "0.5.0", "devices": [{"containerEdits": 3}]}'):
        with pytest.raises(SampanError, match="no CDI specification"):
            policyfile.loads(wrong, "x")


def test_oci_says_nodes_rules_and_hook(found: resolve.Resolved) -> None:
    data = json.loads(export.oci(found, "/etc/guard"))
    rules = data["linux"]["resources"]["devices"]
    assert rules[0] == {"allow": False, "access": "rwm"}
    assert {"allow": True, "type": "c", "major": 252, "minor": 0, "access": "r"} in rules
    assert {"allow": True, "type": "c", "major": 136, "access": "rw"} in rules
    clock = {"path": "/dev/rtc0", "type": "c", "major": 252, "minor": 0, "fileMode": 0o660}
    assert clock in data["linux"]["devices"]
    assert data["hooks"]["createRuntime"] == [{"path": "/etc/guard"}]


def test_cdi_and_udev(found: resolve.Resolved) -> None:
    (device,) = json.loads(export.cdi(found, "/g"))["devices"]
    nodes = device["containerEdits"]["deviceNodes"]
    assert {"path": "/dev/vda", "type": "b", "major": 254, "minor": 0, "permissions": "rm"} in nodes
    assert 'SUBSYSTEM=="rtc", KERNEL=="rtc0", TAG+="sampan"' in export.udev(found, "")
    assert export.lost(found, "cdi", "/g") == ["cdi cannot say c 136:* rw (pts)"]
    assert export.lost(found, "docker", "/g") == ["docker has no hook: run /g before each start"]
    assert export.lost(found, "oci", "/g") == []


def target(folder: Path, board: str) -> dict[str, str]:
    """A /sys and /proc as the board's kernel has them."""
    facts = store.find(board)
    for node in facts.nodes:
        place = folder / "sys" / "dev" / ("block" if node.kind == "b" else "char") / f"{node.major}:{node.minor}"
        place.mkdir(parents=True)
        (place / "uevent").write_text(f"MAJOR={node.major}\nMINOR={node.minor}\nDEVNAME={node.name}\n")
    lines = ["Character devices:", *[f"{m.number:3d} {m.name}" for m in facts.majors if m.kind == "c"]]
    lines += ["", "Block devices:", *[f"{m.number:3d} {m.name}" for m in facts.majors if m.kind == "b"]]
    (folder / "proc").mkdir()
    (folder / "proc" / "devices").write_text("\n".join(lines) + "\n")
    return {"SAMPAN_SYS": str(folder / "sys"), "SAMPAN_PROC": str(folder / "proc")}


@pytest.mark.parametrize(
    ("board", "message"),
    [
        (BOARD, ""),
        ("qemuarm@5.10", "char/252:0 is not rtc0 any more but nothing"),
        ("mcimx7d-sabre", ""),
        ("qemuarm64@6.12", "char/252:0 is not rtc0 any more"),
    ],
)
def test_the_guard_starts_only_where_the_numbers_mean_the_same(
    found: resolve.Resolved, tmp_path: Path, board: str, message: str
) -> None:
    wanted = resolved("lxc.cgroup2.devices.allow = profile:base\n" if not message else ASKED)
    script = guard.script(wanted)
    env = target(tmp_path, board)
    done = subprocess.run(["sh", "-c", script], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == (not message), done.stderr
    assert message in done.stderr


def test_the_guard_checks_whole_majors(found: resolve.Resolved, tmp_path: Path) -> None:
    env = target(tmp_path, BOARD)
    devices = tmp_path / "proc" / "devices"
    devices.write_text(devices.read_text().replace("136 pts", "136 dac"))
    done = subprocess.run(["sh", "-c", guard.script(found)], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Character major 136 is not pts any more but  dac" in done.stderr


def test_import_turns_numbers_into_names(tmp_path: Path) -> None:
    old = tmp_path / "old.conf"
    old.write_text("lxc.cgroup.devices.deny = a\nlxc.cgroup.devices.allow = c 252:0 rw\n")
    done = CliRunner().invoke(command, ["import", "--board", BOARD, str(old)], catch_exceptions=False)
    assert done.output == (
        "lxc.cgroup2.devices.deny = a\n# was c 252:0 rw on qemuarm@6.1.0-50-armmp\n"
        "lxc.cgroup2.devices.allow = /dev/rtc0 rw\n"
    )
    assert [str(rule) for rule in resolved(done.output, "qemuarm@5.10").rules] == ["c 253:0 rw"]
    old.write_text("lxc.cgroup.devices.allow = c 252:0 rwx\n")
    with pytest.raises(SampanError, match="old.conf:1: "):
        CliRunner().invoke(command, ["import", "--board", BOARD, str(old)], catch_exceptions=False)


def test_on_the_command_line() -> None:
    argv = ["export", "--board", BOARD, "--profile", "rtc", "--format"]
    done = CliRunner().invoke(command, [*argv, "lxc1", "--guard", "/etc/g"], catch_exceptions=False)
    assert "lxc.hook.pre-start = /etc/g\nlxc.cgroup.devices.deny = a\n" in done.output
    assert "node char/252:0 'rtc0'" in CliRunner().invoke(command, [*argv, "guard"]).output
    for path in ("g", "/etc/my guard", "/etc/g\nlxc.cap.keep = sys_admin", "/etc/%n"):
        with pytest.raises(SampanError, match="absolute path"):
            CliRunner().invoke(command, [*argv, "oci", "--guard", path], catch_exceptions=False)


@pytest.mark.parametrize("form", export.FORMATS)
def test_numbers_that_nothing_checks_are_said(form: str) -> None:
    argv = ["export", "--board", BOARD, "--profile", "rtc", "--format", form]
    said = CliRunner().invoke(command, argv, catch_exceptions=False).stderr
    assert ("nothing refuses a start" in said) == (form not in ("systemd", "udev"))
    assert "nothing refuses" not in CliRunner().invoke(command, [*argv, "--guard", "/g"], catch_exceptions=False).stderr


def test_numbers_in_a_unit_become_names(tmp_path: Path) -> None:
    unit = tmp_path / "x.service"
    unit.write_text("[Service]\nDeviceAllow=/dev/char/252:0 r\nDeviceAllow=char-254 rw\n")
    done = CliRunner().invoke(command, ["import", "--board", BOARD, str(unit)], catch_exceptions=False)
    rules = [line.partition(" = ")[2] for line in done.output.splitlines() if line.startswith("lxc.")]
    assert rules == ["a", "/dev/rtc0 r", "c 254:* rw"]


@pytest.mark.parametrize("text", ["--device /dev/rtc0\n--privileged\n", "--device-cgroup-rule 'c 1:3 rwx'\n"])
def test_docker_flags_that_cannot_be_read(text: str) -> None:
    with pytest.raises(SampanError):
        resolved(text)


@pytest.mark.parametrize("form", ["lxc1", "lxc2"])
def test_numbers_carry_their_names_for_the_runtime(form: str, found: resolve.Resolved) -> None:
    lines = export.FORMATS[form](found, "").splitlines()
    expected = [line.removeprefix("sampan.devices.expect = ") for line in lines if line.startswith("sampan.")]
    assert "c 252:0 rtc0" in expected and "c 136:* pts" in expected and "c 1:3 null" in expected
    assert len(expected) == len(found.rules), "each rule has one"
    assert not any("=" in line and not line.startswith(("lxc.", "sampan.", "#")) for line in lines)


def test_an_optional_device_may_be_missing_on_the_board() -> None:
    found = resolved("lxc.cgroup2.devices.allow = /dev/ttyUSB* rw optional\nlxc.cgroup2.devices.allow = /dev/rtc0 r\n")
    assert [str(rule) for rule in found.rules] == ["c 252:0 r"]
    said = f"left out: /dev/ttyUSB* rw optional: {BOARD} has no such device"
    for form, write in export.FORMATS.items():
        commented = f"# {said}\n" in write(found, "")
        assert commented == (form in ("lxc1", "lxc2", "systemd", "udev"))
        assert (said in export.lost(found, form, "")) == (not commented)
    again = policyfile.loads(export.lxc2(found, ""), "c")
    assert [entry.text for entry in again.entries] == ["a", "c 252:0 r"] and not again.entries[1].reason


def test_only_what_is_asked_for_still_and_is_nowhere_is_left_out() -> None:
    asked = "lxc.cgroup2.devices.allow = /dev/ttyUSB* rw optional\n"
    assert resolved(asked + asked).absent == ("/dev/ttyUSB* rw optional",)
    assert resolved(asked + "lxc.cgroup2.devices.deny = a\n").absent == ()
    assert resolved("lxc.cgroup2.devices.allow = /dev/rtc* r optional\n").absent == ()
