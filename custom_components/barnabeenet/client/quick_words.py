"""Quick words: short replies as audio, to be held in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from .audio import SAMPLE_BYTES
from .messages import QuickWords, QuickWordsReady
from .pool import Pool

# What is not in the sidecar's cache is made behind all its other work.
MADE_S: Final = 120.0


@dataclass(frozen=True)
class SpokenWords:
    """Replies as 16-bit mono PCM, by their text; `version` changes when the voice's audio would."""

    voice: str
    version: str
    rate_hz: int
    audio: dict[str, bytes]


# Called with what has come so far.
OnWords: TypeAlias = Callable[[SpokenWords], None]


async def quick_words(
    pool: Pool, texts: Sequence[str], *, language: str, voice: str | None, rate_hz: int | None, on_words: OnWords
) -> None:
    """See Sidecar.quick_words."""
    missing = set(texts)
    request = QuickWords(language, voice, rate_hz, list(dict.fromkeys(texts)))
    async with pool.request(request.event(), answer_s=MADE_S) as exchange:
        while not exchange.finished:
            event = await exchange.read()
            if not QuickWordsReady.is_type(event.type):
                raise exchange.unexpected(event)
            ready = QuickWordsReady.from_event(event)
            audio = dict(_cut(ready))
            # Each answer has something new, so they cannot go on without end.
            if not _is_whole(ready, audio) or not audio.keys() <= missing or ready.rate != (rate_hz or ready.rate):
                raise exchange.unexpected(event)
            missing -= audio.keys()
            if ready.last:
                exchange.finish()
            on_words(SpokenWords(ready.voice, ready.version, ready.rate, audio))


def _cut(ready: QuickWordsReady) -> Iterator[tuple[str, bytes]]:
    start = 0
    for word in ready.words:
        yield word["text"], ready.payload[start : start + word["bytes"]]
        start += word["bytes"]


def _is_whole(ready: QuickWordsReady, audio: dict[str, bytes]) -> bool:
    lengths = [word["bytes"] for word in ready.words]
    return (
        0 < len(lengths) == len(audio)
        and sum(lengths) == len(ready.payload)
        and all(length > 0 and length % SAMPLE_BYTES == 0 for length in lengths)
    )
