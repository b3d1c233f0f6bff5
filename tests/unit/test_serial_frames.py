"""Frames: what is sent is found again in any stream, and nothing else ever is."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.core.paths import ROOT
from sampan.serial.frames import (
    FROM_HOST,
    FROM_TARGET,
    MAX_PAYLOAD,
    Codec,
    Decoder,
    Found,
    Frame,
    Kind,
    cobs,
    encode,
    pack,
    uncobs,
    unpack,
)

SESSION = bytes(range(1, 9))
codecs: st.SearchStrategy[Codec] = st.sampled_from(["text", "binary"])
frames = st.builds(
    Frame,
    kind=st.sampled_from(Kind),
    channel=st.integers(0, 255),
    number=st.integers(0, 0xFFFF),
    ack=st.integers(0, 0xFFFF),
    bitmap=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=MAX_PAYLOAD),
    clean=st.booleans(),
    doubt=st.booleans(),
)
talk = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=60).map(
    lambda text: text.encode().replace(b"#~", b"") + b"\r\n"
)


def decoded(stream: bytes, cuts: list[int]) -> tuple[list[Frame], bytes, Decoder]:
    """What a receiver makes of a stream that arrives in pieces of these sizes."""
    decoder = Decoder(FROM_TARGET)
    decoder.session = SESSION
    found: list[Found | bytes] = []
    at = 0
    for size in [*cuts, len(stream)]:
        found += decoder.feed(stream[at : at + size])
        at += size
    found.append(decoder.flush())
    text = b"".join(part for part in found if isinstance(part, bytes))
    return [part.frame for part in found if isinstance(part, Found)], text, decoder


@given(st.binary(max_size=1200))
def test_stuffing_is_undone_and_has_no_zero(data: bytes) -> None:
    stuffed = cobs(data)
    assert 0 not in stuffed
    assert len(stuffed) <= len(data) + 1 + len(data) // 254
    assert uncobs(stuffed) == data


@given(st.binary(max_size=64))
def test_what_was_never_stuffed_is_refused_or_stuffs_back(data: bytes) -> None:
    raw = uncobs(data)
    assert raw is None or uncobs(cobs(raw)) == raw


@given(st.lists(st.tuples(frames, codecs, talk), max_size=6), st.lists(st.integers(1, 300), max_size=20))
def test_frames_and_text_share_a_line(sent: list[tuple[Frame, Codec, bytes]], cuts: list[int]) -> None:
    """A frame that is whole is found; text between frames reaches the log unchanged, however it was cut."""
    stream = b"".join(encode(pack(frame, SESSION, FROM_TARGET), codec) + text for frame, codec, text in sent)
    found, text, _ = decoded(stream, cuts)
    assert found == [frame for frame, _, _ in sent]
    assert text == b"".join(text for _, _, text in sent)


@given(frames, codecs, st.data())
def test_a_damaged_frame_is_no_frame(frame: Frame, codec: Codec, data: st.DataObject) -> None:
    line = bytearray(encode(pack(frame, SESSION, FROM_TARGET), codec))
    inner = st.integers(2, len(line) - 2)  # a lost delimiter may be harmless
    line[data.draw(inner)] ^= data.draw(st.sampled_from([1 << bit for bit in range(8)]))
    found, _, _ = decoded(bytes(line), [])
    assert found in ([], [frame])  # base64's last letter has bits that stand for nothing


@given(frames, codecs)
def test_frames_of_others_are_none(frame: Frame, codec: Codec) -> None:
    """Another session's, and our own that a shell echoes."""
    strange = pack(frame, b"SESSION2", FROM_TARGET)
    own = pack(frame, SESSION, FROM_HOST)
    found, _, decoder = decoded(encode(strange, codec) + encode(own, codec), [])
    assert found == []
    assert decoder.echoes == 1


@given(st.binary(max_size=3000), st.lists(st.integers(1, 100), max_size=30))
def test_noise_is_survived(noise: bytes, cuts: list[int]) -> None:
    """Whatever came before: after one delimiter a frame is found."""
    frame = Frame(Kind.DATA, 8, 1, 2, payload=b"here")
    for codec in ("text", "binary"):
        stream = noise + b"\n\0" + encode(pack(frame, SESSION, FROM_TARGET), codec)  # type: ignore[arg-type]
        assert decoded(stream, cuts)[0] == [frame]


def test_a_kernel_message_inside_a_frame_costs_that_frame_and_is_read() -> None:
    packed = pack(Frame(Kind.DATA, 8, 1, 2, payload=bytes(range(200))), SESSION, FROM_TARGET)
    message = b"[   12.345678] usb 1-1: new device\r\n"
    for codec in ("text", "binary"):
        line = encode(packed, codec)  # type: ignore[arg-type]
        found, text, decoder = decoded(line[:50] + message + line[50:] + line, [])
        assert len(found) == 1
        assert b"usb 1-1: new device" in text
        assert decoder.damaged


def test_a_prompt_does_not_wait_for_a_frame() -> None:
    decoder = Decoder(FROM_TARGET)
    assert decoder.feed(b"board login: ") == []
    assert decoder.flush() == b"board login: "
    assert decoder.flush() == b""
    assert decoder.feed(b"\0") == []  # told already


def test_the_vectors_of_the_specification() -> None:
    """docs/serial-protocol.md and the code agree byte by byte."""
    text = (ROOT / "docs" / "serial-protocol.md").read_text(encoding="utf-8")
    vectors = [json.loads(line) for line in re.findall(r"^\{.*\}$", text, re.M)]
    assert len(vectors) >= 6
    for vector in vectors:
        session = bytes.fromhex(vector["session"])
        direction = FROM_HOST if vector["from"] == "host" else FROM_TARGET
        frame = Frame(
            Kind[vector["kind"]],
            vector.get("channel", 0),
            vector.get("number", 0),
            vector.get("ack", 0),
            vector.get("bitmap", 0),
            bytes.fromhex(vector.get("payload", "")),
            vector.get("clean", False),
            vector.get("doubt", False),
        )
        raw = bytes.fromhex(vector["raw"])
        assert pack(frame, session, direction) == raw
        assert unpack(raw, session, direction) == frame
        assert encode(raw, "text") == vector["text"].encode()
        assert encode(raw, "binary") == bytes.fromhex(vector["binary"])


@pytest.mark.parametrize("size", [0, 1, 9])
def test_what_is_too_short_is_no_frame(size: int) -> None:
    assert unpack(bytes(size), SESSION, FROM_TARGET) is None
