"""Seccomp policies: the formats, and the compiled programs against the policy by an interpreter of classic BPF."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.config import seccomp, seccomp_bpf, seccomp_calls, seccomp_default
from sampan.config.seccomp import ALLOW, ERRNO, KILL, TRAP, Condition, Policy
from sampan.core.errors import SampanError

AUDIT = [abi.audit for abi in seccomp_calls.ABIS]


def run(insns: list[seccomp_bpf.Insn], data: bytes) -> int:
    """What the kernel's machine returns for one struct seccomp_data."""
    accumulator = at = 0
    while True:
        code, true, false, value = insns[at]
        at += 1
        if code == seccomp_bpf.RET:
            return value
        if code == seccomp_bpf.LOAD:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == seccomp_bpf.AND:
            accumulator &= value
        elif code == seccomp_bpf.JUMP:
            at += value
        else:
            tests = {seccomp_bpf.JEQ: accumulator == value, seccomp_bpf.JGT: accumulator > value,
                     seccomp_bpf.JGE: accumulator >= value}  # fmt: skip
            at += true if tests[code] else false


def data(audit: int, number: int, args: list[int]) -> bytes:
    return struct.pack("<IIQ6Q", number, audit, 0, *args)


def holds(condition: Condition, args: list[int], bits: int) -> bool:
    width = 2**bits - 1
    arg, value, mask = args[condition.index] & width, condition.value & width, condition.mask & width
    return {
        "eq": arg == value, "ne": arg != value, "lt": arg < value, "le": arg <= value, "ge": arg >= value,
        "gt": arg > value, "masked": arg & mask == value,
    }[condition.op]  # fmt: skip


def judge(policy: Policy, arch: str, audit: int, number: int, args: list[int]) -> int:
    """The policy itself, said in the plainest way."""
    abi = next((abi for abi in seccomp_calls.OF_ARCH[arch] if abi.audit == audit), None)
    if abi is None:
        return KILL
    if abi is seccomp_calls.X86_64 and number >= seccomp_calls.X32_BIT:
        return ERRNO | 38 if policy.default == ALLOW else policy.default
    names = {name for name, value in seccomp_calls.table(abi).items() if value == number}
    for rule in policy.rules:
        meant = rule.call in names and rule.abi in ("all", abi.name)
        if meant and all(holds(condition, args, abi.bits) for condition in rule.conditions):
            return rule.action
    return policy.default


TABLES = [seccomp_calls.table(abi) for abi in seccomp_calls.ABIS]
CALLS = ("read", "write", "open", "openat", "mount", "umount2", "ioctl", "clone", "clone3", "mkdir", "getppid", "statx")
NUMBERS = st.one_of(
    st.sampled_from([table[call] for table in TABLES for call in CALLS if call in table]),
    st.integers(0, 500), st.sampled_from([2**32 - 1, 2**30, 2**30 + 1, 2**31]),
)  # fmt: skip
VALUES = st.one_of(
    st.sampled_from([0, 1, 5, 0x5412, 2**32, 2**32 + 5, 2**32 - 1, 2**31, 2**63, 2**64 - 1]), st.integers(0, 2**64 - 1)
)
SECTIONS = st.sampled_from(["", "[all]\n", "[x86_64]\n", "[x86]\n", "[arm64]\n", "[arm]\n", "[mips]\nread\n[all]\n"])


@st.composite
def policies(draw: st.DrawFn) -> str:
    kind = draw(
        st.sampled_from(
            ["denylist", "allowlist", "denylist errno 3", "allowlist trap", "blacklist", "whitelist errno 1"]
        )
    )
    lines = ["2", kind]
    for call in draw(st.lists(st.sampled_from(CALLS), unique=True, max_size=len(CALLS))):
        section = draw(SECTIONS)
        for _ in range(draw(st.integers(1, 3))):
            conditions = ""
            for _ in range(draw(st.integers(0, 2))):
                op = draw(st.sampled_from(["!=", "<", "<=", "==", ">=", ">", "SCMP_CMP_EQ", "&="]))
                mask = f",{draw(VALUES)}" if op == "&=" else ""
                conditions += f"[{draw(st.integers(0, 5))},{draw(VALUES)},{op}{mask}]"
            action = draw(st.sampled_from(["", " errno 1", " errno 38", " kill", " trap", " allow"]))
            lines.append(section + call + action + (" " + conditions if conditions else ""))
            if not conditions:
                break
        lines.append("[all]")
    return "\n".join(lines)


@settings(deadline=None, max_examples=150)
@given(
    policies(),
    st.lists(st.tuples(st.sampled_from(AUDIT), NUMBERS, st.lists(VALUES, min_size=6, max_size=6)), max_size=60),
)
def test_the_program_does_what_the_policy_says(text: str, asked: list[tuple[int, int, list[int]]]) -> None:
    policy = seccomp.parse(text, "p")
    for arch in seccomp_calls.OF_ARCH:
        try:
            insns = seccomp_bpf.program(policy, arch)
        except SampanError as error:
            assert "has another action" in error.message
            continue
        for audit, number, args in asked:
            assert run(insns, data(audit, number, args)) == judge(policy, arch, audit, number, args), arch


def test_long_lists_are_whole() -> None:
    """More calls than one jump reaches, each with an action of its own."""
    names = sorted(seccomp_calls.table(seccomp_calls.X86_64))
    lines = [f"{name} errno {index + 1}" for index, name in enumerate(names)]
    policy = seccomp.parse("2\ndenylist\n[x86_64]\n" + "\n".join(lines), "long")
    insns = seccomp_bpf.program(policy, "x86_64")
    for index, name in enumerate(names):
        number = seccomp_calls.table(seccomp_calls.X86_64)[name]
        assert run(insns, data(seccomp_calls.X86_64.audit, number, [0] * 6)) == ERRNO | index + 1
    assert run(insns, data(seccomp_calls.X86.audit, 3, [0] * 6)) == ALLOW
    assert run(insns, data(0xC00000B7, 3, [0] * 6)) == KILL


def test_version_1_allows_numbers_of_its_own_abi() -> None:
    insns = seccomp_bpf.program(seccomp.parse("1\nallowlist\n0\n1\n60\n", "v1"), "x86_64")
    said = [run(insns, data(seccomp_calls.X86_64.audit, number, [0] * 6)) for number in (0, 1, 2, 59, 60, 61)]
    assert said == [ALLOW, ALLOW, KILL, KILL, ALLOW, KILL]
    assert run(insns, data(seccomp_calls.X86.audit, 0, [0] * 6)) == KILL


def test_words_of_lxc() -> None:
    text = (
        "2\nblacklist # old word\n[ALL]\nreject_force_umount  # comment\n[i386]\nmount errno 13\n[s390x]\nnosuchcall\n"
    )
    policy = seccomp.parse(text, "p")
    force, mount = policy.rules
    assert force.call == "umount2" and force.action == ERRNO | 13 and force.conditions[0].mask == 1
    assert mount.abi == "x86" and mount.action == ERRNO | 13
    assert seccomp.parse("2\nallowlist trap\nread\n", "p").default == TRAP


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "begins with its version"),
        ("3\ndenylist\n", "p:1: version '3'"),
        ("2\nlist\n", "p:2: 'list' is neither"),
        ("1\ndenylist\n", "version 1 knows nothing but allowlist"),
        ("1\nallowlist\nread\n", "p:3: 'read' is no number"),
        ("2\ndenylist\nreed\n", "p:3: no architecture has a system call reed\n  hint: did you mean read?"),
        ("2\ndenylist\n[amd65]\n", "p:3: [amd65] is no architecture"),
        ("2\ndenylist\n[all\n", "is no architecture"),
        ("2\ndenylist\nread errno\n", "errno NUMBER"),
        ("2\ndenylist\nread errno 4096\n", "highest errno"),
        ("2\ndenylist\nread kill 3\n", "errno NUMBER"),
        ("2\ndenylist\nread notify\n", "notify needs a process"),
        ("2\ndenylist\nread refuse\n", "'refuse' is no action"),
        ("2\ndenylist\nread errno 1 [6,0,==]\n", "arguments are 0 to 5"),
        ("2\ndenylist\nread errno 1 [0,0,=]\n", "is no condition"),
        ("2\ndenylist\nread errno 1 [0,0,&=]\n", "is no condition"),
        ("2\ndenylist\nread errno 1 [0,x,==]\n", "not a number"),
        ("2\ndenylist\nread errno 1 [0,0x10000000000000000,==]\n", "64 bits"),
        ("2\ndenylist\nread errno 1 extra\n", "is no rule"),
    ],
)
def test_what_lxc_passes_over_is_an_error(text: str, says: str) -> None:
    with pytest.raises(SampanError) as error:
        seccomp.parse(text, "p")
    assert says in str(error.value)


def test_two_actions_for_one_call_are_an_error() -> None:
    policy = seccomp.parse("2\ndenylist\nread errno 1\nread errno 2 [0,1,==]\n", "p")
    with pytest.raises(SampanError, match="p:4: read has another action in line 3"):
        seccomp_bpf.program(policy, "armv7")


def test_the_built_in_list_is_small_for_it_lies_in_the_runtime() -> None:
    policy = seccomp.parse(seccomp_default.default_path().read_text(), "default")
    assert all(len(seccomp_bpf.program(policy, arch)) < 110 for arch in seccomp_calls.OF_ARCH)


def test_the_header_says_each_instruction_of_each_architecture(tmp_path: Path) -> None:
    out = tmp_path / "seccomp_default.h"
    assert seccomp_default.main(["--c", str(out)]) == 0
    numbers = [int(word, 0) for word in re.findall(r"(?<=[ {])(?:0x[0-9a-f]+|\d+)(?=[, ])", out.read_text())]
    policy = seccomp.parse(seccomp_default.default_path().read_text(), "default")
    assert numbers == [
        field
        for arch in ("x86_64", "x86", "aarch64", "armv7")
        for instruction in seccomp_bpf.program(policy, arch)
        for field in instruction
    ]


def test_a_bad_built_in_list_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy, out = tmp_path / "p", tmp_path / "out.h"
    policy.write_text("2\ndenylist\nno_such_call errno 1\n")
    assert seccomp_default.main(["--policy", str(policy), "--c", str(out)]) == 2
    assert "no_such_call" in capsys.readouterr().err and not out.exists()


def test_numbers_of_calls_that_everybody_knows() -> None:
    want = {"x86_64": (0, 165), "x86": (3, 21), "arm64": (63, 40), "arm": (3, 21)}
    for abi in seccomp_calls.ABIS:
        table = seccomp_calls.table(abi)
        assert (table["read"], table["mount"]) == want[abi.name] and table["clone3"] == 435 and len(table) > 300


def test_the_file_for_the_target(tmp_path: Path) -> None:
    text = b"2\ndenylist\nmount errno 1\n"
    policy = seccomp.parse(text.decode(), "p")
    one, two = (seccomp_bpf.blob(policy, text, "aarch64") for _ in range(2))
    assert (
        one == two
        and one[:8] == b"sampan.1"
        and struct.unpack_from("<II", one, 8) == (0xC00000B7, (len(one) - 24) // 8)
    )
    assert seccomp_bpf.blob(policy, text + b"\n", "aarch64")[24:] == one[24:], "the hash alone knows of the text"
