"""Debian packages are read whole or refused; nothing of dpkg is needed."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from deb_files import ar, deb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sampan.build import deb as reader
from sampan.core.errors import SampanError

FILES = {"boot/vmlinuz-6.1": b"kernel" * 1000, "lib/modules/6.1/a.ko": b"module", "usr/share/doc/x": b"no"}
CONTROL = {"Package": "linux-image-6.1", "Version": "6.1.192-2", "Depends": "kmod,\n linux-base"}


@pytest.mark.parametrize("suffix", ["", ".xz", ".zst"])
def test_extracts_what_is_wanted(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "k.deb"
    path.write_bytes(deb(CONTROL, FILES, suffix))
    done = reader.extract(path, tmp_path / "out", lambda name: name.startswith(("boot/", "lib/")))
    assert done == ["boot/vmlinuz-6.1", "lib/modules/6.1/a.ko"]
    assert (tmp_path / "out/boot/vmlinuz-6.1").read_bytes() == FILES["boot/vmlinuz-6.1"]
    assert (tmp_path / "out/boot/vmlinuz-6.1").stat().st_mode & 0o777 == 0o644
    assert not (tmp_path / "out/usr").exists()


def test_control_fields(tmp_path: Path) -> None:
    path = tmp_path / "k.deb"
    path.write_bytes(deb(CONTROL, {}))
    fields = reader.control(path)
    assert fields["version"] == "6.1.192-2" and fields["depends"] == "kmod,\n linux-base"


def test_nothing_is_written_outside_the_target(tmp_path: Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name in ("../escape", "/absolute", "ok/../../escape", "good"):
            entry = tarfile.TarInfo(name)
            entry.size = 1
            archive.addfile(entry, io.BytesIO(b"x"))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    path = tmp_path / "evil.deb"
    path.write_bytes(ar([("debian-binary", b"2.0\n"), ("data.tar", data.getvalue())]))
    assert reader.extract(path, tmp_path / "out", lambda _: True) == ["good"]
    assert sorted(item.name for item in tmp_path.rglob("*")) == ["evil.deb", "good", "out"]


@pytest.mark.parametrize("cut", [4, 30, 200, -10])
def test_a_truncated_package_is_refused_by_name(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "k.deb"
    path.write_bytes(deb(CONTROL, FILES)[:cut])
    with pytest.raises(SampanError, match=r"k\.deb: "):
        reader.extract(path, tmp_path / "out", lambda _: True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damage_never_surprises(tmp_path: Path, data: st.DataObject) -> None:
    good = bytearray(deb(CONTROL, FILES))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "k.deb"
    path.write_bytes(bytes(good))
    for act in (lambda: reader.control(path), lambda: reader.extract(path, tmp_path / "out", lambda _: True)):
        try:
            act()
        except SampanError as error:
            assert "k.deb" in error.message or "compression" in error.message
