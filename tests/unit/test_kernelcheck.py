"""A kernel that cannot run containers is refused at build time, with the option and the reason."""

from __future__ import annotations

import gzip
from pathlib import Path

import kernel_files as made
import pytest

from sampan.build import kernelcheck
from sampan.core.errors import SampanError

OPTIONS = kernelcheck.options()
HEADER = "#\n# Automatically generated file; DO NOT EDIT.\n# Linux/arm 6.1.90 Kernel Configuration\n#\n"


def config(*without: str, version: str = "6.1.90", **changed: str) -> str:
    """A configuration with every option of containers.toml but some."""
    values = {option.name: "y" for option in OPTIONS if option.name not in without} | changed
    return HEADER.replace("6.1.90", version) + "".join(f"CONFIG_{name}={value}\n" for name, value in values.items())


def row(report: kernelcheck.Report, name: str) -> kernelcheck.Row:
    return next(item for item in report.rows if item.option.name == name)


def test_the_table_is_sound() -> None:
    names = [option.name for option in OPTIONS]
    assert len(names) == len(set(names)) and all(option.reason for option in OPTIONS)
    assert {option.name for option in OPTIONS if option.cgroup == "v2" and option.level == "must"} == {
        "BPF_SYSCALL",
        "CGROUP_BPF",
    }


def test_a_full_configuration_passes() -> None:
    report = kernelcheck.check_text(config(), "c")
    assert (report.missing, report.warnings, report.release) == ([], [], "6.1.90")
    kernelcheck.require(report, "v1")
    kernelcheck.require(report, "v2")


@pytest.mark.parametrize("name", [o.name for o in OPTIONS if o.level == "must" and o.cgroup == "all" and not o.until])
def test_each_must_have_fails_the_build_with_its_reason(name: str) -> None:
    report = kernelcheck.check_text(config(name), "board x: config")
    reason = row(report, name).option.reason
    for cgroup in ("v1", "v2"):
        with pytest.raises(SampanError) as caught:
            kernelcheck.require(report, cgroup)  # type: ignore[arg-type]
        assert f"CONFIG_{name}=n: {reason}" in caught.value.message
        assert caught.value.message.startswith("board x: config: ")


def test_a_kernel_without_bpf_runs_v1_only(capsys: pytest.CaptureFixture[str]) -> None:
    report = kernelcheck.check_text(config("CGROUP_BPF"), "c")
    kernelcheck.require(report, "v1")
    assert "no containers with cgroup v2: CONFIG_CGROUP_BPF=n" in capsys.readouterr().err
    with pytest.raises(SampanError, match="cannot run containers with cgroup v2") as caught:
        kernelcheck.require(report, "v2")
    assert "sampan.cgroup=v1" in caught.value.hint


def test_should_and_may_never_fail() -> None:
    weak = [option.name for option in OPTIONS if option.level != "must"]
    report = kernelcheck.check_text(config(*weak), "c")
    kernelcheck.require(report, "v2")
    assert {item.option.name for item in report.warnings} == {o.name for o in OPTIONS if o.level == "should"}


def test_m_is_not_y_where_modules_come_too_late() -> None:
    report = kernelcheck.check_text(config(BINFMT_SCRIPT="m", VETH="m"), "c")
    assert row(report, "VETH").ok
    assert not row(report, "BINFMT_SCRIPT").ok
    with pytest.raises(SampanError, match="CONFIG_BINFMT_SCRIPT=m: must be y"):
        kernelcheck.require(report, "v2")


def test_older_names_count() -> None:
    found = row(kernelcheck.check_text(config("MEMCG", CGROUP_MEM_RES_CTLR="y", version="3.4.32"), "c"), "MEMCG")
    assert (found.ok, found.value, found.remark) == (True, "y", "as CGROUP_MEM_RES_CTLR")


@pytest.mark.parametrize(
    ("version", "value", "ok"), [("4.6.0", "n", False), ("4.7.0", "-", True), ("6.1.90", "-", True)]
)
def test_an_option_that_went_away_is_not_asked_for(version: str, value: str, ok: bool) -> None:
    found = row(
        kernelcheck.check_text(config("DEVPTS_MULTIPLE_INSTANCES", version=version), "c"), "DEVPTS_MULTIPLE_INSTANCES"
    )
    assert (found.value, found.ok) == (value, ok)


def test_an_option_that_came_later_says_so() -> None:
    report = kernelcheck.check_text(config("CGROUP_BPF", "SECCOMP_FILTER", version="3.4.32"), "c")
    assert row(report, "SECCOMP_FILTER").ok and row(report, "SECCOMP_FILTER").remark == "needs kernel 3.5"
    assert not report.supports("v2") and report.supports("v1")


def test_files_of_all_kinds(tmp_path: Path) -> None:
    text = config()
    plain = made.BANNER + made.ikconfig(text)
    files = {
        "config": text.encode(),
        "config.gz": gzip.compress(text.encode()),
        "configs.ko": b"\x7fELF" + bytes(60) + made.ikconfig(text),
        "vmlinux": made.elf(plain),
        "bzImage": made.bzimage(made.COMPRESS["lz4"](made.elf(plain))),
        "zImage": made.zimage(made.COMPRESS["xz"](plain)),
        "Image": made.arm64_image(plain),
    }
    for name, data in files.items():
        path = tmp_path / name
        path.write_bytes(data)
        report = kernelcheck.check_file(path)
        assert (report.source, report.missing) == (str(path), []), name
        assert row(report, "CGROUP_BPF").value == "y", name


def test_an_image_without_its_configuration_names_the_release(tmp_path: Path) -> None:
    path = tmp_path / "bzImage"
    path.write_bytes(made.bzimage(made.COMPRESS["gzip"](made.elf(made.BANNER))))
    with pytest.raises(SampanError, match="without CONFIG_IKCONFIG") as caught:
        kernelcheck.check_file(path)
    assert f"/boot/config-{made.RELEASE}" in caught.value.hint


@pytest.mark.parametrize("data", [b"", b"hello\n", b"\x1f\x8b\x08 broken", bytes(5000)])
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(SampanError, match=r"neither a \.config nor a kernel image"):
        kernelcheck.check_file(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SampanError, match=r"cannot read .*nowhere: No such file"):
        kernelcheck.check_file(tmp_path / "nowhere")


def test_a_wrong_table_names_the_key(tmp_path: Path) -> None:
    path = tmp_path / "containers.toml"
    path.write_text('[[option]]\nname = "A"\nlevel = "shall"\nreason = "r"\n')
    with pytest.raises(SampanError, match="shall"):
        kernelcheck.options(path)
