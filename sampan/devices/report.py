"""One self-contained page on a container's devices: who may touch what and why, and what was proved.

The same plan and proofs give the same bytes. All text from outside (configurations, kernels) is
escaped; the template is report.html, which loads nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from sampan import __version__
from sampan.devices import names, store
from sampan.devices.catalogue import load as catalogue
from sampan.devices.facts import Facts
from sampan.devices.plan import Item, Plan
from sampan.devices.proof import Proof, Wrong, digest

_FEW = 6
_MARKS = {"harmless": "", "shared": "", "high": " !", "never": " !!"}
_WORDS = {
    "harmless": "harmless",
    "shared": "felt by others",
    "high": "dangerous",
    "never": "never without a reason",
}


def page(plan: Plan, proofs: Sequence[Proof]) -> str:
    """The page as HTML; `proofs` are verify's, the newest first."""
    board = plan.facts
    fields = {
        "title": f"{escape(plan.container)} on {escape(board.name)}: devices",
        "container": escape(plan.container),
        "board": escape(board.board),
        "kernel": escape(board.kernel),
        "facts": escape(board.name),
        "version": escape(__version__),
        "tiles": _tiles(plan, proofs),
        "map": _map(plan),
        "reach": _reach(plan),
        "proofs": _proofs(plan, proofs),
        "findings": _findings(plan),
        "proof_heads": "".join(f"<th>{escape(_title(proof))}</th>" for proof in _current(plan, proofs)),
        "rows": "\n".join(_row(item, _current(plan, proofs)) for item in _ordered(plan)),
        "elsewhere": _elsewhere(plan),
        "list": escape(_list(plan)),
    }
    text = (Path(__file__).parent / "report.html").read_text(encoding="utf-8")
    head, *parts = text.split("{{")
    for part in parts:
        name, _, rest = part.partition("}}")
        head += fields[name] + rest
    return head


def _danger(item: Item) -> str:
    return item.row.danger if item.row else "shared"


def _opened(plan: Plan) -> list[Item]:
    return [item for item in plan.items if item.access]


def _ordered(plan: Plan) -> list[Item]:
    return sorted(plan.items, key=lambda item: not item.access)  # open ones first, else by number


def _current(plan: Plan, proofs: Iterable[Proof]) -> list[Proof]:
    """The proofs of this list on this kernel."""
    return [each for each in proofs if each.policy == digest(plan.policy) and each.kernel == plan.facts.kernel]


def _title(proof: Proof) -> str:
    return f"proved, {proof.cgroup}"


def _tile(big: str, small: str, kind: str = "") -> str:
    return f'<div class="tile {kind}"><b>{escape(big)}</b><span>{escape(small)}</span></div>'


def _tiles(plan: Plan, proofs: Sequence[Proof]) -> str:
    risky = [item for item in _opened(plan) if _danger(item) in ("high", "never")]
    unsaid = [item for item in risky if not any(why.reason for why in item.why)]
    current = _current(plan, proofs)
    wrong = sum(len(proof.mismatches) for proof in current)
    errors = sum(finding.level == "error" for finding in plan.findings)
    first = _tile(*plan.count, "" if plan.listed else "bad")
    because = f"of them without a written reason: {len(unsaid)}" if risky else "among what is open"
    second = _tile(f"{len(risky)} dangerous", because, "bad" if unsaid else "")
    if not current:
        others = sorted({proof.kernel for proof in proofs if proof.kernel != plan.facts.kernel})
        third = _tile("not proved", f"on this kernel; on {', '.join(others)}" if others else "on any kernel yet")
    elif wrong:
        third = _tile(_mismatches(wrong), "between this list and the running kernel", "bad")
    else:
        third = _tile("proved", "on cgroup " + ", ".join(sorted({proof.cgroup for proof in current})), "good")
    fourth = _tile(f"{errors} errors", "found by lint in the configuration", "bad" if errors else "good")
    return first + second + third + fourth


def _chip(item: Item, access: bool = True) -> str:
    if not item.access:
        return f'<span class="chip closed" title="{_tip(item)}">{escape(item.name)}</span>'
    letters = f"<i>{escape(item.access)}</i>" if access else ""
    mark = _MARKS[_danger(item)]
    name = escape(item.name if item.node else item.number)
    return f'<span class="chip {_danger(item)}" title="{_tip(item)}">{name}{mark}{letters}</span>'


def _tip(item: Item) -> str:
    what = item.row.what if item.row else "not in the catalogue"
    return escape(f"{item.name} {item.number}: {what}")


def _map(plan: Plan) -> str:
    groups: dict[str, list[Item]] = {}
    for item in plan.items:
        group = item.node.subsystem if item.node else (item.row.subsystem or ("other",))[0] if item.row else "other"
        groups.setdefault(group or "other", []).append(item)
    ordered = sorted(groups.items(), key=lambda group: (-sum(bool(item.access) for item in group[1]), group[0]))
    shut = next((n for n, (_, items) in enumerate(ordered) if not any(item.access for item in items)), len(ordered))
    return "\n".join(
        f'<div class="map{" shut" * bool(number)}">' + "\n".join(_group(*group) for group in part) + "</div>"
        for number, part in enumerate((ordered[:shut], ordered[shut:]))
        if part
    )


def _group(name: str, items: list[Item]) -> str:
    opened = [item for item in items if item.access]
    closed = [item for item in items if not item.access]
    few = opened[: 4 * _FEW]
    cells = "".join(_chip(item) for item in few)
    cells += f'<span class="quiet">and {len(opened) - len(few)} more</span>' if len(opened) > len(few) else ""
    cells += "".join(f'<span class="hole" title="{_tip(item)}"></span>' for item in closed)
    devices = [item for item in opened if item.node]
    numbers = (len(devices), "open"), (len(closed), "closed"), (len(opened) - len(devices), "without a device")
    count = ", ".join(f"{number} {what}" for number, what in numbers if number)
    some = " some" if opened else ""
    return f'<div class="group{some}"><h3>{escape(name)}<span>{count}</span></h3><div class="cells">{cells}</div></div>'


def _reach(plan: Plan) -> str:
    """Open devices whose hardware has other doors."""
    by_name = {item.name: item for item in plan.items if item.node}
    lines = []
    for item in _opened(plan) if plan.listed else []:
        others = [by_name[name] for name in item.same]
        if not others:
            continue
        others.sort(key=lambda other: not other.access)
        chips = "".join(_chip(other, access=False) + " " for other in others[:_FEW])
        more = f'<span class="quiet">and {len(others) - _FEW} more</span>' if len(others) > _FEW else ""
        lines.append(f'<div><span>{_chip(item)}</span><em>&harr;</em><span class="cells">{chips}{more}</span></div>')
    if not lines:
        return ""
    about = "Open devices on the left; on the right other devices that may reach the same hardware, dashed when closed."
    return (
        f'<h2>The same hardware by another name</h2><p class="about">{about}</p>'
        f'<div class="card reach">{"".join(lines)}</div>'
    )


def _proofs(plan: Plan, proofs: Sequence[Proof]) -> str:
    about = "verify asked a running kernel, from inside the container, of every device and a grid of other numbers."
    if not proofs:
        hint = f"sampan devices verify qemu:{plan.facts.board} {plan.container}"
        body = f'<div class="card">Not on any kernel yet: <code>{escape(hint)}</code></div>'
    else:
        rows = "".join(_proof(plan, proof) for proof in proofs)
        heads = "<th>kernel</th><th>cgroup</th><th>when</th><th>on</th><th>asked</th><th>result</th>"
        body = f'<table class="cards"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
    return f'<h2>What was proved</h2><p class="about">{about}</p>{body}'


def _proof(plan: Plan, proof: Proof) -> str:
    old = "" if proof.policy == digest(plan.policy) else ' <span class="no">of another list than this one</span>'
    result = '<span class="ok">&#10003; just what the list says</span>'
    if not proof.good:
        lines = "".join(f"<li>{_mismatch(each)}</li>" for each in proof.mismatches[: 4 * _FEW])
        result = f'<span class="no">&#10007; {_mismatches(len(proof.mismatches))}</span><ul class="plain">{lines}</ul>'
    asked = f"{proof.devices} devices, {proof.asked - proof.devices} other numbers"
    when = proof.when.replace("T", " ").removesuffix("Z") + " UTC"
    named = {"kernel": proof.kernel, "cgroup": proof.cgroup, "when": when, "on": proof.target, "asked": asked}
    cells = "".join(f"<td data-l='{name}'>{escape(cell)}</td>" for name, cell in named.items())
    tried = "" if proof.mknod else ' <span class="quiet">(m not tried: no CAP_MKNOD)</span>'
    return f"<tr>{cells}<td data-l='result'>{result}{tried}{old}</td></tr>"


def _mismatches(number: int) -> str:
    return f"{number} mismatch{'es' * (number != 1)}"


def _mismatch(each: Wrong) -> str:
    said, real = ("allowed", "refused") if each.wanted else ("refused", "allowed")
    return escape(f"{each.name} {each.number}: {each.ask} should be {said}, is {real}: {each.why}")


def _findings(plan: Plan) -> str:
    if not plan.findings:
        return ""
    items = "".join(
        f'<li><span class="{"no" if each.level == "error" else "quiet"}">{each.level}</span> '
        f"line {each.line}: {escape(each.message)} <span class='quiet'>[{each.lint}]</span></li>"
        for each in plan.findings
    )
    return f'<h2>What lint says</h2><div class="card"><ul class="plain">{items}</ul></div>'


def _row(item: Item, proofs: Sequence[Proof]) -> str:
    row = item.row
    what = f"{escape(row.what)}, " if row else "not in the catalogue, "
    danger = _danger(item)
    what += f'<span class="badge {danger}">{_WORDS[danger]}</span>'
    what += f'<br><span class="quiet">{escape(row.reason)}</span>' if row and row.reason and item.access else ""
    why = "<br>".join(
        f"<code>{escape(each.text)}</code> <span class='quiet line'>line {each.line}</span>"
        + (f"<br>{escape(each.reason)}" if each.reason else "")
        for each in item.why
    )
    name = f"/dev/{item.name}" if item.node else "no device" if item.name == names.NOTHING else f"{item.name} (driver)"
    cells = [
        f"<td><b class='mono'>{escape(name)}</b></td>",
        f"<td data-l='number' class='mono'>{escape(item.number)}</td>",
    ]
    cells.append(f"<td data-l='may' class='mono'><b>{escape(item.access) or '-'}</b></td>")
    cells.append(f"<td data-l='is'>{what}</td><td data-l='why'>{why}</td>")
    also = ", ".join(item.same[:_FEW]) + (f" and {len(item.same) - _FEW} more" if len(item.same) > _FEW else "")
    also = f"{'<br>' if item.place else ''}also by {escape(also)}" if also else ""
    cells.append(f"<td data-l='hardware' class='hw'>{escape(item.place)}{also}</td>")
    cells += [f"<td data-l='{escape(_title(proof))}'>{_judged(item, proof)}</td>" for proof in proofs]
    off = "" if item.access else ' class="off"'
    return f"<tr{off}>{''.join(cells)}</tr>"


def _judged(item: Item, proof: Proof) -> str:
    """Did the kernel do what the list says for this device?"""
    if any(each.number == item.number for each in proof.mismatches):
        return '<span class="no">&#10007;</span>'
    asked = {row.number for row in proof.rows}
    whole = item.number.endswith(":*") and any(number.startswith(item.number[:-1]) for number in asked)
    return '<span class="ok">&#10003;</span>' if item.number in asked or whole else '<span class="quiet">-</span>'


def _elsewhere(plan: Plan) -> str:
    """What the numbers of the list are under the other kernels of this board that are known."""
    others = [
        store.load(*name) for name in store.names() if name[0] == plan.facts.board and name[1] != plan.facts.kernel
    ]
    rows = []
    for item in _opened(plan) if plan.listed else []:
        if item.node is None:
            continue
        cells = [_there(item, facts) for facts in others]
        if any(cells):
            same = '<span class="quiet">the same</span>'
            rows.append(
                f"<tr><td><b class='mono'>/dev/{escape(item.name)}</b></td><td class='mono'>{item.number}</td>"
                + "".join(f"<td>{cell or same}</td>" for cell in cells)
                + "</tr>"
            )
    if not rows:
        return ""
    heads = "".join(f"<th>{escape(facts.kernel)}</th>" for facts in others)
    about = (
        "Numbers of this list that mean something else under other kernels of the board: resolve it again for those."
    )
    return (
        f'<h2>On other kernels</h2><p class="about">{about}</p><div class="scroll"><table><thead><tr><th>device</th>'
        f"<th>here</th>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _there(item: Item, facts: Facts) -> str:
    """ "" when the number is the same device there."""
    assert item.node is not None
    node = facts.by_name.get(item.name)
    if node and node.key == item.node.key:
        return ""
    there = f"<span class='mono'>{node.number}</span>" if node else "no such device"
    taken = names.meaning(facts, catalogue(), names.exact(item.node)).short
    return there + (f"; {item.number} is <span class='no'>{escape(taken)}</span>" if taken != names.NOTHING else "")


def _list(plan: Plan) -> str:
    if not plan.listed:
        denied = "".join(f"deny {rule}\n" for rule in plan.model.rules.values())
        return "every device is allowed" + (f", but\n{denied}" if denied else "\n")
    return "".join(f"{rule}\n" for rule in plan.rules) or "no device is allowed\n"
