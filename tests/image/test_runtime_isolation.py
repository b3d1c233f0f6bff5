"""Each isolation rule holds, and its test is one that notices when the rule is taken out of the runtime."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import generated
import pytest
from isolation_rules import RULES, Rule
from runtime_lab import RUNTIME, Lab, need_host, run_lab

from sampan.core.run import run

IDS = [rule.name for rule in RULES]
FLAGS = ["-target", f"{os.uname().machine}-linux-musl", "-std=c11", "-O1", "-D_GNU_SOURCE", "-Wno-everything"]

Broken = Callable[[Rule], Path]


def need_tools(rule: Rule) -> None:
    tool = {"attach-dumpable": "strace", "inheritable": "setpriv", "groups": "setpriv"}.get(rule.name)
    if tool and not shutil.which(tool):
        pytest.skip(f"needs {tool}")


@pytest.fixture(scope="session")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Broken:
    """Builds a runtime without a rule; what the rule does not touch is compiled once."""
    folder = tmp_path_factory.mktemp("broken")
    generated.write(folder)
    sources = sorted((RUNTIME / "src").glob("*.c"))
    cc = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        *FLAGS,
        f"-I{RUNTIME / 'src/libc'}",
        f"-I{RUNTIME / 'src'}",
        f"-I{folder}",
    ]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda source: run([*cc, "-c", source, "-o", folder / f"{source.stem}.o"]), sources))

    def build(rule: Rule) -> Path:
        out = folder / rule.name
        out.mkdir()
        objects = {source.stem: folder / f"{source.stem}.o" for source in sources}
        for file in {patch[0] for patch in rule.patches}:
            text = (RUNTIME / "src" / file).read_text()
            for _, old, new in (patch for patch in rule.patches if patch[0] == file):
                assert old in text, f"{file} has changed: give the rule its line again: {old}"
                text = text.replace(old, new)
            (out / file).write_text(text)
            objects[Path(file).stem] = out / f"{Path(file).stem}.o"
            run([*cc, "-c", out / file, "-o", objects[Path(file).stem]])
        run([*cc, "-static", "-s", *objects.values(), "-o", out / "sampan"])
        return out / "sampan"

    return build


@pytest.fixture
def off_lab(
    request: pytest.FixtureRequest,
    runtime_binary: Path,
    tmp_path_factory: pytest.TempPathFactory,
    kernel: dict[str, str],
) -> Iterator[Lab]:
    """A lab with the features of the test's rule switched off, or all of them."""
    need_host()
    rule: Rule = request.getfixturevalue("rule")
    need_tools(rule)
    off = kernel.get("SAMPAN_DISABLE", rule.off).split(",")
    env = {"SAMPAN_DISABLE": ",".join(switch for switch in off if switch not in rule.needs)}
    yield from run_lab(runtime_binary, tmp_path_factory.mktemp("l"), env)


@pytest.mark.both_ways
@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_the_rule_holds(off_lab: Lab, rule: Rule) -> None:
    rule.check(off_lab)


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_its_test_notices_when_it_is_gone(broken: Broken, rule: Rule, tmp_path_factory: pytest.TempPathFactory) -> None:
    need_host()
    need_tools(rule)
    env = {"SAMPAN_DISABLE": rule.off}
    lab = Lab(broken(rule), tmp_path_factory.mktemp("l") / "lab", f"m{os.getpid()}{rule.name[:20]}", env)
    try:
        with pytest.raises(AssertionError):
            rule.check(lab)
    finally:
        lab.close()
        lab.binary = tmp_path_factory.getbasetemp()  # never again
