"""Debian packages and a Debian archive made by hand, so that apt itself can be tested without network."""

from __future__ import annotations

import hashlib
import io
import lzma
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import zstandard


def tar(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"./{name}")
            entry.size, entry.mode = len(data), 0o600
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def ar(members: Iterable[tuple[str, bytes]]) -> bytes:
    out = b"!<arch>\n"
    for name, data in members:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) & 1)
    return out


def deb(control: Mapping[str, str], files: Mapping[str, bytes], suffix: str = ".xz") -> bytes:
    fields = "".join(f"{key}: {value}\n" for key, value in control.items())
    pack = {"": bytes, ".xz": lzma.compress, ".zst": zstandard.ZstdCompressor().compress}[suffix]
    return ar(
        [
            ("debian-binary", b"2.0\n"),
            ("control.tar.xz", lzma.compress(tar({"control": fields.encode()}))),
            (f"data.tar{suffix}", pack(tar(files))),
        ]
    )


@dataclass
class Archive:
    """A Debian archive in a folder: one suite, one component."""

    root: Path
    stanzas: dict[str, list[str]] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)

    def add(self, name: str, version: str, arch: str, *, depends: str = "", files: Mapping[str, bytes] = {}) -> Path:
        control = {"Package": name, "Version": version, "Architecture": arch, "Maintainer": "a <a@b>"}
        control |= {"Depends": depends} if depends else {}
        data = deb(control | {"Description": "made"}, files)
        path = self.root / "pool" / f"{name}_{version}_{arch}.deb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        control |= {"Filename": f"pool/{path.name}", "Size": str(len(data)), "SHA256": hashlib.sha256(data).hexdigest()}
        self.stanzas.setdefault(arch, []).append("".join(f"{key}: {value}\n" for key, value in control.items()))
        return path

    def add_source(self, name: str, version: str, files: Mapping[str, bytes]) -> None:
        folder = self.root / "pool"
        folder.mkdir(parents=True, exist_ok=True)
        listed = {f"{name}_{version}.dsc": b"Format: 3.0 (quilt)\nSource: x\n"} | dict(files)
        for file, data in listed.items():
            (folder / file).write_bytes(data)
        sums = "".join(f" {hashlib.sha256(d).hexdigest()} {len(d)} {f}\n" for f, d in listed.items())
        self.sources.append(
            f"Package: {name}\nBinary: {name}\nVersion: {version}\nMaintainer: a <a@b>\nArchitecture: any\n"
            f"Format: 3.0 (quilt)\nDirectory: pool\nChecksums-Sha256:\n{sums}"
        )

    def publish(self, suites: Iterable[str] = ("bookworm",), arches: Iterable[str] = ("amd64",)) -> Path:
        """Write indexes and Release files; returns a sources file that names the archive."""
        for suite in suites:
            folder = self.root / "dists" / suite
            indexes = {
                f"main/binary-{arch}/Packages": "\n".join(self.stanzas.get(arch, [])).encode() for arch in arches
            }
            indexes["main/source/Sources"] = "\n".join(self.sources).encode()
            sums = ""
            for name, data in indexes.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(data)
                sums += f" {hashlib.sha256(data).hexdigest()} {len(data)} {name}\n"
            release = f"Origin: Debian\nSuite: {suite}\nCodename: {suite}\nDate: Thu, 01 Jan 2026 00:00:00 UTC\n"
            listed = " ".join(arches)
            (folder / "Release").write_text(f"{release}Architectures: {listed}\nComponents: main\nSHA256:\n{sums}")
        path = self.root / "debian.sources"
        path.write_text(sources(f"file:{self.root}"))
        return path


def sources(uri: str) -> str:
    return f"Types: deb\nURIs: {uri}\nSuites: bookworm\nComponents: main\nTrusted: yes\n"
