"""Where the token comes from, and that it is nowhere else."""

from __future__ import annotations

from pathlib import Path
import stat

import pytest

from barnabeenet_sidecar import pairing_token as tokens
from barnabeenet_sidecar.__main__ import main
from barnabeenet_sidecar.config import Settings, load
from barnabeenet_sidecar.errors import ConfigError
from barnabeenet_sidecar.pairing_token import examine, is_new, pairing_token
from barnabeenet_sidecar.telemetry import logs

TOKEN = "s3cret-and-long-enough-to-be-a-token"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for field in (*Settings.model_fields, "token"):
        monkeypatch.delenv(f"BARNABEENET_{field.upper()}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """A token in a file, as Docker and systemd give it."""
    path = tmp_path / "given"
    path.write_text(TOKEN + "\n")
    path.chmod(0o400)
    return path


def test_without_one_the_sidecar_makes_and_keeps_its_own() -> None:
    settings = load()
    assert is_new(settings)
    token = pairing_token(settings)
    assert not is_new(settings)
    assert pairing_token(settings) == token
    assert stat.S_IMODE(tokens.kept_at(settings).stat().st_mode) == 0o600


def test_a_token_in_the_environment_is_taken_and_none_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARNABEENET_TOKEN", f" {TOKEN} ")
    settings = load()
    assert (pairing_token(settings), is_new(settings)) == (TOKEN, False)
    assert not settings.data_dir.exists()


def test_a_token_in_a_file_that_is_named_is_taken_and_none_is_kept(given: Path) -> None:
    settings = load({"token_file": given})
    assert (pairing_token(settings), is_new(settings)) == (TOKEN, False)
    assert not settings.data_dir.exists()


def test_two_tokens_are_one_too_many(given: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARNABEENET_TOKEN", TOKEN)
    with pytest.raises(ConfigError, match="are both set: keep one of them"):
        pairing_token(load({"token_file": given}))


def test_a_named_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none cannot be used: .*No such file"):
        pairing_token(load({"token_file": tmp_path / "none"}))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("content", [b"s3cret", b"s3cret" * 10_000, b"s3cret\xff" * 10], ids=["short", "long", "odd"])
def test_a_file_that_holds_no_token_is_refused_without_being_shown(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "given").write_bytes(content)
    with pytest.raises(ConfigError, match="put another there") as caught:
        pairing_token(load({"token_file": tmp_path / "given"}))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("content", ["s3cret", "s3cret" * 50], ids=["short", "long"])
def test_a_variable_that_holds_no_token_is_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.setenv("BARNABEENET_TOKEN", content)
    with pytest.raises(ConfigError, match="the token in BARNABEENET_TOKEN has") as caught:
        pairing_token(load())
    assert "s3cret" not in str(caught.value)


def test_the_command_line_takes_no_token(capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--token", "--token-file"):
        with pytest.raises(SystemExit):
            main(["serve", option, TOKEN])
    assert "unrecognized arguments" in capsys.readouterr().err


def test_no_child_process_inherits_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARNABEENET_TOKEN", TOKEN)
    assert TOKEN not in logs.child_environment().values()


# doctor


def test_a_token_that_is_not_there_yet_is_well() -> None:
    assert (examine(load()).state, examine(load()).detail[:8]) == ("ok", "none yet")
    assert is_new(load())


def test_a_token_that_is_kept_is_named_and_not_shown(given: Path) -> None:
    token = pairing_token(load())
    found = examine(load())
    assert (found.state, token in found.detail) == ("ok", False)
    assert examine(load({"token_file": given})).state == "ok"


def test_a_file_that_others_may_read_is_warned_of(given: Path) -> None:
    given.chmod(0o440)
    found = examine(load({"token_file": given}))
    assert found.state == "warning"
    assert found.advice == f"run `chmod 600 {given}`"


def test_modes_where_secrets_are_mounted_say_nothing(given: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given.chmod(0o444)
    monkeypatch.setattr(tokens, "_MEMORY_FOLDER", given.parent)
    assert examine(load({"token_file": given})).state == "ok"


def test_a_token_that_cannot_be_used_keeps_the_sidecar_from_serving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert examine(load({"token_file": tmp_path / "none"})).state == "missing"
    monkeypatch.setenv("BARNABEENET_TOKEN", "short")
    assert "5 characters" in examine(load()).detail
    monkeypatch.setenv("BARNABEENET_TOKEN", TOKEN)
    assert examine(load()) == tokens.TokenState("ok", "given in BARNABEENET_TOKEN")
