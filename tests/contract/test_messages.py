"""`check` stands before Wyoming's own readers, which trust what they are given."""

from __future__ import annotations

import copy
import math
import struct
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event, Eventable
from wyoming.ping import Ping, Pong
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)
from wyoming.vad import VoiceStarted, VoiceStopped
from wyoming.wake import Detect, Detection, NotDetected

WYOMINGS = [
    Transcribe(),
    Transcribe(name="a", language="en", context={"trace_id": "t"}, transcript_names=["a"], transcript_terms=[]),
    Transcript("on"),
    AudioStart(16_000, 2, 1),
    AudioChunk(16_000, 2, 1, b"\0\0", timestamp=3),
    AudioStop(),
    Error("no"),
    Ping(),
    Pong("a"),
    Synthesize("on", voice=SynthesizeVoice(name="slt", speaker="b")),
    SynthesizeStart(voice=SynthesizeVoice(language="en")),
    SynthesizeChunk("on"),
    SynthesizeStop(),
    SynthesizeStopped(),
    VoiceStarted(5),
    VoiceStopped(),
    Detect(),
    Detect(["okay_nabu"]),
    Detection("okay_nabu", 5),
    NotDetected(),
]
READERS = {message.event().type: type(message) for message in WYOMINGS}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "a"]), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("message", WYOMINGS, ids=repr)
def test_what_wyomings_own_classes_write_keeps_the_contract(side: Any, message: Eventable) -> None:
    checked = side.messages.check(message.event())
    assert type(message).from_event(checked) == message


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_wyomings_readers_take_whatever_check_lets_through(
    side: Any, golden_frames: list[Any], data: st.DataObject
) -> None:
    known = [frame for frame in golden_frames if frame.event in READERS and frame.data is not None]
    frame = data.draw(st.sampled_from(known))
    twisted = copy.deepcopy(frame.data)
    fields = sorted({*twisted, *side.messages._FIELDS[frame.event], "text_format", "context"})
    twisted |= data.draw(st.dictionaries(st.sampled_from(fields), VALUES, max_size=3))
    payload = b"\0\0" if frame.event == "audio-chunk" else None
    try:
        checked = side.messages.check(Event(frame.event, twisted, payload))
    except side.messages.MessageError:
        return
    READERS[frame.event].from_event(checked)


def test_a_null_is_a_missing_field(side: Any) -> None:
    checked = side.messages.check(Event("synthesize", {"text": "on", "voice": None, "context": None}))
    assert checked.data == {"text": "on"}
    assert Synthesize.from_event(checked).voice is None


def test_the_error_names_the_field_and_what_it_may_be(side: Any) -> None:
    with pytest.raises(side.messages.MessageError, match=r"^context\.rate must be a whole number from 8000 to 48000$"):
        side.messages.check(Event("synthesize", {"text": "on", "context": {"rate": 7_999}}))


def test_the_error_names_the_entry_of_a_list(side: Any) -> None:
    with pytest.raises(side.messages.MessageError, match=r"^names\[1\] must be text$"):
        side.messages.check(Event("detect", {"names": ["a", 5]}))


def test_the_name_of_an_unknown_event_is_cut_short_in_the_error(side: Any) -> None:
    with pytest.raises(side.messages.MessageError) as refused:
        side.messages.check(Event("x" * 60_000))
    assert len(str(refused.value)) < 300


def test_trace_id_is_found_in_the_context(side: Any) -> None:
    assert side.messages.trace_id_of(Event("transcribe", {"context": {"trace_id": "t1"}})) == "t1"
    assert side.messages.trace_id_of(Event("transcribe", {"context": {}})) is None
    assert side.messages.trace_id_of(Event("transcribe")) is None


def point(*coordinates: float) -> bytes:
    return struct.pack(f"<{len(coordinates)}f", *coordinates)


def own_messages(messages: Any) -> list[Any]:
    nonce = "ab" * 32
    return [
        messages.Hello(1, nonce, "home", "software"),
        messages.Challenge(1, nonce, "software"),
        messages.Proof(nonce),
        messages.Welcome(nonce, "beast", "Beast", "software"),
        messages.Welcome(nonce, "beast", "Beast", "software", vocabulary="0123abcd"),
        messages.Welcome(nonce, "beast", "Beast", "software", voice="resemblyzer-0.1.4"),
        messages.Vocabulary("en", "0123abcd", ["a"], ["b"], ["turn on {name}"], {"name": ["a"]}),
        messages.VocabularyReady("0123abcd", 5, 6, ["zyx"]),
        messages.Partial("turn on", 240, stable=True),
        messages.Timings("t1", {"decode": 12.5}),
        messages.Timings(None),
        messages.VoiceHeard("t1", "resemblyzer-0.1.4", 2, 1_888, 31.4, point(0.6, -0.8)),
        messages.VoiceHeard(None, "resemblyzer-0.1.4", 0, 96, -2.5),
        messages.DrainingNotice("bye"),
        messages.QuickWords("en", None, 16_000, ["Done"]),
        messages.QuickWordsReady("slt", "2.2", 16_000, [{"text": "Done", "bytes": 2}], last=True, payload=b"\0\1"),
        messages.Models("pull", "kokoro-82m-v1.0"),
        messages.ModelProgress("kokoro-82m-v1.0", "voices-v1.0.bin", 5),
        messages.ModelsReady("", [{"name": "whisper-small", "version": "1", "status": "to_pull"}]),
        messages.Embed(["a"]),
        messages.Embeddings("minilm-l6-v2", 1, 1, bytes(4)),
    ]


def test_our_own_messages_come_back_as_they_were_sent(side: Any) -> None:
    for message in own_messages(side.messages):
        assert type(message).is_type(message.event().type)
        assert type(message).from_event(message.event()) == message


def test_only_some_events_carry_a_payload_and_that_in_whole_units(side: Any) -> None:
    with pytest.raises(side.messages.MessageError, match=r"^ping carries no payload$"):
        side.messages.check(Event("ping", {}, b"\0\0"))
    embeddings = Event("barnabeenet-embeddings", {"model": "minilm-l6-v2", "dimensions": 1, "count": 1}, bytes(6))
    with pytest.raises(side.messages.MessageError, match=r"needs a payload of whole 32-bit values$"):
        side.messages.check(embeddings)


def test_a_voice_is_a_point_of_length_one_or_none(side: Any) -> None:
    voice_heard = side.messages.VoiceHeard
    assert voice_heard(None, "e", 2, 1_000, 20, point(0, 1)).vector() == (0, 1)
    assert voice_heard(None, "e", 0, 100, 20).vector() == ()
    with pytest.raises(side.messages.MessageError, match=r"of 2 dimensions has 4 bytes"):
        voice_heard(None, "e", 2, 1_000, 20, point(1))
    with pytest.raises(side.messages.MessageError, match=r"of 0 dimensions has 4 bytes"):
        voice_heard(None, "e", 0, 1_000, 20, point(1))
    for odd in ((0, 0), (0.9, 0), (3e38, 3e38), (math.nan, 1), (math.inf, 0), (-math.inf, math.inf)):
        with pytest.raises(side.messages.MessageError, match=r"must be finite and of length 1$"):
            voice_heard(None, "e", 2, 1_000, 20, point(*odd))


def test_a_voice_is_checked_when_it_is_read_too(side: Any) -> None:
    told = side.messages.VoiceHeard("t1", "e", 1, 1_000, 20, point(1)).event()
    with pytest.raises(side.messages.MessageError, match="length 1"):
        side.messages.VoiceHeard.from_event(Event(told.type, told.data, point(2)))


def test_a_voice_does_not_show_its_point(side: Any) -> None:
    told = side.messages.VoiceHeard("t1", "e", 2, 1_000, 20, point(0.6, 0.8))
    assert "payload" not in repr(told)
    assert repr(point(0.6, 0.8)) not in repr(told)


def test_a_voice_is_told_to_those_who_ask_for_it(side: Any) -> None:
    wants_voice = side.messages.wants_voice
    assert wants_voice(Event("transcribe", {"context": {"trace_id": "t1", "voice": True}}))
    for context in ({}, None, {"voice": False}, {"trace_id": "t1"}):
        assert not wants_voice(Event("transcribe", {"context": context}))
    assert not wants_voice(Event("transcribe"))


def test_a_message_is_not_read_from_an_event_of_another_type(side: Any) -> None:
    with pytest.raises(side.messages.MessageError, match="expected barnabeenet-hello, got 'describe'"):
        side.messages.Hello.from_event(Event("describe"))


def test_a_message_is_not_read_from_an_event_that_breaks_the_contract(side: Any) -> None:
    with pytest.raises(side.messages.MessageError, match="proof must be 64"):
        side.messages.Proof.from_event(Event("barnabeenet-proof", {"proof": "no"}))
