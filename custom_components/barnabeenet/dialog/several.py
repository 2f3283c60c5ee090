"""Several commands in one sentence, and commands that only say what changes from the one before.

A sentence is divided only where every part is then understood strictly. What a part leaves out it takes from its
neighbours: the verb ("turn on the light and the fan"), the kind ("the kitchen and hall lights"), the room ("... and
close the blinds in the kitchen"), or what "it" stands for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Final

from .clauses import Joint, continuation, joints, references
from .endpoint import Recognition

COMMANDS_MAX: Final = 5
# One more than is carried out, so that too many can be told from not understood.
_JOINTS_MAX: Final = COMMANDS_MAX
_TAIL_MAX_WORDS: Final = 4
# Each costs some 2 ms; a sentence that is understood needs about ten.
_TRIES_MAX: Final = 150
_TARGETS: Final = ("name", "area", "floor")

Understand = Callable[[str], Awaitable[Recognition | None]]


@dataclass(frozen=True)
class Command:
    """One command, whole in itself; `said` are the speaker's own words for it."""

    text: str
    said: str
    needs: int | None = None
    """Which command of the sentence it speaks of: what was not turned on cannot be set to anything."""


async def commands_of(
    text: str, language: str, understand: Understand, *, last: Sequence[str] = ()
) -> tuple[Command, ...]:
    """The commands of a sentence that is none itself, as few as it can be divided into; none when it cannot be.

    `last` are the commands before it, as far as it may speak of them ("turn them off", "and the fan too"). There may be
    more commands than COMMANDS_MAX.
    """
    bare = text.strip(" .!?,")
    found = joints(bare, language)
    if len(found) > _JOINTS_MAX:
        return ()
    rest = continuation(bare, language)
    points_back = bool(last) and (rest is not None or next(references(bare, language), None) is not None)
    if not found and not points_back:
        return ()
    reader = _Reader(language, understand)
    try:
        return await reader.commands(bare, found, rest, last if points_back else ())
    except _OutOfTries:
        return ()


class _OutOfTries(Exception):
    """The sentence can be divided in more ways than are worth a try."""


@dataclass(frozen=True)
class _Known:
    """A command that was understood. Those of earlier sentences have no place in this one."""

    text: str
    said: str
    meaning: Recognition
    needs: _Known | None = None


class _Reader:
    """Reads one sentence; remembers what it has tried."""

    def __init__(self, language: str, understand: Understand) -> None:
        self._language = language
        self._ask = understand
        self._asked: dict[str, Recognition | None] = {}

    async def commands(
        self, text: str, found: list[Joint], rest: str | None, last: Sequence[str]
    ) -> tuple[Command, ...]:
        """Whole first, then in as few parts as possible."""
        before = [_Known(each, each, meaning) for each in last if (meaning := await self._understand(each))]
        for parts in _divisions(text, found):
            if known := await self._read(parts, before):
                return _numbered(known)
        return _numbered(await self._likewise(rest, before[-1:])) if rest else ()

    async def _understand(self, text: str) -> Recognition | None:
        """Strictly; None for a name alone too, which Home Assistant takes for "turn it on"."""
        if text not in self._asked:
            if len(self._asked) >= _TRIES_MAX:
                raise _OutOfTries
            found = await self._ask(text)
            self._asked[text] = None if found is None or found.is_a_name_alone else found
        return self._asked[text]

    async def _read(self, parts: list[str], before: list[_Known]) -> list[_Known]:
        """The commands of all parts in their order; none when one part is no command."""
        known: list[_Known] = []
        for index, part in enumerate(parts):
            found = (
                await self._alone(part, parts[-1] if index + 1 < len(parts) else None, known)
                or await self._spread(part)
                or await self._pointing_back(part, known or before)
                or await self._likewise(continuation(part, self._language) or part, known[-1:])
            )
            if not found:
                return []
            known += found
        return known

    async def _alone(self, part: str, end: str | None, known: list[_Known]) -> list[_Known]:
        """A part that is a command by itself, or in the room that its neighbours speak of."""
        meaning = await self._understand(part)
        if meaning is None or not meaning.targets:
            for tail in [*await self._tails(end), *(await self._tails(known[-1].text) if known else ())]:
                there = await self._understand(f"{part} {tail}")
                if there is not None and "name" not in there.slots and there.targets:
                    return [_Known(f"{part} {tail}", part, there)]
        return [] if meaning is None else [_Known(part, part, meaning)]

    async def _tails(self, text: str | None) -> list[str]:
        """Endings of a command that say where: "in the kitchen"."""
        meaning = None if text is None else await self._understand(text)
        place = meaning and next((meaning.slots[slot] for slot in ("area", "floor") if slot in meaning.slots), None)
        if text is None or meaning is None or place is None:
            return []
        said = next((each for each in meaning.targets if text.casefold().endswith(each.casefold())), None)
        words = text.split()
        least = 0 if said is None else len(said.split())
        return [] if said is None else [" ".join(words[-size:]) for size in range(least, least + _TAIL_MAX_WORDS)]

    async def _spread(self, part: str) -> list[_Known]:
        """The same done to several: what stands around the names of a list belongs to each of them."""
        found = joints(part, self._language)
        if not found:
            return []
        for end in _word_ends(part, found[-1].end):
            tail = part[end:]
            first = await self._understand(f"{part[: found[0].start]}{tail}")
            if first is None or (tail and {"name", "area"} <= first.slots.keys()):
                continue
            for begin in _word_starts(part, found[0].start):
                if begin == 0 and not tail:
                    continue
                others = [part[a.end : b.start] for a, b in pairwise(found)]
                others.append(part[found[-1].end : end])
                commands = [part[: found[0].start] + tail, *(f"{part[:begin]}{each}{tail}" for each in others)]
                if known := await self._alike(commands, [part[begin : found[0].start], *others]):
                    return known
        return []

    async def _alike(self, commands: list[str], said: list[str]) -> list[_Known]:
        """Commands that ask the same of different things; none when they do not."""
        known: list[_Known] = []
        for command, words in zip(commands, said, strict=True):
            meaning = await self._understand(command)
            if meaning is None or not _names_it(meaning, words) or any(_differs(meaning, each) for each in known):
                return []
            known.append(_Known(command, words.strip(), meaning))
        return known

    async def _likewise(self, words: str, known: list[_Known]) -> list[_Known]:
        """The command before with another name in it."""
        for each in known:
            for name in _names_in(each):
                text = each.text.replace(name, words, 1)
                meaning = await self._understand(text)
                if meaning is not None and _names_it(meaning, words) and not _differs(meaning, each):
                    return [_Known(text, words, meaning)]
        return []

    async def _pointing_back(self, part: str, known: list[_Known]) -> list[_Known]:
        """A part in which "it" or "them" stands for what was spoken of before."""
        if not known:
            return []
        for reference in references(part, self._language):
            meant = known if reference.means_all else known[-1:]
            found: list[_Known] = []
            for each in meant:
                for words in _names_in(each):
                    text = reference.said_as(words)
                    meaning = await self._understand(text)
                    if meaning is not None and _target(meaning) == _target(each.meaning):
                        found.append(_Known(text, part, meaning, needs=each))
                        break
            if len(found) == len(meant):
                return found
        return []


def _divisions(text: str, found: list[Joint]) -> Iterator[list[str]]:
    for cuts in range(len(found) + 1):
        for chosen in combinations(found, cuts):
            starts, ends = (0, *(cut.end for cut in chosen)), (*(cut.start for cut in chosen), len(text))
            yield [text[a:b] for a, b in zip(starts, ends, strict=True)]


def _word_ends(text: str, start: int) -> Iterator[int]:
    """Where the last name of a list may end, the longest common ending first."""
    for index in range(start + 1, len(text)):
        if text[index].isspace():
            yield index
    yield len(text)


def _word_starts(text: str, end: int) -> Iterator[int]:
    """Where the first name of a list may begin, the shortest first."""
    for index in range(end - 1, 0, -1):
        if text[index].isspace():
            yield index + 1
    yield 0


def _names_in(known: _Known) -> list[str]:
    """The words of a command that may name what it is about, fewest first."""
    words = known.text.split()
    spans = [" ".join(words[a : a + size]) for size in range(1, len(words) + 1) for a in range(len(words) - size + 1)]
    targets = [target.casefold() for target in known.meaning.targets]
    named = [span for span in spans if all(target in span.casefold() for target in targets)]
    # "The lights" of the room that it was said in: some commands ask for the room's name.
    room = known.meaning.slots.get("area")
    return named if targets or room is None else [*named, *(f"{room} {span}" for span in named)]


def _names_it(meaning: Recognition, words: str) -> bool:
    """Whether the words say what the command is about; a room from elsewhere may only be where things of a kind are."""
    targets = [target.casefold() in words.casefold() for target in meaning.targets]
    return all(targets) and bool(targets) if "name" in meaning.slots else bool(targets)


def _differs(meaning: Recognition, other: _Known) -> bool:
    """Whether a command does not ask the same of something else."""
    return meaning.intent != other.meaning.intent or _target(meaning) == _target(other.meaning)


def _target(meaning: Recognition) -> tuple[str | None, ...]:
    """What a command is about; a kind that only one of two commands says does not tell them apart."""
    return tuple(meaning.slots.get(slot) for slot in _TARGETS)


def _numbered(known: list[_Known]) -> tuple[Command, ...]:
    return tuple(
        Command(each.text, each.said, None if each.needs not in known else known.index(each.needs)) for each in known
    )
