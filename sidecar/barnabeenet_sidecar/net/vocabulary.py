"""The `barnabeenet-vocabulary` request: what is said in a home becomes its language model."""

from __future__ import annotations

from collections.abc import Sequence

from wyoming.event import Event

from ..engines.base import SpeechToText, Vocabulary
from .messages import NAME_MAX_CHARS, VOCABULARY_MAX_TERMS, Vocabulary as VocabularyMessage, VocabularyReady
from .request import Request


def from_message(message: VocabularyMessage) -> Vocabulary:
    """The engine's view of a checked message."""
    return Vocabulary(
        language=message.language,
        revision=message.revision,
        names=tuple(message.names),
        terms=tuple(message.terms),
        sentences=tuple(message.sentences),
        lists={name: tuple(values) for name, values in message.lists.items()},
    )


class VocabularyUpdate(Request):
    """Answers when recognition knows the words."""

    kind = "vocabulary"

    def __init__(self, event: Event, engine: SpeechToText, home: str) -> None:
        super().__init__()
        self._vocabulary = from_message(VocabularyMessage.from_event(event))
        self._engine, self._home = engine, home

    async def run(self) -> Sequence[Event]:
        """Has the engine build its model."""
        report = await self._engine.set_vocabulary(self._home, self._vocabulary)
        unknown = [word[:NAME_MAX_CHARS] for word in report.unknown[:VOCABULARY_MAX_TERMS]]
        return [VocabularyReady(self._vocabulary.revision, report.words, report.sentences, unknown).event()]
