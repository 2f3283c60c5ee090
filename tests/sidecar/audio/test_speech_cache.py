"""Speech on disk: what comes back, what never does, and how much of it there is."""

from __future__ import annotations

from dataclasses import replace
import errno
import logging
import os
from pathlib import Path

import pytest

from barnabeenet_sidecar.audio.speech_cache import SpeechCache, SpeechKey

KEY = SpeechKey("espeak", "1.52", "en-US", 22_050, "Done.")
PCM = b"\x01\x00" * 500


def key(text: str) -> SpeechKey:
    return replace(KEY, text=text)


def file_of(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "speech"


@pytest.fixture
def cache(folder: Path) -> SpeechCache:
    """A cache with one piece of speech in it."""
    cache = SpeechCache(folder)
    cache.put(KEY, PCM)
    return cache


def test_what_was_kept_is_there_after_a_restart(cache: SpeechCache, folder: Path) -> None:
    assert cache.get(KEY) == PCM
    assert SpeechCache(folder).get(KEY) == PCM


@pytest.mark.parametrize(
    "change", [{"engine": "flite"}, {"version": "1.53"}, {"voice": "de"}, {"rate_hz": 16_000}, {"text": "Done!"}]
)
def test_it_is_not_taken_for_other_speech(cache: SpeechCache, change: dict[str, str | int]) -> None:
    assert cache.get(replace(KEY, **change)) is None  # type: ignore[arg-type]


def test_no_name_tells_what_is_said(cache: SpeechCache, folder: Path) -> None:
    assert file_of(folder).name == f"{KEY.digest().hex()}.speech"
    assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("at", [0, 30, 80, -1], ids=["form", "seal", "audio", "end"])
def test_damaged_speech_is_never_given(
    cache: SpeechCache, folder: Path, at: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = file_of(folder)
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    assert cache.get(KEY) is None
    assert not path.exists()
    assert "is made anew" in caplog.text
    cache.put(KEY, PCM)
    assert cache.get(KEY) == PCM


@pytest.mark.parametrize("content", [b"", b"barnabeenet", b"RIFF" + bytes(100), bytes(5 * 1024 * 1024)])
def test_what_is_not_ours_is_never_given(cache: SpeechCache, folder: Path, content: bytes) -> None:
    file_of(folder).write_bytes(content)
    assert SpeechCache(folder).get(KEY) is None


def test_speech_under_another_name_is_never_given(cache: SpeechCache, folder: Path) -> None:
    file_of(folder).rename(folder / f"{key('Unlocked.').digest().hex()}.speech")
    assert SpeechCache(folder).get(key("Unlocked.")) is None


def test_a_pipe_in_its_place_is_not_waited_for(cache: SpeechCache, folder: Path) -> None:
    path = file_of(folder)
    path.unlink()
    os.mkfifo(path)
    assert cache.get(KEY) is None


def test_speech_that_somebody_removed_is_missing_and_can_be_kept_again(cache: SpeechCache, folder: Path) -> None:
    file_of(folder).unlink()
    folder.rmdir()
    assert cache.get(KEY) is None
    cache.put(KEY, PCM)
    assert cache.get(KEY) == PCM


def test_what_was_used_least_recently_makes_room(folder: Path) -> None:
    cache = SpeechCache(folder, max_bytes=3_300)
    for text in ("one", "two", "three"):
        cache.put(key(text), PCM)
    assert cache.get(key("one")) == PCM
    cache.put(key("four"), PCM)
    assert [text for text in ("one", "two", "three", "four") if cache.get(key(text)) == PCM] == ["one", "three", "four"]
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 3_300


def test_the_bound_and_the_order_outlive_a_restart(folder: Path) -> None:
    cache = SpeechCache(folder, max_bytes=3_300)
    for age_s, text in ((300, "one"), (200, "two"), (100, "three")):
        cache.put(key(text), PCM)
        used_at = folder.stat().st_mtime - age_s
        os.utime(folder / f"{key(text).digest().hex()}.speech", (used_at, used_at))
    assert cache.get(key("one")) == PCM
    again = SpeechCache(folder, max_bytes=3_300)
    again.put(key("four"), PCM)
    assert [text for text in ("one", "two", "three", "four") if again.get(key(text)) == PCM] == ["one", "three", "four"]


def test_what_is_larger_than_all_of_it_is_not_kept(folder: Path) -> None:
    cache = SpeechCache(folder, max_bytes=500)
    cache.put(KEY, PCM)
    assert cache.get(KEY) is None


def test_what_a_crash_left_unfinished_is_cleared_away_and_nothing_else(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / f".{KEY.digest().hex()}.new").write_bytes(b"half")
    (folder / "notes.txt").write_text("mine")
    SpeechCache(folder).put(KEY, PCM)
    assert {path.suffix for path in folder.iterdir()} == {".speech", ".txt"}


def test_a_folder_that_cannot_be_written_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "data").write_text("a file where a folder should be")
    cache = SpeechCache(tmp_path / "data" / "speech")
    for text in ("one", "two"):
        cache.put(key(text), PCM)
        assert cache.get(key(text)) is None
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [line for line in told if "no speech is kept in" in line] == told
    assert len(told) == 1


def test_a_full_disk_leaves_nothing_half_written(
    cache: SpeechCache, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fill_up(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(Path, "write_bytes", fill_up)
        cache.put(key("two"), PCM)
    assert "No space left on device" in caplog.text
    assert len(list(folder.iterdir())) == 1
    assert cache.get(key("two")) is None
    cache.put(key("two"), PCM)
    assert cache.get(key("two")) == PCM


def test_without_a_folder_nothing_is_kept() -> None:
    cache = SpeechCache(None)
    cache.put(KEY, PCM)
    assert cache.get(KEY) is None
