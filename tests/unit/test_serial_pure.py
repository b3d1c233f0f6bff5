"""The parts of a console that have no I/O: finding text, the wire format, keys, the log."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.serial import shell
from sampan.serial.console import Panic
from sampan.serial.keys import Keys
from sampan.serial.log import LineLog, LogBusy
from sampan.serial.matcher import Match, Matcher

letters = st.binary(max_size=60).map(lambda data: bytes(b"ab\n"[byte % 3] for byte in data))
needles_of = st.lists(letters.filter(bool).map(lambda data: data[:4]), min_size=1, max_size=3)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data` cut at some places."""
    ends = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in zip(ends, ends[1:], strict=False)]


def all_matches(parts: list[bytes], needles: list[bytes]) -> tuple[list[Match], bytes]:
    matcher, found = Matcher(), []
    for part in parts:
        matcher.feed(part)
        while match := matcher.take(needles):
            found.append(match)
    return found, matcher.clear()


@given(letters, needles_of, st.lists(st.integers(0, 1000), max_size=20))
def test_how_a_stream_is_cut_changes_no_match(data: bytes, needles: list[bytes], cuts: list[int]) -> None:
    assert all_matches(pieces(data, cuts), needles) == all_matches([data], needles)


@given(letters, needles_of)
def test_the_needle_that_ends_first_wins(data: bytes, needles: list[bytes]) -> None:
    matcher = Matcher()
    matcher.feed(data)
    match = matcher.take(needles)
    ends = [data.find(needle) + len(needle) for needle in needles if needle in data]
    if match is None:
        assert not ends
    else:
        assert len(match.before) + len(match.needle) == min(ends)
        assert data.startswith(match.before + match.needle)


def test_unread_bytes_are_bounded_and_counted() -> None:
    matcher = Matcher(limit=10)
    for _ in range(5):
        matcher.feed(b"0123456")
    assert matcher.clear() == b"4560123456"
    assert (matcher.dropped, matcher.received) == (25, 35)


@given(st.binary(max_size=3000))
def test_cksum_is_posix(data: bytes) -> None:
    # Against the host's own cksum in one sweep below; here: it depends on length and content.
    assert shell.posix_cksum(data) != shell.posix_cksum(data + b"\0")


@pytest.mark.parametrize("data", [b"", b"a", b"123456789", bytes(range(256)) * 40])
def test_cksum_agrees_with_the_tool(data: bytes) -> None:
    said = subprocess.run(["cksum"], input=data, capture_output=True, check=True).stdout.decode().split()
    assert shell.checksum("cksum", data).split() == said


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=400))
def test_any_command_goes_through_short_lines_without_control_characters(text: str) -> None:
    lines = shell.load_lines(text)
    for line in lines:
        assert len(line) < 255
        assert line.endswith(b"\n") and b"\n" not in line[:-1]
        assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", line[:-1])


@pytest.mark.parametrize(
    "text", ["", "it's", "a\nb\tc\n", "\x03\x1b[A\x7f\r", "é€😀" * 100, '$HOME `x` \\ "\'"', "x" * 5000]
)
def test_a_real_shell_gets_the_command_as_it_was(text: str) -> None:
    script = b"S_n=$(printf '\\nx');S_n=${S_n%x}\n" + b"".join(shell.load_lines(text)) + b'printf %s "$S_c"\n'
    assert subprocess.run(["sh"], input=script, capture_output=True, check=True).stdout == text.encode()


def printed(nonce: str, status: int, output: bytes, tool: str) -> bytes:
    """What the target writes for a result, as the tty changes it."""
    fields = f"{status} {tool} {shell.checksum(tool, output)}".strip()
    text = f"\n@@SAMPAN:H{nonce} {fields};\n".encode() + output + f"\n@@SAMPAN:T{nonce} {fields};\n".encode()
    return text.replace(b"\n", b"\r\n")


outputs = st.binary(max_size=400) | st.text(max_size=200).map(str.encode)


@given(outputs, st.integers(0, 255), st.sampled_from(["cksum", "md5sum", "sha256sum", "wc -c", ":"]))
def test_a_clean_result_is_read_back(output: bytes, status: int, tool: str) -> None:
    reply = shell.parse(b"junk\r\n" + printed("12ab", status, output, tool), "12ab")
    assert (reply.status, reply.output) == (status, output)
    assert reply.checked == (tool in shell.CHECKING)


@given(
    outputs,
    st.integers(0, 255),
    st.sampled_from(shell.CHECKING),
    st.lists(st.tuples(st.integers(0, 2000), st.sampled_from([b"x", b"0", b"\r\n", b";"])), min_size=1, max_size=4),
)
def test_a_damaged_result_is_never_taken_for_another(
    output: bytes, status: int, tool: str, damage: list[tuple[int, bytes]]
) -> None:
    data = bytearray(printed("12ab", status, output, tool))
    for where, junk in damage:
        at = where % (len(data) + 1)
        data[at:at] = junk
    _right_or_damaged(bytes(data), status, output)


@given(outputs, st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=3))
def test_flipped_bytes_are_never_taken_for_another_result(output: bytes, flips: list[tuple[int, int]]) -> None:
    data = bytearray(printed("12ab", 0, output, "cksum"))
    for where, value in flips:
        data[where % len(data)] = value
    _right_or_damaged(bytes(data), 0, output)


def _right_or_damaged(data: bytes, status: int, output: bytes) -> None:
    try:
        reply = shell.parse(data, "12ab")
    except shell.Damaged:
        return
    assert (reply.status, reply.output) == (status, output)


MESSAGE = b"[   12.345678] usb 1-1: new high-speed USB device\r\n"


@given(outputs.filter(lambda output: b"[" not in output), st.lists(st.integers(0, 2000), max_size=4))
def test_kernel_messages_anywhere_in_the_output_are_taken_out(output: bytes, places: list[int]) -> None:
    whole = printed("12ab", 3, output, "md5sum")
    begin, end = whole.index(b";\r\n") + 3, whole.rindex(b"\r\n@@SAMPAN:T")
    head, body, tail = whole[:begin], whole[begin:end], whole[end:]
    for place in sorted((place % (len(body) + 1) for place in places), reverse=True):
        if body[place - 1 : place + 1] != b"\r\n":
            body = body[:place] + MESSAGE + body[place:]
    reply = shell.parse(head + body + tail, "12ab")
    assert (reply.status, reply.output) == (3, output)


def test_an_echo_of_what_is_typed_is_no_answer() -> None:
    typed = shell.probe_line("12ab") + shell.sum_line("12ab") + shell.functions(quiet_kernel=True).encode()
    for kind in "HTBPUR":
        assert shell.answer(typed, kind, "12ab") is None


@given(st.binary(max_size=40).map(lambda data: bytes(b"\x01xhba?\r"[byte % 7] for byte in data)), st.data())
def test_keys_do_not_depend_on_how_they_arrive(data: bytes, draw: st.DataObject) -> None:
    cuts = draw.draw(st.lists(st.integers(0, 100), max_size=8))

    def joined(parts: list[bytes]) -> list[bytes | str]:
        keys, out = Keys(), list[bytes | str]()
        for part in parts:
            for item in keys.feed(part):
                if isinstance(item, bytes) and out and isinstance(out[-1], bytes):
                    out[-1] += item
                else:
                    out.append(item)
        return out

    assert joined(pieces(data, cuts)) == joined([data])


def test_keys() -> None:
    assert Keys().feed(b"ls\r\x01x") == [b"ls\r", "x"]
    assert Keys().feed(b"\x01\x01\x01a") == [b"\x01\x01"]
    assert Keys().feed(b"\x01\x18\x01H\x01z") == ["x", "h", "?"]


@given(st.lists(st.integers(0, 200), max_size=10))
def test_a_panic_is_noticed_however_it_arrives(cuts: list[int]) -> None:
    data = b"abc\r\n[    1.2] Kernel panic - not syncing: No working init found.\r\n[  1.3] more\r\n"
    panic = Panic()
    for part in pieces(data, cuts):
        panic.feed(part)
    assert panic.line == "Kernel panic - not syncing: No working init found."


def test_the_log_tells_time_and_source(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "console.log"
    log = LineLog(path)
    log.write("<", b"login: ")
    log.write(">", b"root\n")
    log.write("<", b"\x1b[6nhi\r\n")
    log.note("done")
    log.close()
    lines = path.read_text().splitlines()
    assert [line[13:] for line in lines] == ["< login: ", "> root", "< \\x1b[6nhi", "* done"]
    assert all(re.match(r"\[ *\d+\.\d{3}\] ", line) for line in lines)


def test_two_machines_do_not_write_one_log(tmp_path: Path) -> None:
    log = LineLog(tmp_path / "log")
    with pytest.raises(LogBusy):
        LineLog(tmp_path / "log")
    log.close()
    LineLog(tmp_path / "log").close()
