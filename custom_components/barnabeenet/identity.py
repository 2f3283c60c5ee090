"""Who speaks: by their login, else by their voice with a look at who is at home; and what they may do.

A device tells where somebody is, never who: anybody may send any device's id.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
import logging
from typing import Final, Literal, Protocol

from homeassistant.const import STATE_NOT_HOME
from homeassistant.core import HomeAssistant

from .dialog.enrolment import Learner
from .dialog.learning import Learning
from .dialog.second_factor import Permission
from .people import Person, people_of_home
from .phones import confirm, phones_of
from .state.errors import StateError
from .state.spoken_code import matches
from .state.voices import Sample, Voice, Voices

_LOGGER = logging.getLogger(__name__)

# From here on a voice is sure enough for what a person allows to sure voices alone.
SURE_CONFIDENCE: Final = 0.9
# How much less likely somebody speaks here who is known to be elsewhere; phones are left at home and at work.
AWAY_WEIGHT: Final = 0.5


class Match(Protocol):
    """Whose voice it is; `speaker` is None when it is nobody's for certain, `confidence` is from 0 to 1."""

    @property
    def speaker(self) -> str | None:
        """Their key."""

    @property
    def confidence(self) -> float:
        """How sure that is."""


# A voice, everybody's vectors of its engine, and how likely each of them is here (1: as likely as can be).
MatchVoice = Callable[[Voice, Mapping[str, Sequence[Sequence[float]]], Mapping[str, float]], Match]
# Called with the speakers' keys of people who are gone.
Forgotten = Callable[[frozenset[str]], Awaitable[None]]


@dataclass(frozen=True)
class Identity:
    """Who speaks: `speaker` is their key, None for a guest; `name` is there for people of the home."""

    speaker: str | None
    name: str | None
    confidence: float
    by: Literal["voice", "login", "unknown"]

    @property
    def is_sure(self) -> bool:
        """Whether it can be hardly anybody else."""
        return self.by == "login" or (self.by == "voice" and self.confidence >= SURE_CONFIDENCE)


GUEST: Final = Identity(None, None, 0.0, "unknown")


class Household:
    """The people of the home, their voices and their codes; see `dialog.second_factor.Household`, `dialog.enrolment`."""

    def __init__(self, hass: HomeAssistant, voices: Voices, match: MatchVoice | None = None) -> None:
        """Without `match` nobody is known by their voice."""
        self._hass = hass
        self.voices = voices
        self.learning = Learning(voices)
        self._match = match
        self._known = frozenset(person.speaker for person in self.people)
        self._forgotten: list[Forgotten] = []

    @property
    def people(self) -> tuple[Person, ...]:
        """Everybody, as they are now."""
        return people_of_home(self._hass)

    def person(self, speaker: str | None) -> Person | None:
        """The person with this speaker's key."""
        return next((person for person in self.people if person.speaker == speaker), None)

    # Who speaks

    def who(self, voice: Voice | None, user_id: str | None, device_id: str | None) -> Identity:
        """Who says something: a voice that is known, else the login of who has no device, which is the writer's own."""
        by_voice = GUEST if voice is None else self._by_voice(voice)
        if by_voice.speaker is not None or user_id is None or device_id is not None:
            return by_voice
        person = next((person for person in self.people if person.login(self._hass) == user_id), None)
        if person is None:
            return Identity(f"user {user_id}", None, 1.0, "login")
        return Identity(person.speaker, person.name, 1.0, "login")

    def _by_voice(self, voice: Voice) -> Identity:
        people = {person.speaker: person for person in self.people}
        vectors = self.voices.of_engine(voice.engine)
        candidates = {speaker: vectors[speaker] for speaker in people if speaker in vectors}
        if self._match is None or not candidates:
            return GUEST
        presence = {speaker: self._presence(people[speaker]) for speaker in candidates}
        match = self._match(voice, candidates, presence)
        person = people.get(match.speaker or "")
        return GUEST if person is None else Identity(person.speaker, person.name, match.confidence, "voice")

    def _presence(self, person: Person) -> float:
        state = self._hass.states.get(person.person_entity_id) if person.person_entity_id else None
        return AWAY_WEIGHT if state is not None and state.state == STATE_NOT_HOME else 1.0

    # What they may do

    def permission(self, speaker: str | None, *, is_sure: bool) -> Permission | None:
        """What a speaker may do of what opens the home; None in a home without people."""
        people = self.people
        if not people:
            return None
        if speaker is None:
            return Permission.NO
        person = next((person for person in people if person.speaker == speaker), None)
        if person is None:
            # A login that is no person of the home, such as its owner's for repairs: Home Assistant lets them in.
            return Permission.NO if self._was_person(speaker) else Permission.YES
        if person.may is Permission.NO or not self._can_prove(person):
            return Permission.NO
        return Permission.UNSURE if person.only_when_sure and not is_sure else person.may

    async def is_code(self, speaker: str, code: str) -> bool:
        """Whether it is this person's code; compared in a thread, where it takes its time."""
        person = self.person(speaker)
        if person is None or person.code_hash is None:
            return False
        return await self._hass.async_add_executor_job(matches, code, person.code_hash)

    async def confirms(self, speaker: str, question: str, language: str) -> bool:
        """Whether this person says yes on their phone, in time."""
        person = self.person(speaker)
        login = person.login(self._hass) if person is not None else None
        return login is not None and await confirm(self._hass, login, question, language)

    def _can_prove(self, person: Person) -> bool:
        """Whether there is the code or the phone that this person is to be asked for."""
        if person.may is Permission.PHONE:
            return bool(phones_of(self._hass, person.login(self._hass)))
        return person.may is not Permission.CODE or person.code_hash is not None

    def _was_person(self, speaker: str) -> bool:
        return not speaker.startswith("user ")

    # Their voices

    def learners(self) -> Sequence[Learner]:
        """Who can have their voice learnt."""
        return [
            Learner(
                speaker=person.speaker,
                name=person.name,
                has_voice=person.speaker in self.voices.speakers,
                has_code=person.code_hash is not None,
                # Who may open the home, and whose login may have kept memories: a voice that claims to be theirs is not
                # believed.
                must_prove=person.may is not Permission.NO or person.login(self._hass) is not None,
            )
            for person in self.people
        ]

    async def learn(self, speaker: str, samples: Sequence[Sample]) -> None:
        """Keeps a whole new set in place of what there was; raises StateError."""
        await self.voices.replace(speaker, samples)

    async def forget_voice(self, speaker: str) -> int:
        """Leaves no trace of a person's voice; returns how many samples there were. Raises StateError."""
        self.learning.forget(speaker)
        return await self.voices.remove([speaker])

    # Who is gone

    def on_forgotten(self, forgotten: Forgotten) -> Callable[[], None]:
        """Has `forgotten` called when people are removed, after their voices are gone; returns how to stop it."""
        self._forgotten.append(forgotten)
        return lambda: self._forgotten.remove(forgotten)

    async def follow(self) -> None:
        """Deletes the voices of all who are no people of the home any more; to be called at the start and on changes."""
        now = frozenset(person.speaker for person in self.people)
        gone, self._known = self._known - now, now
        await self._forget_voices(self.voices.speakers - now)
        for forgotten in tuple(self._forgotten) if gone else ():
            try:
                await forgotten(gone)
            except Exception:
                _LOGGER.exception("Something of people who were removed is still kept")

    async def _forget_voices(self, speakers: Iterable[str]) -> None:
        try:
            await self.voices.remove(speakers)
        except StateError as error:
            _LOGGER.warning("Voices of people who were removed are still kept, until the next start: %s", error)
