"""A seccomp policy as a classic BPF program, and as the file that the runtime loads.

The program looks at the architecture first (whatever else comes in is killed), then at the number of the
call, then at its arguments. The same policy gives the same bytes on every host.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from sampan.config import seccomp_calls as calls
from sampan.config.seccomp import ALLOW, ERRNO, KILL, Condition, Policy, Rule
from sampan.core.errors import EXIT_USAGE, SampanError

#: include/uapi/linux/bpf_common.h: loads from seccomp_data, AND, jumps, return
LOAD, AND, JUMP, JEQ, JGT, JGE, RET = 0x20, 0x54, 0x05, 0x15, 0x25, 0x35, 0x06
_NUMBER, _ARCH, _ARGS = 0, 4, 16  # offsets in struct seccomp_data
INSNS_MAX = 4096  #: BPF_MAXINSNS
_REACH = 255  # of a conditional jump
_GROUP = 8  # tests that one test skips: the kernel runs a new filter once for every number there is
_ENOSYS = ERRNO | 38

MAGIC = b"sampan.1"
_HEADER = struct.Struct("<8sIIQ")  # magic, AUDIT_ARCH of the runtime, instructions, hash of the text

Insn = tuple[int, int, int, int]  #: code, jump if true, jump if false, constant


@dataclass(frozen=True)
class _Jump:
    """A conditional jump before its targets have places; None is the next instruction."""

    code: int
    value: int
    true: str | None
    false: str | None


_Line = Insn | _Jump | str  # a str is a label


def _assemble(lines: list[_Line], what: str) -> list[Insn]:
    places: dict[str, int] = {}
    flat: list[Insn | _Jump] = []
    for line in lines:
        if isinstance(line, str):
            places[line] = len(flat)
        else:
            flat.append(line)
    out: list[Insn] = []
    for at, line in enumerate(flat):
        if isinstance(line, _Jump):
            true, false = (0 if label is None else places[label] - at - 1 for label in (line.true, line.false))
            if max(true, false) > _REACH:
                raise SampanError(f"{what}: too many conditions for one system call", code=EXIT_USAGE)
            out.append((line.code, true, false, line.value))
        else:
            out.append(line)
    return out


def _condition(condition: Condition, bits: int, fail: str, passed: str) -> list[_Line]:
    """Goes on behind itself when it holds. Arguments of 32-bit calls have nothing above."""
    low, high = _ARGS + 8 * condition.index, _ARGS + 8 * condition.index + 4
    value, op = condition.value, condition.op
    top, bottom = value >> 32, value & 0xFFFFFFFF
    wide = bits == 64
    if op in ("eq", "masked"):
        lines: list[_Line] = []
        for offset, part, shift in ((high, top, 32), (low, bottom, 0)):
            mask = condition.mask >> shift & 0xFFFFFFFF
            if (shift and not wide) or (op == "masked" and mask == 0 and part == 0):
                continue
            lines.append((LOAD, 0, 0, offset))
            if op == "masked" and mask != 0xFFFFFFFF:
                lines.append((AND, 0, 0, mask))
            lines.append(_Jump(JEQ, part, None, fail))
        return lines
    if op == "ne":
        first: list[_Line] = [(LOAD, 0, 0, high), _Jump(JEQ, top, None, passed)] if wide else []
        return [*first, (LOAD, 0, 0, low), _Jump(JEQ, bottom, fail, None)]
    above = op in ("gt", "ge")
    code = JGT if op in ("gt", "le") else JGE
    yes, no = (passed, fail) if above else (fail, passed)
    first = [(LOAD, 0, 0, high), _Jump(JGT, top, yes, None), _Jump(JEQ, top, None, no)] if wide else []
    return [*first, (LOAD, 0, 0, low), _Jump(code, bottom, None if above else fail, fail if above else None)]


def _leaf(rules: list[Rule], default: int, bits: int, what: str) -> tuple[Insn, ...]:
    """What happens to one call: the rules in their order, the first that holds."""
    lines: list[_Line] = []
    for index, rule in enumerate(rules):
        fail = f"fail{index}"
        for number, condition in enumerate(rule.conditions):
            passed = f"pass{index}.{number}"
            lines += [*_condition(condition, bits, fail, passed), passed]
        lines += [(RET, 0, 0, rule.action), fail]
        if not rule.conditions:
            return tuple(_assemble(lines, what))
    return tuple(_assemble([*lines, (RET, 0, 0, default)], what))


def _by_number(policy: Policy, abi: calls.Abi) -> dict[int, list[Rule]]:
    table = calls.table(abi)
    found: dict[int, list[Rule]] = {}
    for rule in policy.rules:
        number = rule.number if rule.number is not None else table.get(rule.call)
        if number is not None and rule.abi in ("all", abi.name):
            found.setdefault(number, []).append(rule)
    for rules in found.values():
        plain = [rule for rule in rules if not rule.conditions]
        clash = next((rule for rule in rules if plain and rule.action != plain[0].action), None)
        if clash is not None:
            raise SampanError(
                f"{policy.path}:{clash.line}: {clash.call} has another action in line {plain[0].line}, unconditionally",
                hint="LXC would obey that one alone",
                code=EXIT_USAGE,
            )
        if plain:
            rules[:] = plain[:1]
    return found


def _ranges(leaves: dict[int, tuple[Insn, ...]]) -> list[tuple[int, int, tuple[Insn, ...]]]:
    """Neighbours of one fate together: (first, last, what happens)."""
    ranges: list[tuple[int, int, tuple[Insn, ...]]] = []
    for number in sorted(leaves):
        if ranges and ranges[-1][1] == number - 1 and ranges[-1][2] == leaves[number]:
            ranges[-1] = (ranges[-1][0], number, leaves[number])
        else:
            ranges.append((number, number, leaves[number]))
    return ranges


def _chunks(ranges: Iterable[tuple[int, int, tuple[Insn, ...]]]) -> list[list[tuple[int, int, tuple[Insn, ...]]]]:
    """Tests whose targets are in reach behind them."""
    chunks: list[list[tuple[int, int, tuple[Insn, ...]]]] = []
    for each in ranges:
        if chunks:
            together = [*chunks[-1], each]
            tests = 2 * len(together) + 2 * (len(together) // _GROUP) + 1
            if tests + sum(map(len, {leaf for _, _, leaf in together})) <= _REACH:
                chunks[-1].append(each)
                continue
        chunks.append([each])
    return chunks


def _calls(policy: Policy, abi: calls.Abi) -> list[Insn]:
    """The program of one ABI; the number of the call is loaded."""
    leaves = {
        number: _leaf(rules, policy.default, abi.bits, f"{policy.path}: {rules[0].call}")
        for number, rules in _by_number(policy, abi).items()
    }
    default: tuple[Insn, ...] = ((RET, 0, 0, policy.default),)
    out: list[Insn] = []
    for chunk in _chunks(each for each in _ranges(leaves) if each[2] != default):
        tails = list(dict.fromkeys(leaf for _, _, leaf in chunk))
        lines: list[_Line] = []
        for index, (first, last, leaf) in enumerate(chunk):
            label = f"leaf{tails.index(leaf)}"
            if index % _GROUP == 0 and index > 0:
                lines += [_Jump(JGE, 0, "none", None), f"group{index}"]  # always: below what follows
            if index % _GROUP == 0 and index + _GROUP < len(chunk):
                lines.append(_Jump(JGT, chunk[index + _GROUP - 1][1], f"group{index + _GROUP}", None))
            if first == last:
                lines.append(_Jump(JEQ, first, label, None))
            else:
                lines += [_Jump(JGE, first, None, f"past{first}"), _Jump(JGT, last, None, label), f"past{first}"]
        lines += ["none", (JUMP, 0, 0, sum(map(len, tails)))]
        for index, leaf in enumerate(tails):
            lines += [f"leaf{index}", *leaf]
        out += _assemble(lines, policy.path)
    return [*out, *default]


def program(policy: Policy, arch: str) -> list[Insn]:
    """The filter for one architecture: its own ABI and those its kernel offers besides."""
    abis = calls.OF_ARCH[arch][: 1 if policy.native_only else None]
    out: list[Insn] = [(LOAD, 0, 0, _ARCH)]
    for abi in abis:
        body: list[Insn] = [(LOAD, 0, 0, _NUMBER)]
        if abi is calls.X86_64:  # the x32 ABI has the same AUDIT_ARCH and other numbers: a way around a list
            body += [(JGE, 0, 1, calls.X32_BIT), (RET, 0, 0, _ENOSYS if policy.default == ALLOW else policy.default)]
        body += _calls(policy, abi)
        out += [(JEQ, 1, 0, abi.audit), (JUMP, 0, 0, len(body)), *body]
    out.append((RET, 0, 0, KILL))
    if len(out) > INSNS_MAX:
        raise SampanError(f"{policy.path}: {len(out)} instructions; a filter has at most {INSNS_MAX}", code=EXIT_USAGE)
    return out


def encode(insns: Iterable[Insn]) -> bytes:
    """struct sock_filter, as the kernel takes them on all our machines, which are little-endian."""
    return b"".join(struct.pack("<HBBI", *insn) for insn in insns)


def text_hash(text: bytes) -> int:
    """FNV-1a, 64 bits: tells the runtime that a policy was changed after it had been compiled."""
    value = 0xCBF29CE484222325
    for byte in text:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def blob(policy: Policy, text: bytes, arch: str) -> bytes:
    """The file POLICY.ARCH.bpf."""
    insns = program(policy, arch)
    native = calls.OF_ARCH[arch][0].audit
    return _HEADER.pack(MAGIC, native, len(insns), text_hash(text)) + encode(insns)
