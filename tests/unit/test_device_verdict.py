"""The judgement of verify: any difference between a policy and what the kernel does is found, and only those."""

from __future__ import annotations

import errno
from itertools import product

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from sampan.build import prober
from sampan.cli import devices_verify
from sampan.cli.devices import command
from sampan.config.rules import Access, Rule, RuleSet
from sampan.control import verify
from sampan.core.errors import SampanError
from sampan.devices import catalogue, policyfile, proof, store, verdict
from sampan.devices.verdict import ASKS, Answer

NUMBERS = list(product("cb", (0, 1, 2), (1, 2, 3)))
RULES = st.builds(
    Rule,
    st.sampled_from(["c", "b"]),
    st.sampled_from([None, 0, 1]),
    st.sampled_from([None, 1, 2]),
    st.integers(1, 7).map(Access),
)
LISTS = st.lists(RULES, max_size=5)


def model(rules: list[Rule], verb: str = "allow") -> RuleSet:
    made = RuleSet(allow_default=verb == "deny")
    for rule in rules:
        made.apply(verb, str(rule))  # type: ignore[arg-type]
    return made


def kernel(of: RuleSet) -> dict[verdict.Number, Answer]:
    """What prober.c brings from a kernel that does just what the model says."""
    found = {}
    for number in NUMBERS:
        codes = [0 if of.verdict(*number, access) else errno.EPERM for access in ASKS.values()]  # type: ignore[arg-type]
        if Answer(*codes) != verdict.REFUSED:
            found[number] = Answer(*codes)
    return found  # type: ignore[return-value]


@given(LISTS, LISTS, st.sampled_from(["allow", "deny"]))
def test_a_difference_is_a_mismatch_and_nothing_else_is(policy: list[Rule], real: list[Rule], verb: str) -> None:
    wanted, actual = model(policy), model(real, verb)
    wrong = verdict.compare(wanted, kernel(actual), NUMBERS, actual, may_mknod=True)  # type: ignore[arg-type]
    differ = {
        (number, ask)
        for number in NUMBERS
        for ask, access in ASKS.items()
        if wanted.verdict(*number, access) != actual.verdict(*number, access)  # type: ignore[arg-type]
    }
    assert {(each.number, each.ask) for each in wrong} == differ
    assert all(each.why and "report this" not in each.why for each in wrong)


def test_each_mismatch_says_whose_fault_it_is() -> None:
    policy, nothing = model([Rule("c", 1, 3, Access.READ)]), RuleSet()
    number = ("c", 1, 3)

    def why(answer: Answer, actual: RuleSet | None) -> str:
        return verdict.compare(policy, {number: answer}, [number], actual, may_mknod=False)[0].why  # type: ignore[dict-item,list-item]

    assert "a cgroup above" in why(verdict.REFUSED, policy)
    assert "no rule for it" in why(verdict.REFUSED, model([]))
    assert "no device list" in why(Answer(0, 0, 0, 1), None)
    assert "everything but what it denies" in why(Answer(0, 0, 0, 1), nothing)
    assert "EACCES (Permission denied): not the device list" in why(Answer(13, 1, 1, 1), policy)
    assert "report this" in why(Answer(0, 0, 0, 1), policy)
    assert "access(2) said" in why(Answer(0, 1, 1, 1, open=0), policy)


@pytest.mark.parametrize("text", ["", "c1:3 0 0 0 0 0\n", "c1:3 0 0\nend 4\n", "sh: not found\nend 1\n"])
def test_an_answer_that_is_not_whole_is_no_answer(text: str) -> None:
    with pytest.raises(SampanError):
        verdict.answers(text)


def test_names_are_resolved_as_on_the_board() -> None:
    facts, rows = store.find("qemuarm@6.1.0-50-armmp"), catalogue.load()
    text = "lxc.cgroup.devices.deny = a\nlxc.cgroup.devices.allow = /dev/rtc0 r\n"
    made = verdict.in_force(policyfile.loads(text, "c"), facts, rows)
    assert [str(rule) for rule in made.rules.values()] == ["c 252:0 r"]
    assert ("c", 252, 1) in verdict.sweep([facts], made) and ("c", 253, 0) in verdict.sweep([facts], made)
    with pytest.raises(SampanError, match=r"c:1: /dev/nosuch r: qemuarm@6.1.0-50-armmp has no such device"):
        verdict.in_force(policyfile.loads("lxc.cgroup.devices.allow = /dev/nosuch r\n", "c"), facts, rows)


def test_the_prober_is_small_enough_for_a_slow_line() -> None:
    for machine in ("x86_64", "i686", "armv6l", "armv7l", "aarch64"):
        assert len(prober.program(machine)) < 2300, machine
    with pytest.raises(SampanError, match="no prober for a machine 'riscv64'"):
        prober.program("riscv64")


def test_targets() -> None:
    for words, message in (
        (["verify", "qemuarm", "web"], "did you mean qemu:qemuarm"),
        (["probe", "/dev/ttyUSB99"], "which board is it"),
        (["verify", "/dev/nosuch-line", "web"], "no such device"),
        (["verify", "/dev/tty?speed=1", "web"], "no option of a line"),
    ):
        with pytest.raises(SampanError) as caught:
            CliRunner().invoke(command, words, catch_exceptions=False)
        assert message in str(caught.value)
    assert verify.THROWAWAY not in store.names()


def test_the_table_has_one_line_for_many_numbers_of_a_driver(capsys: pytest.CaptureFixture[str]) -> None:
    ptys = [proof.Row(number=f"c 136:{minor}", name="pts", wanted="rw", found="rw") for minor in range(7)]
    wrong = proof.Wrong(number="c 1:3", name="null", ask="write", wanted=True, why="its cgroup refuses it")
    found = proof.Proof(
        board="b",
        kernel="k",
        cgroup="v2",
        container="c",
        target="t",
        when="w",
        policy="p",
        asked=5000,
        devices=90,
        mknod=False,
        rows=[proof.Row(number="c 1:3", name="null", wanted="rw", found="r"), *ptys],
        mismatches=[wrong],
    )
    devices_verify.show(found)
    out = capsys.readouterr().out
    assert "c 136:* (7 asked)" in out and "c 136:1 " not in out
    assert "MISMATCH c 1:3 null: write is refused, the policy says allowed: its cgroup refuses it\n1 mismatch\n" in out
    assert "m was not tried" in out and "proved" not in out
