"""What the speaker bench counts, how its utterances are made, and the whole of it, short."""

from __future__ import annotations

import argparse
from pathlib import Path

from benches import bench_speaker, speaker_latency
from benches.bench_speaker import judge, nearest, without
from benches.integration import part
from benches.speaker_latency import Pairs
from benches.speaker_trials import CLEAN, Clip, Ears, Noise, Trial, clips, samples_of
from home.process import ProcessFailed
import numpy as np
import pytest

from barnabeenet_sidecar.audio.voiced import Voiced

PEOPLE = {"ann": [(1.0, 0.0, 0.0)], "thom": [(0.0, 1.0, 0.0)]}


def trial(person: str, *vector: float, noise: str = CLEAN, snr_db: float = 99.0, speech_ms: int = 1_600) -> Trial:
    heard_db = min(snr_db, 60.0)
    voice = part("client.transcription").Voice("e", vector, float(speech_ms), heard_db)
    return Trial(person, speech_ms, noise, snr_db, voice)


def every_length(*of: tuple[str, tuple[float, ...]], **how: object) -> list[Trial]:
    return [
        trial(person, *vector, speech_ms=speech_ms, **how)
        for speech_ms in bench_speaker.LENGTHS_MS
        for person, vector in of
    ]


def test_names_guests_and_wrong_names_are_counted_by_level() -> None:
    ann, neither = (0.995, 0.0, 0.1), (0.5, 0.5, 0.7)
    own = [
        *every_length(("ann", ann), ("ann", neither)),
        *every_length(("ann", ann), ("thom", ann), noise="white", snr_db=20.0),
        *every_length(("ann", ()), noise="white", snr_db=10.0),
    ]
    found = judge(own, every_length(("zoe", neither)), PEOPLE)
    assert (found["accepted_clean"], found["guest_clean"], found["wrong_name_clean"]) == (0.5, 0.5, 0)
    assert (found["accepted_20db"], found["wrong_name_20db"]) == (0.5, 0.5)
    assert (found["guest_10db"], found["wrong_name_10db"]) == (1, 0)
    # Ann is nobody's while she is not enrolled, and so is Zoe; Ann's voice is not Thom's.
    assert found["stranger_named_clean"] == 0
    assert found["stranger_named_20db"] == 0.5
    assert found["confidence_right"] == pytest.approx(2 / 3, abs=0.001)
    assert (found["trials"], found["stranger_trials"]) == (20, 24)


def test_the_nearest_is_who_is_nearest_to_the_middle_of_theirs() -> None:
    people = {"ann": [(1.0, 0.0, 0.0), (0.0, 0.0, 1.0)], "thom": [(0.0, 1.0, 0.0)]}
    assert nearest(trial("ann", 0.6, 0.4, 0.6), people) == "ann"
    assert nearest(trial("ann", 0.0, 1.0, 0.2), people) == "thom"
    assert nearest(trial("ann"), people) is None
    assert list(without(people, "ann")) == ["thom"]


def test_stretches_follow_one_another_each_in_its_room() -> None:
    speech = np.arange(32_000, dtype="<i2").tobytes()
    clip = Clip("ann", Voiced(speech, np.full(1_000, 7, "<i2").tobytes(), 2_000, 30))
    parts = list(clip.stretches(500, most=3))
    assert len(parts) == 3
    for number, (samples, power) in enumerate(parts):
        assert samples.size == 8_000 + 9_600
        assert set(samples[:6_400]) == set(samples[-3_200:]) == {7}
        said = samples[6_400:-3_200]
        np.testing.assert_array_equal(said, samples_of(speech)[number * 8_000 : (number + 1) * 8_000])
        assert power == pytest.approx(np.square(said).mean())
    assert list(clip.stretches(3_000, most=3)) == []


@pytest.mark.parametrize("kind", ["room", "white", "pink", "babble"])
def test_noise_lies_as_far_below_the_speech_as_is_asked(recordings: Path, kind: str) -> None:
    noise = Noise(recordings).over(np.zeros(48_000), 1e6, kind, 10)
    assert np.square(noise).mean() == pytest.approx(1e5)


async def test_a_clip_is_printed_as_the_sidecar_would(recordings: Path) -> None:
    ears = Ears()
    await ears.load()
    (clip,) = clips(ears, {"ann": [recordings / "ls_test-other" / "1688-142285-0002.wav"]})["ann"]
    voice = await ears.voice(clip.heard)
    assert voice.engine == "resemblyzer-0.1.4"
    assert len(voice.vector) == 256
    assert voice.speech_ms == clip.heard.speech_ms
    assert (await ears.voice(ears.apart(bytes(32_000)))).vector == ()


def test_what_the_voice_adds_is_of_each_pair() -> None:
    pairs = Pairs()
    for ending in speaker_latency.ENDINGS:
        pairs.with_ms[ending], pairs.without_ms[ending], pairs.missing[ending] = [110.0, 90.0], [100.0, 95.0], 1
    found = pairs.figures()
    assert found["stt_added_ms_median"] == found["stt_added_ms_median_stop"] == 2.5
    assert found["stt_ms_median_silence"] == 100
    assert found["voice_missing_command"] == 0.5
    assert found["stt_pairs"] == 6


async def test_the_whole_bench_short(recordings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_speaker, "RECORDINGS", recordings)
    every = bench_speaker._recordings()
    few = {name: every[name][3:5] for name in ("1688", "2414", "3005")}
    monkeypatch.setattr(bench_speaker, "_recordings", lambda: few)
    monkeypatch.setattr(bench_speaker, "ENROLLED_CLIPS", 1)
    monkeypatch.setattr(bench_speaker, "LENGTHS_MS", (1_600,))
    monkeypatch.setattr(bench_speaker, "STRANGERS", ("lj",))
    monkeypatch.setattr(bench_speaker, "STRANGER_CLIPS", 1)
    monkeypatch.setattr(bench_speaker, "JUDGED_ON", ("2414",))
    monkeypatch.setattr(bench_speaker, "KINDS", ((CLEAN, 99.0), ("white", 20.0), ("white", 10.0)))
    found = await bench_speaker.bench(argparse.Namespace(chosen=False, stretches=1, rounds=1, pace=4.0))
    assert found["top1_1600ms_clean"] >= 0.5
    assert found["wrong_name_clean"] == 0
    assert 0 < found["ms_per_audio_second"] < 1_000
    assert found["stt_pairs"] == 3
    assert 0 <= found["voice_missing_silence"] <= 1


async def test_without_recordings_it_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_speaker, "RECORDINGS", tmp_path)
    with pytest.raises(ProcessFailed, match="BARNABEENET_RECORDINGS"):
        await bench_speaker.voices(["2414"], stretches=1)
