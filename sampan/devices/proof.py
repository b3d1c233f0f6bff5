"""What verify found, kept as JSON for the report: build/BOARD/devices/CONTAINER/KERNEL-CGROUP.proof.json."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from sampan.core import paths
from sampan.core.errors import SampanError
from sampan.core.files import write_bytes
from sampan.devices.policyfile import Policy

SUFFIX = ".proof.json"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One number that exists, that the policy allows, or that went wrong. Texts of letters rwm."""

    number: str  #: c 252:0
    name: str = ""  #: node, or driver of the major
    wanted: str  #: what the policy allows
    found: str  #: what the kernel allows; rw only when both at once are allowed


class Wrong(msgspec.Struct, frozen=True, kw_only=True):
    """One mismatch."""

    number: str
    name: str = ""
    ask: str  #: read, write, both or mknod
    wanted: bool
    why: str


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """One run of verify."""

    board: str
    kernel: str
    cgroup: str  #: v1, v2 or hybrid: where the container's device list was
    container: str
    target: str
    when: str  #: ISO 8601, UTC
    policy: str  #: SHA-256 of the rules, see digest()
    asked: int  #: numbers, devices or not, each four times
    devices: int  #: of these there were devices
    mknod: bool  #: could the container make nodes at all, so that m was tried?
    rows: list[Row]
    mismatches: list[Wrong]

    @property
    def good(self) -> bool:
        return not self.mismatches


def digest(policy: Policy) -> str:
    """What a policy says, whatever file it stands in: two of one digest are one list."""
    text = "".join(f"{entry.verb} {entry.text}\n" for entry in policy.entries)
    return hashlib.sha256(text.encode()).hexdigest()


def folder(board: str, container: str) -> Path:
    """Where all that the build and verify know about a container's devices on a board is kept."""
    return paths.build_dir() / board / "devices" / container


def save(proof: Proof) -> Path:
    """Keep a proof; an older one of the same kernel and cgroup version is replaced."""
    path = folder(proof.board, proof.container) / f"{proof.kernel}-{proof.cgroup}{SUFFIX}"
    write_bytes(path, msgspec.json.format(msgspec.json.encode(proof), indent=2) + b"\n")
    return path


def load_all(board: str, container: str) -> list[Proof]:
    """All that is kept of a container on a board, the newest first."""
    found = []
    for path in folder(board, container).glob(f"*{SUFFIX}"):
        try:
            found.append(msgspec.json.decode(path.read_bytes(), type=Proof))
        except (OSError, msgspec.MsgspecError) as error:
            raise SampanError(f"{path}: {error}", hint="run verify again, or remove it") from error
    return sorted(found, key=lambda proof: proof.when, reverse=True)
