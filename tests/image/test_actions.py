"""Build actions as command lines: what they say when something is wrong, and that nothing half-written stays."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from content import resolved

from sampan.core.paths import ROOT

WRITERS = {"cpio": ["--format", "cpio"], "ext4": [], "squashfs": []}


def start(module: str, args: list[str], **more: object) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", f"sampan.build.{module}", *args]
    given = {"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | more
    return subprocess.Popen(argv, **given)  # type: ignore[call-overload, no-any-return]


def fail(module: str, args: list[str], **more: object) -> tuple[int, str]:
    process = start(module, args, **more)
    out, err = process.communicate()
    assert out == "" and "Traceback" not in err
    return process.returncode, err


@pytest.fixture
def given(tmp_path: Path) -> list[str]:
    return resolved(tmp_path / "in", attributes=False)[2]


@pytest.mark.parametrize("module", WRITERS)
def test_a_full_disk_leaves_the_old_image_and_a_message(module: str, given: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out/image"
    out.parent.mkdir()
    out.write_text("old")

    def small_files() -> None:
        # Writing beyond the limit fails as on a full disk (EFBIG instead of ENOSPC; the tools inherit it).
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    args = [*given, *WRITERS[module], "--out", str(out)]
    code, said = fail(module, args, preexec_fn=small_files, restore_signals=False)
    assert code == 1
    assert "File too large" in said or "failed (" in said
    assert os.listdir(out.parent) == ["image"] and out.read_text() == "old"


@pytest.mark.parametrize("module", WRITERS)
@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc/sys").exists(), reason="needs a folder nobody can write")
def test_a_folder_that_cannot_be_written_is_named(module: str, given: list[str]) -> None:
    code, said = fail(module, [*given, *WRITERS[module], "--out", "/proc/sys/image"])
    assert code == 1
    assert said.startswith("sampan: cannot write /proc/sys/image: ")


@pytest.mark.parametrize(("module", "tool"), [("ext4", "mke2fs"), ("squashfs", "tar2sqfs"), ("data", "mke2fs")])
def test_a_missing_tool_says_how_to_get_it(module: str, tool: str, given: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out/image"
    args = ["--size", "16M"] if module == "data" else given
    # A name space without the tool's folders: run() always adds sbin to PATH.
    code, said = fail("action_without_tools", [module, *args, "--out", str(out)], cwd=write_shim(tmp_path))
    assert code == 3
    assert f"{tool}: not found" in said and "sampan doctor --install" in said
    assert os.listdir(out.parent) == []


def write_shim(folder: Path) -> Path:
    """A package beside sampan's that runs an action with no tools in sight."""
    shim = folder / "sampan/build/action_without_tools.py"
    shim.parent.mkdir(parents=True)
    for path in (ROOT / "sampan").iterdir():
        if path.name != "build":
            (folder / "sampan" / path.name).symlink_to(path)
    for path in (ROOT / "sampan/build").iterdir():
        (folder / "sampan/build" / path.name).symlink_to(path)
    shim.write_text(
        "import importlib, sys\n"
        "from sampan.build import action\n"
        "from sampan.core import run\n"
        "run.tool_env = lambda extra=None: {'PATH': '/nonexistent'}\n"
        "import os; os.environ['PATH'] = '/nonexistent'\n"
        "module = importlib.import_module('sampan.build.' + sys.argv.pop(1))\n"
        "sys.exit(action.main(module.build_parser, module.make))\n"
    )
    return folder


def test_a_killed_action_leaves_nothing_and_the_next_one_succeeds(given: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out/image"
    args = [*given, "--size", "2G", "--out", str(out)]
    process = start("ext4", args)
    wait_for(lambda: out.parent.is_dir() and bool(os.listdir(out.parent)))
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert os.listdir(out.parent) == []
    process = start("ext4", [*given, "--out", str(out)])
    assert process.communicate()[1] == "" and process.returncode == 0
    assert os.listdir(out.parent) == ["image"]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--epoch", "0"], "'0' is not a time in seconds between 1 and"),
        (["--epoch", "4294967296"], "is not a time in seconds"),
        (["--epoch", "1", "--size", "16"], "'16' is no size such as 64M"),
        (["--epo", "1"], "the following arguments are required: --epoch"),
    ],
)
def test_wrong_options_are_refused(args: list[str], message: str) -> None:
    code, said = fail("ext4", ["--manifest", "m", "--sources", "s", "--out", "o", *args])
    assert code == 2 and message in said


def test_a_manifest_that_is_not_there_is_named() -> None:
    code, said = fail(
        "cpio", ["--format", "cpio", "--manifest", "/no/m", "--sources", "s", "--epoch", "1", "--out", "o"]
    )
    assert (code, said) == (1, "sampan: cannot read /no/m: No such file or directory\n")
