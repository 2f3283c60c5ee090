"""Pulling from a real web server that works, breaks, stalls and lies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
import hashlib
from pathlib import Path
import re
import shutil
import socket
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from barnabeenet_sidecar.models import download
from barnabeenet_sidecar.models.errors import ModelError, NoUsableVersion, PullFailed, RegistryError, UnknownModel
from barnabeenet_sidecar.models.pull import Progress
from barnabeenet_sidecar.models.registry import Registry

WEIGHTS = bytes(range(256)) * 8000
FILES = {"config.json": b"{}", "net/model.onnx": WEIGHTS}
Fixture = Any


def assert_nothing_serves(store: Fixture) -> None:
    assert store.deployments() == []
    with pytest.raises(NoUsableVersion):
        store.open("ears")


def half_of(home: Fixture, version: str = "1") -> Path:
    return home.data_dir / "models" / "staging" / "ears" / version / "net" / "model.onnx.part"


def begun(home: Fixture, count: int) -> None:
    """What an interrupted pull leaves."""
    half_of(home).parent.mkdir(parents=True)
    half_of(home).write_bytes(WEIGHTS[:count])


def first_byte(range_: str | None) -> int:
    return int(range_.removeprefix("bytes=").removesuffix("-")) if range_ else 0


@pytest.fixture
def offered(home: Fixture, shelf: Fixture) -> Fixture:
    """A store whose manifest names version 1, which the server has."""
    shelf.files = {f"1/{path}": content for path, content in FILES.items()}
    return home.offers("1", FILES)


async def test_a_pulled_model_serves_with_the_right_files(offered: Fixture) -> None:
    files = await offered.pull("ears", "anna")
    assert {path: files.paths[path].read_bytes() for path in files.paths} == FILES
    assert files.paths["net/model.onnx"] == files.folder / "net" / "model.onnx"
    assert files.notice is None
    assert offered.open("ears") == files
    assert [(item.version, item.deployed_by) for item in offered.deployments()] == [("1", "anna")]


async def test_nothing_is_left_of_the_staging(offered: Fixture, home: Fixture) -> None:
    await offered.pull("ears", "anna")
    assert not list((home.data_dir / "models" / "staging").rglob("model*"))


async def test_progress_rises_to_the_whole(offered: Fixture) -> None:
    seen: list[Progress] = []
    await offered.pull("ears", "anna", seen.append)
    done = [progress.done for progress in seen]
    total = sum(map(len, FILES.values()))
    assert done == sorted(done)
    assert (done[-1], {progress.total for progress in seen}) == (total, {total})
    assert len(done) > 4
    assert {progress.file for progress in seen} == FILES.keys()


async def test_what_is_here_is_not_pulled_again(offered: Fixture, shelf: Fixture) -> None:
    await offered.pull("ears", "anna")
    shelf.asked.clear()
    files = await offered.pull("ears", "ben")
    assert shelf.asked == []
    assert (files.version, offered.deployments()[0].deployed_by) == ("1", "anna")


async def test_a_pull_of_an_archived_version_that_is_here_makes_it_serve(home: Fixture, shelf: Fixture) -> None:
    await home.has(shelf, "1", FILES)
    await home.has(shelf, "2", FILES)
    shelf.asked.clear()
    store = home.offers("1", FILES)
    assert (await store.pull("ears", "anna")).version == "1"
    assert shelf.asked == []


async def test_the_hub_is_asked_for_the_pinned_commit(home: Fixture, shelf: Fixture) -> None:
    commit = "8" * 40
    shelf.files[f"istupakov/ears/resolve/{commit}/model.onnx"] = WEIGHTS
    source = f'{{ type = "huggingface", repo = "istupakov/ears", revision = "{commit}" }}'
    store = home.offers("1", {"model.onnx": WEIGHTS}, source=source)
    assert (await store.pull("ears", "anna")).paths["model.onnx"].read_bytes() == WEIGHTS


async def test_a_redirect_is_followed_with_the_range(
    offered: Fixture, shelf: Fixture, faults: Fixture, home: Fixture
) -> None:
    begun(home, 1000)
    shelf.files["elsewhere"] = WEIGHTS
    shelf.faults["1/net/model.onnx"] = [faults.redirect("/elsewhere")]
    await offered.pull("ears", "anna")
    assert shelf.asked[-1] == ("elsewhere", "bytes=1000-")


async def test_a_cut_in_the_middle_goes_on_where_it_was(offered: Fixture, shelf: Fixture) -> None:
    shelf.faults["1/net/model.onnx"] = [shelf.cut_after(900_000), shelf.cut_after(900_000)]
    files = await offered.pull("ears", "anna")
    whole, second, third = [range_ for path, range_ in shelf.asked if path == "1/net/model.onnx"]
    assert whole is None
    # What was on its way when the connection was cut is lost.
    assert 0 < first_byte(second) <= 900_000
    assert first_byte(second) < first_byte(third) <= 1_800_000
    assert files.paths["net/model.onnx"].read_bytes() == WEIGHTS


async def test_many_cuts_are_borne_while_there_is_progress(offered: Fixture, shelf: Fixture) -> None:
    little, much = shelf.cut_after(10), shelf.cut_after(900_000)
    shelf.faults["1/net/model.onnx"] = [*[little] * 3, much, *[little] * 3]
    assert (await offered.pull("ears", "anna")).version == "1"


async def test_cuts_without_progress_end_the_pull_and_the_next_goes_on(
    offered: Fixture, shelf: Fixture, home: Fixture
) -> None:
    begun(home, 400)
    shelf.faults["1/net/model.onnx"] = [shelf.cut_after(0)] * 4
    with pytest.raises(
        PullFailed,
        match=r"127.0.0.1 cut the connection in the middle of net/model.onnx; there is no other version of ears",
    ):
        await offered.pull("ears", "anna")
    assert_nothing_serves(offered)
    assert half_of(home).read_bytes() == WEIGHTS[:400]
    shelf.asked.clear()
    assert (await offered.pull("ears", "anna")).version == "1"
    assert shelf.asked == [("1/net/model.onnx", "bytes=400-")]


async def test_a_stalled_server_is_left_and_asked_again(
    offered: Fixture, shelf: Fixture, pass_time: Callable[[float], None]
) -> None:
    def advance(progress: Progress) -> None:
        if progress.done == len(FILES["config.json"]) + 5000:
            pass_time(download._STALL_S)

    shelf.faults["1/net/model.onnx"] = [shelf.stall_after(5000)]
    assert (await offered.pull("ears", "anna", advance)).version == "1"
    assert shelf.asked[-1] == ("1/net/model.onnx", "bytes=5000-")


async def test_a_slow_server_is_borne_with_while_it_sends(
    offered: Fixture, shelf: Fixture, pass_time: Callable[[float], None]
) -> None:
    here = 0

    def advance(progress: Progress) -> None:
        nonlocal here
        here = progress.done - len(FILES["config.json"])

    async def pause(sent: int) -> None:
        while here < sent:
            await asyncio.sleep(0)
        pass_time(download._STALL_S / 2)

    shelf.faults["1/net/model.onnx"] = [shelf.slowly(7, pause)]
    await offered.pull("ears", "anna", advance)
    assert [path for path, _ in shelf.asked].count("1/net/model.onnx") == 1


async def test_a_server_that_only_stalls_ends_the_pull(
    offered: Fixture, shelf: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_STALL_S", 0.1)
    shelf.faults["1/config.json"] = [shelf.stall_after(0)] * 4
    with pytest.raises(PullFailed, match=r"127.0.0.1 sends nothing of config.json, or too slowly"):
        await offered.pull("ears", "anna")
    assert_nothing_serves(offered)


async def test_a_server_that_ignores_ranges_sends_it_all_again(
    offered: Fixture, shelf: Fixture, faults: Fixture, home: Fixture
) -> None:
    begun(home, 1000)
    shelf.faults["1/net/model.onnx"] = [faults.ignore_range]
    assert (await offered.pull("ears", "anna")).paths["net/model.onnx"].read_bytes() == WEIGHTS


async def test_a_server_that_sends_another_part_is_refused(
    offered: Fixture, shelf: Fixture, faults: Fixture, home: Fixture
) -> None:
    begun(home, 1000)
    shelf.faults["1/net/model.onnx"] = [faults.another_range]
    with pytest.raises(PullFailed, match=r"another part of net/model.onnx"):
        await offered.pull("ears", "anna")


async def test_more_than_there_should_be_to_go_on_from_is_thrown_away(
    offered: Fixture, shelf: Fixture, home: Fixture
) -> None:
    half_of(home).parent.mkdir(parents=True)
    half_of(home).write_bytes(WEIGHTS + b"more")
    assert (await offered.pull("ears", "anna")).paths["net/model.onnx"].read_bytes() == WEIGHTS


async def test_wrong_content_of_the_right_size_never_serves(
    offered: Fixture, shelf: Fixture, faults: Fixture, home: Fixture
) -> None:
    shelf.faults["1/net/model.onnx"] = [faults.other_content(WEIGHTS[::-1])]
    with pytest.raises(PullFailed, match=r"net/model.onnx is not the file it should be \(SHA-256 .*thrown away"):
        await offered.pull("ears", "anna")
    assert_nothing_serves(offered)
    assert not half_of(home).exists()
    assert (await offered.pull("ears", "anna")).version == "1"


async def test_a_wrong_beginning_does_not_poison_the_pulls_that_follow(
    offered: Fixture, shelf: Fixture, home: Fixture
) -> None:
    half_of(home).parent.mkdir(parents=True)
    half_of(home).write_bytes(b"x" * 1000)
    with pytest.raises(PullFailed, match=r"is not the file it should be"):
        await offered.pull("ears", "anna")
    assert (await offered.pull("ears", "anna")).version == "1"


@pytest.mark.parametrize("content", [WEIGHTS[:-1], b"<html>Please log in to the wireless network</html>"])
async def test_a_truncated_or_other_file_is_refused_at_once(
    offered: Fixture, shelf: Fixture, faults: Fixture, content: bytes
) -> None:
    shelf.faults["1/net/model.onnx"] = [faults.other_content(content)]
    with pytest.raises(PullFailed, match=f"with {len(content)} bytes instead of {len(WEIGHTS)}"):
        await offered.pull("ears", "anna")
    assert_nothing_serves(offered)


async def test_a_server_that_sends_without_end_is_stopped(offered: Fixture, shelf: Fixture, faults: Fixture) -> None:
    shelf.faults["1/config.json"] = [faults.unsized(b"x" * 100_000)]
    with pytest.raises(PullFailed, match=r"sends more than the 2 bytes that config.json has"):
        await offered.pull("ears", "anna")


@pytest.mark.parametrize(("code", "advice"), [(404, "check the source"), (403, "check the source"), (401, "check")])
async def test_a_refusal_is_said_with_its_address_and_not_repeated(
    offered: Fixture, shelf: Fixture, faults: Fixture, code: int, advice: str
) -> None:
    shelf.faults["1/config.json"] = [faults.status(code)]
    with pytest.raises(PullFailed, match=rf"127.0.0.1 answers {code} .* for {shelf.url}/1/config.json: {advice}"):
        await offered.pull("ears", "anna")
    assert len(shelf.asked) == 1


@pytest.mark.parametrize("code", [429, 500, 503])
async def test_a_busy_server_is_asked_again_a_few_times(
    offered: Fixture, shelf: Fixture, faults: Fixture, code: int
) -> None:
    shelf.faults["1/config.json"] = [faults.status(code)] * 3
    assert (await offered.pull("ears", "anna")).version == "1"
    assert [path for path, _ in shelf.asked].count("1/config.json") == 4


async def test_a_broken_server_ends_the_pull(offered: Fixture, shelf: Fixture, faults: Fixture) -> None:
    shelf.faults["1/config.json"] = [faults.status(500)] * 4
    with pytest.raises(PullFailed, match=r"answers 500 .*try again later"):
        await offered.pull("ears", "anna")
    assert len(shelf.asked) == 4


async def test_offline_it_fails_at_once_in_one_line_and_the_old_version_serves(
    home: Fixture, shelf: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await home.has(shelf, "1", FILES)
    monkeypatch.setattr(download, "_BACK_OFF_S", 3600)
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        home.url = f"http://127.0.0.1:{nobody_listens.getsockname()[1]}"
        store = home.offers("2", FILES)
        with pytest.raises(PullFailed) as raised:
            await store.pull("ears", "anna")
    text = str(raised.value)
    assert text.startswith("cannot reach 127.0.0.1: ")
    assert text.endswith("; ears 1 goes on serving")
    assert "\n" not in text
    assert store.open("ears").version == "1"


async def test_a_failed_update_leaves_what_serves_and_the_way_back(
    home: Fixture, shelf: Fixture, faults: Fixture
) -> None:
    await home.has(shelf, "1", FILES)
    await home.has(shelf, "2", FILES)
    shelf.files |= {f"3/{path}": content for path, content in FILES.items()}
    shelf.faults["3/net/model.onnx"] = [faults.other_content(WEIGHTS[::-1])]
    store = home.offers("3", FILES)
    with pytest.raises(PullFailed, match=r"ears 2 goes on serving"):
        await store.pull("ears", "anna")
    assert store.open("ears").version == "2"
    assert store.rollback("ears", "anna") == "1"


async def test_an_update_serves_and_the_old_version_is_the_way_back(home: Fixture, shelf: Fixture) -> None:
    await home.has(shelf, "1", {"model.onnx": b"old"})
    store = await home.has(shelf, "2", {"model.onnx": b"new"})
    assert store.open("ears").paths["model.onnx"].read_bytes() == b"new"
    assert store.rollback("ears", "anna") == "1"
    assert store.open("ears").paths["model.onnx"].read_bytes() == b"old"


async def test_without_room_nothing_is_asked_for(
    offered: Fixture, shelf: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    with pytest.raises(PullFailed, match=r"0.0 GB free, 0.2 GB are needed: make room"):
        await offered.pull("ears", "anna")
    assert shelf.asked == []


async def test_a_file_of_unknown_size_needs_room_too(
    home: Fixture, shelf: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.files["1/net/model.onnx"] = WEIGHTS
    store = home.offers("1", {"net/model.onnx": WEIGHTS}, unpinned=["net/model.onnx"])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=200_000_000 + len(WEIGHTS) - 1))
    with pytest.raises(PullFailed, match=r"make room"):
        await store.pull("ears", "anna")


async def test_a_disk_that_fills_up_is_said_and_what_is_there_is_kept(
    offered: Fixture, home: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download, "_sync", full)
    with pytest.raises(PullFailed, match=r"config.json.part cannot be written: No space left on device; there is no"):
        await offered.pull("ears", "anna")
    monkeypatch.undo()
    assert (await offered.pull("ears", "anna")).version == "1"


async def test_a_store_that_may_not_be_written_is_said(offered: Fixture, home: Fixture) -> None:
    (home.data_dir / "models" / "staging").write_text("in the way")
    with pytest.raises(PullFailed, match=r"staging/ears cannot be written: Not a directory"):
        await offered.pull("ears", "anna")


# What is not known beforehand


async def test_an_unknown_checksum_is_recorded_at_the_first_pull_and_holds_from_then_on(
    home: Fixture, shelf: Fixture, faults: Fixture
) -> None:
    store = await home.has(shelf, "1", FILES, unpinned=["config.json"])
    pin = next(file.pin for file in store.deployments()[0].files if file.pin.path == "config.json")
    assert (pin.size, pin.sha256) == (2, hashlib.sha256(b"{}").hexdigest())
    store.remove("ears")
    shelf.files["1/config.json"] = b"[]"
    with pytest.raises(PullFailed, match=r"config.json is not the file it should be"):
        await store.pull("ears", "anna")
    shelf.files["1/config.json"] = b"{}"
    assert (await store.pull("ears", "anna")).version == "1"


async def test_a_file_of_unknown_checksum_begins_anew(home: Fixture, shelf: Fixture) -> None:
    shelf.files["1/net/model.onnx"] = WEIGHTS
    store = home.offers("1", {"net/model.onnx": WEIGHTS}, unpinned=["net/model.onnx"])
    half_of(home).parent.mkdir(parents=True)
    half_of(home).write_bytes(b"of another file")
    files = await store.pull("ears", "anna")
    assert shelf.asked == [("1/net/model.onnx", None)]
    assert files.paths["net/model.onnx"].read_bytes() == WEIGHTS


async def test_a_file_whose_size_nobody_says_is_refused(home: Fixture, shelf: Fixture, faults: Fixture) -> None:
    shelf.files["1/model.onnx"] = WEIGHTS
    shelf.faults["1/model.onnx"] = [faults.unsized(WEIGHTS)]
    store = home.offers("1", {"model.onnx": WEIGHTS}, unpinned=["model.onnx"])
    with pytest.raises(PullFailed, match=r"does not say the size of model.onnx: put it in the manifest"):
        await store.pull("ears", "anna")


async def test_other_checksums_or_files_need_another_version(home: Fixture, shelf: Fixture) -> None:
    await home.has(shelf, "1", FILES)
    for files in (FILES | {"config.json": b"[]"}, FILES | {"more.txt": b"more"}):
        store = home.offers("1", files)
        with pytest.raises(RegistryError, match=r"give .*another version in the manifest"):
            await store.pull("ears", "anna")
        assert store.open("ears").version == "1"


# Interrupted and simultaneous


async def test_a_cancelled_pull_shows_nothing_and_the_next_goes_on(
    offered: Fixture, shelf: Fixture, home: Fixture
) -> None:
    shelf.faults["1/net/model.onnx"] = [shelf.stall_after(400_000)]
    arrived = asyncio.Event()
    pull = asyncio.create_task(
        offered.pull("ears", "anna", lambda progress: arrived.set() if progress.done == 400_002 else None)
    )
    await arrived.wait()
    pull.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pull
    assert_nothing_serves(offered)
    assert (await offered.pull("ears", "anna")).version == "1"
    assert shelf.asked[-1] == ("1/net/model.onnx", "bytes=400000-")


async def test_a_pull_cancelled_while_it_registers_holds_its_lock_to_the_end(
    offered: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    registering, may_end = threading.Event(), threading.Event()
    deploy = Registry.deploy

    def slowly(*arguments: Fixture) -> None:
        registering.set()
        may_end.wait()
        deploy(*arguments)

    monkeypatch.setattr(Registry, "deploy", slowly)
    pull = asyncio.create_task(offered.pull("ears", "anna"))
    await asyncio.to_thread(registering.wait)
    pull.cancel()
    done, _ = await asyncio.wait([pull], timeout=0.1)
    assert not done
    with pytest.raises(ModelError, match="being pulled or removed"):
        await offered.pull("ears", "ben")
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await pull
    assert offered.open("ears").version == "1"


_PULL = """
import asyncio, sys
from pathlib import Path
from barnabeenet_sidecar.models.store import Store

def report(progress):
    print(progress.done, flush=True)

asyncio.run(Store(Path(sys.argv[1])).pull("ears", "somebody", report))
"""


@pytest.mark.faults
async def test_a_killed_pull_shows_nothing_and_the_next_goes_on(
    offered: Fixture, shelf: Fixture, home: Fixture
) -> None:
    shelf.faults["1/net/model.onnx"] = [shelf.stall_after(400_000)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PULL, str(home.data_dir), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    async for line in process.stdout:
        if int(line) == 400_002:
            break
    with pytest.raises(ModelError, match=r"ears is being pulled or removed right now"):
        await offered.pull("ears", "anna")
    process.kill()
    await process.wait()
    assert_nothing_serves(offered)
    assert (await offered.pull("ears", "anna")).version == "1"
    # What the killed process still had in its buffer is lost.
    assert 0 < first_byte(shelf.asked[-1][1]) <= 400_000


async def test_a_second_pull_of_a_model_is_refused_and_disturbs_nothing(offered: Fixture, shelf: Fixture) -> None:
    shelf.faults["1/config.json"] = [shelf.stall_after(1)]
    arrived = asyncio.Event()
    first = asyncio.create_task(offered.pull("ears", "anna", lambda _: arrived.set()))
    await arrived.wait()
    with pytest.raises(ModelError, match=r"being pulled or removed"):
        await offered.pull("ears", "ben")
    with pytest.raises(ModelError):
        offered.remove("ears")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await offered.pull("ears", "ben")).version == "1"


async def test_what_an_unfinished_pull_left_can_be_removed(offered: Fixture, home: Fixture) -> None:
    begun(home, 1000)
    assert offered.remove("ears") == ["1"]
    assert not half_of(home).exists()
    with pytest.raises(NoUsableVersion):
        offered.remove("ears")


async def test_what_was_staged_for_other_files_is_dropped(offered: Fixture, home: Fixture) -> None:
    staging = half_of(home).parent.parent
    (staging / "old").mkdir(parents=True)
    (staging / "old" / "weights.bin").write_bytes(b"old")
    (staging / "config.json").write_bytes(b"[]")
    files = await offered.pull("ears", "anna")
    assert not (files.folder / "old" / "weights.bin").exists()
    assert files.paths["config.json"].read_bytes() == b"{}"


async def test_a_crash_before_the_registry_knew_costs_no_second_download(
    offered: Fixture, shelf: Fixture, home: Fixture
) -> None:
    await offered.pull("ears", "anna")
    for file in (home.data_dir / "models").glob("registry.sqlite*"):
        file.unlink()
    shelf.asked.clear()
    store = home.offers("1", FILES)
    assert_nothing_serves(store)
    assert (await store.pull("ears", "anna")).version == "1"
    assert shelf.asked == []


async def test_mending_a_damaged_version_fetches_only_what_is_damaged(
    offered: Fixture, shelf: Fixture, flip: Callable[[Path], None]
) -> None:
    files = await offered.pull("ears", "anna")
    flip(files.paths["config.json"])
    shelf.asked.clear()
    mended = await offered.pull("ears", "anna")
    assert shelf.asked == [("1/config.json", None)]
    assert {path: mended.paths[path].read_bytes() for path in FILES} == FILES


# From a package


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that must not be imported."""
    folder = tmp_path / "site-packages" / "carries_weights"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(folder.parent))
    return folder


async def test_a_package_gives_its_file_without_being_imported(home: Fixture, package: Path) -> None:
    (package / "pretrained.pt").write_bytes(WEIGHTS)
    store = home.offers("1", {"pretrained.pt": WEIGHTS}, source='{ type = "package", package = "carries_weights" }')
    assert (await store.pull("ears", "anna")).paths["pretrained.pt"].read_bytes() == WEIGHTS


async def test_another_file_in_the_package_is_refused(home: Fixture, package: Path) -> None:
    (package / "pretrained.pt").write_bytes(WEIGHTS[::-1])
    store = home.offers("1", {"pretrained.pt": WEIGHTS}, source='{ type = "package", package = "carries_weights" }')
    with pytest.raises(PullFailed, match=r"is not the file it should be"):
        await store.pull("ears", "anna")


@pytest.mark.parametrize("name", ["carries_weights", "is_not_installed"])
async def test_a_package_or_file_that_is_not_installed_is_said(home: Fixture, package: Path, name: str) -> None:
    store = home.offers("1", {"pretrained.pt": WEIGHTS}, source=f'{{ type = "package", package = "{name}" }}')
    with pytest.raises(PullFailed, match=f"package {name} is not installed with pretrained.pt: install it"):
        await store.pull("ears", "anna")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("parakeet", "parakeet-tdt-0.6b-v3 or parakeet-tdt-0.6b-v3-int8"),
        ("Kokoro", "kokoro-82m-v1.0"),
        ("kokoro-82m-v1.1", "kokoro-82m-v1.0"),
        ("wisper-small", "whisper-small"),
        ("er", "ears"),
    ],
)
async def test_a_name_with_a_slip_is_answered_with_what_may_be_meant(offered: Fixture, typed: str, meant: str) -> None:
    with pytest.raises(UnknownModel, match=re.escape(f"there is no model {typed}: did you mean {meant}?")):
        await offered.pull(typed, "anna")


async def test_a_model_that_nobody_knows_is_said_with_those_there_are(offered: Fixture) -> None:
    with pytest.raises(UnknownModel, match=r"there is no model nose; there are: ears, kokoro"):
        await offered.pull("nose", "anna")
