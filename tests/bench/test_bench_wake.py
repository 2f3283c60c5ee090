"""What the streams are mixed of, what counts as heard, and the whole bench, short."""

from __future__ import annotations

from pathlib import Path

from benches import bench_wake, wake_audio
from benches.bench_wake import Cost, hits, judge, reference_ms
from benches.wake_audio import Material, Mixed
from home.process import ProcessFailed
import numpy as np
import pytest


@pytest.fixture(scope="module")
def source(recordings: Path) -> Material:
    return wake_audio.material(recordings)


def outcome(**changes: object) -> dict[str, object]:
    plain = {"detections_ms": [], "pong_lags_ms": [1.0], "end_lag_ms": 5.0, "send_late_ms": 0.0, "error": None}
    return plain | changes


def test_a_mix_is_the_same_each_time_and_another_for_each_stream(source: Material) -> None:
    one, again, other = (wake_audio.household(source, seed, seconds=20) for seed in (1, 1, 2))
    assert one.pcm == again.pcm
    assert one.pcm != other.pcm
    assert len(one.pcm) == 20 * 32_000


def test_words_are_said_where_the_mix_says_and_louder_than_the_room(source: Material) -> None:
    for seed in range(12):
        mixed = wake_audio.household(source, seed, seconds=60)
        assert len(mixed.said_ms) == 1
        begin, end = (int(ms * 16) for ms in mixed.said_ms[0])
        room = mixed.samples[begin - 4_000 : begin]
        assert mixed.samples[begin:end].std() > 1.5 * room.std()
    assert len(wake_audio.speech(source, 0, seconds=60).said_ms) == 2


def test_the_bare_package_hears_nearly_all_that_is_said(source: Material) -> None:
    streams = [wake_audio.household(source, seed, seconds=10) for seed in range(6)]
    heard = [hits(mixed.said_ms, reference_ms(mixed)) for mixed in streams]
    assert sum(right for right, _ in heard) >= 5
    assert sum(false for _, false in heard) == 0


@pytest.mark.parametrize(
    ("heard_ms", "wanted"),
    [([], (0, 0)), ([1_900], (1, 0)), ([2_100, 2_700], (1, 0)), ([500], (0, 1)), ([2_000, 9_000], (1, 1))],
)
def test_a_detection_counts_only_around_the_end_of_a_word(heard_ms: list[float], wanted: tuple[int, int]) -> None:
    assert hits([(1_000.0, 2_000.0)], heard_ms) == wanted


@pytest.mark.parametrize(
    ("changes", "lagging"),
    [({}, 0), ({"pong_lags_ms": [501.0]}, 1), ({"end_lag_ms": 30_000.0}, 1), ({"error": "busy"}, 1)],
)
def test_a_stream_whose_answers_come_late_lags(changes: dict[str, object], lagging: int) -> None:
    streams = [Mixed("alexa", np.zeros(16_000, np.float32)) for _ in range(2)]
    found = judge(streams, Cost(9.0, 80.0, [outcome(), outcome(**changes)]), "_speech")
    assert found["lagging_speech"] == lagging
    assert found["core_percent_speech"] == 9.0
    assert found["core_percent_per_stream_speech"] == 4.5


@pytest.mark.timeout(400)
async def test_the_whole_bench_short(recordings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_wake, "RECORDINGS", recordings)
    # That every stream is answered to its end is for a test, how soon on this machine now is for the bench.
    monkeypatch.setattr(bench_wake, "LAG_MAX_MS", 10_000.0)
    monkeypatch.setattr(wake_audio, "READ_SPEECH", ("psx",))
    found = await bench_wake.bench(streams=3, seconds=8, chunk_ms=120, peer_program=None)
    assert found["streams"] == 3
    assert found["lagging"] == found["lagging_speech"] == 0
    assert 0 < found["core_percent"] < 100
    assert found["words_said"] == 3
    assert found["words_heard"] == found["words_heard_by_bare_package"]
    assert found["read_speech_false_accepts"] == 0


async def test_without_recordings_it_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_wake, "RECORDINGS", tmp_path)
    with pytest.raises(ProcessFailed, match="BARNABEENET_RECORDINGS"):
        await bench_wake.bench(streams=1, seconds=5, chunk_ms=120, peer_program=None)
