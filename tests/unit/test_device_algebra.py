"""The rule algebra against an oracle that asks for every device and access there is."""

from __future__ import annotations

from itertools import product
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sampan.config.rules import Access, Rule, RuleSet
from sampan.core.errors import SampanError
from sampan.devices import algebra

# Rules name the numbers 0 and 1; 2 stands for all the others, which only a `*` reaches.
NUMBERS = st.sampled_from([None, 0, 1])
RULES = st.builds(Rule, st.sampled_from(["c", "b"]), NUMBERS, NUMBERS, st.integers(1, 7).map(Access))
LISTS = st.lists(RULES, max_size=6)
ASKED = list(product("cb", (0, 1, 2), (0, 1, 2), map(Access, range(1, 8))))


def allowed(rules: tuple[Rule, ...] | list[Rule]) -> set[tuple[str, int, int, Access]]:
    """Everything that a list allows, by the model of the kernel."""
    model = RuleSet()
    model.apply("deny", "a")
    for rule in rules:
        model.apply("allow", str(rule))
    return {each for each in ASKED if model.verdict(*each)}  # type: ignore[arg-type]


@given(LISTS)
def test_a_merged_list_allows_the_same(rules: list[Rule]) -> None:
    assert allowed(algebra.merge(rules)) == allowed(rules)


@given(LISTS, st.randoms())
def test_a_merged_list_is_one_text_whatever_the_order(rules: list[Rule], random: Random) -> None:
    merged = algebra.merge(rules)
    shuffled = list(rules)
    random.shuffle(shuffled)
    assert algebra.merge(shuffled) == merged == algebra.merge(merged)


@given(LISTS)
def test_no_rule_of_a_merged_list_can_be_left_out(rules: list[Rule]) -> None:
    merged = algebra.merge(rules)
    for rule in merged:
        assert allowed([other for other in merged if other != rule]) != allowed(merged)


@given(RULES, RULES)
def test_cover(one: Rule, other: Rule) -> None:
    assert algebra.covers(one, other) == (allowed([other]) <= allowed([one]))


@given(RULES, RULES)
def test_overlap(one: Rule, other: Rule) -> None:
    assert algebra.overlap(one, other) == bool(allowed([one]) & allowed([other]))


@given(LISTS, RULES)
def test_subtract(rules: list[Rule], taken: Rule) -> None:
    try:
        left = algebra.subtract(rules, taken)
    except SampanError:
        assume(False)
    gone = {each for each in allowed(rules) if taken.concerns(*each[:3]) and each[3] & taken.access}
    assert allowed(left) == allowed(rules) - gone


@given(LISTS, RULES)
def test_what_cannot_be_subtracted_has_a_hole_in_a_wider_rule(rules: list[Rule], taken: Rule) -> None:
    try:
        algebra.subtract(rules, taken)
    except SampanError as error:
        assert "no exceptions" in error.message
        assert any(None in rule.key and algebra.overlap(rule, taken) for rule in rules)


def test_a_hole_is_refused() -> None:
    with pytest.raises(SampanError, match=r"c 1:5 rw cannot be taken from c 1:\* rw"):
        algebra.subtract([Rule("c", 1, None, Access.READ | Access.WRITE)], Rule("c", 1, 5, Access(6)))
