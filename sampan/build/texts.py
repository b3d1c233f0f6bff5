"""Packs the message texts of the runtime: its sources again, with the texts in half the bytes.

python -m sampan.build.texts --out build/gen/texts runtime/src/*.c

Messages are a seventh of the program. In the copies they are written with bytes that no text of
ours has, each of which stands for two others (a pair of `text_pairs` in texts.h, letters or such
bytes again); one of them stands, with the byte behind it, for more than two (`text_phrases`).
format.c takes them apart as it prints. What is packed: formats and what is printed with
them; what a function returns or a variable `why` is set to, for that is the reason of a refusal;
what the tables of commands, options, errors and keys say. Nothing of one word, which may be compared.
Conversions such as `%s` and what separates the texts of a list stay as they are: the compiler
still checks the former. Lines keep their numbers.
A source that is compiled as it is works as well: no text of ours has such bytes.
"""

from __future__ import annotations

import argparse
import heapq
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sampan.core.errors import SampanError
from sampan.core.files import read_text, write_text

#: Functions whose arguments from this number on are printed by format.c, as a format or as texts.
FORMATS = {
    "err_set": 0,
    "err_plain": 0,
    "err_hint": 0,
    "usage_error": 0,
    "printf": 0,
    "fprintf": 1,
    "load_text": 1,
    "load_hint": 1,
    "log_say": 1,
    "load_error": 1,
    "load_say": 2,
    "report": 2,
    "stale": 1,
    "give_up": 0,
    "nic_error": 1,
    "ip_error": 1,
    "puts": 0,
    "fputs": 0,
    "json_field": 0,
    "snprintf": 2,
    "sprintf": 1,
    "OPT": 0,
}
#: What the compiler would put in the place of these functions does not know packed texts.
CFLAGS = " ".join(f"-fno-builtin-{name}" for name in ("printf", "fprintf", "sprintf", "snprintf", "puts", "fputs"))
#: Tables whose texts, unlike their words, are only printed.
TABLES = ("optset", "verb", "row", "error_texts", "key_text")
#: What stands before the name of one: `struct verb table[] = {`, `char error_texts[] =`.
OPENERS = ("struct", "char")
#: Bytes that stand for others, in the order they are given away: what is not ASCII, then control characters.
CODES = (*range(0x80, 0x100), *(code for code in range(1, 0x20) if code not in b"\t\n\r"))
#: The last one stands for a phrase, the others for pairs.
*PAIR_CODES, PHRASE = CODES
#: Which phrase says the byte behind; a `%` there would begin a conversion.
PLACES = tuple(byte for byte in range(1, 0x100) if byte != ord("%"))
PHRASE_MAX = 12

TOKEN = re.compile(
    r"""(?P<skip>/\*.*?\*/|//[^\n]*|'(?:[^'\\\n]|\\.)+'|^[ \t]*\#[ \t]*include[^\n]*)"""
    r"""|"(?P<text>(?:[^"\\\n]|\\.)*)"|(?P<name>[A-Za-z_]\w*)|(?P<mark>[(),;=])""",
    re.DOTALL | re.MULTILINE,
)
_CONVERSION = re.compile(rb"\0|%[-0 ]*(?:\*|\d+)?(?:\.(?:\*|\d+)?)?[lzh]*(?:[a-zA-Z%]|\Z)")
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]+)|(.))", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "e": "\033", "0": "\0"}


@dataclass
class Codes:
    """What the codes stand for: pairs, most frequent first, and phrases, which pairs may be part of."""

    pairs: list[tuple[int, int]] = field(default_factory=list)
    phrases: list[bytes] = field(default_factory=list)


@dataclass
class _Call:
    """An open parenthesis: which argument is being read, and from which one on they are printed (-1: none)."""

    wanted: int
    at: int = 0

    @property
    def printed(self) -> bool:
        return 0 <= self.wanted <= self.at


def literals(source: str) -> Iterator[re.Match[str]]:
    """The string literals of C text that are packed."""
    calls = [_Call(-1)]
    name = word = ""  # before a mark; the first of the statement that tells what its literals are
    for token in TOKEN.finditer(source):
        mark, text = token["mark"], token["text"]
        if mark == "(":
            # A parenthesis that only groups belongs to the argument around it.
            calls.append(_Call(FORMATS.get(name, -1)) if name else _Call(0 if calls[-1].printed else -1))
        elif mark == ")":
            calls[1:] = calls[1:-1]
        elif mark == ",":
            calls[-1].at += 1
        elif mark == ";":
            calls, word = [_Call(-1)], ""
        elif name == "return" or (mark == "=" and name == "why") or (name in OPENERS and token["name"] in TABLES):
            word = name
        if text is not None and (calls[-1].printed or (word and len(calls) == 1 and " " in text)):
            yield token
        if token["skip"] is None:
            name = token["name"] or ""


def plain(literal: str) -> bytes:
    """The bytes that a literal, as it is written between quotes, stands for."""

    def one(match: re.Match[str]) -> str:
        octal, hexadecimal, letter = match.groups()
        if octal or hexadecimal:
            return chr(int(octal, 8) if octal else int(hexadecimal, 16))
        return _LETTERS.get(letter, letter)

    return _ESCAPE.sub(one, literal).encode("latin-1")


def literal(text: bytes) -> str:
    """How `text` is written between quotes."""
    quoted = {ord('"'): '\\"', ord("\\"): "\\\\", ord("\n"): "\\n", ord("\t"): "\\t"}
    return "".join(quoted.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}") for byte in text)


def _runs(text: bytes) -> list[tuple[bytes, bool]]:
    """`text` in parts, and whether each is one to pack: all but the conversions."""
    parts: list[tuple[bytes, bool]] = []
    at = 0
    for match in _CONVERSION.finditer(text):
        parts += [(text[at : match.start()], True), (match[0], False)]
        at = match.end()
    return [*parts, (text[at:], True)]


def _merge(text: bytes, pair: tuple[int, int], code: int) -> bytes:
    return text.replace(bytes(pair), bytes([code]))


def choose(texts: set[bytes]) -> Codes:
    """The pairs, each counted after those before it have been replaced, then the phrases."""
    runs = Counter(run for text in texts for run, packed in _runs(text) if packed and len(run) > 1)
    pairs: list[tuple[int, int]] = []
    while len(pairs) < len(PAIR_CODES):
        counts: Counter[tuple[int, int]] = Counter()
        for run, times in runs.items():
            for pair in zip(run, run[1:], strict=False):
                counts[pair] += times
        if not counts:
            break
        pair = min(counts, key=lambda pair: (-counts[pair], pair))
        if counts[pair] < 3:  # the entry of the table would cost what it saves
            break
        changed: Counter[bytes] = Counter()
        for run, times in runs.items():
            changed[_merge(run, pair, PAIR_CODES[len(pairs)])] += times
        runs = changed
        pairs.append(pair)
    return Codes(pairs, _phrases(list(runs.elements())))


def _saved(phrase: bytes, times: int) -> int:
    """Bytes less with the phrase in the table, where a NUL ends it."""
    return times * (len(phrase) - 2) - (len(phrase) + 1)


def _phrases(runs: list[bytes]) -> list[bytes]:
    """What saves most, each counted again after those before it have been taken out."""
    times = Counter(
        run[at : at + length]
        for run in runs
        for length in range(3, PHRASE_MAX + 1)
        for at in range(len(run) - length + 1)
    )
    waiting = [(-_saved(phrase, n), phrase) for phrase, n in times.items() if _saved(phrase, n) > 0]
    heapq.heapify(waiting)
    left, phrases = b"\0".join(runs), list[bytes]()
    while waiting and len(phrases) < len(PLACES):
        hoped, phrase = heapq.heappop(waiting)
        saved = _saved(phrase, left.count(phrase))
        if saved == -hoped:
            phrases.append(phrase)
            left = left.replace(phrase, b"\0")
        elif saved > 0:
            heapq.heappush(waiting, (-saved, phrase))
    return phrases


def _shorten(run: bytes, phrases: list[bytes]) -> bytes:
    """`run` with the phrases in it replaced, in the order they were chosen in."""
    parts = [run]  # every other one is a code
    for place, phrase in zip(PLACES, phrases, strict=False):
        if phrase not in run:
            continue
        for at in range(len(parts) - 1, -1, -2):
            pieces = parts[at].split(phrase)
            parts[at : at + 1] = [part for piece in pieces for part in (bytes([PHRASE, place]), piece)][1:]
    return b"".join(parts)


def packer(codes: Codes) -> Callable[[bytes], bytes]:
    """How one text is packed with `codes`."""

    def pack(text: bytes) -> bytes:
        out = b""
        for run, packed in _runs(text):
            for code, pair in zip(PAIR_CODES, codes.pairs if packed else (), strict=False):
                run = _merge(run, pair, code)
            out += _shorten(run, codes.phrases) if packed else run
        return out

    return pack


def header(codes: Codes) -> str:
    """texts.h: `text_pairs`, by code ^ 0x80, (0, 0) where there is none, and `text_phrases`, by place - 1."""
    table = {code ^ 0x80: pair for code, pair in zip(PAIR_CODES, codes.pairs, strict=False)}
    rows = [table.get(index, (0, 0)) for index in range(max(table, default=0) + 1)]
    lines = [f"\t{{ {first:#04x}, {second:#04x} }}," for first, second in rows]
    named = dict(zip(PLACES, codes.phrases, strict=False))
    phrases = [f'\t"{literal(named.get(place, b""))}\\000"' for place in range(1, max(named, default=0) + 1)]
    return (
        "/* Generated by sampan.build.texts; not to be edited. */\n"
        f"static const unsigned char text_pairs[{len(rows)}][2] = {{\n" + "\n".join(lines) + "\n};\n"
        f"enum {{ TEXT_PHRASE = {PHRASE:#04x} }};\n"
        "static const char text_phrases[] =\n" + "\n".join(phrases or ['\t""']) + ";\n"
    )


def pack_sources(sources: list[Path], out: Path) -> None:
    """Write texts.h and the packed copy of each source into `out`."""
    contents = {path: read_text(path) for path in sources}
    chosen = set()
    for path, text in contents.items():
        for token in literals(text):
            chosen.add(plain(token["text"]))
            if set(plain(token["text"])) & set(CODES):
                line = text.count("\n", 0, token.start()) + 1
                raise SampanError(f"{path}:{line}: a message of other than printable ASCII cannot be packed")
    codes = choose(chosen)
    pack = packer(codes)
    write_text(out / "texts.h", header(codes))
    for path, text in contents.items():
        done, at = [f'#line 1 "{path.as_posix()}"\n'], 0
        for token in literals(text):
            done += [text[at : token.start()], f'"{literal(pack(plain(token["text"])))}"']
            at = token.end()
        write_text(out / path.name, "".join([*done, text[at:]]))


def main(argv: list[str] | None = None) -> int:
    """Write the copies; 0, or the code of a SampanError after its message."""
    parser = argparse.ArgumentParser(prog="sampan.build.texts", description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where texts.h and the copies go")
    parser.add_argument("sources", nargs="+", type=Path)
    args = parser.parse_args(argv)
    try:
        pack_sources(args.sources, args.out)
    except SampanError as error:
        print(f"texts: {error}", file=sys.stderr)
        return error.code
    return 0


if __name__ == "__main__":
    sys.exit(main())
