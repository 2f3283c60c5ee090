"""The sidecar's stable id, by which a home knows it again under another address."""

from __future__ import annotations

from pathlib import Path
import re
import uuid

from .errors import ConfigError

_FORM = re.compile(r"[0-9a-f]{32}")


def load_or_create_id(path: Path) -> str:
    """Reads the id, 32 hexadecimal digits, or makes one; raises ConfigError."""
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # The rename shows the id whole or not at all.
            unfinished = path.with_name(f".{path.name}.new")
            unfinished.write_text(uuid.uuid4().hex + "\n", encoding="ascii")
            unfinished.replace(path)
        sidecar_id = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"the id in {path} cannot be used: {err}") from err
    if not _FORM.fullmatch(sidecar_id):
        raise ConfigError(f"{path} does not hold the sidecar's id: remove it and a new one is made, then pair again")
    return sidecar_id
