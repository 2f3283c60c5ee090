"""Carries out the commands of one sentence and says in one sentence what became of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
import re
from typing import Final, TypeVar

from .clauses import base_of, joining_word
from .local import Answer
from .sentences import Phrase, say
from .several import COMMANDS_MAX, Command

ResponseT = TypeVar("ResponseT")

# "Turned on the light", but not "TV ..." or "21 °C".
_ORDINARY_BEGINNING: Final = re.compile(r"[^\W\d_](?=[^\W\d_A-ZÄÖÜÉ])")


async def carry_out(
    commands: Sequence[Command],
    language: str,
    do: Callable[[str], Awaitable[Answer[ResponseT] | None]],
    merge: Callable[[Sequence[ResponseT]], ResponseT | None],
) -> Answer[ResponseT]:
    """Does one after the other; what fails is said and stops only what depends on it.

    More than COMMANDS_MAX are not begun at all.
    """
    if len(commands) > COMMANDS_MAX:
        return Answer(say(Phrase.TOO_MANY, language, most=COMMANDS_MAX), tier="several", error="too many commands")
    answers: list[Answer[ResponseT] | None] = []
    for command in commands:
        depends_on_failed = command.needs is not None and not _is_done(answers[command.needs])
        answers.append(None if depends_on_failed else await do(command.text))
    done = [answer for answer in answers if answer is not None and answer.error is None]
    failed = [command.text for command, answer in zip(commands, answers, strict=True) if not _is_done(answer)]
    responses = [answer.response for answer in done if answer.response is not None]
    return Answer(
        _told([answer.speech for answer in done], failed, language),
        tier="several",
        intent=next((answer.intent for answer in done), None),
        error=None if done else "nothing could be done",
        response=merge(responses) if responses else None,
        question=next((answer.question for answer in done if answer.question is not None), None),
        commands=tuple(each.text for each, answer in zip(commands, answers, strict=True) if _is_done(answer)),
    )


def _is_done(answer: Answer[ResponseT] | None) -> bool:
    return answer is not None and answer.error is None


def _told(speeches: Sequence[str], failed: Sequence[str], language: str) -> str:
    spoken = dict.fromkeys(speech.strip().rstrip(".") or say(Phrase.DONE, language).rstrip(".") for speech in speeches)
    done = _joined(list(spoken), language)
    left = ", ".join(failed)
    if not failed:
        return f"{done}."
    return (
        say(Phrase.PARTLY_DONE, language, done=done, failed=left)
        if done
        else say(Phrase.NOT_DONE, language, failed=left)
    )


def _joined(parts: list[str], language: str) -> str:
    """The parts as one sentence; German keeps its capitals, for most of its answers begin with a noun."""
    first, *rest = parts or [""]
    if base_of(language) != "de":
        rest = [
            _ORDINARY_BEGINNING.sub(lambda found: found[0].lower(), part, count=1)
            if _ORDINARY_BEGINNING.match(part)
            else part
            for part in rest
        ]
    if not rest:
        return first
    return f" {joining_word(language)} ".join((", ".join((first, *rest[:-1])), rest[-1]))
