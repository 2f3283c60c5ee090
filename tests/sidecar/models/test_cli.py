"""The commands, as they are typed, on a real store and a real web server."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
import sys
from typing import Any

import pytest

from barnabeenet_sidecar.models import cli
from barnabeenet_sidecar.models.errors import ChangeRefused, ManifestError, PullFailed
from barnabeenet_sidecar.models.store import Store

FILES = {"model.onnx": b"weights" * 1000}
Fixture = Any


async def run(store: Store, *arguments: str) -> int:
    parser = argparse.ArgumentParser()
    cli.add_commands(parser)
    options = parser.parse_args(arguments)
    code: int = await options.models_command(store, options)
    return code


@pytest.fixture(autouse=True)
def user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "anna")


@pytest.fixture
async def store(home: Fixture, shelf: Fixture) -> Store:
    """Version 2 serves, version 1 is the way back."""
    await home.has(shelf, "1", FILES)
    result: Store = await home.has(shelf, "2", FILES)
    return result


def table(text: str) -> dict[tuple[str, str], str]:
    """Lines by model and version."""
    lines = [line.split() for line in text.splitlines()]
    return {(line[0], line[1]): " ".join(line[2:]) for line in lines}


async def test_list_shows_what_is_here_and_what_can_be_pulled(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(store, "list") == 0
    rows = table(capsys.readouterr().out)
    assert rows["MODEL", "VERSION"] == "STATUS DOES SIZE VRAM LICENCE DEPLOYED"
    assert rows["ears", "2"].startswith("active stt 7.0 kB 10 MB MIT 20")
    assert rows["ears", "2"].endswith("UTC by somebody")
    assert rows["ears", "1"].startswith("rollback_available stt")
    assert rows["kokoro-82m-v1.0", "1.0"] == "to pull tts 353.7 MB 3072 MB Apache-2.0"
    assert rows["parakeet-tdt-0.6b-v3-int8", "8f23f0c"] == "to pull stt 670.5 MB - CC-BY-4.0"


async def test_list_shows_an_update_beside_what_serves(
    store: Store, home: Fixture, capsys: pytest.CaptureFixture[str]
) -> None:
    await run(home.offers("3", FILES), "list")
    rows = table(capsys.readouterr().out)
    assert rows["ears", "3"].startswith("to pull")
    assert rows["ears", "2"].startswith("active")


async def test_list_shows_damage_and_models_that_left_the_manifest(
    store: Store, home: Fixture, capsys: pytest.CaptureFixture[str]
) -> None:
    store.open("ears").paths["model.onnx"].unlink()
    store.open("ears")
    (home.data_dir / "models.toml").unlink()
    await run(Store(home.data_dir), "list")
    printed = capsys.readouterr().out
    *lines, said = printed.splitlines()
    assert said == "ears 2 is damaged: model.onnx is missing"
    rows = table("\n".join(lines))
    assert rows["ears", "2"].startswith("damaged 7.0 kB 20")
    assert rows["ears", "1"].startswith("active 7.0 kB")


async def test_columns_stand_under_their_heads(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    await run(store, "list")
    head, *lines = capsys.readouterr().out.splitlines()
    at = head.index("STATUS")
    assert {line[at - 1] for line in lines} == {" "}
    assert all(line[at] != " " for line in lines)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("columns", [60, 80, 100, 200])
async def test_list_fits_the_terminal_and_says_what_it_leaves_out(
    store: Store, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    await run(store, "list")
    lines = terminal.getvalue().splitlines()
    assert max(map(len, lines)) <= columns
    shown = lines[0].split()
    assert shown[:3] == ["MODEL", "VERSION", "STATUS"]
    left_out = ["DOES", "SIZE", "VRAM", "LICENCE", "DEPLOYED"][len(shown) - 3 :]
    assert (lines[-1] == f"(a wider terminal shows {', '.join(left_out)})") == bool(left_out)
    assert ("SIZE" in shown) == (columns >= 80)


async def test_list_shows_what_is_here_and_then_what_is_wrong_in_the_homes_manifest(
    store: Store, home: Fixture, capsys: pytest.CaptureFixture[str]
) -> None:
    (home.data_dir / "models.toml").write_text("[[model]")
    with pytest.raises(ManifestError, match="not valid TOML"):
        await run(Store(home.data_dir), "list")
    assert table(capsys.readouterr().out)["ears", "2"].startswith("active")


async def test_pull_shows_progress_on_stderr_and_the_end_on_stdout(
    store: Store, home: Fixture, shelf: Fixture, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.files["3/model.onnx"] = FILES["model.onnx"]
    assert await run(home.offers("3", FILES), "pull", "ears") == 0
    captured = capsys.readouterr()
    assert captured.out == "ears 3 serves\n"
    assert captured.err.splitlines()[-1] == "ears: 100 % of 7.0 kB"
    assert store.deployments()[0].deployed_by == "anna"


async def test_pull_draws_a_bar_on_a_terminal(
    store: Store, home: Fixture, shelf: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.files["3/model.onnx"] = FILES["model.onnx"]
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    await run(home.offers("3", FILES), "pull", "ears")
    assert "[########################]  100 % of 7.0 kB" in terminal.getvalue()
    assert terminal.getvalue().endswith("\n")


async def test_a_pull_that_fails_ends_with_one_error_and_its_progress_line_is_ended(
    store: Store, home: Fixture, shelf: Fixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(PullFailed, match=r"answers 404 .*; ears 2 goes on serving"):
        await run(home.offers("3", FILES), "pull", "ears", "kokoro-82m-v1.0")
    assert capsys.readouterr().out == ""


async def test_verify_says_that_all_is_right(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(store, "verify") == 0
    assert sorted(capsys.readouterr().out.splitlines()) == [
        "ears 1: every byte is right",
        "ears 2: every byte is right",
    ]


async def test_verify_names_what_is_damaged_and_fails(
    store: Store, flip: Fixture, capsys: pytest.CaptureFixture[str]
) -> None:
    flip(store.open("ears").paths["model.onnx"])
    assert await run(store, "verify", "ears") == 1
    assert "ears 2: the SHA-256 of model.onnx is" in capsys.readouterr().out


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.faults
@pytest.mark.parametrize("truncated", [False, True], ids=["a bit flipped", "truncated"])
async def test_damage_is_refused_by_verify_and_by_the_next_start_and_the_version_before_serves(
    store: Store, home: Fixture, flip: Fixture, capsys: pytest.CaptureFixture[str], truncated: bool
) -> None:
    harm = truncate if truncated else flip
    harm(store.open("ears").paths["model.onnx"])
    # What the next start of the sidecar does.
    files = Store(home.data_dir).open("ears")
    assert files.version == "1"
    assert files.notice is not None
    assert files.notice.startswith("ears 2 is damaged (")
    assert files.notice.endswith("): 1 serves instead")
    assert await run(store, "verify", "ears") == 1
    lines = sorted(capsys.readouterr().out.splitlines())
    assert lines[0] == "ears 1: every byte is right"
    assert lines[1].startswith(
        "ears 2: model.onnx has 6000 bytes" if truncated else "ears 2: the SHA-256 of model.onnx"
    )
    with pytest.raises(ChangeRefused, match=r"ears 2 may not serve \(.*\): pull it again"):
        await run(store, "activate", "ears", "2")
    assert await run(store, "pull", "ears") == 0
    assert capsys.readouterr().out == "ears 2 serves\n"
    assert await run(store, "verify", "ears") == 0


async def test_rollback_and_activate_say_what_serves(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(store, "rollback", "ears") == 0
    assert await run(store, "activate", "ears", "2") == 0
    assert capsys.readouterr().out.splitlines() == ["ears 1 serves", "ears 2 serves"]
    assert store.open("ears").version == "2"


async def test_rm_says_what_went(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(store, "rm", "ears", "1") == 0
    assert await run(store, "rm", "ears") == 0
    assert capsys.readouterr().out.splitlines() == ["ears 1 is removed", "ears 2 is removed"]
    assert store.deployments() == []


@pytest.mark.parametrize("arguments", [[], ["pull"], ["activate", "ears"], ["rollback"], ["rm"], ["eat", "ears"]])
async def test_a_command_that_is_incomplete_is_refused(tmp_path: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        await run(Store(tmp_path), *arguments)
    assert raised.value.code == 2
