"""The runtime's binary, when a container's root attacks whoever enters it (CVE-2019-5736)."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from pathlib import Path

import pytest
from runtime_lab import RUNTIME, Lab, wait_for
from runtime_tools import compiler

from sampan.core.run import run

ENTRIES = 60
CONTROL_ENTRIES = 2000  # it takes a hundred or so


@pytest.fixture(scope="module")
def grab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The attacker: runtime/tests/grab.c, static, for a root file system without libraries."""
    out = tmp_path_factory.mktemp("grab") / "grab"
    run([compiler(), "-O1", "-static", "-D_GNU_SOURCE", RUNTIME / "tests/grab.c", "-o", out])
    return out


def attacked(lab: Lab, grab: Path) -> tuple[str, Path]:
    """A running container whose payload attacks; what it says goes to the file."""
    name = lab.make("grab")
    shutil.copy(grab, lab.root(name) / "bin/grab")
    evil = lab.root(name) / "evil"
    evil.write_text("#!/proc/self/exe\n")
    evil.chmod(0o755)
    said = lab.path / "said"
    with said.open("wb") as out:
        lab.popen("execute", name, "--", "/bin/grab", stdout=out, stdin=subprocess.DEVNULL)
    wait_for(lambda: "ready" in said.read_text())
    return name, said


def test_entering_does_not_lend_the_binary(any_lab: Lab, grab: Path) -> None:
    """`/evil` makes the entering process run its own binary again, inside: attacked 60 times."""
    before = any_lab.binary.read_bytes()
    name, said = attacked(any_lab, grab)
    for _ in range(ENTRIES):
        any_lab.sampan("attach", name, "--", "/evil")
        assert any_lab.binary.read_bytes() == before
    assert "held" in said.read_text(), "the attacker saw the runtime's processes"
    any_lab.ok("stop", "-k", name)
    assert any_lab.binary.read_bytes() == before


def test_the_attack_works_on_a_program_without_a_guard(lab: Lab, grab: Path) -> None:
    """Else the test above would prove nothing: a copy of nsenter gets overwritten."""
    nsenter = shutil.which("nsenter")
    if not nsenter:
        pytest.skip("needs nsenter (apt-get install util-linux)")
    name, said = attacked(lab, grab)
    victim = lab.path / "victim"
    shutil.copy(nsenter, victim)
    for _ in range(CONTROL_ENTRIES):
        if "wrote" in said.read_text():
            break
        with contextlib.suppress(OSError):  # it has just been overwritten
            subprocess.run([victim, "-t", str(lab.state(name)["pid"]), "-m", "-p", "/evil"], capture_output=True)
    wait_for(lambda: "wrote" in said.read_text())
    assert victim.read_bytes() != Path(nsenter).read_bytes()
    lab.ok("stop", "-k", name)
