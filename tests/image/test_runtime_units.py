"""The runtime's C unit tests, and what its sources are held to."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import generated
import pytest
from runtime_tools import READER, RUNTIME, STANDARD, WARNINGS, build, compiler

from sampan.core.run import run


@pytest.mark.parametrize("name", sorted(path.stem for path in (RUNTIME / "tests").glob("test_*.c")))
def test_c_unit(name: str, tmp_path: Path) -> None:
    sources = {"test_path": ["path.c", "util.c"]}.get(
        name, ["rules.c", "util.c", "match.c", "symbol.c", "inet.c", "ip.c", "netlink.c", "netundo.c", "words.c"]
    )
    program = build(tmp_path, name, f"tests/{name}.c", sources)
    assert run([program]).stdout.endswith(" 0 failures\n")


@pytest.mark.parametrize(
    "command", [("gcc",), (sys.executable, "-m", "ziglang", "cc", "-target", "arm-linux-musleabihf")]
)
def test_reader_and_policy_compile_without_a_warning(command: tuple[str, ...], tmp_path: Path) -> None:
    if command == ("gcc",):
        compiler()
    generated.write(tmp_path)
    names = (
        "conf.c",
        "conf_*.c",
        "devpolicy_*.c",
        "inet.c",
        "ip.c",
        "net*.c",
        "rules.c",
        "util.c",
        "words.c",
        "symbol.c",
        "match.c",
    )
    sources = sorted(path for name in names for path in (RUNTIME / "src").glob(name))
    assert len(sources) > 10
    run([*command, *STANDARD, *WARNINGS, "-Os", f"-I{tmp_path}", "-c", *sources], cwd=tmp_path)


FUZZED = {
    "conf": READER,
    "idmap": READER,
    "link": ["link.c", "link_pace.c"],
    "mount": READER,
    "serve": ["util.c"],
    "rules": ["rules.c", "util.c", "symbol.c", "match.c"],
}


@pytest.mark.parametrize("target", FUZZED)
def test_fuzz_for_a_while(target: str, tmp_path: Path) -> None:
    """A short run with a fixed seed; SAMPAN_FUZZ_ROUNDS makes it as long as you like."""
    rounds = os.environ.get("SAMPAN_FUZZ_ROUNDS", "4000")
    folder = RUNTIME / "fuzz"
    sources = [f"../fuzz/fuzz_{target}.c", *FUZZED[target]]
    program = build(tmp_path, "fuzz", "fuzz/driver.c", sources)
    corpus = sorted((folder / "corpus" / target).iterdir())
    said = run([program, rounds, "1", *corpus], cwd=tmp_path, env={"UBSAN_OPTIONS": "abort_on_error=1"}).stdout
    assert said == f"{int(rounds) + len(corpus)} inputs\n"
