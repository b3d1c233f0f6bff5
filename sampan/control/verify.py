"""Verify: ask the running kernel what a container may do to devices, and compare with its policy.

The target needs a shell, mount, lxc-attach (sampan's or LXC's) and a kernel of any age. All nodes
are made outside, on a tmpfs of our own that the container gets as its stdin: so it needs no right
to make nodes, and numbers without a device can be asked about, too. A container without a /proc
has no way to that tmpfs: the prober then has its cgroup and its capabilities, and the host's files.
prober.c says what is asked.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath

from sampan.build import prober
from sampan.config.rules import Kind, RuleSet
from sampan.control.shells import Shell, Subject
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.devices import catalogue, dump, policyfile, proof, store, verdict
from sampan.devices.facts import Facts
from sampan.devices.policyfile import Policy
from sampan.devices.verdict import Mismatch, Number

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_INCLUDES = 8  #: deep
THROWAWAY = "sampan-verify"  #: a container that is made for one list
_HOME = "/var/lib/lxc"
#: Minors that are asked of every major, besides those of devices and rules.
_GRID: dict[Kind, tuple[int, ...]] = {"c": (0, 1, 3, 8, 64, 130, 255), "b": (0, 1)}

_SCRIPT = """\
d={folder}
mkdir -p $d && mount -t tmpfs -o mode=755,size=16m none $d || exit 1
trap 'cd /; umount $d; rmdir $d' EXIT
cd $d
printf '{program}' >prober && chmod 755 prober || exit 1
set -- $(lxc-info -n {name} -p)
pid=$2
echo "@@ pid $pid"
while read -r a b c; do echo "@@ uid_map $c"; done </proc/$pid/uid_map
while IFS=: read -r a b c; do echo "@@ cgroup $b"; done </proc/$pid/cgroup
while read -r a b; do [ "$a" = CapBnd: ] && echo "@@ caps $b"; done </proc/$pid/status
lxc-cgroup -n {name} devices.list 2>/dev/null >.list && while read -r a; do echo "@@ list $a"; done <.list
rm -f .list
i=0
{{
while [ $((i+=1)) -lt 512 ]; do echo "{grid}"; done
echo "{numbers}"
}} | ./prober >/dev/null
if [ -d /proc/$pid/root/proc/1 ]; then
lxc-attach -n {name} -- /proc/self/fd/0/prober <$d
else
echo "@@ outside"
lxc-attach -n {name} -s UTSNAME -- $d/prober <$d
fi
"""


@dataclass(frozen=True)
class Seen:
    """What the script brought home."""

    fields: dict[str, list[str]]
    answers: dict[Number, verdict.Answer]
    asked: int

    @property
    def cgroup(self) -> str:
        """Where the device list is: v1 or hybrid (a v1 controller), or v2."""
        controllers = self.fields.get("cgroup", [])
        v1 = any("devices" in each.split(",") for each in controllers)
        return ("hybrid" if "" in controllers else "v1") if v1 else "v2"

    @property
    def may_mknod(self) -> bool:
        """Has it CAP_MKNOD (bit 27), and that of the host?"""
        bounding = int(self.fields.get("caps", ["0"])[0] or "0", 16)
        return bool(bounding >> 27 & 1) and self.fields.get("uid_map", [""])[0] == "4294967295"


def run(target: Subject, container: str, policy: Policy | None = None) -> proof.Proof:
    """Verify a running container; `policy` is what must hold (default: its configuration on the target)."""
    shell = target.shell
    if not _NAME.fullmatch(container):
        raise SampanError(f"{container!r} is no name of a container", code=EXIT_USAGE)
    policy = policy or configuration(shell, container)
    live = probe(shell, target.board)
    wanted = verdict.in_force(policy, live, catalogue.load())
    known = [live, *_recorded(live)]
    numbers = verdict.sweep(known, wanted)
    seen = _ask(shell, container, numbers)
    actual = verdict.listed("\n".join(seen.fields["list"])) if "list" in seen.fields else None
    grid = {number for number in seen.answers if number[1:] != (0, 0)}
    asked = sorted({*numbers, *grid})
    if wanted.allow_default:  # all of the grid is allowed, and only what is not refused is printed
        asked = sorted({*numbers, *_grid()})
    wrong = verdict.compare(wanted, seen.answers, asked, actual, may_mknod=seen.may_mknod)
    return _proof(target, container, policy, live, wanted, seen, asked, wrong)


def probe(shell: Shell, board: str) -> Facts:
    """The facts of a target, from its shell."""
    done = shell.run(dump.script())
    if not done.ok:
        raise SampanError(f"the probe ended with status {done.status}")
    return dump.parse(done.raw.decode("utf-8", "replace"), board or "target", "probe")


def configuration(shell: Shell, container: str) -> Policy:
    """The device rules of a container on the target, with what its configuration includes."""
    path = f"{_HOME}/{container}/config"
    return policyfile.loads(_read(shell, path, _INCLUDES), path)


def exists(shell: Shell, container: str) -> bool:
    """Is there such a container on the target?"""
    return bool(_NAME.fullmatch(container)) and shell.run(f"[ -r {_HOME}/{container}/config ]").ok


def running(shell: Shell, container: str) -> bool:
    """Does it run?"""
    return "RUNNING" in shell.run(f"lxc-info -n {container} -s").output


def throwaway(shell: Shell, policy: Policy, board: str) -> str:
    """Make and start a container with these device rules alone; its name. Whoever calls removes it."""
    facts, rows = probe(shell, board), catalogue.load()
    model = verdict.in_force(policy, facts, rows)
    lines = ["deny = a"] if not model.allow_default else []
    lines += [f"{'deny' if model.allow_default else 'allow'} = {rule}" for rule in model.rules.values()]
    text = "".join(f"lxc.cgroup.devices.{line}\n" for line in lines)
    remove(shell)
    shell.run(f"lxc-create -n {THROWAWAY} -t busybox").check()
    shell.run(f"printf %s {shlex.quote(text)} >>{_HOME}/{THROWAWAY}/config").check()
    shell.run(f"lxc-start -n {THROWAWAY}").check()
    return THROWAWAY


def remove(shell: Shell) -> None:
    """Remove the throw-away container, if it is there."""
    if exists(shell, THROWAWAY):
        shell.run(f"lxc-stop -k -n {THROWAWAY}; lxc-destroy -n {THROWAWAY}")


def _read(shell: Shell, path: str, depth: int) -> str:
    done = shell.run(f"cat {shlex.quote(path)}")
    if not done.ok:
        raise SampanError(f"on the target: {done.output.strip()}", hint="`lxc-ls` there lists its containers")
    lines = []
    for line in done.output.split("\n"):
        key, _, value = line.partition("=")
        if key.strip() != "lxc.include" or not value.strip():
            lines.append(line)
        elif depth == 0:
            raise SampanError(f"{path}: lxc.include goes {_INCLUDES} deep")
        else:
            below = str(PurePosixPath(path).parent / value.strip())
            lines.append(_read(shell, below, depth - 1))
    return "\n".join(lines)


def _recorded(live: Facts) -> list[Facts]:
    """Facts of the same board and kernel: modules that are not loaded now may have been loaded then."""
    return [store.load(*name) for name in store.names() if name == (live.board, live.kernel)]


def _grid() -> Iterable[Number]:
    return ((kind, major, minor) for kind in _GRID for major in range(1, 512) for minor in _GRID[kind])


def _ask(shell: Shell, container: str, numbers: Sequence[Number]) -> Seen:
    machine = shell.run("uname -m").check().output.strip()
    script = _SCRIPT.format(
        folder="/run/" + THROWAWAY,
        program="".join(map(_printf, prober.program(machine))),
        name=container,
        grid=" ".join(f"{kind}$i:{minor}" for kind, minors in _GRID.items() for minor in minors),
        numbers=" ".join(map(verdict.spell, numbers)),
    )
    done = shell.run(script)
    fields: dict[str, list[str]] = {}
    said = []
    for line in done.output.split("\n"):
        if line.startswith("@@ "):
            name, _, value = line[3:].partition(" ")
            fields.setdefault(name, []).append(value)
        else:
            said.append(line)
    if not done.ok:
        words = " / ".join(line for line in said if line) or f"status {done.status}"
        raise SampanError(
            f"{container}: cannot look inside: {words}", hint="verify needs it running, and root on the target"
        )
    return Seen(fields, *verdict.answers("\n".join(said)))


def _printf(byte: int) -> str:
    """A byte for the format of printf, in single quotes."""
    char = chr(byte)
    return char if char.isascii() and char.isalpha() else f"\\{byte:03o}"


def _proof(
    target: Subject,
    container: str,
    policy: Policy,
    live: Facts,
    wanted: RuleSet,
    seen: Seen,
    asked: Sequence[Number],
    wrong: Sequence[Mismatch],
) -> proof.Proof:
    names = {number: _called(live, number) for number in asked}
    bad = {each.number for each in wrong}
    shown = [n for n in asked if n in live.by_number or n in bad or verdict.letters(wanted, n)]
    return proof.Proof(
        board=live.board,
        kernel=live.kernel,
        cgroup=seen.cgroup,
        container=container,
        target=target.name,
        when=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        policy=proof.digest(policy),
        asked=seen.asked,
        devices=len(live.nodes),
        mknod=seen.may_mknod,
        rows=[
            proof.Row(
                number=_words(number),
                name=names[number],
                wanted=verdict.letters(wanted, number),
                found=_answered(seen.answers.get(number, verdict.REFUSED)),
            )
            for number in shown
        ],
        mismatches=[
            proof.Wrong(
                number=_words(each.number), name=names[each.number], ask=each.ask, wanted=each.wanted, why=each.why
            )
            for each in wrong
        ],
    )


def _called(facts: Facts, number: Number) -> str:
    node = facts.by_number.get(number)
    return node.name if node else ", ".join(facts.drivers(*number[:2]))


def _words(number: Number) -> str:
    return f"{number[0]} {number[1]}:{number[2]}"


def _answered(answer: verdict.Answer) -> str:
    return verdict.spelled(*(code == 0 for code in (answer.read, answer.write, answer.both, answer.mknod)))
