"""Settings: which source wins, and what a person is told about a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from barnabeenet_sidecar.config import Settings, default_config_file, load
from barnabeenet_sidecar.errors import ConfigError


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine that runs the tests reaches them."""
    for field in Settings.model_fields:
        monkeypatch.delenv(f"BARNABEENET_{field.upper()}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    return tmp_path / "sidecar.toml"


def refusal(given: dict[str, object] | None = None, config_file: Path | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(given, config_file)
    return str(caught.value)


def test_without_any_setting_the_plain_listener_is_off_and_the_others_have_their_ports() -> None:
    settings = load()
    assert (settings.port, settings.plain_port, settings.http_port) == (10800, None, 10801)
    assert (settings.stt, settings.tts, settings.wake, settings.vad) == (
        "auto",
        "auto",
        "microwakeword",
        "silero",
    )
    assert settings.name


def test_the_data_folder_follows_the_xdg_base_directories(tmp_path: Path) -> None:
    assert load().data_dir == tmp_path / "data" / "barnabeenet"


def test_the_file_beats_the_defaults(config_file: Path) -> None:
    config_file.write_text('port = 7000\nname = "Beast"\n')
    settings = load(config_file=config_file)
    assert (settings.port, settings.name) == (7000, "Beast")


def test_the_environment_beats_the_file(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config_file.write_text("port = 7000\nhttp_port = 7001\n")
    monkeypatch.setenv("BARNABEENET_PORT", "7002")
    settings = load(config_file=config_file)
    assert (settings.port, settings.http_port) == (7002, 7001)


def test_the_command_line_beats_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARNABEENET_PORT", "7002")
    assert load({"port": "7003"}).port == 7003


def test_none_on_the_command_line_means_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARNABEENET_PORT", "7002")
    assert load({"port": None}).port == 7002


def test_an_empty_environment_variable_means_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARNABEENET_PLAIN_PORT", "")
    assert load().plain_port is None


def test_the_file_in_the_usual_place_is_read_without_being_named() -> None:
    default_config_file().parent.mkdir(parents=True)
    default_config_file().write_text("plain_port = 10300\n")
    assert load().plain_port == 10300


def test_a_tilde_in_the_data_folder_is_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load({"data_dir": "~/voice"}).data_dir == tmp_path / "voice"


def test_a_relative_data_folder_becomes_absolute() -> None:
    assert load({"data_dir": "voice"}).data_dir == Path.cwd() / "voice"


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("port", "99999", "less than or equal to 65535"),
        ("port", "-1", "greater than or equal to 0"),
        ("plain_port", "often", "valid integer"),
        ("tts", "festival", "'auto', 'kokoro', 'flite' or 'espeak'"),
        ("wake", "snowboy", "'microwakeword' or 'openwakeword'"),
        ("log_level", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("stt_workers", "0", "greater than or equal to 1"),
        ("parallel", "1000", "less than or equal to 32"),
        ("name", "x" * 64, "at most 63 characters"),
        ("host", "", "at least 1 character"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_what_it_may_be(setting: str, value: str, expected: str) -> None:
    assert refusal({setting: value}).startswith(f"{setting} is {value!r}: ")
    assert expected in refusal({setting: value})


def test_every_wrong_setting_is_told_at_once() -> None:
    assert len(refusal({"port": "x", "tts": "y", "wake": "z"}).splitlines()) == 3


def test_a_wrong_value_in_the_environment_is_refused_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARNABEENET_HTTP_PORT", "abc")
    assert refusal().startswith("http_port is 'abc': ")


def test_a_misspelt_setting_in_the_file_is_refused_with_the_ones_there_are(config_file: Path) -> None:
    config_file.write_text("plane_port = 1\n")
    text = refusal(config_file=config_file)
    assert text.startswith("plane_port is not a setting")
    assert "plain_port" in text


def test_a_file_that_is_not_toml_is_refused_with_the_place(config_file: Path) -> None:
    config_file.write_text("port = = 1\n")
    text = refusal(config_file=config_file)
    assert str(config_file) in text
    assert "line 1" in text


def test_a_file_that_is_not_text_is_refused(config_file: Path) -> None:
    config_file.write_bytes(b"name = '\xff'")
    assert "not valid TOML" in refusal(config_file=config_file)


def test_a_named_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "there is no configuration file" in refusal(config_file=tmp_path / "none.toml")


def test_two_listeners_on_one_port_are_refused() -> None:
    assert "10800 is set twice" in refusal({"plain_port": 10800})


def test_any_number_of_listeners_may_take_a_free_port() -> None:
    settings = load({"port": 0, "plain_port": 0, "http_port": 0})
    assert (settings.port, settings.plain_port, settings.http_port) == (0, 0, 0)


def test_settings_cannot_be_changed_behind_anybodys_back() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load().port = 1  # type: ignore[misc]


def test_the_development_profile_logs_more_and_opens_no_listener(config_file: Path) -> None:
    config_file.write_text('profile = "development"\n')
    settings = load(config_file=config_file)
    assert (settings.log_level, settings.log_format, settings.log_content) == ("debug", "text", False)
    assert settings.plain_port is None
    assert (load().profile, load().log_level, load().log_format) == ("production", "info", "auto")


def test_whatever_is_set_beats_the_profile(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config_file.write_text('profile = "development"\nlog_level = "error"\n')
    monkeypatch.setenv("BARNABEENET_LOG_FORMAT", "json")
    settings = load(config_file=config_file)
    assert (settings.log_level, settings.log_format) == ("error", "json")
    assert load({"profile": "development", "log_level": "warning"}).log_level == "warning"


def test_a_profile_that_there_is_not_is_refused() -> None:
    assert refusal({"profile": "staging"}).startswith("profile is 'staging': input should be 'production' or")


def test_a_token_in_the_file_is_refused_without_being_shown(config_file: Path) -> None:
    config_file.write_text(f'token = "{"s3cret" * 8}"\n')
    text = refusal(config_file=config_file)
    assert "token_file" in text
    assert "BARNABEENET_TOKEN" in text
    assert "s3cret" not in text


def test_a_token_in_the_environment_is_in_nobodys_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARNABEENET_TOKEN", "s3cret" * 8)
    assert "s3cret" not in repr(load())
    assert "s3cret" not in refusal({"port": "x"})


def test_a_tilde_in_the_name_of_the_token_file_is_the_home_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load({"token_file": "~/token"}).token_file == tmp_path / "token"
