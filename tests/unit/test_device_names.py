"""why, who and diff: what people ask about numbers, answered from real kernels."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sampan.cli.devices import command
from sampan.cli.devices_names import one
from sampan.core.errors import SampanError
from sampan.devices import catalogue, diff, names, store
from sampan.devices.facts import Facts


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
    assert answer["device"] == "no device, the number is tpm's"
    (answer,) = ask("why", "c 233:0", "--board", "qemuarm@6.1")
    assert answer["device"] == "nothing"
    (answer,) = ask("why", "c 204:65", "--board", "qemuarm@6.1")
    assert answer["device"] == "no device, the number is ttyAMA's"


def by_board(*words: str) -> dict[str, str]:
    output = CliRunner().invoke(command, list(words), catch_exceptions=False).output
    lines = [line.split(None, 1) for line in output.splitlines()[2:]]
    assert len(lines) == len({board for board, _ in store.names()}), "one line for each board"
    return dict(lines)


def test_why_and_who_answer_in_a_line_for_each_board() -> None:
    said = by_board("why", "c 252:0")
    assert said["ast2600-evb"] == "rtc0"
    assert said["qemuarm"] == "no device, the number is media's on 5.10; rtc0 on 6.1, 6.12"
    numbers = by_board("who", "/dev/rtc0")
    assert numbers["ast2600-evb"] == "c 252:0 rtc0" and numbers["sabrelite"] == "-"
    assert numbers["qemuarm"] == "c 253:0 rtc0 on 5.10; c 252:0 rtc0 on 6.1, 6.12"
    assert "on 5.10.0-46-amd64" in numbers["qemux86-64"], "a cut kernel is one that BOARD@KERNEL takes"


@pytest.mark.parametrize("words", [("why", "c 252:0"), ("who", "rtc0")])
def test_all_kernels_with_the_hardware_on_demand(words: tuple[str, str]) -> None:
    everything = CliRunner().invoke(command, [*words, "--all"], catch_exceptions=False).output
    assert len(everything.splitlines()) == 2 + len(store.names()) and "rtc-pl031, /pl031@9010000" in everything


def test_a_board_alone_is_its_image_never_a_near_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPAN_BUILD", str(tmp_path))
    made = tmp_path / "highbank" / "kernel" / "kernel.json"
    made.parent.mkdir(parents=True)
    made.write_text('{"release": "6.1.0-50-armmp"}')
    assert one("highbank").kernel == "6.1.0-50-armmp"
    made.write_text('{"release": "6.1.0-51-armmp"}')
    with pytest.raises(SampanError, match=r"no facts of highbank under Linux 6\.1\.0-51-armmp") as caught:
        one("highbank")
    assert "sampan devices probe qemu:highbank" in caught.value.hint and "highbank@6.1.0-50-armmp" in caught.value.hint
    assert one("highbank@6.1").kernel == "6.1.0-50-armmp", "the kernel was named"


def test_a_kernel_cut_short_is_found_again() -> None:
    for board, kernel in store.names():
        known = [each for name, each in store.names() if name == board]
        assert store.find(f"{board}@{store.short(kernel, known)}").kernel == kernel


def test_a_number_that_the_kernel_keeps_is_named_where_nothing_has_it() -> None:
    (answer,) = ask("why", "c 10:200", "--board", "qemuarm@6.1")
    assert answer["device"] == "nothing (kept for tun)"


def test_many_kernels_in_a_few_words() -> None:
    assert names.kernels(["pc@1", "pc@2", "raspi0@1"]) == "pc@1, pc@2, raspi0@1"
    assert names.kernels([f"pc@{n}" for n in range(4)]) == "4 kernels of pc"
    assert names.kernels(["a@1", "b@1", "b@2", "c@1", "d@1"]) == "4 boards (a, b, +2)"
    assert names.kernels(["a@1", "a@2", "b@1", "b@2"]) == "2 boards (a, b)"


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
    changes = diff.compare(store.find("qemuarm@5.10"), store.find("qemuarm@6.1"), rows)
    clock = next(change for change in changes if change.name == "rtc0")
    assert clock.kind == "recycled"
    assert clock.text.startswith("rtc0 moved c 253:0 -> c 252:0; c 253:0 is now tpm's")
    assert diff.compare(store.find("qemuarm@6.1"), store.find("qemuarm@6.1"), rows) == []


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


def changed(old: Facts, new: Facts) -> dict[str, diff.Change]:
    return {change.name: change for change in diff.compare(old, new, catalogue.load())}


def without(facts: Facts, *gone: str) -> Facts:
    return dataclasses.replace(facts, nodes=tuple(node for node in facts.nodes if node.name not in gone))


def test_a_device_that_is_gone_leaves_its_number_to_its_driver() -> None:
    old = store.find("qemuarm@6.1")
    found = changed(old, without(old, "input/event0", "rtc0", "vga_arbiter"))
    assert {name: each.kind for name, each in found.items()} == dict.fromkeys(found, "gone") and len(found) == 3
    assert found["input/event0"].text == (
        "input/event0 is gone (c 13:64); c 13:64 is still input's, which has no such device here"
    )
    assert "c 252:0 is still rtc's" in found["rtc0"].text
    # Of major 10 each number has a holder of its own.
    other = dataclasses.replace(old, misc=tuple(each for each in old.misc if each.name != "vga_arbiter"))
    number = old.by_name["vga_arbiter"].number
    assert changed(old, without(other, "vga_arbiter"))["vga_arbiter"].text == f"vga_arbiter is gone ({number})"


def test_a_device_that_is_gone_and_whose_number_another_driver_took_is_recycled() -> None:
    old = store.find("qemuarm@6.1")
    majors = tuple(dataclasses.replace(each, name="watch") if each.name == "rtc" else each for each in old.majors)
    found = changed(old, without(dataclasses.replace(old, majors=majors), "rtc0"))["rtc0"]
    assert found.kind == "recycled"
    assert found.text == "rtc0 is gone (c 252:0); c 252:0 is now watch's: a list for the old kernel opens that"


def test_a_driver_with_another_name_and_the_same_devices_is_renamed() -> None:
    old = store.find("sabrelite@6.1")
    majors = tuple(dataclasses.replace(each, name="gpio") if each.name == "gpiochip" else each for each in old.majors)
    found = changed(old, without(dataclasses.replace(old, majors=majors), "gpiochip6"))
    assert {name: each.kind for name, each in found.items()} == {"gpiochip": "renamed", "gpiochip6": "gone"}
    assert found["gpiochip"].text == "driver gpiochip is called gpio now; it still holds c 254:*"
    assert "c 254:6 is still gpio's" in found["gpiochip6"].text


def test_a_device_with_another_name_at_the_same_place_is_renamed() -> None:
    old = store.find("qemuarm@6.1")
    nodes = tuple(dataclasses.replace(node, name="rtc1") if node.name == "rtc0" else node for node in old.nodes)
    assert list(changed(old, dataclasses.replace(old, nodes=nodes)).values()) == [
        diff.Change("renamed", "rtc0", "rtc0 is called rtc1 now; it is still c 252:0")
    ]
    elsewhere = tuple(dataclasses.replace(node, of_node="/x") if node.name == "rtc1" else node for node in nodes)
    assert changed(old, dataclasses.replace(old, nodes=elsewhere))["rtc0"].kind == "recycled"


def test_recycled_is_never_said_of_a_driver_that_stayed() -> None:
    """On all pairs of kernels of a board: what is recycled has another device, or another driver, at its number."""
    rows, seen = catalogue.load(), 0
    for old, new in itertools.permutations(store.load_all(), 2):
        for change in diff.compare(old, new, rows) if old.board == new.board else ():
            node = old.by_name.get(change.name)
            if change.kind == "recycled" and node and node.key not in new.by_number:
                seen += 1
                rule = names.exact(node)
                assert not set(names.holders(old, rule)) & set(names.holders(new, rule)), change.text
    assert seen > 20
