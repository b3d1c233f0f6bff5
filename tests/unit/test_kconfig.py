"""A requested kconfig symbol that was dropped never goes unseen."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.build import kconfig
from sampan.core.errors import SampanError
from sampan.core.paths import ROOT

FRAGMENT = """\
# a remark
CONFIG_ASH=y
CONFIG_MAX=42
CONFIG_PATH="/lib/modules"
# CONFIG_PREFER is not set
"""


def requests(text: str = FRAGMENT) -> dict[str, kconfig.Request]:
    return kconfig.merge([kconfig.parse_fragment(text, "base.fragment")])


def test_a_fragment_gives_names_values_and_places() -> None:
    found = requests()
    assert {name: request.value for name, request in found.items()} == {
        "ASH": "y",
        "MAX": "42",
        "PATH": '"/lib/modules"',
        "PREFER": "n",
    }
    assert found["PATH"].where == "base.fragment:4"


@pytest.mark.parametrize("line", ["CONFIG_ASH", "CONFIG_ASH=yes", "ASH=y", "CONFIG_A = y", 'CONFIG_P="open'])
def test_a_line_that_is_none_is_refused_with_its_place(line: str) -> None:
    with pytest.raises(SampanError, match=r"f:2: .* is no kconfig line") as caught:
        kconfig.parse_fragment(f"CONFIG_B=y\n{line}\n", "f")
    assert "CONFIG_NAME=y" in caught.value.hint


@pytest.mark.parametrize("line", ["#CONFIG_ASH is not set", "# CONFIG_ASH=y", "# CONFIG_ASH isn't set"])
def test_a_comment_that_looks_like_a_request_is_refused(line: str) -> None:
    with pytest.raises(SampanError, match="is a comment to kconfig"):
        kconfig.parse_fragment(line, "f")


def test_later_fragments_win() -> None:
    first = kconfig.parse_fragment("CONFIG_A=y\nCONFIG_B=1\n", "one")
    second = kconfig.parse_fragment("# CONFIG_A is not set\n", "two")
    merged = kconfig.merge([first, second])
    assert (merged["A"].value, merged["A"].where, merged["B"].value) == ("n", "two:1", "1")


def test_apply_replaces_both_spellings() -> None:
    base = "CONFIG_MAX=7\n# CONFIG_ASH is not set\nCONFIG_PREFER=y\nCONFIG_OTHER=y\n"
    text = kconfig.apply(base, requests())
    assert kconfig.parse(text) == {"OTHER": "y", "ASH": "y", "MAX": "42", "PATH": '"/lib/modules"'}
    assert "CONFIG_MAX=7" not in text and "# CONFIG_ASH" not in text
    assert "# CONFIG_PREFER is not set" in text


def test_a_result_that_has_everything_passes() -> None:
    wanted = requests()
    kconfig.check(wanted, kconfig.apply("", wanted), ["ASH", "MAX", "PATH", "PREFER"])


def test_each_dropped_symbol_is_named_with_its_line() -> None:
    result = 'CONFIG_MAX=41\nCONFIG_PATH="/lib/modules"\nCONFIG_PREFER=y\n'
    with pytest.raises(SampanError) as caught:
        kconfig.check(requests(), result, ["ASH", "MAX", "PATH", "PREFER"])
    message = caught.value.message
    assert "3 requested symbols were dropped" in message
    assert "base.fragment:2: CONFIG_ASH=y: became 'n'" in message
    assert "base.fragment:3: CONFIG_MAX=42: became '41'" in message
    assert "base.fragment:5: # CONFIG_PREFER is not set: became 'y'" in message
    assert "PATH" not in message


def test_a_misspelt_symbol_gets_the_nearest_name() -> None:
    with pytest.raises(SampanError, match="no such symbol; did you mean CONFIG_MODPROBE"):
        kconfig.check(requests("CONFIG_MODPORBE=y\n"), "", ["MODPROBE", "MODINFO", "MOUNT"])


def test_asking_for_the_absence_of_an_unknown_symbol_is_no_error() -> None:
    kconfig.check(requests("# CONFIG_OF_A_LATER_VERSION is not set\n"), "", [])


_NAMES = st.from_regex(r"[A-Z][A-Z0-9_]{0,12}", fullmatch=True)
_VALUES = st.sampled_from(["y", "m", "0", "-3", "0x1f", '""', '"a b"', '"say \\"hi\\""'])


@given(st.dictionaries(_NAMES, _VALUES), st.dictionaries(_NAMES, _VALUES))
def test_what_was_applied_is_read_back(base: dict[str, str], wanted: dict[str, str]) -> None:
    def lines(values: dict[str, str]) -> str:
        return "".join(f"CONFIG_{name}={value}\n" for name, value in values.items())

    asked = requests(lines(wanted))
    text = kconfig.apply(lines(base), asked)
    assert kconfig.parse(text) == base | wanted
    kconfig.check(asked, text, [])


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    kconfig.parse(text)
    try:
        kconfig.parse_fragment(text, "f")
    except SampanError as error:
        assert error.message.startswith("f:")


def test_the_fragments_of_the_project_are_well_formed() -> None:
    for path in sorted((ROOT / "configs/busybox").glob("*.fragment")):
        found = kconfig.read_fragment(path)
        names = [request.name for request in found]
        assert len(names) == len(set(names)), f"{path}: a symbol stands twice"


def test_a_fragment_that_is_missing_or_binary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SampanError, match=r"cannot read .*none\.fragment"):
        kconfig.read_fragment(tmp_path / "none.fragment")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(SampanError, match="not UTF-8 at byte 0"):
        kconfig.read_fragment(tmp_path / "binary")
