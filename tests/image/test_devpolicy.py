"""One device policy, four answers: the host's model, the runtime's, cgroup v1 and the BPF program.

The kernel is asked from inside a cgroup, by faccessat and mknod on a grid of nodes (no
driver is opened but those of /dev/null and /dev/zero). Rule lists are random.
"""

from __future__ import annotations

import itertools
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mounts import tmpfs
from runtime_tools import POLICY, build

from sampan.config import symbols
from sampan.config.rules import Access, RuleSet, parse
from sampan.core.errors import SampanError

V1 = Path("/sys/fs/cgroup/devices")
V2 = [Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")]

TYPES = ("b", "c")
MAJORS = (1, 5, 10, 254, 4095)
MINORS = (0, 3, 5, 1048575)
DEVICES = list(itertools.product(TYPES, MAJORS, MINORS))
#: What a task can ask of the kernel: existence, r, w and both at once by access(2), m by mknod(2).
KERNEL_ASKS = (0, 1, 2, 4, 6)

Lists = list[tuple[str, str]]


def values() -> st.SearchStrategy[str]:
    def numbers(known: tuple[int, ...]) -> st.SearchStrategy[str]:
        return st.one_of(st.just("*"), st.sampled_from([str(number) for number in known]))

    access = st.permutations("rwm").flatmap(lambda letters: st.integers(1, 3).map(lambda n: "".join(letters[:n])))
    rule = st.builds(lambda *parts: "{} {}:{} {}".format(*parts), st.sampled_from(TYPES), numbers(MAJORS[:3]),
                     numbers(MINORS[:3]), access)  # fmt: skip
    return st.one_of(rule, rule, rule, rule, rule, rule, st.sampled_from(["a", "a *:* rwm"]))


def rule_lists() -> st.SearchStrategy[Lists]:
    return st.lists(st.tuples(st.sampled_from("+-"), values()), min_size=1, max_size=14).flatmap(
        lambda rules: st.sampled_from([rules, [("-", "a"), *rules]])
    )


def text_of(rules: Lists) -> str:
    return "".join(f"{verb}{value}\n" for verb, value in rules)


def model_of(rules: Lists) -> RuleSet:
    model = RuleSet()
    for verb, value in rules:
        model.apply("allow" if verb == "+" else "deny", value)
    return model


def model_row(rules: Lists, accesses: tuple[int, ...]) -> str:
    model = model_of(rules)
    asked = itertools.product(DEVICES, accesses)
    return "".join(str(int(model.verdict(kind, a, b, Access(access)))) for (kind, a, b), access in asked)


def write_grid(path: Path, accesses: tuple[int, ...]) -> Path:
    lines = [f"{kind} {a} {b} {access}\n" for (kind, a, b), access in itertools.product(DEVICES, accesses)]
    path.write_text("".join(lines))
    return path


def call(tool: Path, *args: str | Path, stdin: str) -> str:
    done = subprocess.run([tool, *args], input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("devtool"), "devtool", "tests/devtool.c", POLICY)


@pytest.fixture(scope="module")
def full_grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_grid(tmp_path_factory.mktemp("grid") / "grid", tuple(range(8)))


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with a node for each device of the grid, on a file system that takes them."""
    if os.geteuid() != 0:
        pytest.skip("needs root: device nodes and cgroups")
    with tmpfs(tmp_path_factory.mktemp("nodes"), "size=1m") as folder:
        for kind, major, minor in DEVICES:
            mode = stat.S_IFBLK if kind == "b" else stat.S_IFCHR
            os.mknod(folder / f"{kind}-{major}-{minor}", mode | 0o666, os.makedev(major, minor))
        yield folder


@pytest.fixture(scope="module")
def v1_root() -> Path:
    if not (V1 / "devices.list").exists():
        pytest.skip(f"needs the v1 devices controller at {V1}")
    return V1


@pytest.fixture(scope="module")
def v2_root() -> Path:
    for root in V2:
        if (root / "cgroup.controllers").exists():
            return root
    pytest.skip("needs a cgroup v2 hierarchy")


class Group:
    """A cgroup of a test: new, and removed at the end."""

    def __init__(self, root: Path, name: str = "group") -> None:
        self.path = root / f"sampan-test-{os.getpid()}-{name}"

    def __enter__(self) -> Path:
        self.path.mkdir()
        return self.path

    def __exit__(self, *_: object) -> None:
        self.path.rmdir()


SLOW = settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))


@settings(SLOW, max_examples=150)
@given(rules=rule_lists())
def test_model_of_the_host_is_the_runtimes(tool: Path, full_grid: Path, rules: Lists) -> None:
    assert call(tool, "model", full_grid, stdin=text_of(rules)) == model_row(rules, tuple(range(8)))


# Each of these is a row in which a well-known runtime differs between the two cgroup versions.
KNOWN: tuple[Lists, ...] = (
    [("-", "a")],
    [("-", "a"), ("+", "c 1:3 rwm"), ("-", "c 1:3 w")],
    [("+", "a"), ("-", "c 1:5 w")],
    [("-", "a"), ("+", "c 1:3 r"), ("+", "c 1:3 w")],
    [("-", "a"), ("+", "c 1:* r"), ("+", "c 1:5 w")],
    [("-", "a"), ("+", "c 1:* rwm"), ("-", "c 1:5 rwm")],
    [("-", "c 1:* r"), ("+", "c 1:3 r")],
    [("-", "c 1:3 rwm")],
    [("+", "c 1:3 rwm")],
    [("-", "a"), ("+", "b *:* rwm"), ("+", "c *:* rwm"), ("+", "c 1:3 r")],
)


@pytest.mark.parametrize("version", ["v1", "bpf"])
@pytest.mark.parametrize("rules", KNOWN, ids=lambda rules: ",".join(f"{verb}{value}" for verb, value in rules))
def test_kernel_agrees_where_others_fail_open(
    tool: Path, nodes: Path, tmp_path: Path, version: str, rules: Lists, request: pytest.FixtureRequest
) -> None:
    root = request.getfixturevalue("v1_root" if version == "v1" else "v2_root")
    grid = write_grid(tmp_path / "grid", KERNEL_ASKS)
    with Group(root) as group:
        assert call(tool, version, grid, group, nodes, stdin=text_of(rules)) == model_row(rules, KERNEL_ASKS)


@settings(SLOW, max_examples=60)
@given(rules=rule_lists())
@example(rules=[("-", "a"), *(("+", f"c {i}:{i} rw") for i in range(400))])
def test_both_kernel_policies_agree_with_the_model(
    tool: Path, nodes: Path, v1_root: Path, v2_root: Path, tmp_path_factory: pytest.TempPathFactory, rules: Lists
) -> None:
    grid = write_grid(tmp_path_factory.getbasetemp() / "kernel-grid", KERNEL_ASKS)
    want = model_row(rules, KERNEL_ASKS)
    with Group(v1_root) as group:
        assert call(tool, "v1", grid, group, nodes, stdin=text_of(rules)) == want
    with Group(v2_root) as group:
        assert call(tool, "bpf", grid, group, nodes, stdin=text_of(rules)) == want


NAMES = st.builds(
    "{}{}{}".format,
    st.sampled_from(["/dev/", "char-", "block-", "class:", "profile:"]),
    st.sampled_from(
        ["rtc0", "input/event*", "sd[a-c]", "sd[!a]", "tty?", "", "../x", "a//b", "*/x", "x" * 63, "x" * 64]
    ),
    st.sampled_from([" rw", " r optional", " optional", "", " ", " rwm", " rr", " rw  optional", " optional r", " x"]),
)
ALMOST = st.text(alphabet="abc 0123456789*:rwmx\t/-", max_size=24)


def damaged(value: str, at: int, with_: str) -> str:
    return value[: at % (len(value) + 1)] + with_ + value[at % (len(value) + 1) :]


@settings(SLOW, max_examples=100)
@given(
    st.lists(
        st.one_of(
            NAMES,
            st.builds(damaged, NAMES, st.integers(0, 30), st.sampled_from(["[", "]", "!", "/", "*", " ", "."])),
            ALMOST,
            st.builds(damaged, values(), st.integers(0, 30), st.sampled_from([" ", "r", "0", ":", "*", "x"])),
        ),
        max_size=60,
    )
)
def test_runtime_and_host_refuse_the_same_values(tool: Path, lines: list[str]) -> None:
    said = call(tool, "parse", stdin="".join(line + "\n" for line in lines)).splitlines()
    assert len(said) == len(lines)
    for line, answer in zip(lines, said, strict=True):
        try:
            symbols.parse(line) if symbols.is_symbol(line) else parse(line)
        except SampanError:
            assert answer != "ok", line
        else:
            assert answer == "ok", line


def failing(tool: Path, *args: str | Path, stdin: str) -> str:
    done = subprocess.run([tool, *args], input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 125, done.stdout + done.stderr
    return done.stderr


def test_v1_says_that_the_parent_is_narrower(tool: Path, nodes: Path, v1_root: Path, full_grid: Path) -> None:
    with Group(v1_root, "parent") as parent:
        (parent / "devices.deny").write_text("a")
        (parent / "devices.allow").write_text("c 1:3 rwm")
        with Group(parent) as group:
            call(tool, "v1", full_grid, group, nodes, stdin="-a\n+c 1:3 r\n")
        with Group(parent) as group:
            said = failing(tool, "v1", full_grid, group, nodes, stdin="-a\n+c 1:5 r\n")
        assert "write 'c 1:5 r' to devices.allow: Operation not permitted" in said
        assert "parent cgroup does not allow" in said
        with Group(parent) as group:
            assert "write 'a' to devices.allow" in failing(tool, "v1", full_grid, group, nodes, stdin="+a\n-c 1:5 r\n")


def test_v1_without_the_controller_is_refused(tool: Path, nodes: Path, full_grid: Path, tmp_path: Path) -> None:
    said = failing(tool, "v1", full_grid, tmp_path, nodes, stdin="-a\n")
    assert "open devices.deny: No such file" in said and "CONFIG_CGROUP_DEVICE" in said


def test_v1_list_that_reads_back_differently_is_refused(
    tool: Path, nodes: Path, full_grid: Path, tmp_path: Path
) -> None:
    """A kernel that takes a rule and does not keep it; a directory of plain files stands for it."""
    for name, content in (("devices.allow", ""), ("devices.deny", ""), ("devices.list", "c 1:3 rw\n")):
        (tmp_path / name).write_text(content)
    said = failing(tool, "v1", full_grid, tmp_path, nodes, stdin="-a\n+c 1:3 r\n")
    assert "devices.list has 1 rules that differ" in said
    (tmp_path / "devices.list").write_text("a *:* rwm\n")
    assert "kept allowing everything" in failing(tool, "v1", full_grid, tmp_path, nodes, stdin="-a\n")
    (tmp_path / "devices.list").write_text("c 1:3 q\n")
    assert "devices.list holds 'c 1:3 q'" in failing(tool, "v1", full_grid, tmp_path, nodes, stdin="-a\n+c 1:3 r\n")


def test_bpf_refuses_a_group_that_has_a_program_already(
    tool: Path, nodes: Path, v2_root: Path, full_grid: Path
) -> None:
    with Group(v2_root) as group:
        call(tool, "bpf", full_grid, group, nodes, stdin="-a\n")
        said = failing(tool, "bpf", full_grid, group, nodes, stdin="+a\n")
    assert "the cgroup has 2 device programs" in said


def test_bpf_outside_of_cgroup2_is_refused(tool: Path, nodes: Path, full_grid: Path, tmp_path: Path) -> None:
    assert "attach the device program" in failing(tool, "bpf", full_grid, tmp_path, nodes, stdin="-a\n")


def test_bpf_narrows_what_the_group_above_allows(tool: Path, nodes: Path, v2_root: Path, tmp_path: Path) -> None:
    grid = write_grid(tmp_path / "grid", KERNEL_ASKS)
    above: Lists = [("-", "a"), ("+", "c 1:* rwm")]
    below: Lists = [("-", "a"), ("+", "c *:3 rw")]
    both = [model_row(rules, KERNEL_ASKS) for rules in (above, below)]
    want = "".join(str(int(a == b == "1")) for a, b in zip(*both, strict=True))
    with Group(v2_root, "parent") as parent:
        call(tool, "bpf", grid, parent, nodes, stdin=text_of(above))
        with Group(parent) as group:
            assert call(tool, "bpf", grid, group, nodes, stdin=text_of(below)) == want
