"""Where the pairing token comes from: the environment, a file that is given, or one that the sidecar keeps."""

from __future__ import annotations

from dataclasses import dataclass
import os
from pathlib import Path
import stat
from typing import Final, Literal

from .config import Settings
from .errors import ConfigError
from .net.auth import checked_token, load_or_create_token, read_token

VARIABLE: Final = "BARNABEENET_TOKEN"
# Where systemd and containers mount secrets, in memory; their modes there say nothing.
_MEMORY_FOLDER: Final = Path("/run")


def kept_at(settings: Settings) -> Path:
    """Where the sidecar keeps the token that it makes itself."""
    return settings.data_dir / "token"


def pairing_token(settings: Settings) -> str:
    """The token, made at the first start when none is given; raises ConfigError, never with the token in its text."""
    given = os.environ.get(VARIABLE, "").strip()
    if given and settings.token_file is not None:
        raise ConfigError(f"{VARIABLE} and token_file are both set: keep one of them")
    if given:
        return checked_token(given, VARIABLE, "give it another")
    if settings.token_file is not None:
        return read_token(settings.token_file, "put another there")
    return load_or_create_token(kept_at(settings))


def is_new(settings: Settings) -> bool:
    """Whether there is no token yet."""
    return not os.environ.get(VARIABLE, "").strip() and settings.token_file is None and not kept_at(settings).exists()


@dataclass(frozen=True)
class TokenState:
    """What `doctor` says about the token."""

    state: Literal["ok", "warning", "missing"]
    detail: str
    advice: str = ""


def examine(settings: Settings) -> TokenState:
    """Looks at the token without making one."""
    if is_new(settings):
        return TokenState("ok", "none yet: the first start makes one and shows it")
    path = settings.token_file or kept_at(settings)
    from_environment = bool(os.environ.get(VARIABLE, "").strip())
    if not from_environment and path.exists() and not os.access(path, os.R_OK):
        return TokenState("missing", f"{path} cannot be read", "run as its owner, or give it to this user")
    try:
        pairing_token(settings)
    except ConfigError as err:
        return TokenState("missing", str(err), "see README.md, Pair with Home Assistant")
    if from_environment:
        return TokenState("ok", f"given in {VARIABLE}")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077 and not path.is_relative_to(_MEMORY_FOLDER):
        return TokenState("warning", f"{path} has mode {mode:o}: others may read it", f"run `chmod 600 {path}`")
    return TokenState("ok", f"{path}, shown by `barnabeenet-sidecar token`")
