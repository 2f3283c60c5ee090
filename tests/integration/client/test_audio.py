"""Audio of any chunk size becomes pieces of whole samples."""

from __future__ import annotations

from collections.abc import AsyncIterator

from hypothesis import given, strategies as st
import pytest

from custom_components.barnabeenet.client.audio import PIECE_BYTES, Pieces, reading


@given(st.lists(st.binary(max_size=3 * PIECE_BYTES), max_size=8))
def test_any_chunks_come_out_as_whole_samples_in_order_and_short_enough(chunks: list[bytes]) -> None:
    pieces = Pieces()
    cut = [piece for chunk in chunks for piece in pieces.cut(chunk)]
    audio = b"".join(chunks)
    assert b"".join(cut) == audio[: len(audio) - len(audio) % 2]
    assert all(0 < len(piece) <= PIECE_BYTES and len(piece) % 2 == 0 for piece in cut)


def test_a_piece_holds_100_ms() -> None:
    assert PIECE_BYTES == 16_000 * 2 * 12 // 100


async def test_reading_closes_a_stream_that_can_be_closed() -> None:
    closed = False

    async def stream() -> AsyncIterator[int]:
        nonlocal closed
        try:
            yield 1
            yield 2
        finally:
            closed = True

    async with reading(stream()) as numbers:
        assert await anext(numbers) == 1
    assert closed


async def test_reading_leaves_a_stream_that_cannot_be_closed() -> None:
    class Stream:
        def __aiter__(self) -> Stream:
            return self

        async def __anext__(self) -> int:
            raise StopAsyncIteration

    async with reading(Stream()) as numbers:
        assert [number async for number in numbers] == []


async def test_reading_passes_on_what_the_stream_raises() -> None:
    async def stream() -> AsyncIterator[int]:
        yield 1
        raise LookupError("gone")

    with pytest.raises(LookupError):
        async with reading(stream()) as numbers:
            assert [number async for number in numbers]
