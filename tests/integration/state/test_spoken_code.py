"""Codes as they are kept."""

from __future__ import annotations

import pytest

from custom_components.barnabeenet.state.spoken_code import hash_code, is_code, matches


@pytest.mark.parametrize("code", ["4711", "00000000", "98765"])
def test_four_to_eight_digits_are_a_code(code: str) -> None:
    assert is_code(code)


@pytest.mark.parametrize(
    "code", ["", "471", "123456789", "47a1", "\uff14\uff17\uff11\uff11", "4711 ", "-4711", "\u0664\u0667\u0661\u0661"]
)
def test_anything_else_is_none(code: str) -> None:
    assert not is_code(code)
    with pytest.raises(ValueError, match="4 to 8 digits") as caught:
        hash_code(code)
    assert not code or code not in str(caught.value).replace("4 to 8", "")


def test_only_the_very_code_matches_and_it_is_not_in_what_is_kept() -> None:
    kept = hash_code("4711")
    assert matches("4711", kept)
    assert not any(matches(code, kept) for code in ("4712", "47110", "471", ""))
    assert "4711" not in kept.split("$")[4:]


def test_two_with_the_same_code_do_not_look_alike() -> None:
    assert hash_code("4711") != hash_code("4711")


@pytest.mark.parametrize(
    "kept", ["", "4711", "md5$1$1$1$00$00", "scrypt$x$8$1$00$00", "scrypt$3$8$1$00$00", "scrypt$16384$8$1$zz$00"]
)
def test_what_cannot_be_read_matches_nothing(kept: str) -> None:
    assert not matches("4711", kept)
