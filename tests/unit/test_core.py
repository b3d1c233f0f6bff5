"""Files, tools and messages: what every room relies on."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from sampan.core import files, tools
from sampan.core.errors import EXIT_MISSING, SampanError, did_you_mean
from sampan.core.run import run


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_text("old")
    with pytest.raises(RuntimeError), files.atomic(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["out"]


def test_the_mode_of_a_written_file_ignores_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        files.write_text(tmp_path / "out", "x", 0o644)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o644


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_said_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(SampanError) as caught, files.atomic(tmp_path / "out"), Path("/dev/full").open("wb", 0) as full:
        full.write(b"x")
    assert "No space left" in caught.value.message
    assert "free some space" in caught.value.hint
    assert os.listdir(tmp_path) == []


def test_a_path_below_a_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SampanError, match="cannot write .*file/out"):
        files.write_text(tmp_path / "file/out", "x")


def test_a_missing_program_says_how_to_get_it() -> None:
    with pytest.raises(SampanError) as caught:
        run(["sampan-no-such-tool"])
    assert caught.value.code == EXIT_MISSING
    assert "doctor" in caught.value.hint


def test_a_failed_program_shows_a_command_to_paste_and_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(SampanError) as caught:
        run(["sh", "-c", "echo 'last words' >&2; exit 7"], cwd=tmp_path)
    assert f"$ cd {tmp_path} && sh -c 'echo '" in caught.value.message
    assert "exit status 7" in caught.value.message
    assert "| last words" in caught.value.message


def test_tools_do_not_see_the_callers_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "1")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    seen = run(["env"]).stdout.splitlines()
    assert "LC_ALL=C" in seen
    assert not any(line.startswith("SECRET") for line in seen)


def test_a_tool_that_is_not_there_is_reported_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "tool_env", lambda: {"PATH": str(tmp_path)})
    absent = tools.missing(["boot"])
    assert [tool.package for tool in absent] == [tool.package for tool in tools.TOOLS if tool.use == "boot"]
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SampanError) as caught:
        tools.ensure(["boot"])
    assert "qemu-system-arm" in caught.value.message
    assert "apt-get install qemu-system-arm qemu-system-x86" in caught.value.hint


def test_without_apt_it_says_what_each_tool_is_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "tool_env", lambda: {"PATH": str(tmp_path)})
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SampanError) as caught:
        tools.ensure(["boot"])
    assert "qemu-system-arm (runs qemuarm)" in caught.value.hint


def test_hints_name_the_nearest_or_all() -> None:
    assert did_you_mean("strat", ["start", "stop"]) == "did you mean 'start'?"
    assert did_you_mean("zzz", ["start", "stop"]) == "known: start, stop"


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    (tmp_path / f".out.{dead.pid}-0.tmp").write_text("half")
    living = tmp_path / f".out.{os.getpid()}-99.tmp"
    living.write_text("another writer of ours")
    files.write_text(tmp_path / "out", "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [living.name, "out"]
