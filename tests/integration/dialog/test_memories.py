"""Memories as a part of what a model is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from custom_components.barnabeenet.dialog.memories import Recollections, shared
from tests.fake_memories import FakeFound, FakeMemories, FakeMemory

CODE = FakeMemory(1, "my bike code is 4711", "anna", "owner", "fact", None, 1.0, "en")


class Searched(FakeMemories):
    """Finds what the test says."""

    def __init__(self, *found: FakeFound) -> None:
        super().__init__()
        self.found = list(found)

    async def recall(self, query: str, **_: object) -> list[FakeFound]:
        return self.found


async def told(text: str, *found: FakeFound) -> list[tuple[str, float]]:
    recalled = await Recollections(Searched(*found)).recall(text, speaker="anna", limit=5, min_similarity=0.7)
    return [(each.text, round(each.similarity, 2)) for each in recalled]


async def test_what_is_near_by_meaning_is_told() -> None:
    far = FakeFound(replace(CODE, text="my cat is black"), 0.3)
    assert await told("how do I unlock it", FakeFound(CODE, 0.8), far) == [("my bike code is 4711", 0.8)]


async def test_while_only_words_tell_those_decide() -> None:
    assert await told("what is my bike code please", FakeFound(CODE, 0.0)) == [("my bike code is 4711", 1.0)]
    assert await told("please write some code that sorts a list", FakeFound(CODE, 0.0)) == []


async def test_a_measured_distance_counts_more_than_words() -> None:
    assert await told("what is my bike code", FakeFound(CODE, 0.4)) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("what is my bike code", 1.0),
        ("the code of Anna's bike", 2 / 3),
        ("bike", 0.0),
        ("", 0.0),
    ],
)
def test_what_they_share(text: str, expected: float) -> None:
    assert shared(text, CODE) == pytest.approx(expected)
