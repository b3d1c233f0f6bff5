"""generate: what a container asks for by name becomes the numbers of one board, or an error that helps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sampan.cli.devices import command
from sampan.core.errors import SampanError
from sampan.devices import catalogue, lint, policyfile, resolve, store

DENY = "lxc.cgroup2.devices.deny = a\n"
REASON = "# reason: the relays, reviewed\n"


def asked(*values: str) -> str:
    return "".join(value if value.startswith("#") else f"lxc.cgroup2.devices.allow = {value}\n" for value in values)


def rules(text: str, board: str = "qemuarm@6.1") -> list[str]:
    found = resolve.resolve(policyfile.loads(text, "c"), store.find(board), catalogue.load())
    return [str(rule) for rule in found.rules]


def refused(text: str, board: str = "qemuarm@6.1") -> str:
    with pytest.raises(SampanError) as caught:
        rules(text, board)
    return str(caught.value)


BASE = ["c 1:3 rw", "c 1:5 rw", "c 1:7 rw", "c 1:8 rw", "c 1:9 rw", "c 5:0 rw", "c 5:2 rw", "c 136:* rw"]


@pytest.mark.parametrize(
    ("board", "clock"),
    [("qemuarm@5.10", "c 253:0 rw"), ("qemuarm@6.1", "c 252:0 rw"), ("qemuarm64@6.12", "c 249:0 rw")],
)
def test_the_same_words_are_other_numbers(board: str, clock: str) -> None:
    assert rules(asked("profile:base", "profile:rtc"), board) == [*BASE, clock]


@pytest.mark.parametrize("value", ["/dev/rtc0 rw", "class:rtc rw", "char-rtc rw", "profile:rtc", "c 252:0 rw"])
def test_five_ways_to_ask_for_the_clock(value: str) -> None:
    assert rules(asked(value)) == ["c 252:0 rw"]


def test_m_and_other_letters_only_when_asked_for() -> None:
    assert rules(asked("/dev/rtc0")) == ["c 252:0 rw"]
    assert rules(asked("profile:rtc r")) == ["c 252:0 r"]
    assert rules(asked("/dev/rtc0 rm", "profile:rtc w")) == ["c 252:0 rwm"]


def test_rules_are_merged_and_sorted() -> None:
    assert rules(asked("c 1:5 r", "c 1:3 r", "c 1:3 w", "c 136:* rw", "c 136:7 r")) == [
        "c 1:3 rw",
        "c 1:5 r",
        "c 136:* rw",
    ]


def test_what_is_denied_is_taken_away() -> None:
    text = asked("profile:base") + "lxc.cgroup.devices.deny = /dev/tty rw\nlxc.cgroup.devices.deny = c 1:3 w\n"
    assert rules(text) == ["c 1:3 r", *[rule for rule in BASE if rule not in ("c 1:3 rw", "c 5:0 rw")]]
    assert rules(asked("c 1:3 rw") + DENY + asked("c 1:5 r")) == ["c 1:5 r"]
    assert "no exceptions" in refused(asked("c 136:* rw") + "lxc.cgroup.devices.deny = c 136:3 rw\n")


def test_an_absent_device_says_what_the_board_has() -> None:
    said = refused(asked("profile:rtc"), "raspi2b@6.1")
    assert "no such device" in said and "gpio" in said and "watchdog" in said
    assert "no such number" in refused(asked("c 233:0 rw"))
    assert "did you mean 'rtc'" in refused(asked("profile:rct"))


def test_an_ambiguous_device_must_be_named() -> None:
    said = refused(REASON + asked("profile:gpio"), "sabrelite@6.1")
    assert "has 7 of these" in said and "/dev/gpiochip6" in said
    assert rules(REASON + asked("/dev/gpiochip3 rw"), "sabrelite@6.1") == ["c 254:3 rw"]


def test_danger_needs_a_reason() -> None:
    assert "write the reason" in refused(asked("/dev/gpiochip0 rw"))
    assert "write the reason" in refused(asked("c 254:0 rw"))
    assert rules(REASON + asked("/dev/gpiochip0 rw")) == ["c 254:0 rw"]


def test_the_console_of_the_host_is_never_given() -> None:
    for value in ("/dev/ttyAMA0 rw", "c 204:64 rw", "class:tty rw", "char-ttyAMA rw"):
        assert "the host's console" in refused(asked("# reason: I want it\n", value))
    said = refused(asked("# reason: x\n", "profile:serial"), "smdkc210")
    assert "/dev/ttySAC1" in said and "/dev/ttySAC0" not in said


def test_all_errors_at_once_with_their_lines() -> None:
    said = refused(asked("/dev/none rw", "c 1:3 rw", "c 1:3  rw", "a"))
    assert [f"c:{line}:" in said for line in (1, 2, 3, 4)] == [True, False, True, True]
    assert "every device" in refused(asked("c *:* rw"))


@pytest.mark.parametrize("board", ["@".join(name) for name in store.names()])
def test_every_board_gets_its_base_and_lint_agrees(board: str) -> None:
    found = CliRunner().invoke(command, ["generate", "--board", board, "--profile", "base"], catch_exceptions=False)
    policy = policyfile.loads(found.output, "c")
    assert [each.text for each in policy.entries[1:]] == BASE
    assert lint.check(policy, [store.find(board)], catalogue.load()) == []


def test_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPAN_BUILD", str(tmp_path))  # what was built last decides between kernels
    path = tmp_path / "web.config"
    path.write_text(DENY + asked("profile:base", "/dev/rtc0 r"))
    argv = ["generate", "--board", "qemuarm@6.1", "--container", str(path)]
    text = CliRunner().invoke(command, argv, catch_exceptions=False).output
    assert "# rtc0: /dev/rtc0 r: rtc-pl031, /pl031@9010000\nlxc.cgroup2.devices.allow = c 252:0 r\n" in text
    data = json.loads(CliRunner().invoke(command, [*argv, "--json"]).output)
    assert {"path": "/dev/rtc0", "number": "c 252:0"} in data["nodes"]
    assert data["rules"][-1]["rule"] == "c 252:0 r"
    for wrong, message in [
        (["--board", "qemuarm@6.1"], "neither"),
        (["--board", "sabrelite", "--profile", "base"], "which one"),
        (["--board", "qemuarm@6.1", "--container", "sys_elinx"], "did you mean 'sys_elinux'"),
    ]:
        with pytest.raises(SampanError) as caught:
            CliRunner().invoke(command, ["generate", *wrong], catch_exceptions=False)
        assert message in str(caught.value)
