"""Quick words in memory: found by how they are to be spoken, within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from custom_components.barnabeenet.client import speech
from custom_components.barnabeenet.client.errors import SidecarTimeout
from custom_components.barnabeenet.dialog.held_words import HeldWords, Manner, Word, read_ahead

SLT = Manner("slt", None)
DONE, OKAY = b"\x01\x00" * 50, b"\x02\x00" * 50


def keep(
    held: HeldWords,
    manner: Manner = SLT,
    audio: dict[str, bytes] | None = None,
    *,
    voice: str | None = None,
    version: str = "1",
    rate_hz: int = 16_000,
) -> None:
    held.keep(manner, voice=voice or manner.voice, version=version, rate_hz=rate_hz, audio=audio or {"Done.": DONE})


@pytest.fixture
def held() -> HeldWords:
    """One word of one voice."""
    held = HeldWords()
    keep(held)
    return held


@pytest.mark.parametrize("text", ["Done.", "Done", "  Done ", "Done!"])
def test_a_whole_text_is_found_however_it_is_written(held: HeldWords, text: str) -> None:
    assert held.find(SLT, text) == Word(DONE, 16_000)


@pytest.mark.parametrize("text", ["Done with it.", "Don", "Done?", ""])
def test_another_text_is_not(held: HeldWords, text: str) -> None:
    assert held.find(SLT, text) is None


def test_another_voice_or_rate_is_not(held: HeldWords) -> None:
    assert held.find(Manner("awb", None), "Done.") is None
    assert held.find(Manner("slt", 48_000), "Done.") is None


def test_at_need_the_voice_speaks_at_another_rate(held: HeldWords) -> None:
    assert held.find(Manner("slt", 48_000), "Done.", at_any_rate=True) == Word(DONE, 16_000)
    assert held.find(Manner("awb", 48_000), "Done.", at_any_rate=True) is None
    keep(held, Manner("slt", 48_000), {"Done.": OKAY}, rate_hz=48_000)
    assert held.find(Manner("slt", 48_000), "Done.", at_any_rate=True) == Word(OKAY, 48_000)


def test_the_voices_own_rate_and_the_same_by_its_number_are_held_once(held: HeldWords) -> None:
    keep(held, Manner("slt", 16_000))
    assert held.find(Manner("slt", 16_000), "Done.") == Word(DONE, 16_000)
    assert (held.voices, held.words, held.size_bytes) == (1, 1, len(DONE))


def test_words_that_come_later_are_added(held: HeldWords) -> None:
    keep(held, audio={"Okay.": OKAY})
    assert held.find(SLT, "Done.") is not None
    assert held.find(SLT, "Okay.") == Word(OKAY, 16_000)


def test_another_version_takes_the_place_of_the_one_before(held: HeldWords) -> None:
    keep(held, audio={"Okay.": OKAY}, version="2")
    assert held.find(SLT, "Done.") is None
    assert held.find(SLT, "Okay.") is not None
    assert held.words == 1


def test_a_voice_that_stood_in_is_heard_until_the_one_that_was_asked_for_is_there() -> None:
    held = HeldWords()
    keep(held, audio={"Done.": OKAY, "Okay.": OKAY}, voice="espeak")
    assert held.find(SLT, "Done.") == Word(OKAY, 16_000)
    keep(held, audio={"Done.": DONE})
    assert held.find(SLT, "Done.") == Word(DONE, 16_000)
    assert held.find(SLT, "Okay.") == Word(OKAY, 16_000)


def test_the_voice_that_was_used_least_recently_makes_room() -> None:
    held = HeldWords(max_bytes=250)
    keep(held)
    keep(held, Manner("awb", None))
    assert held.find(SLT, "Done.") is not None
    keep(held, Manner("rms", None))
    assert held.find(Manner("awb", None), "Done.") is None
    assert held.find(SLT, "Done.") is not None
    assert held.find(Manner("rms", None), "Done.") is not None
    assert held.size_bytes <= 250


def test_what_does_not_fit_at_all_is_left_out() -> None:
    held = HeldWords(max_bytes=250)
    keep(held, audio={str(number): DONE for number in range(5)})
    assert held.words == 2
    assert held.size_bytes == 200


# Reading ahead


class Writer:
    """Writes a text piece by piece and notes how much of it was read."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = pieces
        self.read = 0

    async def __aiter__(self) -> AsyncIterator[str]:
        for piece in self.pieces:
            self.read += 1
            yield piece


@pytest.mark.parametrize(
    ("pieces", "text", "is_whole", "read"),
    [
        (["Done."], "Done.", True, 1),
        (["Do", "ne", "."], "Done.", True, 3),
        (["Done.", " And"], "Done. And", False, 2),
        (["The", " lights", " are on"], "The", False, 1),
        (["Do", "ors are open"], "Doors are open", False, 2),
        ([], "", True, 0),
    ],
)
async def test_no_more_is_waited_for_than_could_become_a_quick_word(
    held: HeldWords, pieces: list[str], text: str, is_whole: bool, read: int
) -> None:
    writer = Writer(*pieces)
    assert await read_ahead(aiter(writer), lambda begun: held.could_become(SLT, begun)) == (text, is_whole)
    assert writer.read == read


async def test_without_words_in_that_voice_nothing_is_read() -> None:
    writer = Writer("Done.")
    assert await read_ahead(aiter(writer), lambda begun: HeldWords().could_become(SLT, begun)) == ("", False)
    assert writer.read == 0


async def test_a_text_that_does_not_go_on_is_not_waited_for_without_end(
    held: HeldWords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech, "TEXT_PAUSE_S", 0.01)

    async def stuck() -> AsyncIterator[str]:
        yield "Do"
        await asyncio.Event().wait()

    with pytest.raises(SidecarTimeout):
        await read_ahead(stuck(), lambda begun: held.could_become(SLT, begun))
