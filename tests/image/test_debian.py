"""apt itself against an archive made by hand: what is fetched, what is refused, what a second run needs."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from deb_files import Archive, sources

from sampan.build import debian
from sampan.core.errors import EXIT_MISSING, SampanError
from sampan.core.paths import ROOT

pytestmark = pytest.mark.skipif(not shutil.which("apt-get"), reason="this host has no apt-get")

KERNEL = "linux-image-6.1.0-9-cloud-amd64_6.1.9-1_amd64.deb"
#: Not on any machine: what a host without network looks like.
NOWHERE = "http://127.0.0.1:9/debian"


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """linux-image-cloud-amd64 depends on a versioned kernel package, as in Debian."""
    made = Archive(tmp_path / "mirror")
    made.add("linux-image-cloud-amd64", "6.1.9-1", "amd64", depends="linux-image-6.1.0-9-cloud-amd64 (= 6.1.9-1)")
    made.add(
        "linux-image-6.1.0-9-cloud-amd64", "6.1.9-1", "amd64", depends="kmod, linux-base", files={"boot/vmlinuz": b"K"}
    )
    monkeypatch.setenv("SAMPAN_APT_SOURCES", str(made.publish(["bookworm", "bookworm-updates"])))
    monkeypatch.setenv("SAMPAN_DOWNLOADS", str(tmp_path / "downloads"))
    return made


def kernel() -> Path:
    return debian.kernel_package("linux-image-cloud-amd64", "amd64")


def test_the_versioned_package_behind_a_metapackage_is_fetched(archive: Archive, tmp_path: Path) -> None:
    path = kernel()
    assert path == tmp_path / "downloads" / KERNEL
    assert path.read_bytes() == (archive.root / "pool" / KERNEL).read_bytes()


def test_a_second_run_needs_no_network(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    first = kernel()
    shutil.rmtree(archive.root / "pool")
    monkeypatch.setenv("SAMPAN_APT_SOURCES", "/nonexistent")
    assert kernel() == first


def test_the_systems_dpkg_and_apt_are_not_touched(archive: Archive) -> None:
    watched = [Path("/var/lib/dpkg/status"), Path("/var/lib/apt/lists")]
    before = [path.stat().st_mtime_ns for path in watched if path.exists()]
    kernel()
    assert [path.stat().st_mtime_ns for path in watched if path.exists()] == before


def test_one_bad_index_does_not_stop_the_others(archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    (archive.root / "dists/bookworm-updates/main/binary-amd64/Packages").write_text("truncated")
    assert kernel().name == KERNEL
    assert "apt: E: Failed to fetch" in capsys.readouterr().err


def test_no_network_says_what_to_put_where(archive: Archive, tmp_path: Path) -> None:
    (archive.root / "debian.sources").write_text(sources(NOWHERE))
    with pytest.raises(SampanError, match="cannot fetch linux-image-cloud-amd64") as caught:
        kernel()
    assert caught.value.code == EXIT_MISSING
    assert "linux-image-6.1.*-cloud-amd64_*_amd64.deb" in caught.value.hint and "downloads" in caught.value.hint
    assert "127.0.0.1" in caught.value.message


def test_a_file_put_there_by_hand_is_taken(archive: Archive, tmp_path: Path) -> None:
    (archive.root / "debian.sources").write_text(sources(NOWHERE))
    (tmp_path / "downloads").mkdir()
    shutil.copy(archive.root / "pool" / KERNEL, tmp_path / "downloads")
    assert kernel() == tmp_path / "downloads" / KERNEL


def test_two_files_that_fit_are_not_guessed_between(archive: Archive, tmp_path: Path) -> None:
    kernel()
    (tmp_path / "downloads" / KERNEL.replace("-9-", "-8-")).write_bytes(b"")
    with pytest.raises(SampanError, match="2 packages fit") as caught:
        kernel()
    assert "keep one" in caught.value.hint


@pytest.mark.parametrize("damage", ["truncated", "changed"])
def test_a_bad_download_is_refused_and_leaves_nothing(archive: Archive, tmp_path: Path, damage: str) -> None:
    path = archive.root / "pool" / KERNEL
    data = path.read_bytes()
    path.write_bytes(data[:-50] if damage == "truncated" else data[:-1] + b"X")
    with pytest.raises(SampanError, match=r"cannot fetch linux-image-6\.1\.0-9-cloud-amd64=6\.1\.9-1"):
        kernel()
    assert list((tmp_path / "downloads").glob("*.deb")) == []


def test_a_kept_file_that_changed_is_refused(archive: Archive) -> None:
    path = kernel()
    path.write_bytes(path.read_bytes() + b"X")
    with pytest.raises(SampanError, match="wrong SHA-256"):
        kernel()
    assert not path.exists()
    assert kernel() == path


def test_an_unknown_package_is_named(archive: Archive) -> None:
    with pytest.raises(SampanError, match="Debian bookworm has no such package for amd64"):
        debian.kernel_package("linux-image-cloud-amd46", "amd64")


def test_a_source_package_with_pins(archive: Archive, tmp_path: Path) -> None:
    files = {"bb_1.orig.tar.bz2": b"orig", "bb_1-1.debian.tar.xz": b"patches"}
    archive.add_source("bb", "1-1", files)
    archive.publish(["bookworm", "bookworm-updates"])
    pins = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    assert [path.read_bytes() for path in debian.source_files("bb", "1-1", pins)] == [b"orig", b"patches"]
    shutil.rmtree(archive.root)
    assert len(debian.source_files("bb", "1-1", pins)) == 2


def test_a_source_that_does_not_match_its_pin_is_refused(archive: Archive, tmp_path: Path) -> None:
    archive.add_source("bb", "1-1", {"bb_1.orig.tar.bz2": b"another"})
    archive.publish(["bookworm", "bookworm-updates"])
    with pytest.raises(SampanError, match="wrong SHA-256"):
        debian.source_files("bb", "1-1", {"bb_1.orig.tar.bz2": hashlib.sha256(b"orig").hexdigest()})
    assert not (tmp_path / "downloads/bb_1.orig.tar.bz2").exists()


def test_a_version_that_is_gone_names_the_files(archive: Archive) -> None:
    with pytest.raises(SampanError, match="cannot fetch bb 1-2") as caught:
        debian.source_files("bb", "1-2", {"bb_1.orig.tar.bz2": "0" * 64})
    assert "bb_1.orig.tar.bz2" in caught.value.hint


_SCRIPT = "from sampan.build import debian; print(debian.kernel_package('linux-image-cloud-amd64', 'amd64').name)"


def test_two_builds_at_once_without_privileges(archive: Archive) -> None:
    # Root without capabilities may do what an ordinary user may: apt must not change users, for one.
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []
    argv = [*drop, sys.executable, "-c", _SCRIPT]
    runs = [
        subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)
    ]
    results = [(*run.communicate(timeout=120), run.returncode) for run in runs]
    assert [(out.strip(), code) for out, _, code in results] == [(KERNEL, 0)] * 3, results


@pytest.mark.network
def test_the_real_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small real package by the system's own sources, signatures checked by apt."""
    monkeypatch.setenv("SAMPAN_DOWNLOADS", str(tmp_path))
    root = debian.AptRoot("armhf")
    root.prepare()
    complaints = root.update()
    package = root.show("linux-image-armmp")
    if package is None and complaints:
        pytest.skip(f"no Debian mirror: {complaints[0]}")
    assert package and package.depends.startswith("linux-image-6.1.0-")
    assert root.download(package).stat().st_size == package.size
