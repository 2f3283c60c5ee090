"""The command line as a person uses it: real processes."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
import io
import json
import os
from pathlib import Path
import pty
import signal
import sys
import wave

import pytest

from barnabeenet_sidecar.__main__ import main

READY = "barnabeenet_sidecar.app: ready after"
LOCK = "s2p_en_human/lock_the_Front_Door.wav"
VOCABULARY = {
    "language": "en",
    "sentences": ["turn on the {name}", "lock the {name}", "what time is it"],
    "lists": {"name": ["front door", "bed light"]},
}


@dataclass
class Result:
    code: int | None
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()


Run = Callable[..., Awaitable[Result]]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Free ports, and a data folder that is nobody else's."""
    return {
        **os.environ,
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "BARNABEENET_DATA_DIR": str(tmp_path / "data"),
        "BARNABEENET_HOST": "127.0.0.1",
        "BARNABEENET_PORT": "0",
        "BARNABEENET_HTTP_PORT": "0",
        "BARNABEENET_STT_WORKERS": "1",
        "BARNABEENET_LOG_FORMAT": "text",
    }


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    async def run(*arguments: str, stdin: bytes | None = None) -> Result:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "barnabeenet_sidecar", *arguments),
            stdin=DEVNULL if stdin is None else PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=environment,
            cwd=tmp_path,
        )
        async with asyncio.timeout(60):
            out, err = await process.communicate(stdin)
        return Result(process.returncode, out, err.decode())

    return run


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    path = tmp_path / "vocabulary.json"
    path.write_text(json.dumps(VOCABULARY))
    return path


class Serving:
    """A `serve` process, its log lines and, with a terminal, what it shows there."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def until(self, text: str) -> str:
        assert self.process.stderr is not None
        async with asyncio.timeout(60):
            while line := (await self.process.stderr.readline()).decode():
                self.lines.append(line)
                if text in line:
                    return line
        raise AssertionError(f"it ended before {text!r}: {self.lines}")

    async def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        async with asyncio.timeout(30):
            _, err = await self.process.communicate()
        self.lines += err.decode().splitlines()
        assert self.process.returncode is not None
        return self.process.returncode


@pytest.fixture
async def serve(environment: dict[str, str]) -> AsyncIterator[Callable[..., Awaitable[Serving]]]:
    started: list[Serving] = []

    async def start(*arguments: str, stdout: int = DEVNULL) -> Serving:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "barnabeenet_sidecar", "serve", *arguments),
            stdin=DEVNULL,
            stdout=stdout,
            stderr=PIPE,
            env=environment,
        )
        started.append(Serving(process))
        return started[-1]

    yield start
    for serving in started:
        if serving.process.returncode is None:
            serving.process.kill()
            await serving.process.communicate()


# say


async def test_a_text_is_spoken_into_a_wav_file(run: Run, tmp_path: Path) -> None:
    result = await run("say", "The lamp is on.", "-o", "lamp.wav")
    assert (result.code, result.err) == (0, "")
    assert result.text.startswith("lamp.wav: ")
    with wave.open(str(tmp_path / "lamp.wav")) as reader:
        assert (reader.getnchannels(), reader.getsampwidth()) == (1, 2)
        assert 0.5 < reader.getnframes() / reader.getframerate() < 4


async def test_a_dash_sends_the_wav_file_to_stdout(run: Run) -> None:
    result = await run("say", "The lamp is on.", "-o", "-")
    assert result.code == 0
    with wave.open(io.BytesIO(result.out)) as reader:
        assert reader.getnframes() > 4000


async def test_a_reader_who_leaves_early_costs_no_traceback(environment: dict[str, str], tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "barnabeenet_sidecar", "say", "The lamp is on. " * 50, "-o", "-"),
        stdout=theirs,
        stderr=PIPE,
        env=environment,
    )
    os.close(theirs)
    _, err = await process.communicate()
    assert (process.returncode, err) == (1, b"")


async def test_an_unknown_voice_is_refused(run: Run) -> None:
    result = await run("say", "Hello.", "--voice", "no such voice")
    assert result.code == 1
    assert "no such voice" in result.err
    assert "Traceback" not in result.err


async def test_a_file_that_cannot_be_written_is_refused(run: Run) -> None:
    result = await run("say", "Hello.", "-o", "no/such/folder/x.wav")
    assert result.code == 1
    assert "no/such/folder/x.wav cannot be written" in result.err


# hear


async def test_the_words_of_a_recording_are_printed(run: Run, recordings: Path, vocabulary: Path) -> None:
    result = await run("hear", str(recordings / LOCK), "--vocabulary", str(vocabulary))
    assert (result.code, result.text.casefold()) == (0, "lock the front door\n")


async def test_what_one_command_says_another_hears(run: Run, vocabulary: Path) -> None:
    speech = await run("say", "What time is it?", "-o", "-")
    result = await run("hear", "-", "--vocabulary", str(vocabulary), "--json", stdin=speech.out)
    heard = json.loads(result.out)
    assert heard["text"].casefold() == "what time is it"
    assert 0 < heard["confidence"] <= 1
    assert heard["audio_ms"] > 500
    assert heard["decode_ms"] > 0


async def test_a_shell_beside_a_sidecar_that_serves_does_not_disturb_it(
    serve: Callable[..., Awaitable[Serving]], run: Run, recordings: Path, tmp_path: Path
) -> None:
    serving = await serve()
    await serving.until(READY)
    data = tmp_path / "data"
    before = sorted(data.rglob("*"))
    assert (await run("hear", str(recordings / LOCK))).code == 0
    assert (await run("doctor")).code == 0
    assert sorted(data.rglob("*")) == before
    assert await serving.stop() == 0


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[]", "must be a JSON object"),
        (b"{", "cannot be used"),
        (b'{"sentences": ["a"]}', "language"),
        (b'{"language": "en", "sentences": "a"}', "sentences must be a list"),
    ],
)
async def test_a_broken_vocabulary_is_refused_with_the_reason(
    run: Run, tmp_path: Path, recordings: Path, content: bytes, expected: str
) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    result = await run("hear", str(recordings / LOCK), "--vocabulary", str(path))
    assert result.code == 1
    assert expected in result.err
    assert "Traceback" not in result.err


async def test_a_recording_that_is_not_there_is_refused(run: Run) -> None:
    result = await run("hear", "nothing.wav")
    assert result.code == 1
    assert "nothing.wav cannot be read: No such file" in result.err


async def test_what_is_no_wav_file_is_refused(run: Run) -> None:
    result = await run("hear", "-", stdin=b"hello")
    assert result.code == 1
    assert "WAV" in result.err


# token and doctor


async def test_the_token_is_made_once_and_printed_as_often_as_one_asks(run: Run, tmp_path: Path) -> None:
    first, second = await run("token"), await run("token")
    assert first.code == 0
    assert first.out == second.out
    assert len(first.text.strip()) >= 32
    assert (tmp_path / "data" / "token").stat().st_mode & 0o777 == 0o600


async def test_the_doctor_ends_well_where_the_sidecar_can_serve(run: Run) -> None:
    result = await run("doctor")
    assert result.code == 0, result.text
    assert "speech recognition" in result.text
    assert result.text.endswith("It can serve.\n")


async def test_the_doctor_fails_where_it_cannot(run: Run) -> None:
    result = await run("doctor", "--host", "192.0.2.77")
    assert result.code == 1
    assert "choose another with --port or --host" in " ".join(result.text.split())


# serve


async def test_it_serves_until_it_is_told_to_stop(serve: Callable[..., Awaitable[Serving]]) -> None:
    serving = await serve()
    await serving.until(READY)
    assert await serving.stop() == 0
    assert not any("Traceback" in line or "ERROR" in line for line in serving.lines)


async def test_a_stop_while_it_still_loads_is_obeyed(serve: Callable[..., Awaitable[Serving]]) -> None:
    serving = await serve()
    await serving.until("(http_port)")
    assert await serving.stop() == 0


async def test_an_interrupt_stops_it_as_well(serve: Callable[..., Awaitable[Serving]]) -> None:
    serving = await serve()
    await serving.until(READY)
    assert await serving.stop(signal.SIGINT) == 0


async def test_the_token_is_shown_on_a_terminal_at_the_first_start_alone(
    serve: Callable[..., Awaitable[Serving]], run: Run
) -> None:
    shown = []
    for _ in range(2):
        ours, theirs = pty.openpty()
        serving = await serve("--name", "Beast", stdout=theirs)
        await serving.until("listening on 127.0.0.1 port")
        await serving.until("announced")
        os.write(theirs, b"\nend of the test\n")
        os.close(theirs)
        assert await serving.stop() == 0
        shown.append(os.read(ours, 4096).decode())
        os.close(ours)
    token = (await run("token")).text.strip()
    assert token in shown[0]
    assert "Beast" in shown[0]
    assert token not in shown[1]
    assert token not in "".join(serving.lines)


async def test_a_log_never_shows_the_token(serve: Callable[..., Awaitable[Serving]], run: Run) -> None:
    serving = await serve("--log-level", "debug", stdout=PIPE)
    await serving.until("barnabeenet-sidecar token")
    serving.process.send_signal(signal.SIGTERM)
    out, err = await serving.process.communicate()
    token = (await run("token")).out.strip()
    assert token not in out + err + "".join(serving.lines).encode()


async def test_a_second_sidecar_on_the_same_port_is_told_so(
    serve: Callable[..., Awaitable[Serving]], run: Run, environment: dict[str, str]
) -> None:
    first = await serve()
    line = await first.until("(port)")
    port = line.split("port ")[1].split()[0]
    result = await run("serve", "--port", port)
    assert result.code == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in result.err
    assert "Traceback" not in result.err


# wrong calls, in this process: nothing is started


@pytest.mark.parametrize("arguments", [[], ["sing"], ["say"], ["hear"], ["serve", "--colour", "red"]])
def test_a_wrong_call_shows_the_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: barnabeenet-sidecar" in capsys.readouterr().err


def test_a_wrong_setting_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "many", "--tts", "festival"]) == 2
    err = capsys.readouterr().err
    assert "barnabeenet-sidecar: port is 'many'" in err
    assert "barnabeenet-sidecar: tts is 'festival': input should be 'auto', 'kokoro', 'flite' or 'espeak'" in err


def test_a_configuration_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["doctor", "--config", str(tmp_path / "none.toml")]) == 2
    assert "none.toml" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["serve", "say", "hear", "token", "doctor"])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert "--config" in capsys.readouterr().out


async def test_models_that_can_be_pulled_are_listed(run: Run) -> None:
    result = await run("models", "list")
    assert result.code == 0
    assert "parakeet-tdt-0.6b-v3" in result.text
    assert "CC-BY-4.0" in result.text


async def test_an_unknown_model_is_refused_in_one_line(run: Run) -> None:
    result = await run("models", "pull", "cleverest-model")
    assert result.code == 1
    assert result.err.count("\n") == 1
    assert "cleverest-model" in result.err


async def test_nothing_is_written_into_the_users_home_and_no_library_reports_to_its_maker(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(tmp_path)}
    script = (
        "import barnabeenet_sidecar, onnxruntime, os, asyncio; from barnabeenet_sidecar.engines.silero import Silero;"
        "asyncio.run(Silero().load()); print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, env=environment, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await child.communicate()
    assert (child.returncode, told) == (0, b"1\n")
    assert list(home.rglob("*")) == []


async def test_matrices_are_multiplied_on_one_core() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    script = (
        "import barnabeenet_sidecar, numpy, os; square = numpy.ones((512, 512)); square @ square;"
        "print(len(os.listdir('/proc/self/task')))"
    )
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, env=environment, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await child.communicate()
    assert (child.returncode, told) == (0, b"1\n")
