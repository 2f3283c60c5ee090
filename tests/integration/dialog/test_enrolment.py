"""Learning a voice in a talk and from recordings: what is kept, what is refused, and that nobody takes another's place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from custom_components.barnabeenet.dialog.enrolment import (
    EXPIRE_S,
    LESSONS_MAX,
    Heard,
    Learner,
    LessonReply,
    Lessons,
    asks_for_lesson,
)
from custom_components.barnabeenet.dialog.enrolment_words import phrases_of, words_of
from custom_components.barnabeenet.dialog.follow_up_words import plain
from custom_components.barnabeenet.dialog.learning import Learning
from custom_components.barnabeenet.dialog.second_factor import Codes, NoHousehold
from custom_components.barnabeenet.dialog.voice_quality import PHRASES, Feedback, Progress
from custom_components.barnabeenet.state.database import Database
from custom_components.barnabeenet.state.errors import StateError, Unavailable
from custom_components.barnabeenet.state.voices import Sample, Voices

LANGUAGES = ["en", "de", "fr", "es", "nl"]
ANNA = Learner("person anna", "Anna")
BEN = Learner("person ben", "Ben Müller", has_voice=True)
CLEO = Learner("person cleo", "Cleo", has_voice=True, has_code=True, must_prove=True)
DAN = Learner("person dan", "Dan", must_prove=True)


@dataclass(frozen=True)
class Voice:
    """How somebody sounds: mostly themselves, a little the phrase."""

    vector: Sequence[float] = field(default=(1.0, 0.0, 0.1), repr=False)
    engine: str = "test"
    speech_ms: float = 2_500.0
    snr_db: float = 30.0


MINE, THEIRS = Voice(), Voice((0.0, 1.0, 0.1))


class Book:
    """A family; what is learnt is written down here."""

    def __init__(self, *people: Learner) -> None:
        self.people = list(people)
        self.learnt: dict[str, list[Sample]] = {}
        self.failure: Exception | None = None

    def learners(self) -> Sequence[Learner]:
        return self.people

    async def learn(self, speaker: str, samples: Sequence[Sample]) -> None:
        if self.failure is not None:
            raise self.failure
        self.learnt[speaker] = list(samples)


class Household(NoHousehold):
    async def is_code(self, speaker: str, code: str) -> bool:
        return (speaker, code) == (CLEO.speaker, "4711")


class Room:
    """A satellite, and people who speak to it."""

    def __init__(self, *people: Learner) -> None:
        self.now_s = 0.0
        self.book = Book(*(people or (ANNA, BEN, CLEO, DAN)))
        self.lessons = Lessons(self.book, Codes(Household(), self.clock), self.clock)

    def clock(self) -> float:
        return self.now_s

    async def hears(self, text: str, voice: Voice | None = MINE, **more: Any) -> LessonReply | None:
        heard = Heard(text, **{"language": "en", "device_id": "kitchen", "voice": voice, **more})
        return await self.lessons.hear(heard, self.is_command)

    async def is_command(self, text: str) -> bool:
        return text == "turn on the light"

    async def says(self, text: str, voice: Voice | None = MINE, **more: Any) -> str:
        reply = await self.hears(text, voice, **more)
        assert reply is not None
        return reply.speech

    async def reads_all(self, voice: Voice = MINE, language: str = "en", **more: Any) -> str:
        said = ""
        for phrase in phrases_of(language):
            said = await self.says(phrase, voice, language=language, **more)
        return said


def line(what: str, language: str = "en", number: int = 0, **more: str) -> str:
    """What Barnabee says, with the sentence of this number."""
    return words_of(language).says[what].format(**{"phrase": phrases_of(language)[number], "name": "Anna", **more})


# The talk


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_voice_is_learnt_in_every_language(language: str) -> None:
    room = Room(ANNA)
    ask, name = (plain_part.split("|")[0] for plain_part in (words_of(language).ask, words_of(language).name))
    reply = await room.hears(f"Barnabee, {ask}", language=language)
    assert reply == LessonReply(line("who", language), listens=True)
    assert await room.says(f"{name} Anna", language=language) == line("begin", language)
    for number, phrase in enumerate(phrases_of(language)[:-1]):
        reply = await room.hears(phrase, language=language)
        assert reply == LessonReply(line("next", language, number + 1), listens=True)
        assert room.book.learnt == {}, "nothing is kept before it is whole"
    reply = await room.hears(phrases_of(language)[-1], language=language)
    assert reply == LessonReply(line("done", language), listens=False)
    samples = room.book.learnt[ANNA.speaker]
    assert [sample.phrase for sample in samples] == [0, 1, 2, 3, 4]
    assert {(sample.speaker, sample.engine, sample.vector) for sample in samples} == {
        (ANNA.speaker, "test", tuple(MINE.vector))
    }
    assert len(room.lessons) == 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_sentences_are_five_that_are_varied_and_of_one_breath(language: str) -> None:
    phrases = phrases_of(language)
    assert len({plain(phrase)[:2] for phrase in phrases}) == len(phrases) == PHRASES
    for phrase in phrases:
        assert 8 <= len(phrase.replace("-", " ").split()) <= 13, phrase
    assert len(set("".join(plain(" ".join(phrases))))) >= 20, "most sounds of the language come up"


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_is_said_in_every_language(language: str) -> None:
    said, english = words_of(language).says, words_of("en").says
    assert said.keys() == english.keys()
    for what, text in said.items():
        blanks = {name for name in ("phrase", "name", "names") if f"{{{name}}}" in text}
        assert blanks == {name for name in ("phrase", "name", "names") if f"{{{name}}}" in english[what]}, what


@pytest.mark.parametrize(
    ("text", "language", "name"),
    [
        ("learn my voice", "en", ()),
        ("Barnabee, could you please learn my voice?", "en", ()),
        ("I want you to recognize my voice", "en", ()),
        ("Learn my voice, I'm Anna.", "en", ("anna",)),
        ("My name is Ben Müller, remember my voice", "en", ("ben", "muller")),
        ("Lern bitte meine Stimme kennen", "de", ()),
        ("Ich bin Anna, merk dir meine Stimme", "de", ("anna",)),
        ("Apprends ma voix, s'il te plaît", "fr", ()),
        ("Aprende mi voz, soy Anna", "es", ("anna",)),
        ("Leer mijn stem kennen, ik ben Anna", "nl", ("anna",)),
    ],
)
def test_it_is_asked_for_in_many_ways(text: str, language: str, name: tuple[str, ...]) -> None:
    assert asks_for_lesson(text, language) == name


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("don't learn my voice", "en"),
        ("do you like my voice", "en"),
        ("who taught you to recognise my voice so well at night", "en"),
        ("turn on the light", "en"),
        ("lern meine Stimme nicht", "de"),
        ("", "en"),
    ],
)
def test_what_only_speaks_of_it_does_not_ask(text: str, language: str) -> None:
    assert asks_for_lesson(text, language) is None


async def test_who_says_their_name_with_it_is_not_asked(tmp_path: Any) -> None:
    room = Room()
    assert await room.says("learn my voice, I'm Anna") == line("begin")


async def test_a_name_is_understood_nearly_and_by_its_first_part() -> None:
    room = Room(ANNA, replace(BEN, has_voice=False))
    await room.says("learn my voice")
    assert await room.says("I am Hannah") == line("begin")
    await room.says("stop")
    assert await room.says("learn my voice, my name is Ben") == line("begin", name="Ben Müller")


async def test_two_of_one_name_are_told_apart() -> None:
    room = Room(Learner("person 1", "Anna Weber"), Learner("person 2", "Anna Klein"))
    await room.says("learn my voice")
    assert await room.says("Anna") == line("who_again", names="Anna Weber, Anna Klein")
    assert await room.says("Anna Klein") == line("begin", name="Anna Klein")


async def test_who_is_not_of_the_home_is_not_learnt() -> None:
    room = Room()
    assert await room.says("learn my voice, I'm Zoe") == line("unknown")
    await room.says("learn my voice")
    for _ in range(2):
        assert await room.says("Zoe") == line("who_again", names="Anna, Ben Müller, Cleo, Dan")
    assert await room.says("Zoe") == line("unknown")
    assert len(room.lessons) == 0


async def test_a_home_without_people_says_where_to_add_them() -> None:
    room = Room()
    room.book.people.clear()
    assert await room.says("learn my voice") == line("nobody")


# Phrases


@pytest.mark.parametrize(
    ("voice", "what"),
    [
        (Voice(speech_ms=900), "too_short"),
        (Voice(speech_ms=float("nan")), "too_short"),
        (Voice(snr_db=8), "too_noisy"),
        (THEIRS, "too_different"),
    ],
)
async def test_a_phrase_that_is_not_good_is_read_again(voice: Voice, what: str) -> None:
    room = Room()
    await room.says("learn my voice, I'm Anna")
    await room.says(phrases_of("en")[0])
    reply = await room.hears(phrases_of("en")[1], voice)
    assert reply == LessonReply(line(what, number=1), listens=True)
    assert await room.says(phrases_of("en")[1]) == line("next", number=2)


async def test_what_was_misheard_in_parts_counts_and_something_else_does_not() -> None:
    room = Room()
    await room.says("learn my voice, I'm Anna")
    assert await room.says("the quick wind close yellow leave across hour quiet garden bath") == line("next", number=1)
    assert await room.says("what a day") == line("misread", number=1)


async def test_without_voice_prints_nothing_can_be_learnt() -> None:
    room = Room()
    await room.says("learn my voice, I'm Anna", voice=None)
    assert await room.hears(phrases_of("en")[0], voice=None) == LessonReply(line("not_available"))
    assert len(room.lessons) == 0


async def test_another_engine_midway_ends_it() -> None:
    room = Room()
    await room.says("learn my voice, I'm Anna")
    await room.says(phrases_of("en")[0])
    assert await room.says(phrases_of("en")[1], Voice(engine="new")) == line("not_available")


async def test_too_many_failures_in_a_row_end_it() -> None:
    room = Room()
    await room.says("learn my voice, I'm Anna")
    for _ in range(3):
        assert await room.says(phrases_of("en")[0], Voice(snr_db=0)) == line("too_noisy")
    assert await room.hears(phrases_of("en")[0], Voice(snr_db=0)) == LessonReply(line("given_up"))
    assert room.book.learnt == {}


@pytest.mark.parametrize(("language", "stop"), [("en", "stop"), ("de", "Abbruch"), ("fr", "arrête"), ("es", "para")])
async def test_stop_ends_it_and_keeps_nothing(language: str, stop: str) -> None:
    room = Room()
    await room.says("learn my voice, I'm Anna")
    for phrase in phrases_of("en")[:4]:
        await room.says(phrase)
    assert await room.hears(stop, language=language) == LessonReply(line("stopped"))
    assert await room.hears(phrases_of("en")[4]) is None
    assert room.book.learnt == {}


async def test_a_command_goes_before_a_lesson() -> None:
    room = Room()
    await room.says("learn my voice, I'm Anna")
    assert await room.hears("turn on the light") is None
    assert len(room.lessons) == 0


async def test_a_lesson_that_nobody_goes_on_with_is_over() -> None:
    room = Room()
    await room.says("learn my voice, I'm Anna")
    room.now_s += EXPIRE_S
    assert await room.hears(phrases_of("en")[0]) is None


async def test_every_device_has_its_own_lesson_and_there_is_an_end_to_them() -> None:
    room = Room()
    for number in range(LESSONS_MAX + 5):
        await room.says("learn my voice", device_id=f"device {number}")
    assert len(room.lessons) == LESSONS_MAX
    assert await room.hears("Anna", device_id="device 0") is None
    assert await room.says("Anna", device_id="device 20") == line("begin")


async def test_what_cannot_be_written_down_is_not_known_and_it_says_so() -> None:
    room = Room()
    room.book.failure = Unavailable("the disk is full")
    await room.says("learn my voice, I'm Anna")
    assert await room.reads_all() == line("failed")


async def test_who_was_removed_meanwhile_is_not_learnt() -> None:
    room = Room()
    await room.says("learn my voice, I'm Anna")
    room.book.people.remove(ANNA)
    assert await room.reads_all() == line("given_up")
    assert room.book.learnt == {}


# Whose voice it may become


@pytest.mark.parametrize("speaker", [None, ANNA.speaker, "user 1"])
@pytest.mark.parametrize("learner", [BEN, DAN], ids=["has a voice", "opens the home"])
async def test_a_guest_does_not_become_somebody_by_saying_so(learner: Learner, speaker: str | None) -> None:
    room = Room()
    said = await room.says(f"learn my voice, I am {learner.name}", speaker=speaker)
    assert said == line("proof", name=learner.name)
    assert await room.hears(phrases_of("en")[0]) is None
    await room.says("learn my voice")
    assert await room.says(f"I am {learner.name}") == line("proof", name=learner.name)
    assert room.book.learnt == {}


@pytest.mark.parametrize("learner", [ANNA, BEN, CLEO, DAN])
async def test_who_is_recognised_needs_no_name_and_no_code(learner: Learner) -> None:
    room = Room()
    assert await room.says("learn my voice", speaker=learner.speaker) == line("begin", name=learner.name)
    # The voice of a phrase need not be recognised as theirs: that is what is being learnt.
    assert await room.reads_all() == line("done", name=learner.name)
    assert room.book.learnt.keys() == {learner.speaker}


async def test_a_code_proves_who_it_is_and_is_secret() -> None:
    room = Room()
    assert await room.says("learn my voice, I'm Cleo") == line("code", name="Cleo")
    assert await room.hears("1 2 3 4") == LessonReply(line("wrong_code"), listens=True, is_secret=True)
    assert await room.hears("47") == LessonReply(line("code", name="Cleo"), listens=True, is_secret=True)
    reply = await room.hears("forty-seven eleven")
    assert reply == LessonReply(line("begin", name="Cleo"), listens=True, is_secret=True)
    assert await room.reads_all() == line("done", name="Cleo")


async def test_three_wrong_codes_end_it_for_minutes() -> None:
    room = Room()
    await room.says("learn my voice, I'm Cleo")
    await room.says("1111")
    await room.says("2222")
    assert await room.hears("3333") == LessonReply(line("no_code"), is_secret=True)
    assert await room.says("learn my voice, I'm Cleo", device_id="hall") == line("no_code")


# Quality


def test_one_odd_first_phrase_does_not_refuse_all_that_follow() -> None:
    progress = Progress()
    assert progress.hear(THEIRS, 0) is Feedback.ACCEPTED
    assert progress.hear(MINE, 1) is Feedback.TOO_DIFFERENT
    assert progress.hear(MINE, 1) is Feedback.ACCEPTED
    assert [voice for _, voice in progress.accepted] == [MINE, MINE]


def test_two_against_two_is_not_turned_round() -> None:
    progress = Progress()
    for number in range(2):
        progress.hear(THEIRS, number)
    for _ in range(4):
        assert progress.hear(MINE, 2) is Feedback.TOO_DIFFERENT


def test_no_voice_is_not_available_and_one_without_a_vector_is_too_short() -> None:
    assert Progress().hear(None, 0) is Feedback.NOT_AVAILABLE
    assert Progress().hear(Voice(vector=(), speech_ms=2_000), 0) is Feedback.TOO_SHORT


def test_vectors_of_another_size_or_of_nothing_are_nobody(tmp_path: Any) -> None:
    progress = Progress([(1.0, 0.0, 0.0)], "test")
    assert progress.hear(Voice((1.0, 0.0)), 0) is Feedback.TOO_DIFFERENT
    assert progress.hear(Voice((0.0, 0.0, 0.0)), 0) is Feedback.TOO_DIFFERENT


# From recordings


@pytest.fixture
async def voices(tmp_path: Any) -> Any:
    database = await Database.open(tmp_path / "home.db")
    yield await Voices.open(database)
    await database.close()


async def test_recordings_may_come_one_by_one(voices: Voices) -> None:
    learning = Learning(voices)
    for missing in (4, 3, 2, 1):
        learnt = await learning.hear("person anna", [MINE])
        assert (learnt.feedback, learnt.missing, learnt.samples) == ((Feedback.ACCEPTED,), missing, 0)
    learnt = await learning.hear("person anna", [THEIRS, MINE])
    assert (learnt.missing, learnt.samples) == (0, 5)
    assert learnt.feedback == (Feedback.TOO_DIFFERENT, Feedback.ACCEPTED)


async def test_samples_can_be_added_to_a_voice_that_is_known(voices: Voices) -> None:
    learning = Learning(voices)
    await learning.hear("person anna", [MINE] * 5)
    learnt = await learning.hear("person anna", [MINE, THEIRS, Voice(snr_db=1), None])
    assert learnt.feedback == (
        Feedback.ACCEPTED,
        Feedback.TOO_DIFFERENT,
        Feedback.TOO_NOISY,
        Feedback.NOT_AVAILABLE,
    )
    assert (learnt.missing, learnt.samples) == (0, 6)


async def test_a_voice_is_replaced_only_by_a_whole_set(voices: Voices) -> None:
    learning = Learning(voices)
    await learning.hear("person anna", [MINE] * 5)
    learnt = await learning.hear("person anna", [THEIRS] * 4, anew=True)
    assert (learnt.missing, learnt.samples) == (1, 5)
    assert {sample.vector for sample in voices.samples("person anna")} == {tuple(map(float, MINE.vector))}
    await learning.hear("person anna", [THEIRS], anew=True)
    assert {sample.vector for sample in voices.samples("person anna")} == {tuple(map(float, THEIRS.vector))}


async def test_people_are_learnt_beside_each_other(voices: Voices) -> None:
    learning = Learning(voices)
    for _ in range(5):
        await learning.hear("person anna", [MINE])
        await learning.hear("person ben", [THEIRS])
    assert voices.speakers == {"person anna", "person ben"}
    learning.forget("person anna")
    assert voices.speakers == {"person anna", "person ben"}


async def test_recordings_that_wait_too_long_are_dropped(voices: Voices) -> None:
    now_s = 0.0
    learning = Learning(voices, lambda: now_s)
    await learning.hear("person anna", [MINE] * 4)
    now_s = 1_801.0
    assert (await learning.hear("person anna", [MINE])).missing == 4
    learning.forget("person anna")
    assert (await learning.hear("person anna", [MINE])).missing == 4


async def test_what_the_database_does_not_take_is_not_kept(voices: Voices) -> None:
    learning = Learning(voices)
    await voices._database.close()
    with pytest.raises(StateError):
        await learning.hear("person anna", [MINE] * 5)
    assert voices.speakers == frozenset()
