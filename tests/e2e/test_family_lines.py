"""What the demo makes of an answer to somebody of its family."""

from __future__ import annotations

import pytest

from script.home.family import ADA, BEN, Line

ASKED = Line(ADA, "what is my bike code", reply="your bike code is 4 7 1 1")
PRIED = Line(BEN, "what is my bike code", never=r"4\D*7\D*1\D*1")


def test_the_right_answer_to_the_right_person_is_right() -> None:
    assert ASKED.wrong("Your bike code is 4 7 1 1.", "Ada") == []
    assert PRIED.wrong("Sorry, I can't help with that yet.", "Ben") == []
    assert PRIED.wrong(None, "Ben") == []


@pytest.mark.parametrize("leaked", ["Ada's code is 4 7 1 1.", "It is 4711.", "4, 7, 1, 1"])
def test_a_secret_that_is_given_away_is_wrong(leaked: str) -> None:
    assert PRIED.wrong(leaked, "Ben") == [r"the reply gives away 4\D*7\D*1\D*1"]


def test_an_answer_that_lacks_what_was_asked_for_is_wrong() -> None:
    assert ASKED.wrong(None, "Ada") == ["the reply lacks your bike code is 4 7 1 1"]


@pytest.mark.parametrize(("speaker", "taken"), [(None, "a guest"), ("Ben", "Ben")])
def test_who_is_taken_for_somebody_else_was_not_recognised(speaker: str | None, taken: str) -> None:
    assert f"taken for {taken}" in ASKED.wrong("Your bike code is 4 7 1 1.", speaker)
