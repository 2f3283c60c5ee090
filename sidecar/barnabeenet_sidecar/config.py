"""The sidecar's settings: defaults < profile < TOML file < BARNABEENET_* environment < command line, validated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
import os
from pathlib import Path
import socket
import tomllib
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from .errors import ConfigError

Port = Annotated[int, Field(ge=0, le=65535)]

# Other defaults for those who work on the sidecar; anything that is set anywhere is stronger.
_PROFILES: Mapping[str, Mapping[str, Any]] = {"development": {"log_level": "debug", "log_format": "text"}}


def _xdg_dir(variable: str, default: str) -> Path:
    """A folder of the XDG base directory specification."""
    return Path(os.environ.get(variable) or Path.home() / default) / "barnabeenet"


def default_config_file() -> Path:
    """Where the TOML file is looked for when none is named."""
    return _xdg_dir("XDG_CONFIG_HOME", ".config") / "sidecar.toml"


class Settings(BaseSettings):
    """Everything that can be set; port 0 takes any free one; no plain listener without its port."""

    model_config = SettingsConfigDict(
        env_prefix="BARNABEENET_", env_ignore_empty=True, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    host: str = Field("0.0.0.0", min_length=1)  # noqa: S104 - homes dial in from the network; the hello guards it
    port: Port = 10800
    plain_port: Port | None = None
    http_port: Port = 10801
    data_dir: Path = Field(default_factory=lambda: _xdg_dir("XDG_DATA_HOME", ".local/share"))
    # DNS-SD announces it as one label, which holds 63 bytes.
    name: str = Field(default_factory=lambda: socket.gethostname()[:63] or "sidecar", min_length=1, max_length=63)
    profile: Literal["production", "development"] = "production"
    token_file: Path | None = None
    tls: bool = False
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "text", "json"] = "auto"
    log_content: bool = False
    stt: Literal["auto", "parakeet", "whisper", "pocketsphinx"] = "auto"
    tts: Literal["auto", "kokoro", "flite", "espeak"] = "auto"
    wake: Literal["microwakeword", "openwakeword"] = "microwakeword"
    vad: Literal["silero"] = "silero"
    stt_workers: int = Field(default_factory=lambda: min(2, os.cpu_count() or 1), ge=1, le=32)
    parallel: int = Field(2, ge=1, le=32)
    device: Literal["auto", "cuda", "cpu"] = "auto"
    vram_mb: int | None = Field(None, ge=256, le=1_000_000)

    @field_validator("data_dir", "token_file")
    @classmethod
    def _expand(cls, path: Path | None) -> Path | None:
        return None if path is None else path.expanduser().absolute()

    @model_validator(mode="after")
    def _ports_differ(self) -> Settings:
        taken = Counter(port for port in (self.port, self.plain_port, self.http_port) if port)
        if doubled := [port for port, times in taken.items() if times > 1]:
            raise ValueError(f"port, plain_port and http_port must differ, but {doubled[0]} is set twice")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - not used, like the next one
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Strongest first: what the caller gives (the command line), the environment, the file, the profile."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls), _Profile(settings_cls)


class _Profile(PydanticBaseSettingsSource):
    """The defaults of the profile that a stronger source has chosen."""

    def __call__(self) -> dict[str, Any]:
        return dict(_PROFILES.get(str(self.current_state.get("profile")), {}))

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        raise NotImplementedError("all fields are given at once")


def load(given: Mapping[str, Any] | None = None, config_file: Path | None = None) -> Settings:
    """The settings in force; `given` (the command line) is strongest and None in it means not given.

    Raises ConfigError that names the setting, its value and what it may be.
    """
    if config_file is not None and not config_file.is_file():
        raise ConfigError(f"there is no configuration file {config_file}: check the path given with --config")
    path = config_file or default_config_file()

    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=path)

    try:
        return FromFile(**{name: value for name, value in (given or {}).items() if value is not None})
    except ValidationError as err:
        raise ConfigError(_in_words(err)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path} is not valid TOML: {err}") from err
    except OSError as err:
        raise ConfigError(f"{path} cannot be read: {err.strerror}") from err


def _in_words(err: ValidationError) -> str:
    """One line per wrong setting."""
    return "\n".join(
        _line(problem["loc"], problem["type"], problem["msg"], problem["input"]) for problem in err.errors()
    )


def _line(location: tuple[int | str, ...], kind: str, message: str, value: object) -> str:
    name = ".".join(str(part) for part in location)
    if name == "token":
        return "the token is not a setting: keep it in a file that token_file names, or in BARNABEENET_TOKEN"
    if kind == "extra_forbidden":
        return f"{name} is not a setting; settings are: {', '.join(Settings.model_fields)}"
    if not name:
        return message.removeprefix("Value error, ")
    return f"{name} is {value!r}: {message[:1].lower()}{message[1:]}"
