"""A disk that is really full: what is here serves on, and a pull fails in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
import subprocess
from typing import Any

import pytest

from barnabeenet_sidecar.models import space
from barnabeenet_sidecar.models.errors import PullFailed, RegistryError
from barnabeenet_sidecar.models.store import Store

Fixture = Any
FILES = {"model.onnx": b"weights" * 100_000}
NEWER = {"model.onnx": b"newer weights" * 200_000}

pytestmark = pytest.mark.faults


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """4 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("may not mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(1024)):
            pass


@pytest.fixture
async def full(home: Fixture, shelf: Fixture, small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Store]:
    """Version 1 serves; called, it fills the disk and offers version 2."""
    # As if the room were taken by another program while a pull runs.
    monkeypatch.setattr(space, "_SPARE_BYTES", -(10**9))
    home.data_dir = small_disk
    await home.has(shelf, "1", FILES)

    def offer() -> Store:
        shelf.files["2/model.onnx"] = NEWER["model.onnx"]
        store: Store = home.offers("2", NEWER)
        fill(small_disk)
        return store

    return offer


async def test_a_pull_says_so_in_one_line_and_goes_on_when_there_is_room(
    full: Callable[[], Store], small_disk: Path
) -> None:
    store = full()
    with pytest.raises(PullFailed, match=r"cannot be written: No space left on device; ears 1 goes on serving$"):
        await store.pull("ears", "anna")
    (small_disk / "filler").unlink()
    assert (await store.pull("ears", "anna")).version == "2"


async def test_a_sidecar_that_starts_on_a_full_disk_has_its_models(full: Callable[[], Store], small_disk: Path) -> None:
    full()
    store = Store(small_disk)
    assert store.open("ears").version == "1"
    assert [verdict.damage for verdict in store.verify("ears")] == [None]
    assert store.serving()["ears"].version == "1"


async def test_a_change_that_finds_no_room_changes_nothing(full: Callable[[], Store], small_disk: Path) -> None:
    full()
    store = Store(small_disk)
    with pytest.raises(RegistryError) as raised:
        store.remove("ears", "1")
    assert "\n" not in str(raised.value)
    assert store.open("ears").version == "1"
