"""Whether a sentence answers the question before it, whose question it is, and how it ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from hypothesis import given, strategies as st
import pytest

from custom_components.barnabeenet.dialog.follow_up import (
    EXPIRE_S,
    WAITING_MAX,
    Answered,
    AskAgain,
    Cancelled,
    FollowUps,
    Kind,
    NotAnAnswer,
    Option,
    Outcome,
    Question,
)

CONFIRM = Question(Kind.CONFIRM, "en")
UNLOCK = Question(Kind.CONFIRM, "en", sensitive=True)
OPEN = Question(Kind.OPEN, "en")
LAMPS = Question(
    Kind.CHOICE,
    "en",
    (Option(("Kitchen Ceiling", "big light"), "light.ceiling"), Option(("Kitchen Counter",), "light.counter")),
)
TALK = "conversation"


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def follow_ups(clock: Clock) -> FollowUps:
    return FollowUps(clock=clock)


def commands(*known: str) -> Callable[[str], Awaitable[bool]]:
    async def is_command(text: str) -> bool:
        return text in known

    return is_command


async def hear(
    follow_ups: FollowUps,
    text: str,
    *known: str,
    speaker: str | None = "anna",
    device: str = "kitchen",
    conversation: str | None = TALK,
    language: str = "en",
) -> Outcome:
    return await follow_ups.hear(
        device, speaker, text, language=language, is_command=commands(*known), conversation_id=conversation
    )


def ask(follow_ups: FollowUps, question: Question, speaker: str | None = "anna", device: str = "kitchen") -> None:
    follow_ups.ask(device, speaker, question, conversation_id=TALK)


YES = {
    "en": ["yes", "Yes please.", "yeah do it", "sure", "OK, go ahead!", "that's right"],
    "de": ["ja", "Ja bitte", "genau", "ja, mach das", "klar"],
    "fr": ["oui", "oui s'il te plaît", "d'accord", "c'est ça", "bien sûr"],
    "es": ["sí", "si por favor", "claro", "vale, hazlo"],
    "nl": ["ja", "ja hoor", "klopt", "doe maar", "ja graag"],
}
NO = {
    "en": ["no", "No thanks", "nope", "never mind", "don't", "not now", "forget it"],
    "de": ["nein", "nein danke", "lieber nicht", "egal", "vergiss es", "lass es"],
    "fr": ["non", "non merci", "laisse tomber", "annule", "surtout pas"],
    "es": ["no", "no gracias", "déjalo", "da igual", "olvídalo"],
    "nl": ["nee", "nee bedankt", "laat maar", "liever niet", "maakt niet uit"],
}


@pytest.mark.parametrize(("language", "text"), [(language, text) for language, said in YES.items() for text in said])
def test_a_yes_is_a_yes(language: str, text: str) -> None:
    assert Question(Kind.CONFIRM, language).answer(text) == Answered(True)


@pytest.mark.parametrize(("language", "text"), [(language, text) for language, said in NO.items() for text in said])
def test_a_no_is_a_no(language: str, text: str) -> None:
    assert Question(Kind.CONFIRM, language).answer(text) == Cancelled()


@pytest.mark.parametrize(
    "text",
    [
        "yes but only the lamp",
        "yes no",
        "yes unlock everything",
        "maybe",
        "yesterday",
        "not yes",
        "the second one",
        "5",
    ],
)
def test_what_is_more_than_a_yes_is_none(text: str) -> None:
    assert CONFIRM.answer(text) is None


def test_the_answer_may_be_in_the_language_that_is_spoken_now() -> None:
    assert CONFIRM.answer("ja, mach das", "de-CH") == Answered(True)


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("the first one", "light.ceiling"),
        ("the second one please", "light.counter"),
        ("number two", "light.counter"),
        ("one", "light.ceiling"),
        ("2", "light.counter"),
        ("the last one", "light.counter"),
        ("ceiling", "light.ceiling"),
        ("the kitchen counter", "light.counter"),
        ("I mean the counter", "light.counter"),
        ("the celing", "light.ceiling"),
        ("big light", "light.ceiling"),
        ("yes the counter", "light.counter"),
        ("no, the second one", "light.counter"),
    ],
)
def test_one_of_several_is_chosen_by_name_or_place(text: str, choice: str) -> None:
    assert LAMPS.answer(text) == Answered(choice)


@pytest.mark.parametrize(
    "text",
    ["yes", "kitchen", "the third one", "0", "not the counter", "ceiling and counter", "bathroom", "first or second"],
)
def test_what_chooses_none_or_more_than_one_is_no_choice(text: str) -> None:
    assert LAMPS.answer(text) is None


@pytest.mark.parametrize(
    ("language", "second", "last"),
    [
        ("de", "das zweite bitte", "die letzte"),
        ("fr", "la deuxième", "le dernier"),
        ("es", "la segunda", "el último"),
        ("nl", "de tweede", "de laatste"),
    ],
)
def test_options_are_counted_off_in_every_language(language: str, second: str, last: str) -> None:
    question = Question(Kind.CHOICE, language, tuple(Option((name,), name) for name in ("Bad", "Keller", "Flur")))
    assert question.answer(second) == Answered("Keller")
    assert question.answer(last) == Answered("Flur")


def test_spanish_cannot_tell_no_the_first_from_not_the_first_and_does_not_guess() -> None:
    question = Question(Kind.CHOICE, "es", (Option(("Cocina",), 1), Option(("Baño",), 2)))
    assert question.answer("no la primera") is None


@pytest.mark.parametrize(
    ("language", "text", "number"),
    [
        ("en", "21 degrees", 21),
        ("en", "set it to 19.5", 19.5),
        ("en", "five minutes please", 5),
        ("de", "19,5 Grad", 19.5),
        ("de", "auf zwölf", 12),
        ("fr", "vingt", None),
        ("fr", "dix pour cent", 10),
        ("es", "once minutos", 11),
        ("nl", "tien procent", 10),
        ("en", "20 or 21", None),
        ("en", "20 in the kitchen", None),
    ],
)
def test_a_number_is_read_when_it_is_the_only_one(language: str, text: str, number: float | None) -> None:
    assert Question(Kind.NUMBER, language).answer(text) == (None if number is None else Answered(number))


def test_own_means_of_understanding_go_first() -> None:
    question = Question(Kind.CONFIRM, "en", understand=lambda text: Answered("lamp") if text == "aye" else None)
    assert question.answer("aye") == Answered("lamp")
    assert question.answer("yes") == Answered(True)


def test_a_choice_without_options_is_refused() -> None:
    with pytest.raises(ValueError, match="A choice needs options"):
        Question(Kind.CHOICE, "en")


async def test_an_answer_ends_the_question(follow_ups: FollowUps) -> None:
    ask(follow_ups, CONFIRM)
    assert await hear(follow_ups, "yes") == Answered(True)
    assert await hear(follow_ups, "yes") == NotAnAnswer()
    assert len(follow_ups) == 0


async def test_without_a_question_nothing_is_an_answer(follow_ups: FollowUps) -> None:
    assert await hear(follow_ups, "yes") == NotAnAnswer()


async def test_an_answer_after_the_wake_word_counts_too(follow_ups: FollowUps) -> None:
    ask(follow_ups, LAMPS)
    assert await hear(follow_ups, "the second one", conversation="another") == Answered("light.counter")


async def test_a_question_expires(follow_ups: FollowUps, clock: Clock) -> None:
    ask(follow_ups, CONFIRM)
    clock.now_s = EXPIRE_S - 0.1
    assert follow_ups.waiting("kitchen", "anna") is CONFIRM
    clock.now_s = EXPIRE_S
    assert await hear(follow_ups, "yes") == NotAnAnswer()
    assert len(follow_ups) == 0


async def test_somebody_elses_words_neither_answer_nor_cancel(follow_ups: FollowUps) -> None:
    ask(follow_ups, CONFIRM)
    for text in ("yes", "no", "never mind", "turn on the lamp", "banana"):
        assert await hear(follow_ups, text, "turn on the lamp", speaker="ben") == NotAnAnswer()
    assert await hear(follow_ups, "yes", device="office") == NotAnAnswer()
    assert await hear(follow_ups, "yes") == Answered(True)


async def test_two_people_in_one_room_answer_their_own_questions(follow_ups: FollowUps) -> None:
    ask(follow_ups, CONFIRM, "anna")
    ask(follow_ups, LAMPS, "ben")
    assert await hear(follow_ups, "ceiling", speaker="ben") == Answered("light.ceiling")
    assert await hear(follow_ups, "no", speaker="anna") == Cancelled()


async def test_a_voice_too_short_to_be_known_answers_the_only_question_of_the_conversation(
    follow_ups: FollowUps,
) -> None:
    ask(follow_ups, CONFIRM)
    assert await hear(follow_ups, "yes", speaker=None, conversation="another") == NotAnAnswer()
    assert await hear(follow_ups, "yes", speaker=None, conversation=None) == NotAnAnswer()
    assert await hear(follow_ups, "yes", speaker=None) == Answered(True)


async def test_an_unknown_voice_answers_nothing_where_two_were_asked(follow_ups: FollowUps) -> None:
    ask(follow_ups, CONFIRM, "anna")
    ask(follow_ups, CONFIRM, "ben")
    assert await hear(follow_ups, "yes", speaker=None) == NotAnAnswer()


async def test_an_unknown_voice_confirms_nothing_sensitive(follow_ups: FollowUps) -> None:
    ask(follow_ups, UNLOCK)
    assert await hear(follow_ups, "yes", speaker=None) == NotAnAnswer()
    assert await hear(follow_ups, "yes") == Answered(True)


async def test_guests_answer_what_a_guest_was_asked_and_a_known_voice_does_not(follow_ups: FollowUps) -> None:
    ask(follow_ups, CONFIRM, None)
    assert await hear(follow_ups, "yes", speaker="anna") == NotAnAnswer()
    assert await hear(follow_ups, "yes", speaker=None) == Answered(True)


async def test_a_new_command_is_a_new_command_also_when_it_holds_a_name(follow_ups: FollowUps) -> None:
    ask(follow_ups, LAMPS)
    text = "turn on the kitchen counter"
    assert await hear(follow_ups, text, text) == NotAnAnswer()
    assert follow_ups.waiting("kitchen", "anna") is None


async def test_a_no_may_be_followed_by_a_command(follow_ups: FollowUps) -> None:
    ask(follow_ups, CONFIRM)
    assert await hear(follow_ups, "no, thanks, lock the door", "lock the door") == Cancelled(rest="lock the door")
    assert len(follow_ups) == 0


async def test_a_yes_before_a_command_does_not_confirm(follow_ups: FollowUps) -> None:
    ask(follow_ups, UNLOCK)
    assert await hear(follow_ups, "yes turn on the lamp", "turn on the lamp") == AskAgain(UNLOCK.again())


async def test_what_was_not_understood_is_asked_once_more_and_then_left(follow_ups: FollowUps) -> None:
    ask(follow_ups, LAMPS)
    assert await hear(follow_ups, "the ummm") == AskAgain("Sorry, which one: Kitchen Ceiling or Kitchen Counter?")
    assert await hear(follow_ups, "the ummm") == Cancelled("All right, I'll leave it.")
    assert len(follow_ups) == 0


async def test_asked_again_there_is_as_much_time_as_before(follow_ups: FollowUps, clock: Clock) -> None:
    ask(follow_ups, CONFIRM)
    clock.now_s = 20
    assert await hear(follow_ups, "what") == AskAgain("Sorry, was that a yes or a no?")
    clock.now_s = 49
    assert await hear(follow_ups, "yes") == Answered(True)


async def test_after_the_wake_word_unclear_words_are_a_sentence_of_their_own(follow_ups: FollowUps) -> None:
    ask(follow_ups, CONFIRM)
    assert await hear(follow_ups, "tell me a joke", conversation="another") == NotAnAnswer()
    assert follow_ups.waiting("kitchen", "anna") is CONFIRM


async def test_a_long_sentence_is_a_request_of_its_own(follow_ups: FollowUps) -> None:
    ask(follow_ups, CONFIRM)
    assert await hear(follow_ups, "tell me how far away the moon is tonight") == NotAnAnswer()
    assert len(follow_ups) == 0


async def test_an_open_question_takes_any_words_of_its_conversation(follow_ups: FollowUps) -> None:
    ask(follow_ups, OPEN)
    assert await hear(follow_ups, "for a vegetarian lasagne with spinach and ricotta please") == Answered(
        "for a vegetarian lasagne with spinach and ricotta please"
    )
    ask(follow_ups, OPEN)
    assert await hear(follow_ups, "no") == Answered("no")
    ask(follow_ups, OPEN)
    assert await hear(follow_ups, "never mind") == Cancelled()
    ask(follow_ups, OPEN)
    assert await hear(follow_ups, "lock the door", "lock the door") == NotAnAnswer()


async def test_silence_is_no_answer_and_the_question_waits_on(follow_ups: FollowUps) -> None:
    ask(follow_ups, CONFIRM)
    assert await hear(follow_ups, "  ") == NotAnAnswer()
    assert follow_ups.waiting("kitchen", "anna") is CONFIRM


async def test_a_second_question_takes_the_place_of_the_first_and_one_can_be_taken_back(follow_ups: FollowUps) -> None:
    ask(follow_ups, CONFIRM)
    ask(follow_ups, LAMPS)
    assert follow_ups.waiting("kitchen", "anna") is LAMPS
    follow_ups.forget("kitchen", "anna")
    assert await hear(follow_ups, "ceiling") == NotAnAnswer()


async def test_a_question_that_was_answered_while_a_sentence_was_looked_at_is_not_answered_twice(
    follow_ups: FollowUps,
) -> None:
    ask(follow_ups, CONFIRM)

    async def answered_meanwhile(text: str) -> bool:
        follow_ups.forget("kitchen", "anna")
        return False

    outcome = await follow_ups.hear(
        "kitchen", "anna", "what", language="en", is_command=answered_meanwhile, conversation_id=TALK
    )
    assert outcome == NotAnAnswer()


async def test_the_number_of_questions_is_bounded(follow_ups: FollowUps) -> None:
    for number in range(WAITING_MAX + 1):
        ask(follow_ups, CONFIRM, device=f"device {number}")
    assert len(follow_ups) == WAITING_MAX
    assert await hear(follow_ups, "yes", device="device 0") == NotAnAnswer()


@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "nl", "de-CH", "xx"])
def test_it_asks_again_in_every_language(language: str) -> None:
    question = Question(Kind.CHOICE, language, (Option(("A",), 1), Option(("B",), 2), Option(("C",), 3)))
    assert "A, B" in question.again()
    assert question.again().endswith("?")
    assert Question(Kind.NUMBER, language).again().endswith("?")


@given(
    asked=st.dictionaries(st.tuples(st.sampled_from("AB"), st.sampled_from(["anna", "ben", None])), st.just(UNLOCK)),
    said=st.lists(
        st.tuples(
            st.sampled_from("AB"),
            st.sampled_from(["anna", "ben", None]),
            st.sampled_from(["yes", "no", "hm", "lock it", "the second one", ""]),
            st.sampled_from([TALK, "another", None]),
        ),
        max_size=12,
    ),
)
async def test_nobody_ever_settles_what_another_was_asked(
    asked: dict[tuple[str, str | None], Question], said: list[tuple[str, str | None, str, str | None]]
) -> None:
    follow_ups = FollowUps(clock=Clock())
    for (device, speaker), question in asked.items():
        ask(follow_ups, question, speaker, device)
    for device, speaker, text, conversation in said:
        before = {key for key in asked if follow_ups.waiting(*key) is not None}
        outcome = await hear(follow_ups, text, "lock it", speaker=speaker, device=device, conversation=conversation)
        gone = before - {key for key in asked if follow_ups.waiting(*key) is not None}
        assert gone <= {(device, speaker)}
        if isinstance(outcome, Answered | Cancelled | AskAgain):
            assert (device, speaker) in before
