"""`sampan devices verify TARGET CONTAINER`: does the kernel do what the container's list says?"""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from sampan.cli.devices_generate import config_file
from sampan.cli.table import print_table
from sampan.core import tools
from sampan.core.errors import SampanError
from sampan.core.paths import shown
from sampan.devices import policyfile, proof

_VERDICT = {True: "allowed", False: "refused"}


@click.command("verify")
@click.argument("target")
@click.argument("container", metavar="NAME|FILE")
@click.option("--policy", type=click.Path(path_type=Path), help="What must hold, if not the container's own rules.")
@click.option("--board", default="", help="Which board a serial line is of.")
@click.option("--cgroup", default="v2", show_default=True, help="Layout that a QEMU board boots with.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
@click.pass_context
def verify(
    context: click.Context, target: str, container: str, policy: Path | None, board: str, cgroup: str, as_json: bool
) -> None:
    """Ask TARGET's kernel what a container may do to every device, and compare with its policy.

    TARGET is qemu:BOARD (its image is booted), a machine that runs (qemu:BOARD:INSTANCE), a serial line such as
    /dev/ttyUSB0?baud=115200, or a name of targets.toml. NAME is a container on the target; or, where there is none
    of that name, a configuration of configs/containers or a FILE, whose device rules a throw-away container gets.
    No driver is opened but those of /dev/null, zero, full, random and urandom.

    Exit status 1 when the kernel does something else than the policy says.
    """
    # QEMU's modules cost more to import than all other subcommands do.
    from sampan.control import shells

    wanted = policyfile.read(policy) if policy else None
    boots = shells.boots(target, running=bool(context.obj))
    if boots:
        from sampan.cli.boot import build_if_absent

        tools.ensure(["boot"])
        build_if_absent(boots)
    with shells.opened(target, board, cgroup=cgroup, running=bool(context.obj)) as opened:
        found = _verified(opened, container, wanted)
    path = proof.save(found)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        show(found)
        print(f"kept in {shown(path)}")
    if not found.good:
        raise click.exceptions.Exit(1)


def _verified(opened: object, container: str, wanted: policyfile.Policy | None) -> proof.Proof:
    from sampan.control import verify as verifier
    from sampan.control.shells import Subject

    assert isinstance(opened, Subject)
    if verifier.exists(opened.shell, container):
        if not verifier.running(opened.shell, container):
            raise SampanError(f"{container} does not run", hint=f"lxc-start -n {container}")
        return verifier.run(opened, container, wanted)
    given = policyfile.read(config_file(container))
    try:
        name = verifier.throwaway(opened.shell, given, opened.board)
        found = verifier.run(opened, name, wanted or given)
    finally:
        verifier.remove(opened.shell)
    return msgspec.structs.replace(found, container=Path(container).name.removesuffix(".config"))


def show(found: proof.Proof) -> None:
    """Print what was found, for a person."""
    print(
        f"{found.container} on {found.board}@{found.kernel}, cgroup {found.cgroup}: "
        f"{found.devices} devices and {found.asked - found.devices} other numbers asked"
    )
    rows = _joined([row for row in found.rows if row.wanted or row.found])
    if rows:
        print_table(["number", "device", "policy", "kernel"], rows)
    print(f"{sum(not row.wanted and not row.found for row in found.rows)} devices are refused altogether")
    if not found.mknod:
        print("m was not tried: the container may make no device nodes (CAP_MKNOD, user namespace)")
    for each in found.mismatches:
        print(
            f"MISMATCH {each.number} {each.name}: {each.ask} is {_VERDICT[not each.wanted]}, "
            f"the policy says {_VERDICT[each.wanted]}: {each.why}"
        )
    count = len(found.mismatches)
    print(
        f"{count} mismatch{'es' * (count > 1)}"
        if found.mismatches
        else "proved: the kernel allows just what the policy says"
    )


def _joined(rows: list[proof.Row]) -> list[list[str]]:
    """Rows for a table; many numbers of one driver with one answer are one."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        key = (row.number.partition(":")[0], row.name or "-", row.wanted or "-", row.found or "-")
        groups.setdefault(key, []).append(row.number)
    joined = []
    for (major, *rest), numbers in groups.items():
        many = len(numbers) > 2
        joined += [[f"{major}:* ({len(numbers)} asked)", *rest]] if many else [[number, *rest] for number in numbers]
    return joined


COMMANDS = (verify,)
