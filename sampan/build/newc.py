"""Reading newc archives: for the size report, and for naming what differs between two builds."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import zstandard

from sampan.build.cpio import FIELDS, HEADER_SIZE, MAGIC, TRAILER
from sampan.core.errors import SampanError

GZIP_MAGIC, ZSTD_MAGIC = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class Member:
    """One member of an archive: its header fields by name, and its bytes."""

    name: bytes
    fields: dict[str, int]
    data: bytes
    head: bytes  #: header, name and padding as they stand in the archive

    @property
    def path(self) -> str:
        """The absolute path in the image."""
        return "/" + (b"" if self.name == b"." else self.name).decode("utf-8", "surrogateescape")


def unpack(data: bytes) -> bytes:
    """The archive in a gzip stream, a zstd frame or as it is; SampanError when damaged."""
    try:
        if data.startswith(GZIP_MAGIC):
            return gzip.decompress(data)
        if data.startswith(ZSTD_MAGIC):
            return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise SampanError(f"damaged compressed archive: {error}") from error
    return data


def members(archive: bytes) -> Iterator[Member]:
    """All members but the trailer; SampanError when the archive is damaged."""
    at = 0
    while True:
        head = archive[at : at + HEADER_SIZE]
        if len(head) < HEADER_SIZE or not head.startswith(MAGIC):
            raise SampanError(f"damaged archive: no newc header at byte {at}")
        try:
            values = [int(head[6 + 8 * n : 14 + 8 * n], 16) for n in range(len(FIELDS))]
        except ValueError as error:
            raise SampanError(f"damaged archive: header at byte {at}: {error}") from error
        fields = dict(zip(FIELDS, values, strict=True))
        start = at + HEADER_SIZE
        body = _aligned(start + fields["namesize"])
        end = _aligned(body + fields["filesize"])
        if end > len(archive):
            raise SampanError(f"damaged archive: it ends inside the member at byte {at}")
        name = archive[start : start + fields["namesize"] - 1]
        if name == TRAILER:
            return
        yield Member(name, fields, archive[body : body + fields["filesize"]], archive[at:body])
        at = end


def _aligned(offset: int) -> int:
    return -(-offset // 4) * 4
