"""A turn is told truly to a person and to a program; first audio is counted from the first sample."""

from __future__ import annotations

import io
import json
import wave

import numpy as np
import pytest

from script.home.audio import Clip
from script.home.judge import Verdict
from script.home.player import Turn, header_bytes
from script.home.report import Recognised, as_dict, as_text, timings

CLIP = Clip("turn on the lights", np.zeros(16000, np.int16), 0.9)


def answered() -> Turn:
    times_ms = {"run-start": -900.0, "stt-end": 300.0, "intent-end": 312.0, "first-audio": 350.0, "run-end": 360.0}
    return Turn(CLIP, "turn on the lights", "Turned on the lights", "action_done", times_ms=times_ms)


def test_the_stages_add_up_to_the_time_to_the_first_audio() -> None:
    found = timings(answered())
    assert found == {
        "hearing_ms": 300.0,
        "acting_ms": 12.0,
        "speaking_ms": 38.0,
        "end_of_speech_to_first_audio_ms": 350.0,
    }


def test_a_run_that_broke_off_has_the_stages_that_it_reached_and_no_sum() -> None:
    turn = answered()
    del turn.times_ms["first-audio"], turn.times_ms["intent-end"]
    assert timings(turn) == {"hearing_ms": 300.0}


def test_a_program_gets_what_was_said_heard_changed_answered_and_whether_it_was_done() -> None:
    verdict = Verdict({"light.desk_lamp": ("off", "on")}, ["light.bed_light is off"])
    told = json.loads(json.dumps(as_dict("turn bed light on", answered(), verdict, {"decode": 80.5})))
    assert told["said"] == "turn bed light on"
    assert told["heard"] == "turn on the lights"
    assert told["reply"] == "Turned on the lights"
    assert told["done"] is False
    assert told["stages_ms"] == {"decode": 80.5}
    assert told["changed"] == {"light.desk_lamp": {"before": "off", "after": "on"}}


def test_both_are_told_whose_voice_it_was() -> None:
    known, guest = Recognised("Ada", "Ada", 0.985), Recognised("Ben", None, None)
    told = as_dict("turn bed light on", answered(), Verdict({}, []), {}, voice=known)
    assert (told["by"], told["speaker"], told["confidence"]) == ("Ada", "Ada", 0.985)
    assert "speaker" not in as_dict("turn bed light on", answered(), Verdict({}, []), {})
    assert "voice  Ada, 98 % sure" in as_text(9, "turn bed light on", answered(), Verdict({}, []), {}, voice=known)
    assert "voice  a guest, 0 % sure" in as_text(9, "turn bed light on", answered(), Verdict({}, []), {}, voice=guest)


def test_a_person_is_told_what_was_wrong() -> None:
    text = as_text(
        3, "turn bed light on", answered(), Verdict({}, ["light.bed_light is off", "not understood"]), {"decode": 80.5}
    )
    assert "NO: light.bed_light is off; not understood" in text
    assert "350 ms from the end of speech" in text
    assert "decode 80 ms" in text


def test_a_person_is_told_that_nothing_was_heard() -> None:
    text = as_text(1, "turn bed light on", Turn(CLIP, error="stt-stream-failed: gone"), Verdict({}, ["gone"]), {})
    assert "(nothing)" in text
    assert "(none)" in text


@pytest.mark.parametrize("received", [0, 3, 11, 12, 30, 43, 44])
def test_a_wav_header_is_no_audio_yet(received: int) -> None:
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(16000)
        wav.writeframes(b"\x01\x00" * 10)
    audio = file.getvalue()
    assert received <= header_bytes(audio[:received])
    assert header_bytes(audio) == 44


def test_other_formats_begin_with_their_first_byte() -> None:
    assert header_bytes(b"ID3\x04") == 0
