"""Reads what a sentence claims about the home, clause by clause; see `claims_grammar` for how little it understands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import re
from typing import Final

from .claims_grammar import GRAMMARS, Kind, Patterns, patterns
from .cues import kinds_in, spoken, stop_words, tokens
from .things import Thing, Things

_SENTENCE_MAX_CHARS: Final = 400
_SUBJECT_MAX_WORDS: Final = 12
_QUOTED: Final = re.compile(r"[\"“”„«»]")


@dataclass(frozen=True)
class Claim:
    """One clause about things of the home; `start` and `end` are its place in the sentence.

    `value` is what is said to be (True: on, open, locked; else percent or degrees), `things` what it is said of; they
    are empty where the home has nothing of that name. `group`: they were meant by their kind, not by name; `parts`:
    what is said of several, one by one.
    """

    start: int
    end: int
    text: str
    lead: str
    subject: str
    verb: str
    tail: str
    kind: Kind
    value: bool | float
    things: tuple[Thing, ...]
    ending: str = ""
    number: str = ""
    approximate: bool = False
    target: bool = False
    fahrenheit: bool | None = None
    deed: bool = False
    group: bool = False
    parts: tuple[tuple[str, tuple[Thing, ...]], ...] = ()


def read_claims(sentence: str, language: str | None, things: Things) -> list[Claim]:
    """The claims of a sentence; none when it asks, supposes, quotes, tells of another time, or is too long."""
    base = spoken(language)
    body = sentence.strip()
    if base is None or not body or len(body) > _SENTENCE_MAX_CHARS or "?" in body or _QUOTED.search(body):
        return []
    known = patterns(base)
    if known.guard.search(body):
        return []
    offset = sentence.index(body)
    reader = _Reader(base, known, things)
    whole = reader.read(body, offset, alone=True)
    if whole is not None and whole.things:
        return [whole]
    parts = list(reader.read_parts(body, offset))
    return parts if whole is None or any(claim.things for claim in parts) else [whole]


@dataclass(frozen=True)
class _Reader:
    language: str
    known: Patterns
    things: Things

    def read_parts(self, body: str, offset: int) -> Iterator[Claim]:
        start = 0
        before = ""
        for joint in (*self.known.joint.finditer(body), None):
            end = len(body) if joint is None else joint.start()
            part = body[start:end]
            # After a part without a verb ("the lamp, the fan and the radio are on") a plural is said of that part too.
            lonely = not before or self.known.lead.match(before) is not None
            claim = self.read(part, offset + start, alone=lonely)
            if claim is not None:
                yield claim
            before = part
            start = end if joint is None else joint.end()

    def read(self, text: str, offset: int, *, alone: bool) -> Claim | None:
        """The claim of one clause; `alone` when nothing before it may belong to its subject."""
        for deed in self.known.deeds:
            if (match := deed.match(text)) is not None:
                return self._deed(match, offset)
        match = self.known.state.match(text)
        if match is None or (not alone and self.known.plural.match(match["verb"])):
            return None
        return self._number(match, offset) or self._state(match, offset)

    def _state(self, match: re.Match[str], offset: int) -> Claim | None:
        said = match["state"].lower()
        states = ((kind, value, word.match(said)) for kind, value, word in self.known.states)
        kind, value, found = next((state for state in states if state[2] is not None), ("power", False, None))
        if found is None:
            return None
        denied = bool(self.known.negation.search(match["verb"] + match["between"])) or bool(match["before"])
        ending = found.groupdict().get("ag") or ""
        return self._claim(match, offset, kind, value != denied, ending=ending)

    def _number(self, match: re.Match[str], offset: int) -> Claim | None:
        said = match["state"].lower()
        if match["before"] or self.known.negation.search(match["verb"] + match["between"]):
            return None
        found = self.known.percent.match(said)
        kind: Kind = "percent"
        if found is None:
            found, kind = self.known.degrees.match(said), "degrees"
        if found is None:
            return None
        unit = (found.groupdict().get("unit") or "").strip()
        return self._claim(
            match,
            offset,
            kind,
            float(found["number"].replace(",", ".")),
            number=found["number"],
            approximate=found["about"] is not None,
            target=bool(found.groupdict().get("set")) and not said.startswith(("at ", "bei ")),
            fahrenheit=unit.startswith("f") if unit else None,
        )

    def _deed(self, match: re.Match[str], offset: int) -> Claim | None:
        said = match["deed"].lower()
        found = next(((kind, value) for kind, value, word in self.known.deed_states if word.match(said)), None)
        return None if found is None else self._claim(match, offset, *found, deed=True)

    def _claim(
        self,
        match: re.Match[str],
        offset: int,
        kind: Kind,
        value: bool | float,
        *,
        ending: str = "",
        number: str = "",
        approximate: bool = False,
        target: bool = False,
        fahrenheit: bool | None = None,
        deed: bool = False,
    ) -> Claim | None:
        subject = match["subject"]
        if len(subject.split()) > _SUBJECT_MAX_WORDS:
            return None
        parts = self._parts(subject)
        group = () if parts else self._kind(subject)
        return Claim(
            start=offset + match.start(),
            end=offset + match.end(),
            text=match[0],
            lead=match["lead"],
            subject=subject,
            verb="" if deed else match["verb"],
            tail=match["tail"],
            kind=kind,
            value=value,
            things=tuple(thing for _, things in parts for thing in things) or group,
            ending=ending,
            number=number,
            approximate=approximate,
            target=target,
            fahrenheit=fahrenheit,
            deed=deed,
            group=bool(group),
            parts=parts,
        )

    def _parts(self, text: str) -> tuple[tuple[str, tuple[Thing, ...]], ...]:
        """What a subject names, one by one; nothing when it names anything that the home does not have."""
        if found := self._named(text):
            return ((text, found),)
        parts = [(part, self._named(part)) for part in self.known.list_joint.split(text) if part]
        return tuple(parts) if len(parts) > 1 and all(found for _, found in parts) else ()

    def _named(self, text: str) -> tuple[Thing, ...]:
        for bare in dict.fromkeys(
            (text, self.known.article.sub("", text, count=1) if self._has_article(text) else text)
        ):
            if found := self.things.named(bare):
                return tuple(found)
            if found := self._in_area(bare):
                return tuple(found)
        return ()

    def _has_article(self, text: str) -> bool:
        return self.known.article.match(text) is not None

    def _in_area(self, text: str) -> list[Thing]:
        """A name with its room: "the lamp in the kitchen", "the kitchen lamp"."""
        for place in self.known.place.finditer(text):
            areas = self.things.area_named(text[place.end() :])
            if areas:
                return [thing for thing in self.things.named(text[: place.start()]) if thing.area in areas]
        words = text.split()
        for size in range(1, len(words)):
            if areas := self.things.area_named(" ".join(words[:size])):
                return [thing for thing in self.things.named(" ".join(words[size:])) if thing.area in areas]
        return []

    def _kind(self, text: str) -> tuple[Thing, ...]:
        """Nothing but a kind and a room: "the lights in the kitchen"."""
        words = tokens(text)
        kinds = kinds_in(words, self.language)
        areas = self.things.mentions(text, self.language).areas
        if len(kinds) != 1 or len(areas) != 1:
            return ()
        called = frozenset(word for area in areas for word in tokens(area))
        rest = [
            word
            for word in words
            if word not in called and word not in stop_words(self.language) and not kinds_in([word], self.language)
        ]
        (kind,) = kinds
        return () if rest else tuple(thing for thing in self.things.of_kind(kind) if thing.area in areas)


def grammar_endings(language: str, subject: str) -> str:
    """The ending that agrees with a subject by its article, in a language that has endings."""
    endings = GRAMMARS[language].endings
    if endings is None:
        return ""
    return endings.get(subject.split(maxsplit=1)[0].lower(), endings[""])
