"""What serves, when files are damaged, and what changes that."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
import errno
import hashlib
import os
from pathlib import Path
import re
from typing import Any

import pytest

from barnabeenet_sidecar.models.errors import (
    Damaged,
    ManifestError,
    ModelError,
    NoUsableVersion,
    RegistryError,
    UnknownModel,
)
from barnabeenet_sidecar.models.registry import Status
from barnabeenet_sidecar.models.store import Store

OLD = {"model.onnx": b"old" * 1000, "vocab.txt": b"a b c"}
NEW = {"model.onnx": b"new" * 1000, "vocab.txt": b"a b c d"}
Fixture = Any
Harm = Callable[[Path], None]


@pytest.fixture
async def store(home: Fixture, shelf: Fixture) -> Store:
    """Version 2 serves, version 1 is the way back."""
    await home.has(shelf, "1", OLD)
    result: Store = await home.has(shelf, "2", NEW)
    return result


@pytest.fixture
def weights(store: Store) -> Path:
    return store.open("ears").paths["model.onnx"]


def truncate(path: Path) -> None:
    os.truncate(path, 100)


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.faults
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (None, r"the SHA-256 of model.onnx is [0-9a-f]{12}\.\.\. instead of [0-9a-f]{12}\.\.\."),
        (truncate, "model.onnx has 100 bytes instead of 3000"),
        (Path.unlink, "model.onnx is missing"),
        (become_a_folder, "model.onnx is not a file"),
    ],
)
def test_a_damaged_file_never_serves_and_the_previous_version_does(
    store: Store, weights: Path, flip: Harm, harm: Harm | None, said: str
) -> None:
    (harm or flip)(weights)
    files = store.open("ears")
    assert files.version == "1"
    assert {path: files.paths[path].read_bytes() for path in OLD} == OLD
    assert files.notice
    assert re.fullmatch(rf"ears 2 is damaged \({said}\): 1 serves instead", files.notice), files.notice


def test_the_fallback_is_told_once_and_kept(store: Store, weights: Path) -> None:
    weights.unlink()
    assert store.open("ears").notice
    assert store.open("ears").notice is None
    assert [(item.version, item.status, item.damage) for item in store.deployments()] == [
        ("1", Status.ACTIVE, None),
        ("2", Status.ARCHIVED, "model.onnx is missing"),
    ]


@pytest.mark.faults
def test_when_both_are_damaged_none_serves_and_the_text_says_what_to_do(
    store: Store, home: Fixture, flip: Harm
) -> None:
    for path in (home.data_dir / "models" / "versions").rglob("model.onnx"):
        flip(path)
    with pytest.raises(NoUsableVersion) as raised:
        store.open("ears")
    text = str(raised.value)
    assert "ears 1 is damaged" in text
    assert "ears 2 is damaged" in text
    assert text.endswith("run `barnabeenet-sidecar models pull ears`, or activate another version")


async def test_a_damaged_version_is_mended_by_pulling_it(store: Store, weights: Path, flip: Harm) -> None:
    flip(weights)
    store.open("ears")
    assert (await store.pull("ears", "anna")).version == "2"
    assert weights.read_bytes() == NEW["model.onnx"]
    assert store.rollback("ears", "anna") == "1"


def test_a_file_that_was_only_touched_is_read_once_and_serves_on(
    store: Store, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda file, name: read.append(file.name) or digest(file, name))
    assert store.open("ears").version == "2"
    assert read == []
    os.utime(weights, ns=(1, 1))
    for _ in range(2):
        assert store.open("ears").notice is None
    assert read == [str(weights)]


@pytest.mark.faults
def test_a_bit_that_the_disk_flipped_in_silence_is_found_by_verify(store: Store, weights: Path, flip: Harm) -> None:
    before = weights.stat()
    flip(weights)
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    verdicts = {verdict.version: verdict.damage for verdict in store.verify()}
    assert verdicts["1"] is None
    assert verdicts["2"]
    assert verdicts["2"].startswith("the SHA-256 of model.onnx is ")
    assert store.open("ears").version == "1"


def test_a_mended_file_may_serve_again_once_verified(store: Store, weights: Path, flip: Harm) -> None:
    flip(weights)
    assert store.open("ears").version == "1"
    flip(weights)
    with pytest.raises(RegistryError, match="ears 2 may not serve"):
        store.activate("ears", "2", "anna")
    assert [verdict.damage for verdict in store.verify("ears")] == [None, None]
    store.activate("ears", "2", "anna")
    assert store.open("ears").version == "2"


@pytest.mark.parametrize(("code", "is_damage"), [(errno.EIO, True), (errno.EACCES, False), (errno.EMFILE, False)])
def test_only_what_the_file_itself_is_to_blame_for_is_damage(
    store: Store, weights: Path, monkeypatch: pytest.MonkeyPatch, code: int, is_damage: bool
) -> None:
    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    os.utime(weights, ns=(1, 1))
    with monkeypatch.context() as patch:
        patch.setattr(hashlib, "file_digest", fail)
        if is_damage:
            assert store.open("ears").version == "1"
            return
        with pytest.raises(ModelError, match=r"model.onnx cannot be read") as raised:
            store.open("ears")
    assert not isinstance(raised.value, Damaged)
    assert store.open("ears").version == "2"


def test_nobody_can_go_back_to_a_damaged_version(store: Store, home: Fixture, flip: Harm) -> None:
    flip(home.data_dir / "models" / "versions" / "ears" / "1" / "model.onnx")
    with pytest.raises(Damaged, match=r"ears 1 is damaged \(.*\): pull it again"):
        store.rollback("ears", "anna")
    with pytest.raises(RegistryError, match="ears 1 may not serve"):
        store.activate("ears", "1", "anna")
    with pytest.raises(RegistryError, match="no earlier version"):
        store.rollback("ears", "anna")
    assert store.open("ears").version == "2"


def test_activating_a_version_that_was_damaged_unnoticed_is_refused(store: Store, home: Fixture, flip: Harm) -> None:
    flip(home.data_dir / "models" / "versions" / "ears" / "1" / "model.onnx")
    with pytest.raises(Damaged, match="ears 1 is damaged"):
        store.activate("ears", "1", "anna")
    assert store.open("ears").version == "2"


def test_rollback_goes_there_and_back(store: Store) -> None:
    assert store.rollback("ears", "anna") == "1"
    assert store.open("ears").version == "1"
    assert store.rollback("ears", "anna") == "2"
    assert store.open("ears").version == "2"


def test_a_removed_version_leaves_no_file(store: Store, home: Fixture) -> None:
    assert store.remove("ears", "1") == ["1"]
    assert not (home.data_dir / "models" / "versions" / "ears" / "1").exists()
    assert store.open("ears").version == "2"


def test_a_removed_model_leaves_no_file(store: Store, home: Fixture) -> None:
    staged = home.data_dir / "models" / "staging" / "ears" / "2"
    staged.mkdir(parents=True)
    assert sorted(store.remove("ears")) == ["1", "2"]
    assert not list((home.data_dir / "models" / "versions").rglob("*.onnx"))
    assert not staged.exists()
    with pytest.raises(NoUsableVersion, match="ears is not here: run `barnabeenet-sidecar models pull ears`"):
        store.open("ears")


@pytest.mark.parametrize("name", ["..", "../versions", "../versions/ears", "/tmp", ""])
def test_no_name_reaches_files_outside_its_model(store: Store, home: Fixture, name: str) -> None:
    before = sorted(home.data_dir.rglob("*"))
    for remove in (lambda: store.remove(name), lambda: store.remove("ears", name), lambda: store.remove(name, name)):
        with pytest.raises(UnknownModel):
            remove()
    assert sorted(home.data_dir.rglob("*")) == before
    assert store.open("ears").version == "2"


def test_the_version_that_serves_is_not_removed_while_there_is_a_way_back(store: Store) -> None:
    with pytest.raises(RegistryError, match="ears 2 serves: go back first"):
        store.remove("ears", "2")
    assert store.open("ears").version == "2"


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.remove("ears", "9"),
        lambda store: store.activate("ears", "9", "anna"),
        lambda store: store.open("nose"),
        lambda store: store.remove("nose"),
        lambda store: store.rollback("nose", "anna"),
        lambda store: list(store.verify("nose")),
        lambda store: store.record_metrics("nose", "1", {}),
    ],
)
def test_what_nobody_knows_is_refused(store: Store, change: Callable[[Store], object]) -> None:
    with pytest.raises(UnknownModel):
        change(store)


def test_a_model_that_can_be_pulled_but_is_not_here_says_how(store: Store) -> None:
    for look in (store.open, store.remove, lambda model: list(store.verify(model))):
        with pytest.raises(NoUsableVersion, match="models pull whisper-small"):
            look("whisper-small")


def test_a_model_that_left_the_manifest_goes_on_serving(store: Store, home: Fixture) -> None:
    (home.data_dir / "models.toml").unlink()
    assert Store(home.data_dir).open("ears").version == "2"


async def test_when_none_is_active_an_archived_one_can_be_chosen(store: Store, home: Fixture, shelf: Fixture) -> None:
    await home.has(shelf, "3", NEW)
    store.remove("ears", "2")
    store.remove("ears", "3")
    with pytest.raises(NoUsableVersion, match="no version of ears is active"):
        store.open("ears")
    store.activate("ears", "1", "anna")
    assert store.open("ears").version == "1"


@pytest.mark.faults
async def test_a_homes_manifest_that_is_wrong_stops_pulls_and_nothing_else(store: Store, home: Fixture) -> None:
    (home.data_dir / "models.toml").write_text("[[model]")
    store = Store(home.data_dir)
    assert store.problem is not None
    assert store.open("ears").version == "2"
    assert store.rollback("ears", "anna") == "1"
    store.activate("ears", "2", "anna")
    with pytest.raises(ManifestError, match="not valid TOML"):
        await store.pull("kokoro-82m-v1.0", "anna")


def test_measurements_are_kept_with_the_version(store: Store) -> None:
    store.record_metrics("ears", "2", {"load_ms": 1234.5})
    assert {item.version: item.metrics for item in store.deployments("ears")} == {"1": {}, "2": {"load_ms": 1234.5}}


def test_opening_while_others_change_always_gives_a_whole_version(store: Store) -> None:
    def change(_: int) -> None:
        store.rollback("ears", "anna")

    def look(_: int) -> bool:
        files = store.open("ears")
        content = {path: files.paths[path].read_bytes() for path in files.paths}
        return content == {"1": OLD, "2": NEW}[files.version] and files.notice is None

    with ThreadPoolExecutor(4) as pool:
        changes = pool.map(change, range(20))
        assert all(pool.map(look, range(40)))
        list(changes)


def test_a_damaged_model_does_not_touch_another(store: Store, weights: Path, home: Fixture, flip: Harm) -> None:
    other = home.offers("1", NEW, model="voice")
    flip(weights)
    store.open("ears")
    with pytest.raises(NoUsableVersion, match="voice is not here"):
        other.open("voice")
    assert other.open("ears").version == "1"
