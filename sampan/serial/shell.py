r"""Commands through a bare login shell, so that nothing wrong is ever taken for a result.

A line that carries a shell also carries kernel messages, echoes and, on real boards, lost bytes.
So a command is not typed at the prompt. The login shell starts a loop that reads lines and
evaluates them (no prompt, no line editor, no echo); the host sends

    S_c='first part'; S_c=$S_c'second part'     the command, in short lines
    S_x NONCE 'CHECKSUM'                        run it

and `S_x` refuses a command whose checksum (over nonce and command) differs, runs one nonce once
however often it is asked, keeps the output in a file, and prints

    @@SAMPAN:HNONCE STATUS CHECKSUM;
    ...output...
    @@SAMPAN:TNONCE STATUS CHECKSUM;

The host believes a result only when both lines agree and the output matches the checksum; else it
asks for it again. The markers stand split in everything that is typed, so an echo is no marker.
This file is the text of both sides and has no I/O.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

MARK = b"@@SAMPAN:"
#: Tools of the target that vouch for content; `wc -c` only counts, ":" is none at all.
CHECKING = ("cksum", "md5sum", "sha256sum")
_LINE = 180  #: payload of a line; canonical mode of any tty takes at least 255 bytes (POSIX MAX_CANON)

#: Typed at the login shell. A signal must not end the loop; an end of file must.
ENTER = (
    b"stty -echo 2>/dev/null; sh -c 'S_l=;trap : INT;"
    b'while IFS= read -r l || { [ $? -gt 128 ] && l=; }; do eval "$l"; done\'; stty echo 2>/dev/null\n'
)

#: First line in the loop: newline, checksum tool, and a file for the output. The last probe wins.
PREPARE = (
    b"S_n=$(printf '\\nx');S_n=${S_n%x};S_t=:;"
    b"for t in 'wc -c' sha256sum md5sum cksum;do printf a|$t >/dev/null 2>&1&&S_t=$t;done;"
    b"for d in /var/tmp /dev/shm /run /tmp;do (echo >$d/.s$$)2>/dev/null&&S_o=$d/.s$$;done\n"
)

_FUNCTIONS = r"""S_m='@@SAM'PAN:
S_k() { set -- $($S_t <"$1"); S_f="$S_t $*"; }
S_p() {
printf '\n%sH%s %s %s;\n' "$S_m" $1 $S_s "$S_f"
cat "$S_o"
printf '\n%sT%s %s %s;\n' "$S_m" $1 $S_s "$S_f"
}
S_x() {
if [ "$S_l" != $1 ]; then
set -- $1 "$2" $(printf %s "$1$S_c" | $S_t)
[ "$2" = "$3${4:+ $4}" ] || { printf '\n%sB%s;\n' "$S_m" $1; return; }
S_l=$1
( trap - INT; eval "$S_c" ) </dev/null >"$S_o" 2>&1
S_s=$?
S_k "$S_o"
fi
S_p $1
}
S_e() { rm -f "$S_o"; [ -z "$S_q" ] || echo "$S_q" >/proc/sys/kernel/printk; exit; }
S_r() { read a b </proc/sys/kernel/printk; printf '\n%sR%s %s;\n' "$S_m" $1 "$a"; } 2>/dev/null
"""

#: Only panics on the console from now on, and what it was before, for S_e.
_QUIET = r"""[ "$S_q" ] || S_q=$(cat /proc/sys/kernel/printk 2>/dev/null)
{ echo 1 >/proc/sys/kernel/printk; } 2>/dev/null
"""


@dataclass(frozen=True)
class Reply:
    """A result as printed: exit status, output, and whether a checksum vouches for the output."""

    status: int
    output: bytes
    checked: bool


class Damaged(ValueError):
    """What was received is not a whole result."""


def functions(*, quiet_kernel: bool) -> str:
    """The functions of the loop; sent like a command, checked, then evaluated.

    `quiet_kernel` also lowers the kernel's console level until the loop is left.
    """
    return _FUNCTIONS + (_QUIET if quiet_kernel else "")


def load_lines(text: str) -> list[bytes]:
    """Lines that put `text` in the loop's variable S_c. NUL cannot be sent."""
    if "\0" in text:
        raise ValueError("a command cannot hold a NUL byte")
    lines = [b"S_c="]
    for piece in _pieces(text):
        if len(lines[-1]) + len(piece) > _LINE:
            lines.append(b"S_c=$S_c")
        lines[-1] += piece
    return [line + b"\n" for line in lines]


def _pieces(text: str) -> list[bytes]:
    """The text as shell words that join to it, each short and without what a tty would act on."""
    out: list[bytes] = []
    for part in re.split(r"(\n|'|[\x01-\x08\x0b-\x1f\x7f])", text):
        if part == "\n":
            out.append(b"$S_n")
        elif part == "'":
            out.append(b"\\'")
        elif len(part) == 1 and (ord(part) < 32 or ord(part) == 127) and part != "\t":
            out.append(b"$(printf '\\%03o')" % ord(part))
        else:
            out += [b"'%s'" % chunk for chunk in _chunks(part)]
    return out


def _chunks(text: str, size: int = 40) -> list[bytes]:
    """UTF-8 of `text` in pieces of at most `size` characters (a character is never cut)."""
    return [text[i : i + size].encode("utf-8", errors="surrogateescape") for i in range(0, len(text), size)]


def execute_line(nonce: str, text: str, tool: str) -> bytes:
    """The line that runs what `load_lines(text)` sent."""
    return f"S_x {nonce} '{checksum(tool, nonce.encode() + _bytes(text))}'\n".encode()


def sum_line(nonce: str) -> bytes:
    """Asks for the checksum of S_c: `SUM` of `parse_sum`."""
    return f'printf \'\\n%s%s %s %s;\\n\' "@@SAM""PAN:" U{nonce} "$S_t" "$(echo $(printf %s "$S_c" | $S_t))"\n'.encode()


def probe_line(nonce: str) -> bytes:
    """Works in any shell: answers `P<nonce> in;` inside the loop, `P<nonce> ;` at the login shell."""
    return f'echo;echo "@@SAM""PAN:"P{nonce} ${{S_l+in}}";"\n'.encode()


START = b'eval "$S_c";S_r '  #: followed by a nonce and a newline
LEAVE = b"S_e\n"


def answer(data: bytes, kind: str, nonce: str) -> str | None:
    """The text of a one-line answer `@@SAMPAN:<kind><nonce> TEXT;`, or None when it is not there."""
    found = re.search(re.escape(MARK) + f"{kind}{nonce}".encode() + rb"( [^;\r\n]*)?;", data)
    return None if found is None else (found[1] or b"").decode(errors="replace").strip()


def checksum(tool: str, data: bytes) -> str:
    """What the target's `tool` prints for `data` on its stdin, without the file name."""
    if tool == "cksum":
        return f"{posix_cksum(data)} {len(data)}"
    if tool in ("md5sum", "sha256sum"):
        return f"{hashlib.new(tool.removesuffix('sum'), data).hexdigest()} -"
    return str(len(data)) if tool == "wc -c" else ""


def split_sum(text: str) -> tuple[str, str]:
    """Tool and checksum of an answer to `sum_line`; ("", "") when it is none."""
    for tool in (*CHECKING, "wc -c", ":"):
        if text == tool or text.startswith(tool + " "):
            return tool, text[len(tool) :].strip()
    return "", ""


def parse(data: bytes, nonce: str) -> Reply:
    """The result in `data`, which reaches at least to the end of the trailer line.

    Kernel messages between and inside lines are removed when the checksum proves that this
    gives the output back. Raises Damaged when anything does not fit.
    """
    head = _field_line(data, b"H", nonce, last=False)
    tail = _field_line(data, b"T", nonce, last=True)
    if head[2] != tail[2] or tail[0] < head[1]:
        raise Damaged("the lines around the output differ")
    status, tool, sums = head[2]
    # One newline before the trailer is ours; the tty made "\r\n" of each "\n" of the output.
    body = data[head[1] : tail[0]]
    for candidate in (body, _without_kernel_messages(body)):
        output = _untty(candidate)
        if output is not None and (tool == ":" or checksum(tool, output) == sums):
            return Reply(status, output, checked=tool in CHECKING)
    raise Damaged("the output does not match its checksum")


def _field_line(data: bytes, kind: bytes, nonce: str, *, last: bool) -> tuple[int, int, tuple[int, str, str]]:
    pattern = re.escape(MARK) + kind + nonce.encode() + rb" (\d+) (cksum|md5sum|sha256sum|wc -c|:) ?([0-9a-f -]*);\r?\n"
    found = list(re.finditer(pattern, data))
    if not found:
        raise Damaged(f"no {kind.decode()} line")
    line = found[-1 if last else 0]
    return line.start(), line.end(), (int(line[1]), line[2].decode(), line[3].decode().strip())


_KERNEL_MESSAGE = re.compile(rb"\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? [^\n]*\n")


def _without_kernel_messages(body: bytes) -> bytes:
    return _KERNEL_MESSAGE.sub(b"", body)


def _untty(body: bytes) -> bytes | None:
    text = body.replace(b"\r\n", b"\n")
    return text[:-1] if text.endswith(b"\n") else None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", errors="surrogateescape")


def _table() -> list[int]:
    table = []
    for value in range(256):
        crc = value << 24
        for _ in range(8):
            crc = (crc << 1) ^ (0x04C11DB7 if crc & 0x80000000 else 0)
        table.append(crc & 0xFFFFFFFF)
    return table


_CRC = _table()


def posix_cksum(data: bytes) -> int:
    """The CRC of POSIX cksum(1): polynomial 04C11DB7, the length appended, inverted."""
    crc = 0
    length = len(data)
    for byte in data + length.to_bytes((length.bit_length() + 7) // 8, "little"):
        crc = ((crc << 8) & 0xFFFFFFFF) ^ _CRC[(crc >> 24) ^ byte]
    return crc ^ 0xFFFFFFFF
