"""Fixtures of the tests that run the runtime on this host."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from runtime_conf import Read, Reader
from runtime_inject import Injector, make_injector
from runtime_lab import ALL_OFF, CGROUPS, Lab, build_runtime, need_host, run_lab
from runtime_tools import READER, build


@pytest.fixture(scope="session")
def runtime_binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_runtime(tmp_path_factory.mktemp("runtime") / "build")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """With the mark `both_ways` a test is run a second time without any newer system call, or any `but` some."""
    mark = metafunc.definition.get_closest_marker("both_ways")
    if mark and "kernel" in metafunc.fixturenames:
        kept = mark.kwargs.get("but", ())
        off = ",".join(switch for switch in ALL_OFF.split(",") if switch not in kept)
        metafunc.parametrize("kernel", [{}, {"SAMPAN_DISABLE": off}], ids=["host", "old-kernel"], indirect=True)


@pytest.fixture
def kernel(request: pytest.FixtureRequest) -> dict[str, str]:
    """What is in the runtime's environment to make the kernel look like another one: nothing, without `both_ways`."""
    return dict(getattr(request, "param", {}))


@pytest.fixture
def lab(runtime_binary: Path, tmp_path_factory: pytest.TempPathFactory, kernel: dict[str, str]) -> Iterator[Lab]:
    """The host's cgroups as they are. Each test must end with its containers stopped: that is checked."""
    need_host()
    yield from run_lab(runtime_binary, tmp_path_factory.mktemp("l"), kernel)


@pytest.fixture(params=["host", "v2", "v1", "old-kernel", "old-kernel-v2"])
def any_lab(
    request: pytest.FixtureRequest, runtime_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    """The same test for each cgroup layout of this host, and without any newer system call."""
    need_host()
    roots = {"v2": CGROUPS / "unified", "v1": CGROUPS / "devices"}
    env = {"SAMPAN_DISABLE": ALL_OFF} if "old-kernel" in request.param else {}
    layout = request.param.removeprefix("old-kernel").lstrip("-")
    if layout in roots:
        if not roots[layout].is_dir():
            pytest.skip(f"needs {roots[layout]}: this host's cgroups are not hybrid")
        env["SAMPAN_CGROUP_ROOT"] = str(roots[layout])
    yield from run_lab(runtime_binary, tmp_path_factory.mktemp("l"), env)


@pytest.fixture(scope="session")
def injector(tmp_path_factory: pytest.TempPathFactory) -> Injector:
    """Makes chosen system calls fail, wait or be the last."""
    return make_injector(tmp_path_factory.mktemp("inject"))


@pytest.fixture(scope="session")
def conf_tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("conftool"), "conftool", "tests/conftool.c", READER)


@pytest.fixture
def read(conf_tool: Path, tmp_path: Path) -> Reader:
    def read(text: str | bytes, **others: str) -> Read:
        for name, content in others.items():
            (tmp_path / name).write_text(content.replace("@", f"{tmp_path}/"))
        data = text if isinstance(text, bytes) else text.replace("@", f"{tmp_path}/").encode()
        (tmp_path / "config").write_bytes(data)
        done = subprocess.run([conf_tool, tmp_path / "config"], capture_output=True, timeout=20, check=False)
        assert done.returncode in (0, 1), done.stderr.decode()
        said = done.stderr.decode().replace(f"{tmp_path}/", "")
        return Read(done.returncode == 0, done.stdout.decode().splitlines(), said)

    return read
