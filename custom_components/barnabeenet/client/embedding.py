"""What texts mean, as points: what means the same lies close together."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import math
import sys
from typing import Final

from .errors import RequestFailed
from .messages import EMBED_MAX_TEXTS, Embed, Embeddings
from .pool import Pool
from .wire import DATA_MAX_BYTES

# A processor takes a hundred milliseconds for the longest texts, and commands go before.
_ANSWER_S: Final = 30.0
_ANSWER_S_PER_TEXT: Final = 0.5
# A character takes six bytes of JSON at most; half of the frame is left for quotes and names.
_REQUEST_CHARS: Final = DATA_MAX_BYTES // 2 // 6
_FLOAT_BYTES: Final = 4


@dataclass(frozen=True)
class Points:
    """A point on the unit sphere for each text, in order; those of different models cannot be compared."""

    model: str
    vectors: tuple[array[float], ...]


async def embed(pool: Pool, texts: Sequence[str]) -> Points:
    """See Sidecar.embed."""
    model, vectors = "", list[array[float]]()
    for part in _parts(texts):
        answer = await _embed(pool, part)
        dimensions = len(answer[1][0])
        if vectors and (answer[0] != model or dimensions != len(vectors[0])):
            raise RequestFailed("The sidecar changed its model in the middle of the texts: ask again")
        model = answer[0]
        vectors += answer[1]
    return Points(model, tuple(vectors))


async def _embed(pool: Pool, texts: list[str]) -> tuple[str, list[array[float]]]:
    answer_s = _ANSWER_S + _ANSWER_S_PER_TEXT * len(texts)
    async with pool.request(Embed(texts).event(), answer_s=answer_s) as exchange:
        event = await exchange.read()
        if not Embeddings.is_type(event.type):
            raise exchange.unexpected(event)
        answer = Embeddings.from_event(event)
        numbers = _floats(answer.payload)
        # A sum is a number when all that is in it are.
        if (
            answer.count != len(texts)
            or len(numbers) != answer.count * answer.dimensions
            or not math.isfinite(sum(numbers))
        ):
            raise exchange.unexpected(event)
        exchange.finish()
    step = answer.dimensions
    return answer.model, [numbers[start : start + step] for start in range(0, len(numbers), step)]


def _floats(payload: bytes) -> array[float]:
    """32-bit little-endian floats; the contract has checked that they are whole."""
    numbers = array("f", payload)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _parts(texts: Sequence[str]) -> Iterator[list[str]]:
    """As many texts as one request may have, and no more characters than surely fit into it."""
    part: list[str] = []
    chars = 0
    for text in texts:
        if part and (len(part) == EMBED_MAX_TEXTS or chars + len(text) > _REQUEST_CHARS):
            yield part
            part, chars = [], 0
        part.append(text)
        chars += len(text)
    if part:
        yield part
