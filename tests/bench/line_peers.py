"""Groups modem and labgrid: how much of the same line others use for a file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from line_paced import PacedLine
from line_rows import CLEAN, Row, share, verdict
from serial_pair import FULL, noise

from sampan.core.paths import ROOT, build_dir

LABGRID = "labgrid==26.0.1"


def modem_row(name: str, send: list[str], receive: list[str], size: int, ours: float) -> Row:
    """lrzsz's programs at both ends; `ours` is our own share of the line."""
    if not shutil.which(send[0]):
        return [name, "-", "", f"no {send[0]} here (lrzsz)"]
    line = PacedLine(CLEAN)
    with tempfile.TemporaryDirectory() as folder:
        data = noise(size)
        Path(folder, "file").write_bytes(data)
        Path(folder, "in").mkdir()
        ends = [os.open(path, os.O_RDWR | os.O_NOCTTY) for path in (line.board, line.host)]
        quiet = {"stderr": subprocess.DEVNULL}
        began = time.monotonic()
        there = subprocess.Popen(receive, stdin=ends[0], stdout=ends[0], cwd=f"{folder}/in", **quiet)  # type: ignore[call-overload]
        here = subprocess.Popen([*send, "file"], stdin=ends[1], stdout=ends[1], cwd=folder, **quiet)  # type: ignore[call-overload]
        got = Path(folder, "in", "file")
        # To the file's last byte: how the programs part afterwards is not counted.
        while not (got.exists() and got.stat().st_size >= size and got.read_bytes()[:size] == data):
            if time.monotonic() - began > 150:
                break
            time.sleep(0.05)
        seconds = time.monotonic() - began
        for program in (here, there):
            program.kill()
            program.wait()
        line.close()
        exact = got.exists() and got.read_bytes()[:size] == data
    rate = size / seconds / FULL if exact else 0.0
    return [name, share(rate) if exact else "failed", f"less than our {share(ours)}", verdict(rate < ours)]


def labgrid_row(size: int, ours: float) -> Row:
    """labgrid's put (XMODEM by its ShellDriver) on the same line."""
    python = build_dir() / "bench-labgrid" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", build_dir() / "bench-labgrid"], check=True)
        subprocess.run([python, "-m", "pip", "-q", "install", LABGRID], check=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "file").write_bytes(noise(size))
        line = PacedLine(CLEAN)
        end = os.open(line.board, os.O_RDWR | os.O_NOCTTY)
        subprocess.run(["stty", "sane"], stdin=end, check=True)
        shell = subprocess.Popen(
            ["setsid", "-c", "sh", "-i"], stdin=end, stdout=end, stderr=end, env=os.environ | {"PS1": "board# "}
        )
        script = ROOT / "tests" / "bench" / "labgrid_put.py"
        command = [python, script, line.host, folder / "file", folder / "there"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
            said = done.stdout.strip().splitlines() if done.returncode == 0 else []
        except subprocess.TimeoutExpired:
            said = []
        shell.kill()
        shell.wait()
        line.close()
        there = folder / "there"
        exact = there.exists() and there.read_bytes() == noise(size)
    good = said and exact
    rate = size / float(said[-1]) / FULL if good else 0.0
    return ["labgrid put", share(rate) if good else "failed", f"less than our {share(ours)}", verdict(rate < ours)]
