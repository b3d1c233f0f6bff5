"""Files from outside are believed only when their content is the expected one."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import get_args

import pytest

from sampan.board.model import DebianKernel
from sampan.build import debian, debsources, fetch
from sampan.core.errors import EXIT_MISSING, SampanError

DATA = b"busybox source " * 100
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAMPAN_DOWNLOADS", str(tmp_path / "downloads"))
    return tmp_path / "downloads"


def test_the_right_content_gets_its_name(downloads: Path, tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.write_bytes(DATA)
    assert fetch.adopt(part, "busybox.tar", SHA, size=len(DATA)) == downloads / "busybox.tar"
    assert fetch.present("busybox.tar", SHA) == downloads / "busybox.tar"
    assert not part.exists()


def test_a_truncated_download_is_refused_and_removed(downloads: Path, tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.write_bytes(DATA[:700])
    with pytest.raises(SampanError, match="truncated: 700 of 1500 bytes"):
        fetch.adopt(part, "busybox.tar", SHA, size=len(DATA))
    assert not part.exists() and not (downloads / "busybox.tar").exists()


def test_wrong_content_shows_both_sums_and_goes(downloads: Path) -> None:
    path = fetch.folder() / "busybox.tar"
    path.write_bytes(DATA + b"!")
    with pytest.raises(SampanError) as caught:
        fetch.present("busybox.tar", SHA)
    assert f"expected {SHA}" in caught.value.message
    assert hashlib.sha256(DATA + b"!").hexdigest() in caught.value.message
    assert not path.exists()


def test_what_is_absent_is_none(downloads: Path) -> None:
    assert fetch.present("busybox.tar", SHA) is None


def test_the_message_says_what_to_put_where(downloads: Path) -> None:
    error = fetch.cannot_fetch("busybox", ["busybox.tar.bz2"], "no network")
    assert error.code == EXIT_MISSING
    assert "busybox.tar.bz2" in error.hint and "downloads" in error.hint


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SAMPAN_DOWNLOADS", str(tmp_path / "file/downloads"))
    with pytest.raises(SampanError, match=r"cannot make .*downloads"):
        fetch.folder()


def test_the_lock_keeps_others_out(downloads: Path) -> None:
    order: list[str] = []
    ready = threading.Event()

    def other() -> None:
        ready.set()
        with fetch.locked("apt-amd64"):
            order.append("other")

    with fetch.locked("apt-amd64"):
        thread = threading.Thread(target=other)
        thread.start()
        ready.wait()
        thread.join(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "other"]


@pytest.mark.parametrize(
    ("name", "file", "fits"),
    [
        ("linux-image-armmp", "linux-image-6.1.0-50-armmp_6.1.176-1_armhf.deb", True),
        ("linux-image-armmp", "linux-image-6.1.0-50-armmp-lpae_6.1.176-1_armhf.deb", False),
        ("linux-image-armmp", "linux-image-6.1.0-50-armmp-unsigned_6.1.176-1_armhf.deb", True),
        ("linux-image-armmp", "linux-image-6.12.107+deb13-armmp_6.12.107-1_armhf.deb", False),
        ("linux-image-armmp", "linux-image-5.10.0-32-armmp_5.10.223-1_armhf.deb", False),
        ("linux-image-armmp", "linux-image-armmp_6.1.176-1_armhf.deb", False),
        ("linux-image-armmp", "linux-image-6.1.0-50-armmp_6.1.176-1_amd64.deb", False),
        ("linux-image-amd64", "linux-image-6.1.0-56-cloud-amd64_6.1.192-2_armhf.deb", False),
        ("linux-image-6.1.0-50-armmp", "linux-image-6.1.0-50-armmp_6.1.176-1_armhf.deb", True),
        ("linux-image-6.1.0-50-armmp", "linux-image-6.1.0-51-armmp_6.1.180-1_armhf.deb", False),
    ],
)
def test_which_files_stand_for_a_kernel(name: str, file: str, fits: bool) -> None:
    assert bool(debian._kernel_pattern(name, "armhf", "6.1").match(file)) is fits


@pytest.mark.parametrize(
    ("version", "file"),
    [
        ("5.10", "linux-image-5.10.0-32-armmp_5.10.223-1_armhf.deb"),
        ("6.1", "linux-image-6.1.0-50-armmp_6.1.176-1_armhf.deb"),
        ("6.12", "linux-image-6.12.107+deb13-armmp_6.12.107-1_armhf.deb"),
    ],
)
def test_kernels_of_several_releases_lie_side_by_side(version: DebianKernel, file: str) -> None:
    others = [each for each in ("5.10", "6.1", "6.12") if each != version]
    assert debian._kernel_pattern("linux-image-armmp", "armhf", version).match(file)
    assert not any(debian._kernel_pattern("linux-image-armmp", "armhf", each).match(file) for each in others)  # type: ignore[arg-type]


def test_each_kernel_comes_from_its_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = tmp_path / "sources"
    sources.write_text("deb http://d/debian bookworm main\ndeb http://s/debian-security x-security main\n")
    monkeypatch.setenv("SAMPAN_APT_SOURCES", str(sources))
    monkeypatch.setenv("SAMPAN_DOWNLOADS", str(tmp_path / "downloads"))
    assert set(debsources.KERNEL_SUITES) == set(get_args(DebianKernel))
    for version, release in debsources.KERNEL_SUITES.items():
        root = debian.AptRoot("armhf", release)
        root.prepare()
        text = (root.root / "debian.sources").read_text()
        assert f"Suites: {release} {release}-updates\n" in text, version
        assert "apt/armhf" in str(root.root) and len(list((tmp_path / "downloads/apt").iterdir())) >= 1
    assert len(list((tmp_path / "downloads/apt").iterdir())) == len(debsources.KERNEL_SUITES)


SOURCES = """\
# a mirror
Types: deb
URIs: mirror+file:/etc/apt/mirrors/debian.list
Suites: trixie trixie-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: https://mirror.example/debian-security/
Suites: trixie-security
Components: main

Types: deb
URIs: https://mirror.example/debian
Suites: trixie
Components: main
Enabled: no

Types: deb
URIs: https://packages.example/docker
Suites: bookworm
Components: main
Signed-By: /etc/apt/keyrings/docker.gpg

Types: deb
URIs: https://packages.example/node
Suites: nodistro
Components: main
"""


def etc(tmp_path: Path, **files: str) -> Path:
    (tmp_path / "sources.list.d").mkdir()
    for name, text in files.items():
        path = tmp_path / ("sources.list" if name == "main" else f"sources.list.d/{name}.sources")
        path.write_text(text)
    return tmp_path


def test_the_systems_own_mirrors_are_used(tmp_path: Path) -> None:
    found = debsources.find(etc(tmp_path, debian=SOURCES))
    assert [(item.uri, item.security) for item in found] == [
        ("mirror+file:/etc/apt/mirrors/debian.list", False),
        ("https://mirror.example/debian-security/", True),
    ]
    text = found[0].stanza("armhf", "binary")
    assert "Suites: bookworm bookworm-updates\n" in text and "Architectures: armhf\n" in text
    assert "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n" in text
    assert "Suites: bookworm-security\n" in found[1].stanza("armhf", "source")


def test_one_line_sources(tmp_path: Path) -> None:
    lines = """\
    deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://a.example/debian bookworm main
    deb http://a.example/debian bookworm-updates main contrib # remark
    deb http://s.example/debian-security bullseye/updates main
    # deb http://off.example/debian bookworm main
    deb http://ppa.example/ubuntu jammy main
    deb http://a.example/debian bookworm contrib
    """
    found = debsources.find(etc(tmp_path, main=lines))
    assert {(item.uri, item.security) for item in found} == {
        ("http://a.example/debian", False),
        ("http://s.example/debian-security", True),
    }


def test_no_debian_sources_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SampanError, match="no Debian apt sources in") as caught:
        debsources.find(etc(tmp_path, main="deb http://ppa.example/ubuntu jammy main\n"))
    assert "SAMPAN_APT_SOURCES" in caught.value.hint and "downloads/" in caught.value.hint


def test_a_named_sources_file_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "my.sources"
    path.write_text("Types: deb\nURIs: file:/srv/debian\nSuites: bookworm\nComponents: main\nTrusted: yes\n")
    monkeypatch.setenv("SAMPAN_APT_SOURCES", str(path))
    assert [(item.uri, dict(item.options)) for item in debsources.find()] == [("file:/srv/debian", {"Trusted": "yes"})]
    monkeypatch.setenv("SAMPAN_APT_SOURCES", str(tmp_path / "none"))
    with pytest.raises(SampanError, match="no such file"):
        debsources.find()
