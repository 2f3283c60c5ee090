"""The sidecar's id: made once, kept, and never guessed at when it is damaged."""

from __future__ import annotations

from pathlib import Path
import re

import pytest

from barnabeenet_sidecar.errors import ConfigError
from barnabeenet_sidecar.identity import load_or_create_id


def test_an_id_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "sidecar_id"
    first = load_or_create_id(path)
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert load_or_create_id(path) == first


def test_two_sidecars_have_two_ids(tmp_path: Path) -> None:
    assert load_or_create_id(tmp_path / "a") != load_or_create_id(tmp_path / "b")


@pytest.mark.parametrize("content", [b"", b"beast", b"0" * 33, b"\xff" * 32, b"ABCDEF0123456789ABCDEF0123456789"])
def test_a_damaged_id_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sidecar_id"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="sidecar_id"):
        load_or_create_id(path)
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be used"):
        load_or_create_id(tmp_path / "file" / "sidecar_id")
