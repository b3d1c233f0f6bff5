"""The probe on every board, through its serial console: facts of a kernel that runs."""

from __future__ import annotations

import pytest

from sampan.devices import catalogue, dump, store, tsv
from sampan.devices.facts import Facts
from sampan.qemu.boot import Machine


@pytest.fixture
def recorded() -> list[Facts]:
    return store.load_all()


def probed(machine: Machine) -> Facts:
    done = machine.run(dump.script())
    assert done.ok, done
    return dump.parse(done.raw.decode(), "here", "probe")


def test_the_facts_are_what_the_target_says(machine: Machine) -> None:
    facts = probed(machine)
    assert facts.kernel == machine.run("uname -r").raw.decode().strip()
    assert facts.by_name["null"].number == "c 1:3"
    assert facts.consoles
    listed = machine.run("cd /sys/dev; for n in char/* block/*; do echo $n; done").raw.decode().split()
    numbers = {f"{'char' if node.kind == 'c' else 'block'}/{node.major}:{node.minor}" for node in facts.nodes}
    assert numbers == set(listed)
    disk = next(node for node in facts.nodes if catalogue.load().of_node(node) == "virtio-disk")
    assert disk.driver == "virtio_blk" and disk.devtype == "disk"
    assert tsv.loads(tsv.dumps(facts), "-") == facts


def test_recorded_numbers_hold_on_the_kernel_that_is_built(machine: Machine, recorded: list[Facts]) -> None:
    """The image loads fewer modules than were loaded when the facts were recorded: those may lack, none may differ;
    a module that was not loaded then may add its own, and a number may be another device's of its kind."""
    live = probed(machine)
    known = [facts for facts in recorded if facts.kernel == live.kernel and facts.machine == live.machine]
    if not known:
        pytest.skip(f"no facts of Linux {live.kernel} are recorded: Debian has a newer one")
    for node in live.nodes:
        same = [facts.by_name[node.name].key for facts in known if node.name in facts.by_name]
        others = [facts.by_number[node.key] for facts in known if node.key in facts.by_number]
        assert node.key in same if same else all(other.subsystem == node.subsystem for other in others), node
