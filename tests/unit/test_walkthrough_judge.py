"""The walk-through's judge: it must be able to say no."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from sampan.control.walkthrough import Check, Stage, judge, run_stage, stages
from sampan.core.errors import SampanError


@dataclass(frozen=True)
class Said:
    status: int
    output: str


class Script:
    """A shell that answers from a list and remembers what was typed."""

    def __init__(self, *replies: Said) -> None:
        self.replies = list(replies)
        self.typed: list[str] = []

    def run(self, command: str) -> Said:
        self.typed.append(command)
        return self.replies.pop(0) if self.replies else Said(0, "")


@pytest.mark.parametrize(
    ("check", "reply"),
    [
        (Check("x"), Said(1, "")),
        (Check("x", code=None), Said(0, "")),
        (Check("x", says=("^yes$",)), Said(0, "no\n")),
        (Check("x", never=("no",)), Said(0, "no\n")),
    ],
)
def test_a_wrong_reply_is_refused_with_command_and_output(check: Check, reply: Said) -> None:
    with pytest.raises(SampanError, match="on the target: x") as caught:
        judge(check, reply)
    assert all(f"| {line}" in caught.value.message for line in reply.output.splitlines())


def test_a_right_reply_passes_with_serial_line_ends() -> None:
    judge(Check("x", code=None, says=("^yes$",), never=("no",)), Said(3, "yes\r\n"))


def test_a_failed_stage_is_undone() -> None:
    shell = Script(Said(0, ""), Said(1, "broken"))
    with pytest.raises(SampanError):
        run_stage(shell, Stage("s", "t", (Check("one"), Check("two"), Check("three")), undo=("clean",)))
    assert shell.typed == ["one", "two", "clean"]


def test_each_stage_checks_something_that_can_fail() -> None:
    for stage in stages():
        assert any(check.says or check.never or check.code != 0 for check in stage.checks), stage.name
