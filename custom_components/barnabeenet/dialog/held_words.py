"""The audio of quick words in memory, so that they are spoken without asking anybody."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ..client.speech import next_piece
from .quick_words import normalised

# Some eighty phrases in one voice are 2.5 MB at 16 kHz, 3.5 MB at 22 kHz and 7.5 MB at 48 kHz.
HELD_MAX_BYTES: Final = 16 * 1024 * 1024


class Manner(NamedTuple):
    """How to speak: a voice of the sidecar's and the sample rate that is wanted, None for the voice's own."""

    voice: str
    rate_hz: int | None


class Word(NamedTuple):
    """16-bit mono PCM and its sample rate."""

    pcm: bytes
    rate_hz: int


@dataclass
class _Shelf:
    """The words of one voice at one rate; the texts are normalised."""

    version: str
    words: dict[str, bytes] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(map(len, self.words.values()))


class HeldWords:
    """Quick words by the manner in which they were asked for; the voice that was used least recently makes room."""

    def __init__(self, max_bytes: int = HELD_MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._shelves: OrderedDict[tuple[str, int], _Shelf] = OrderedDict()
        # The voice that was asked for first, then others that stood in for it.
        self._manners: dict[Manner, list[tuple[str, int]]] = {}

    @property
    def voices(self) -> int:
        """How many voices there are words in, each rate counted."""
        return len(self._shelves)

    @property
    def words(self) -> int:
        """How many words there are, in all voices."""
        return sum(len(shelf.words) for shelf in self._shelves.values())

    @property
    def size_bytes(self) -> int:
        """How much audio there is."""
        return sum(shelf.size for shelf in self._shelves.values())

    def keep(self, manner: Manner, *, voice: str, version: str, rate_hz: int, audio: Mapping[str, bytes]) -> None:
        """Takes what was spoken for a manner, by whichever voice; another version replaces what there was of it.

        What does not fit even when all other voices have made room is left out.
        """
        place = (voice, rate_hz)
        shelf = self._shelves.get(place)
        if shelf is None or shelf.version != version:
            shelf = self._shelves[place] = _Shelf(version)
        self._shelves.move_to_end(place)
        places = self._manners.setdefault(manner, [])
        if place not in places:
            places.insert(0 if voice == manner.voice else len(places), place)
        left = self._max_bytes - shelf.size
        for text, pcm in audio.items():
            word = normalised(text)
            if word not in shelf.words and len(pcm) <= left:
                shelf.words[word] = pcm
                left -= len(pcm)
        while self.size_bytes > self._max_bytes:
            self._forget(next(iter(self._shelves)))

    def find(self, manner: Manner, text: str, *, at_any_rate: bool = False) -> Word | None:
        """The audio of a whole text, in this manner or, if need be, in its voice at another rate."""
        for place in self._places(manner, at_any_rate=at_any_rate):
            pcm = self._shelves[place].words.get(normalised(text))
            if pcm is not None:
                self._shelves.move_to_end(place)
                return Word(pcm, place[1])
        return None

    def could_become(self, manner: Manner, text: str, *, at_any_rate: bool = False) -> bool:
        """Whether a text that may go on is the beginning of a word that is held."""
        begun = normalised(text)
        return any(
            word.startswith(begun)
            for place in self._places(manner, at_any_rate=at_any_rate)
            for word in self._shelves[place].words
        )

    def _places(self, manner: Manner, *, at_any_rate: bool) -> list[tuple[str, int]]:
        found = self._manners.get(manner, [])
        if not at_any_rate:
            return found
        others = [place for other, places in self._manners.items() if other.voice == manner.voice for place in places]
        return list(dict.fromkeys([*found, *others]))

    def _forget(self, place: tuple[str, int]) -> None:
        del self._shelves[place]
        for places in self._manners.values():
            if place in places:
                places.remove(place)
        self._manners = {manner: places for manner, places in self._manners.items() if places}


async def read_ahead(pieces: AsyncIterator[str], could_become: Callable[[str], bool]) -> tuple[str, bool]:
    """Reads a text while it is written for as long as it could become a quick word: the text, and whether it has ended.

    Raises SidecarTimeout when it does not go on, and whatever it raises.
    """
    text = ""
    while could_become(text):
        piece = await next_piece(pieces)
        if piece is None:
            return text, True
        text += piece
    return text, False
