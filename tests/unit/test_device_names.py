"""why, who and diff: what people ask about numbers, answered from real kernels."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from sampan.cli.devices import command
from sampan.core.errors import SampanError
from sampan.devices import catalogue, names, store


def ask(*words: str) -> list[dict[str, str]]:
    done = CliRunner().invoke(command, [*words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    answer = json.loads(done.output)
    assert isinstance(answer, list)
    return answer


def test_254_is_nowhere_the_clock() -> None:
    answers = ask("why", "c", "254:0")
    assert len(answers) == len(store.names())
    assert not any("rtc" in answer["device"] for answer in answers)
    assert sum("gpiochip" in answer["device"] for answer in answers) > len(answers) // 2


def test_a_number_says_who_holds_it_without_a_node() -> None:
    (answer,) = ask("why", "c 253:0", "--board", "qemuarm@6.1")
    assert answer["device"] == "no device; the number is tpm's"
    (answer,) = ask("why", "c 233:0", "--board", "qemuarm@6.1")
    assert answer["device"] == "nothing"
    (answer,) = ask("why", "c 204:65", "--board", "qemuarm@6.1")
    assert answer["device"] == "no device; the number is ttyAMA's"


def test_one_number_two_kinds_of_uart() -> None:
    answers = {answer["board"]: answer for answer in ask("why", "c 204:64")}
    assert answers["smdkc210"]["device"] == "ttySAC0"
    assert answers["qemuarm"]["device"] == "ttyAMA0" and "the host's console" in answers["qemuarm"]["where"]


def test_who_by_node_and_by_kind() -> None:
    (answer,) = ask("who", "/dev/rtc0", "--board", "qemuarm@5.10")
    assert answer["number"] == "c 253:0 rtc0" and "pl031" in answer["where"]
    (answer,) = ask("who", "watchdog", "--board", "sabrelite@6.1")
    assert {"c 10:130 watchdog"} <= set(answer["number"].split(", "))
    assert all(row["number"] == "-" for row in ask("who", "rtc7"))
    with pytest.raises(SampanError, match="no known board has a device 'gpoichip0'"):
        ask("who", "gpoichip0")


def test_diff_says_what_an_old_list_would_open() -> None:
    rows = catalogue.load()
    changes = names.diff(store.find("qemuarm@5.10"), store.find("qemuarm@6.1"), rows)
    clock = next(change for change in changes if change.name == "rtc0")
    assert clock.kind == "recycled"
    assert clock.text.startswith("rtc0 moved c 253:0 -> c 252:0; c 253:0 is now tpm's")
    assert names.diff(store.find("qemuarm@6.1"), store.find("qemuarm@6.1"), rows) == []


def test_diff_as_a_gate() -> None:
    argv = ["diff", "--exit-code", "qemuarm@5.10"]
    assert CliRunner().invoke(command, [*argv, "qemuarm@6.1"]).exit_code == 1
    assert CliRunner().invoke(command, [*argv, "qemuarm@5.10"]).exit_code == 0


@pytest.mark.parametrize("text", ["c 1", "x 1:3", "c 1:3 rwx", "c 5000:1", "a *:* rwm", "c 1:3 r w"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(SampanError):
        names.parse_number(text)


def test_the_catalogue_lists_profiles_and_devices() -> None:
    listed = {(row["kind"], row["name"]): row for row in ask("catalogue")}
    assert listed["profile", "gpio"]["danger"] == "high"
    assert "registers" in listed["device", "uio"]["why"]
