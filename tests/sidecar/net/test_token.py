"""The pairing token's file."""

from __future__ import annotations

import logging
from pathlib import Path
import stat

import pytest

from barnabeenet_sidecar.errors import ConfigError
from barnabeenet_sidecar.net.auth import Authenticator, load_or_create_token


def test_a_token_is_made_when_there_is_none(tmp_path: Path) -> None:
    token = load_or_create_token(tmp_path / "data" / "token")
    assert len(token) >= 32
    assert token.isascii()
    assert token != load_or_create_token(tmp_path / "other")


def test_the_same_token_is_read_again(tmp_path: Path) -> None:
    assert load_or_create_token(str(tmp_path / "token")) == load_or_create_token(tmp_path / "token")


def test_only_the_owner_may_read_a_new_token_and_nothing_else_is_left(tmp_path: Path) -> None:
    load_or_create_token(tmp_path / "token")
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["token"]


def test_space_around_a_token_written_by_hand_is_not_part_of_it(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("  " + "a" * 40 + "\r\n")
    file.chmod(0o600)
    assert load_or_create_token(file) == "a" * 40


@pytest.mark.parametrize("text", ["", "a" * 31, "a" * 257], ids=["empty", "too short", "too long"])
def test_a_token_of_the_wrong_length_is_refused_with_what_to_do(tmp_path: Path, text: str) -> None:
    file = tmp_path / "token"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(ConfigError, match=f"{len(text)} characters, 32 to 256 are allowed: remove it"):
        load_or_create_token(file)
    assert file.read_text() == text


def test_a_token_that_is_not_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"\xff" * 40)
    file.chmod(0o600)
    with pytest.raises(ConfigError, match="cannot be used"):
        load_or_create_token(file)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file/token cannot be used"):
        load_or_create_token(tmp_path / "file" / "token")


def test_a_token_that_others_may_read_is_used_with_a_warning(
    tmp_path: Path, complaints: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "token"
    file.write_text("a" * 40)
    file.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        assert load_or_create_token(file) == "a" * 40
    assert f"others may read the token in {file}: chmod 600 it" in caplog.text
    assert "a" * 40 not in caplog.text
    caplog.clear()


@pytest.mark.parametrize("token", ["a" * 31, "a" * 257])
def test_an_authenticator_wants_a_token_of_the_right_length(token: str) -> None:
    with pytest.raises(ConfigError, match="32 to 256 are allowed"):
        Authenticator(token, sidecar_id="a", name="b", software="c", revision_of=lambda _: None)
