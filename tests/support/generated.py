"""The headers of the runtime that the build makes from tables, for tests that compile it themselves."""

from __future__ import annotations

from pathlib import Path

from sampan.build import texts
from sampan.config import keygen, keys, seccomp_default


def write(folder: Path) -> None:
    """Into `folder`, which is made, what the runtime's sources find by -I."""
    folder.mkdir(parents=True, exist_ok=True)
    table = keygen.c_table(keys.load(keys.default_path()))
    (folder / "conf_keys.inc").write_text(table, encoding="utf-8")
    policy = seccomp_default.header(seccomp_default.default_path())
    (folder / "seccomp_default.h").write_text(policy, encoding="utf-8")
    (folder / "texts.h").write_text(texts.header(texts.Codes()), encoding="utf-8")
