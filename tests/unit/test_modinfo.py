"""The .modinfo reader: every ELF flavour, every compression, and no damage that surprises it."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import pytest
import zstandard
from elf_files import module
from hypothesis import given
from hypothesis import strategies as st

from sampan.build import modinfo
from sampan.core.errors import SampanError

INFO = {"license": ["GPL"], "depends": ["mbcache,jbd2"], "alias": ["fs-ext4", "ext3"], "softdep": ["pre: crc32c"]}


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_reads_all_classes_and_byte_orders(bits: int, order: str) -> None:
    assert modinfo.parse(module(INFO, bits=bits, order=order)) == INFO


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        (".ko", bytes),
        (".ko.gz", gzip.compress),
        (".ko.xz", lzma.compress),
        (".ko.bz2", bz2.compress),
        (".ko.zst", zstandard.ZstdCompressor().compress),
    ],
)
def test_reads_compressed_files(tmp_path: Path, suffix: str, compress: object) -> None:
    path = tmp_path / f"ext4{suffix}"
    path.write_bytes(compress(module(INFO)))  # type: ignore[operator]
    assert modinfo.read(path) == INFO
    assert modinfo.content(path) == module(INFO)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a kernel module"),
        (b"#!/bin/sh\n" * 20, "not an ELF file"),
        (module(INFO)[:100], "truncated"),
        (module(INFO).replace(b".modinfo", b".madinfo"), "has no .modinfo section"),
    ],
    ids=["empty", "script", "truncated", "no-section"],
)
def test_refuses_what_is_no_module_by_name(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "bad.ko"
    path.write_bytes(data)
    with pytest.raises(SampanError, match=reason) as caught:
        modinfo.read(path)
    assert "bad.ko" in caught.value.message


def test_a_damaged_compression_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.ko.xz"
    path.write_bytes(lzma.compress(module(INFO))[:-20])
    with pytest.raises(SampanError, match=r"bad\.ko\.xz: damaged"):
        modinfo.read(path)


_KEYS = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1)
_VALUES = st.text(st.characters(min_codepoint=1, codec="utf-8"))


@given(st.dictionaries(_KEYS, st.lists(_VALUES, min_size=1)), st.sampled_from([32, 64]), st.sampled_from("<>"))
def test_what_was_written_is_read(values: dict[str, list[str]], bits: int, order: str) -> None:
    assert modinfo.parse(module(values, bits=bits, order=order)) == values


@given(st.data())
def test_damage_is_refused_or_harmless(data: st.DataObject) -> None:
    good = bytearray(module(INFO, bits=data.draw(st.sampled_from([32, 64]))))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(good)))
    try:
        modinfo.parse(bytes(good[:cut]))
    except modinfo.NotAModule as error:
        assert str(error)


def test_builtin_modinfo() -> None:
    data = b"ext4.alias=fs-ext4\0ext4.license=GPL\0crc32c_generic.alias=crc32c\0noise\0"
    assert modinfo.parse_builtin(data) == {
        "ext4": {"alias": ["fs-ext4"], "license": ["GPL"]},
        "crc32c_generic": {"alias": ["crc32c"]},
    }
