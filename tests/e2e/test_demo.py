"""`script/demo` as a user runs it: real processes, real speech, nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator
import json
import os
from pathlib import Path
import shutil
import signal
import subprocess
import wave

import psutil
import pytest

from script.home.family import LINES

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

DEMO_S = 360


def left_behind(root: Path) -> list[psutil.Process]:
    """Processes that work in the demo's folder, and the demo itself."""
    folder = str(root / ".demo" / "demo")
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        environment, words = process.info["environ"] or {}, process.info["cmdline"] or ()
        is_its_program = "home.demo" in words and environment.get("PYTHONPATH") == str(root / "script")
        if is_its_program or any(folder in word for word in (*words, environment.get("BARNABEENET_DATA_DIR", ""))):
            found.append(process)
    return found


def still_left_behind(root: Path) -> list[psutil.Process]:
    """Those of them that do not end: what was killed last may take a moment to be gone."""
    psutil.wait_procs(left_behind(root), timeout=20)
    return left_behind(root)


def demo(root: Path, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(root / "script" / "demo"), *map(str, arguments)]
    env = os.environ | environment
    return subprocess.run(command, capture_output=True, text=True, timeout=DEMO_S, check=False, env=env)


@pytest.fixture
def nothing_left(root: Path) -> Iterator[None]:
    assert still_left_behind(root) == []
    yield
    assert still_left_behind(root) == []


@pytest.fixture(scope="module")
def user_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("user")


@pytest.fixture(scope="module")
def shown_and_replies(
    root: Path, user_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[subprocess.CompletedProcess[str], list[Path]]:
    """A demo, and its replies in a safe place: each demo begins by clearing the folder of the last one."""
    shown = demo(root, "--json", HOME=str(user_home))
    kept = tmp_path_factory.mktemp("replies")
    replies = sorted((root / ".demo" / "demo" / "replies").glob("*.wav"))
    return shown, [Path(shutil.copy(reply, kept)) for reply in replies]


@pytest.fixture
def shown(
    shown_and_replies: tuple[subprocess.CompletedProcess[str], list[Path]],
) -> subprocess.CompletedProcess[str]:
    return shown_and_replies[0]


@pytest.fixture
def replies(shown_and_replies: tuple[subprocess.CompletedProcess[str], list[Path]]) -> list[Path]:
    return shown_and_replies[1]


def test_every_spoken_command_is_done_one_of_them_after_the_wake_word(
    shown: subprocess.CompletedProcess[str], root: Path
) -> None:
    assert shown.returncode == 0, shown.stdout + shown.stderr
    commands = [json.loads(line) for line in shown.stdout.splitlines()]
    assert len(commands) >= 12
    assert all(command["done"] for command in commands)
    assert any(command["said"].startswith("okay nabu, ") for command in commands)
    assert still_left_behind(root) == []


def test_each_command_tells_what_was_heard_answered_and_how_long_it_took(
    shown: subprocess.CompletedProcess[str],
) -> None:
    for command in map(json.loads, shown.stdout.splitlines()):
        assert command["heard"]
        assert command["reply"]
        assert command["timings"]["hearing_ms"] < 3000
        # Both ends of it may come in at once.
        assert command["timings"]["acting_ms"] >= 0
        assert 0 < command["timings"]["end_of_speech_to_first_audio_ms"] < 5000


def test_who_lives_there_is_known_by_voice_and_what_one_told_stays_theirs(
    shown: subprocess.CompletedProcess[str],
) -> None:
    family = [line for line in map(json.loads, shown.stdout.splitlines()) if "by" in line]
    assert [(line["by"], line["said"]) for line in family] == [(line.who.name, line.said) for line in LINES]
    assert all(line["speaker"] == line["by"] and line["confidence"] > 0.6 for line in family)
    told, others, own = family[-3:]
    assert told["reply"] == "I'll remember that. Your bike code is 4 7 1 1."
    assert (others["by"], own["by"]) == ("Ben", "Ada")
    assert others["said"] == own["said"] == "what is my bike code"
    assert "4 7 1 1" in own["reply"]
    assert "4" not in others["reply"]


def test_each_reply_lies_there_as_audio_that_can_be_played(
    shown: subprocess.CompletedProcess[str], replies: list[Path]
) -> None:
    assert len(replies) == len(shown.stdout.splitlines())
    for reply in replies:
        with wave.open(str(reply)) as file:
            assert file.getnframes() / file.getframerate() > 0.2


def test_nothing_is_written_into_the_users_home(shown: subprocess.CompletedProcess[str], user_home: Path) -> None:
    assert shown.returncode == 0
    assert list(user_home.rglob("*")) == []


@pytest.mark.usefixtures("nothing_left")
def test_a_command_that_does_something_else_makes_the_demo_fail(
    replies: list[Path], root: Path, tmp_path: Path
) -> None:
    # The reply of the demo's first command is speech, but it is not what its new name says.
    pretended = shutil.copy(replies[0], tmp_path / "lock_the_Front_Door.wav")
    failed = demo(root, pretended, "--json")
    assert failed.returncode == 1
    told = json.loads(failed.stdout)
    assert told["said"] == "lock the Front Door"
    assert told["done"] is False
    assert "lock.front_door is unlocked" in told["wrong"]


@pytest.mark.usefixtures("nothing_left")
def test_a_recording_that_is_no_audio_is_refused_before_anything_starts(root: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.wav"
    notes.write_text("buy milk")
    failed = demo(root, notes)
    assert failed.returncode == 2
    assert "notes.wav" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("nothing_left")
def test_an_interrupted_demo_takes_everything_down(root: Path, number: signal.Signals) -> None:
    # A shell has what it starts in the background ignore Ctrl-C, these tests and their children included.
    command = ["env", "--default-signal=INT", str(root / "script" / "demo"), "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        told = []
        for line in process.stderr:
            told.append(line)
            if "Home Assistant is at http://127.0.0.1:" in line:
                break
        assert len(left_behind(root)) >= 3, "".join(told)
        process.send_signal(number)
        _, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in rest
