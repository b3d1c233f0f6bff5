"""What the device commands are measured by: time, bytes on the line, shapes that other tools check, clean examples."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import resource
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta

from sampan.core import paths
from sampan.devices import catalogue, dump, export, lint, lintreport, numbers, policyfile, resolve, store
from sampan.serial import shell
from sampan.serial.console import Console
from sampan.serial.log import LineLog
from sampan.serial.session import Session
from sampan.serial.transport import FdTransport, OnData, OnEnd

CONTAINERS = sorted((paths.ROOT / "configs" / "containers").glob("*.config"))
#: Files as found in the field, which the demo shows what is wrong with; every other one is an example to follow.
FOUND = {
    "app_bash": {"too-wide": 1},  # binds all of /dev, and has no list
    "sys_elinux": {
        "host-owned": 1,
        "dynamic-literal": 1,
        "names-another-device": 1,
        "dangerous": 6,
        "alias": 1,
        "mknod": 1,
    },
}
FOUND["sys_elinux.fixed"] = FOUND["sys_elinux"]
QUIET_OFF = shell.load_lines(shell.functions(quiet_kernel=False))
LINE = 11520  #: bytes a second at 115200 baud, 8N1


@pytest.mark.parametrize("path", CONTAINERS, ids=lambda path: path.stem)
def test_the_containers_that_sampan_ships_are_clean(path: Path) -> None:
    found = lint.check(policyfile.read(path), store.load_all(), catalogue.load())
    said = Counter(each.lint for each in found if each.lint != "unresolved" or each.level != "note")
    assert said == FOUND.get(path.stem, {})


def test_the_page_of_numbers_is_of_the_facts() -> None:
    page = (paths.ROOT / "docs" / "device-numbers.md").read_text(encoding="utf-8")
    assert page == numbers.page(store.load_all(), catalogue.load()), "sampan devices table > docs/device-numbers.md"


def test_generate_for_one_board_takes_less_than_a_third_of_a_second() -> None:
    """Of processor time, everything included, for the board with the most nodes; the best of three."""
    largest = max(store.load_all(), key=lambda facts: len(facts.nodes))
    argv = [sys.executable, "-m", "sampan", "devices", "generate", "--board", largest.name, "--profile", "base"]
    took = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(argv, cwd=paths.ROOT, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(took) < 0.3


class Counting(FdTransport):
    """A line that counts what goes over it, both ways."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd, "a pty", lambda: os.close(fd))
        self.count = 0

    def start(self, on_data: OnData, on_end: OnEnd) -> None:
        def counted(data: bytes) -> None:
            self.count += len(data)
            on_data(data)

        super().start(counted, on_end)

    async def write(self, data: bytes) -> None:
        self.count += len(data)
        await super().write(data)


async def around_a_probe(folder: Path) -> int:
    """Bytes of a session from the prompt to the facts of this host, without the facts."""
    ours, theirs = pty.openpty()
    env = {"PATH": os.environ["PATH"], "PS1": "# ", "ENV": ""}
    argv = ["setsid", "-cw", "sh", "-i"]
    process = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, env=env, cwd=folder)
    os.close(theirs)
    line = Counting(ours)
    console = Console(line, LineLog(folder / "log"))
    console.start()
    try:
        # The host's kernel keeps its messages: those lines are sent to boards alone.
        done = await Session(console, quiet_kernel=False).run(dump.script())
    finally:
        console.close()
        process.kill()
        process.wait()
    assert dump.parse(done.raw.decode(), "here", "probe").by_name["null"].number == "c 1:3"
    return line.count - len(done.raw.replace(b"\n", b"\r\n"))


def answer(facts: store.Facts) -> int:
    """At most so many bytes of probe.sh's output are these facts."""
    lines = ["@@ version, devices, misc, ttydrivers, consoles, dt-compatible, nodes, end" + 6 * " @@ \r\n", 300 * "v"]
    lines += ["Character devices:", "", "Block devices:", f"{facts.machine}: a board has some more", 60 * "c"]
    lines += [f"{each.number:3} {each.name}" for each in facts.majors]
    lines += [f"{each.minor:3} {each.name}" for each in facts.misc]
    lines += [
        f"{20 * 'd'} /dev/{each.prefix:8} {each.major:3} {each.first:>7}-{each.last} {each.what}" for each in facts.ttys
    ]
    lines += [f"{each.name:21} -W- (EC p  a)  {each.major:3}:{each.minor}" for each in facts.consoles]
    for node in facts.nodes:
        rest = (node.name, node.subsystem, node.driver, node.path, node.of_node, node.devtype, node.mode)
        lines.append("\t".join((node.kind, f"{node.major}:{node.minor}", *rest)))
    return sum(len(line) + 2 for line in lines)


def test_a_probe_takes_less_than_two_seconds_of_a_slow_line(tmp_path: Path) -> None:
    """From the prompt on: the loop, the script and its checksum there, the largest facts back; one after the other."""
    recorded = paths.ROOT / "tests" / "data" / "probe" / "virt-arm.txt"
    sections = recorded.read_text().split("@@ ")[1:]
    printed = ["@@ " + each for each in sections if re.search(rf"(show|@@) {each.split()[0]}\b", dump.script())]
    real = sum(len(each.replace("\n", "\r\n")) for each in printed)
    assert len(printed) == 8 and real <= answer(dump.read(recorded, "qemuarm")) < real * 1.2
    quiet = shell.load_lines(shell.functions(quiet_kernel=True))
    around = asyncio.run(around_a_probe(tmp_path)) + sum(map(len, quiet)) - sum(map(len, QUIET_OFF))
    assert around > len(dump.script())
    largest = max(map(answer, store.load_all()))
    assert (around + largest) / LINE < 2.0, (around, largest)


# ---- shapes: unknown, missing and wrong fields are errors


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A JSON object."""


class Text(Strict, frozen=True):
    text: Annotated[str, Meta(min_length=1)]


class Rule(Strict, frozen=True):
    id: str
    shortDescription: Text


class Driver(Strict, frozen=True):
    name: str
    version: str
    rules: list[Rule]


class Tool(Strict, frozen=True):
    driver: Driver


class Artifact(Strict, frozen=True):
    uri: str


class Region(Strict, frozen=True):
    startLine: Annotated[int, Meta(ge=1)]


class Physical(Strict, frozen=True):
    artifactLocation: Artifact
    region: Region


class Location(Strict, frozen=True):
    physicalLocation: Physical


class SarifResult(Strict, frozen=True):
    ruleId: str
    ruleIndex: Annotated[int, Meta(ge=0)]
    level: Literal["none", "note", "warning", "error"]
    message: Text
    locations: Annotated[list[Location], Meta(min_length=1)]


class Run(Strict, frozen=True):
    tool: Tool
    results: list[SarifResult]


class Sarif(Strict, frozen=True):
    """sarif-schema-2.1.0.json, the properties used."""

    schema: str = msgspec.field(name="$schema")
    version: Literal["2.1.0"]
    runs: Annotated[list[Run], Meta(min_length=1)]


def test_sarif_has_the_shape_of_its_schema() -> None:
    path = paths.ROOT / "configs" / "containers" / "sys_elinux.config"
    found = lint.check(policyfile.read(path), store.select("qemuarm"), catalogue.load())
    (run,) = msgspec.json.decode(lintreport.as_sarif(found), type=Sarif).runs
    assert len(run.results) == len(found) > 3
    assert all(run.tool.driver.rules[each.ruleIndex].id == each.ruleId for each in run.results)
    assert len({rule.id for rule in run.tool.driver.rules}) == len(run.tool.driver.rules) == 16


class CdiNode(Strict, frozen=True):
    path: Annotated[str, Meta(pattern="^/")]
    type: Literal["b", "c", "u", "p"]
    major: Annotated[int, Meta(ge=0)]
    minor: Annotated[int, Meta(ge=0)]
    permissions: Annotated[str, Meta(pattern="^[rwm]{1,3}$")]


class CdiHook(Strict, frozen=True):
    hookName: Literal["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]
    path: Annotated[str, Meta(pattern="^/")]


class CdiEdits(Strict, frozen=True):
    deviceNodes: list[CdiNode]
    hooks: list[CdiHook] = []


class CdiDevice(Strict, frozen=True):
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]*$")]
    containerEdits: CdiEdits


class Cdi(Strict, frozen=True):
    """CDI's schema.json, the properties used."""

    cdiVersion: Annotated[str, Meta(pattern=r"^\d+\.\d+\.\d+$")]
    kind: Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9]/[A-Za-z0-9][A-Za-z0-9_-]*$")]
    devices: Annotated[list[CdiDevice], Meta(min_length=1)]


@pytest.mark.parametrize("facts", store.load_all(), ids=lambda facts: facts.name)
def test_cdi_has_the_shape_of_its_schema_on_every_board(facts: store.Facts) -> None:
    policy = policyfile.loads("lxc.cgroup.devices.allow = profile:base\n", "list")
    found = resolve.resolve(policy, facts, catalogue.load())
    (device,) = msgspec.json.decode(export.cdi(found, "/etc/guard"), type=Cdi).devices
    assert {node.path for node in device.containerEdits.deviceNodes} >= {"/dev/null", "/dev/urandom"}


def test_oci_nodes_can_be_used_by_ordinary_users() -> None:
    policy = policyfile.loads("lxc.cgroup.devices.allow = profile:base\n", "list")
    text = export.oci(resolve.resolve(policy, store.find("qemuarm@6.1"), catalogue.load()), "")
    modes = {node["path"]: node["fileMode"] for node in json.loads(text)["linux"]["devices"]}
    assert modes["/dev/null"] == 0o666
