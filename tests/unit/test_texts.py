"""Packed message texts: which literals are packed, and that nothing of them is lost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.build import texts
from sampan.core import paths
from sampan.core.errors import SampanError

SOURCES = sorted((paths.ROOT / "runtime/src").glob("*.c"))


def unpack(text: bytes, codes: texts.Codes) -> bytes:
    """As put_packed() of format.c does; pairs by code ^ 0x80, (0, 0) where there is none, phrases by place - 1."""
    table = dict(enumerate(codes.pairs))
    out = b""
    rest = iter(text)
    for byte in rest:
        pair = table.get(byte ^ 0x80, (0, 0))
        if byte == texts.PHRASE:
            out += unpack(codes.phrases[next(rest) - 1], codes)
        else:
            out += unpack(bytes(pair), codes) if pair[1] else bytes([byte])
    return out


def table(header: str) -> texts.Codes:
    rows = re.findall(r"\{ (0x\w\w), (0x\w\w) \}", header)
    pairs = [(int(first, 16), int(second, 16)) for first, second in rows]
    return texts.Codes(pairs, [texts.plain(text) for text in re.findall(r'^\t"(.*)\\000";?$', header, re.MULTILINE)])


def found(source: str) -> list[str]:
    return [token["text"] for token in texts.literals(source)]


def quoted(source: str) -> list[str]:
    return [token["text"] for token in texts.TOKEN.finditer(source) if token["text"]]


@pytest.mark.parametrize(
    ("source", "packed"),
    [
        ('err_set("open %s", path);', ["open %s"]),
        ('err_plain("%s", strcmp(a, "x y") ? "b c" : "d");', ["%s", "b c", "d"]),
        ('err_plain(bad ? "is bad" : ("is " "good"), 3);', ["is bad", "is ", "good"]),
        ('err_plain(of("a key", 1), "b");', ["b"]),
        ('fprintf(out("a b"), "c d", "e f");', ["c d", "e f"]),
        ('return n ? "must be a number" : "word";', ["must be a number"]),
        ('*why = "is too long"; name = "not a text";', ["is too long"]),
        (
            'static const struct opt o[] = { { OPT("-f, --file=FILE...", "read a FILE"), &f } }; x = "a b";',
            ["-f, --file=FILE...", "read a FILE"],
        ),
        ('/* err_set("in a comment") */ // err_set("and this")', []),
        ('c = \'"\'; err_set("after a quote");', ["after a quote"]),
        ('#include "a b.h"\nerr_hint("say \\"so\\"");', ['say \\"so\\"']),
        ('strcmp(word, "two words"); f("x y");', []),
        ('#define START_OPTS { OPT("-d, --daemon", "run so"), &d }', ["-d, --daemon", "run so"]),
        ('struct verb { "ls", run, "say which" };', ["say which"]),
        ('static const char error_texts[] = "No error\\0Not permitted\\0";', ["No error\\0Not permitted\\0"]),
    ],
)
def test_what_is_packed(source: str, packed: list[str]) -> None:
    assert found(source) == packed


def test_every_text_of_the_runtime_comes_back_and_conversions_stay(tmp_path: Path) -> None:
    texts.pack_sources(SOURCES, tmp_path)
    codes = table((tmp_path / "texts.h").read_text())
    before = after = 0
    for path in SOURCES:
        source, packed = path.read_text(), (tmp_path / path.name).read_text().partition("\n")[2]  # behind #line
        assert packed.count("\n") == source.count("\n"), "lines keep their numbers"
        for old, new in zip(quoted(source), quoted(packed), strict=True):
            plain, short = texts.plain(old), texts.plain(new)
            if old == new:
                continue
            assert unpack(short, codes) == plain
            assert re.findall(rb"%[^a-z%]*[a-z%]", short) == re.findall(rb"%[^a-z%]*[a-z%]", plain)
            before, after = before + len(plain), after + len(short)
    assert after < 0.55 * before


def test_a_text_of_more_than_ascii_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "a.c"
    source.write_text('\n\terr_set("caf\\303\\251");\n')
    with pytest.raises(SampanError, match=r"a\.c:2: a message of other than printable ASCII"):
        texts.pack_sources([source], tmp_path / "out")


PLAIN = st.characters(codec="ascii", exclude_characters="".join(map(chr, texts.CODES)))


@given(st.lists(st.text(alphabet=PLAIN, max_size=40), max_size=20))
def test_any_text_comes_back(some: list[str]) -> None:
    given_texts = [text.encode() for text in some]
    codes = texts.choose(set(given_texts))
    pack = texts.packer(codes)
    for text in given_texts:
        assert unpack(pack(text), table(texts.header(codes))) == text
        assert texts.plain(texts.literal(pack(text))) == pack(text)
