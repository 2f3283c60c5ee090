"""What each command of the command line does; see __main__ for their options."""

from __future__ import annotations

import argparse
import asyncio
from functools import partial
import hashlib
import json
import logging
from pathlib import Path
import signal
import sys
import time

from wyoming.event import Event

from . import app, doctor as doctor_checks
from .audio.pcm import Pcm, resample, wav_read, wav_write
from .config import Settings, default_config_file
from .config_changes import changes_of
from .engines.base import SAMPLE_RATE_HZ, SpeechToText, Transcription, Vocabulary
from .errors import BadRequest
from .models.store import Store
from .net.drain import DRAIN_S
from .net.http_guard import http_token
from .net.http_ready import configuration
from .net.messages import MessageError, Vocabulary as VocabularyMessage
from .net.vocabulary import from_message
from .pairing_token import is_new, pairing_token
from .reload import Outcome, Reloader
from .roster import HEARING, SPEAKING
from .telemetry import logs
from .telemetry.metrics import Metrics

_LOGGER = logging.getLogger(__name__)


async def serve(settings: Settings, options: argparse.Namespace) -> int:
    """Serves until SIGTERM or SIGINT, then drains; a second one ends that at once.

    Reads its settings again at SIGHUP and when their file changes.
    """
    await _configure_logs(settings)
    is_first_start = is_new(settings)
    stop, at_once = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (at_once if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    reloader = Reloader(settings, options.load)
    reloader.on(("profile", "log_level", "log_format", "log_content"), _configure_logs)
    with changes_of(options.config or default_config_file()) as changes:
        async with app.running(settings) as sidecar:
            reloader.on(("stt", "tts", "wake", "stt_workers", "device", "vram_mb"), sidecar.room.change)
            reloader.on(("parallel",), sidecar.set_parallel)
            reloader.on(("name",), sidecar.rename)
            reloader.observe(partial(_count_reload, sidecar.metrics))
            sidecar.readiness.observe(lambda: configuration(reloader.last_error))
            _show_pairing(settings, sidecar, is_first_start=is_first_start)
            async with reloader.following(changes):
                await stop.wait()
            await sidecar.drain(DRAIN_S, at_once)
    return 0


def _count_reload(metrics: Metrics, outcome: Outcome) -> None:
    metrics.config_reloaded("taken" if outcome in ("applied", "unchanged") else "refused")


async def _configure_logs(settings: Settings) -> None:
    logs.configure(settings.log_level, settings.log_format, log_content=settings.log_content)
    if settings.log_content:
        _LOGGER.warning("the log shows what is said and what things are called: log_content is on")


def _show_pairing(settings: Settings, sidecar: app.Sidecar, *, is_first_start: bool) -> None:
    """The token goes to a terminal once, never into a log."""
    if is_first_start and sys.stdout.isatty():
        sys.stdout.write(
            f"\nPair in Home Assistant (Settings, Devices & services, Add integration, BarnabeeNet):\n"
            f"    sidecar  {settings.name}, port {sidecar.port}\n"
            f"    token    {sidecar.token}\n\n"
        )
        sys.stdout.flush()
    else:
        _LOGGER.info("pair with the token that `barnabeenet-sidecar token` prints")


async def token(settings: Settings, options: argparse.Namespace) -> int:
    """Prints the pairing token, or that of the HTTP endpoints."""
    pairing = pairing_token(settings)
    sys.stdout.write((http_token(pairing) if options.http else pairing) + "\n")
    return 0


async def doctor(settings: Settings, _options: argparse.Namespace) -> int:
    """Prints the findings; 0 when `serve` would hear and answer."""
    # What engines log while they load is in the findings.
    logs.configure("error", "text")
    findings = await doctor_checks.examine(settings)
    sys.stdout.write(doctor_checks.render(findings) + "\n")
    return 0 if doctor_checks.can_serve(findings) else 1


async def say(settings: Settings, options: argparse.Namespace) -> int:
    """Speaks a text into a WAV file or stdout."""
    if options.output == "-" and sys.stdout.isatty():
        raise BadRequest("a WAV file would spoil your terminal: send stdout elsewhere, or name a file with -o")
    logs.configure("warning", "text")
    async with app.engines_of_a_command(settings, SPEAKING) as roster:
        await roster.load_for(roster.engines.tts)
        engine = roster.engines.tts.get()
        chunks = engine.synthesise(options.text, options.voice, options.language)
        speech = Pcm(b"".join([chunk async for chunk in chunks]), engine.rate_hz)
    if options.output == "-":
        wav_write(sys.stdout.buffer, speech)
        return 0
    try:
        wav_write(Path(options.output), speech)
    except OSError as err:
        raise BadRequest(f"{options.output} cannot be written: {err.strerror}") from err
    seconds = speech.duration_ms / 1000
    sys.stdout.write(f"{options.output}: {seconds:.1f} s at {speech.rate_hz} Hz by {engine.info.name}\n")
    return 0


async def hear(settings: Settings, options: argparse.Namespace) -> int:
    """Prints the words of a WAV file; an empty line when there are none."""
    logs.configure("warning", "text")
    recording = _read_wav(options.file)
    vocabulary = _read_vocabulary(options.vocabulary) if options.vocabulary else None
    async with app.engines_of_a_command(settings, HEARING) as roster:
        await roster.load_for(roster.engines.stt)
        words, decode_ms = await _recognise(roster.engines.stt.get(), recording, vocabulary, options.language)
    if options.json:
        figures = {
            "text": words.text,
            "confidence": words.confidence,
            "audio_ms": round(recording.duration_ms),
            "decode_ms": round(decode_ms),
        }
        sys.stdout.write(json.dumps(figures, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(words.text + "\n")
    return 0


async def _recognise(
    engine: SpeechToText, recording: Pcm, vocabulary: Vocabulary | None, language: str | None
) -> tuple[Transcription, float]:
    """The words of a recording and how many milliseconds they took."""
    if vocabulary is not None:
        await engine.set_vocabulary("shell", vocabulary)
        language = language or vocabulary.language
    recognition = await engine.recognise(language or engine.info.languages[0], None)
    try:
        started = time.perf_counter()
        recognition.feed(resample(recording.data, recording.rate_hz, SAMPLE_RATE_HZ))
        words = await recognition.decode()
        return words, (time.perf_counter() - started) * 1000
    finally:
        await recognition.close()


def _read_wav(name: str) -> Pcm:
    try:
        return wav_read(sys.stdin.buffer if name == "-" else Path(name))
    except OSError as err:
        raise BadRequest(f"{name} cannot be read: {err.strerror}") from err


def _read_vocabulary(path: Path) -> Vocabulary:
    """A vocabulary file: the data of a `barnabeenet-vocabulary` message, all but its language optional."""
    try:
        content = path.read_bytes()
        data = json.loads(content)
        if not isinstance(data, dict):
            raise MessageError("it must be a JSON object")
        defaults: dict[str, object] = {"names": [], "terms": [], "sentences": [], "lists": {}}
        revision = hashlib.sha256(content).hexdigest()
        return from_message(
            VocabularyMessage.from_event(Event(VocabularyMessage.TYPE, {**defaults, "revision": revision, **data}))
        )
    except (OSError, ValueError) as err:
        raise BadRequest(f"the vocabulary {path} cannot be used: {err}") from err


async def models(settings: Settings, options: argparse.Namespace) -> int:
    """Runs a command of the model store."""
    store = Store(settings.data_dir)
    code: int = await options.models_command(store, options)
    return code
