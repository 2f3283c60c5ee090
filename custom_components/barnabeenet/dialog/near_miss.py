"""Finds the names that were meant by words that only sound like them: "lock the fraud door"."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, Literal

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from .clauses import denies
from .endpoint import Recognition
from .follow_up import Answered, Cancelled, Kind as Asked, Option, Question
from .follow_up_words import AGAIN, base_of
from .sentences import Phrase, say
from .several import Understand
from .slots import Home
from .sounds import likeness, sound_of, weakest

# Measured on names that a recogniser misheard; see the tests. Below the first one is asked, below the second nothing.
CERTAIN: Final = 0.84
POSSIBLE: Final = 0.66
# A second name must be that much less like the words before the first is taken without asking.
MARGIN: Final = 0.12
OPTIONS_MAX: Final = 3

_SPAN_MAX_WORDS: Final = 6
_SPAN_MAX_CHARS: Final = 60
_WORDS_MAX: Final = 24
# How many names are compared closely, and how many sentences are tried: some 2 ms each.
_CLOSE_MAX: Final = 24
_TRIES_MAX: Final = 12
_PLACES_MAX: Final = 3
_ROUGHLY: Final = 0.55

# What may be done on a guess; a lock, a garage or a script is asked about. Questions may always be answered.
_HARMLESS_KINDS: Final = frozenset(
    {"light", "fan", "switch", "input_boolean", "media_player", "climate", "humidifier", "weather", "todo"}
)
_HARMLESS_COVERS: Final = frozenset({"awning", "blind", "curtain", "shade", "shutter"})

_score = attrgetter("score")

Kind = Literal["name", "area", "floor"]


@dataclass(frozen=True)
class Name:
    """Something that can be spoken of. `thing` is the same for all names of one thing."""

    text: str
    kind: Kind
    thing: int


@dataclass(frozen=True)
class Candidate:
    """A name in the place of some words of a sentence, and how like them it is, from 0 to 1."""

    name: Name
    sentence: str
    score: float
    span: str
    """The words that it takes the place of."""


class Names:
    """The names of a home by their sounds; built once for every change of the home."""

    def __init__(self, home: Home) -> None:
        self.language = home.language
        self._by_sound: dict[str, list[Name]] = defaultdict(list)
        for name in _names_of(home):
            self._by_sound[sound_of(name.text, home.language)].append(name)
        self._by_sound.pop("", None)
        self._sounds = list(self._by_sound)

    def candidates(self, text: str) -> list[Candidate]:
        """Names like some words of the sentence, the likest first, each in its likest places."""
        found: dict[str, list[Candidate]] = defaultdict(list)
        for before, span, after in _spans(text):
            rough = process.extract(
                sound_of(span, self.language),
                self._sounds,
                scorer=Levenshtein.normalized_similarity,
                score_cutoff=_ROUGHLY,
                limit=_CLOSE_MAX,
            )
            for sound, _, _ in rough:
                for name in self._by_sound[sound]:
                    score = likeness(span, name.text, self.language)
                    if score >= POSSIBLE and not _holds_more(span, name.text):
                        found[name.text].append(Candidate(name, f"{before}{name.text}{after}", score, span))
        best = (sorted(places, key=_score, reverse=True)[:_PLACES_MAX] for places in found.values())
        return sorted((each for places in best for each in places), key=_score, reverse=True)[:_CLOSE_MAX]


@dataclass(frozen=True)
class Doubt:
    """What is asked, in words and as the question that waits; the choice of each of its options is a sentence to do."""

    text: str
    question: Question


async def find_name(text: str, names: Names, understand: Understand) -> str | Doubt | None:
    """What was meant: a sentence to carry out, a question about what is not sure or not harmless, or nothing.

    Only sentences that are understood strictly with the name in its place count, so no word is ever passed over.
    """
    if denies(text, names.language):
        return None
    found: list[tuple[Candidate, Recognition]] = []
    things: set[tuple[Kind, int]] = set()
    # Some milliseconds, more for a long sentence.
    candidates = await asyncio.to_thread(names.candidates, text)
    for candidate in candidates[:_TRIES_MAX]:
        thing = (candidate.name.kind, candidate.name.thing)
        meaning = None if thing in things else await understand(candidate.sentence)
        if meaning is None or not _speaks_of(meaning, candidate.name):
            continue
        things.add(thing)
        found.append((candidate, meaning))
    if not found:
        return None
    best, meaning = found[0]
    near = [each for each in found if each[0].score > best.score - MARGIN][:OPTIONS_MAX]
    risky = not all(is_harmless(each) for _, each in near)
    if len(near) == 1 and not risky and is_certain(best.span, best.name.text, names.language):
        return best.sentence
    return _doubt([candidate for candidate, _ in near], names.language, sensitive=risky)


def is_certain(said: str, name: str, language: str) -> bool:
    """Whether the words can only be the name misheard: as a whole, and those that differ by themselves."""
    return min(likeness(said, name, language), weakest(said, name, language)) >= CERTAIN


def _doubt(candidates: list[Candidate], language: str, *, sensitive: bool) -> Doubt:
    agreement = Question(Asked.CONFIRM, language)

    def yes(text: str) -> Answered | Cancelled | None:
        """A yes to the only name there is."""
        heard = agreement.answer(text)
        return Answered(candidates[0].sentence) if isinstance(heard, Answered) else heard

    options = tuple(Option((candidate.name.text,), candidate.sentence) for candidate in candidates)
    question = Question(
        Asked.CHOICE, language, options, sensitive=sensitive, understand=yes if len(options) == 1 else None
    )
    either = AGAIN[base_of(language)]["or"]
    *first, last = (candidate.name.text for candidate in candidates)
    listed = f" {either} ".join(filter(None, (", ".join(first), last)))
    return Doubt(say(Phrase.DID_YOU_MEAN, language, options=listed), question)


def is_harmless(meaning: Recognition) -> bool:
    """Whether a command may be carried out although its words were not quite understood."""
    return is_harmless_kind(meaning.intent, *meaning.kind)


def is_harmless_kind(intent: str, domain: str | None, device_class: str | None) -> bool:
    """The same of an intent and the kind of thing that it is for."""
    if "Get" in intent:
        return True
    return domain in _HARMLESS_KINDS or (domain == "cover" and device_class in _HARMLESS_COVERS)


def _speaks_of(meaning: Recognition, name: Name) -> bool:
    said = meaning.slots.get(name.kind, "")
    return not meaning.is_a_name_alone and any(
        each.casefold() == name.text.casefold() for each in (said, *meaning.targets)
    )


def _names_of(home: Home) -> Iterator[Name]:
    for index, entity in enumerate(home.entities):
        yield from (Name(text, "name", index) for text in entity.names)
    yield from (Name(text, "area", index) for index, text in enumerate(home.areas))
    yield from (Name(text, "floor", index) for index, text in enumerate(home.floors))


def _holds_more(span: str, name: str) -> bool:
    """Whether the name was said as it is, among other words that would be lost with it."""
    words, named = span.casefold().split(), set(name.casefold().split())
    return len(words) > len(named) and named <= set(words)


def _spans(text: str) -> Iterator[tuple[str, str, str]]:
    """All runs of words that may stand for a name, with the text before and after them."""
    words = text.split()[:_WORDS_MAX]
    for begin in range(len(words)):
        for end in range(begin + 1, min(len(words), begin + _SPAN_MAX_WORDS) + 1):
            span = " ".join(words[begin:end])
            if len(span) <= _SPAN_MAX_CHARS:
                before, after = " ".join(words[:begin]), " ".join(words[end:])
                yield f"{before} " if before else "", span.strip(",;.!?"), f" {after}" if after else ""
