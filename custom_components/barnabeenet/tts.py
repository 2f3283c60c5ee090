"""Text to speech: sentences go to the sidecar as they are written, sound comes back as it is made."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
import struct
from typing import Any, Final

from homeassistant.components import tts
from homeassistant.components.tts.entity import TTSAudioRequest, TTSAudioResponse
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import language as language_util
from wyoming.info import Info, TtsVoice

from .client.errors import SidecarError
from .client.messages import RATE_MAX_HZ, RATE_MIN_HZ
from .const import DOMAIN
from .coordinator import BarnabeeNetConfigEntry
from .dialog.held_words import Word, read_ahead
from .entity import SidecarEntity
from .telemetry import trace

# The pool bounds what runs at once.
PARALLEL_UPDATES = 0

_LENGTH_UNKNOWN: Final = 0xFFFFFFFF


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001
    entry: BarnabeeNetConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Adds the entry's one text-to-speech entity."""
    async_add_entities([TextToSpeech(entry)])


def wav_header(rate_hz: int) -> bytes:
    """The 44 bytes before a stream of 16-bit mono PCM of unknown length, as ffmpeg writes them to a pipe."""
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        _LENGTH_UNKNOWN,
        b"WAVE",
        b"fmt ",
        16,
        1,
        1,
        rate_hz,
        rate_hz * 2,
        2,
        16,
        b"data",
        _LENGTH_UNKNOWN,
    )


class TextToSpeech(SidecarEntity, tts.TextToSpeechEntity):
    """Speaks as a stream of 16-bit mono WAV, at the sample rate that was asked for or the voice's own."""

    _attr_translation_key = "text_to_speech"
    # Who asks for nothing (the app, the browser) would get MP3 by way of ffmpeg.
    _attr_default_options = {tts.ATTR_PREFERRED_FORMAT: "wav"}  # noqa: RUF012
    # Channels and width stay Home Assistant's to compare: since 2026.11 it passes our stream on where they fit.
    _attr_supported_options = [tts.ATTR_VOICE, tts.ATTR_PREFERRED_SAMPLE_RATE]  # noqa: RUF012

    def __init__(self, entry: BarnabeeNetConfigEntry) -> None:
        self._attr_supported_languages = ["en"]
        self._voices: dict[str, list[tts.Voice]] = {}
        super().__init__(entry)

    def _read(self, info: Info) -> bool:
        voices = [voice for program in info.tts if program.installed for voice in program.voices if voice.installed]
        by_language = _by_language(voices)
        if by_language:
            self._voices = by_language
            self._attr_supported_languages = sorted(by_language)
        return bool(by_language)

    @property
    def default_language(self) -> str:
        """The home's own language where there is a voice for it, else the first there is."""
        config = self.hass.config
        spoken = language_util.matches(config.language, self.supported_languages, country=config.country)
        return spoken[0] if spoken else self.supported_languages[0]

    @callback
    def async_get_supported_voices(self, language: str) -> list[tts.Voice] | None:
        """The installed voices of a language."""
        return self._voices.get(language)

    async def async_stream_tts_audio(self, request: TTSAudioRequest) -> TTSAudioResponse:
        """Answers at once; the stream raises a translated HomeAssistantError when the sidecar fails."""
        return TTSAudioResponse("wav", self._speech(request, trace.current.get()))

    async def _speech(self, request: TTSAudioRequest, turn: trace.VoiceContext | None) -> AsyncGenerator[bytes]:
        # What is said outside of a turn, an announcement say, is timed the same way and not kept.
        timed = turn or trace.VoiceContext(language=request.language)
        voice, rate_hz = request.options.get(tts.ATTR_VOICE), _rate_hz(request.options)
        try:
            with timed.stage("tts"):
                asked_ms = timed.elapsed_ms()
                text, word = await self._quick_word(request, voice, rate_hz, timed)
                if word is not None:
                    timed.record("tts.first_audio", timed.elapsed_ms() - asked_ms)
                    yield wav_header(word.rate_hz)
                    yield word.pcm
                    return
                async with self._data.sidecar.speak(
                    text, voice=voice, language=request.language, rate_hz=rate_hz, trace_id=timed.trace_id
                ) as speech:
                    timed.record("tts.first_audio", timed.elapsed_ms() - asked_ms)
                    yield wav_header(speech.rate_hz)
                    async for pcm in speech:
                        yield pcm
                    if waited_ms := speech.timings_ms.get("queue"):
                        timed.record("tts.queue", waited_ms)
        except SidecarError as error:
            timed.error = str(error)
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="cannot_speak",
                translation_placeholders={"error": str(error)},
            ) from error
        finally:
            if turn is not None:
                self._data.turns.finish(turn)

    async def _quick_word(
        self, request: TTSAudioRequest, voice: str | None, rate_hz: int | None, timed: trace.VoiceContext
    ) -> tuple[AsyncGenerator[str], Word | None]:
        """The text to speak, and its audio when it is a quick word; waits for no more of it than may become one."""
        keeper = self._data.quick_words
        manner = keeper.manner(request.language, voice, rate_hz)
        if manner is None:
            return request.message_gen, None
        text, is_whole = await read_ahead(request.message_gen, partial(keeper.could_become, manner))
        known_ms = timed.elapsed_ms()
        word = keeper.find(manner, text) if is_whole else None
        keeper.use(request.language, manner)
        if word is not None:
            timed.record("tts.quick_word", timed.elapsed_ms() - known_ms)
        return _continued(text, request.message_gen), word


def _by_language(voices: list[TtsVoice]) -> dict[str, list[tts.Voice]]:
    by_language: dict[str, list[tts.Voice]] = {}
    for voice in voices:
        for language in voice.languages:
            by_language.setdefault(language, []).append(tts.Voice(voice.name, voice.description or voice.name))
    return by_language


async def _continued(text: str, rest: AsyncGenerator[str]) -> AsyncGenerator[str]:
    """A text of which the beginning has been read."""
    async with aclosing(rest):
        if text:
            yield text
        async for piece in rest:
            yield piece


def _rate_hz(options: dict[str, Any]) -> int | None:
    """The rate that was asked for; None, the voice's own, where none was or the sidecar cannot do it."""
    asked = options.get(tts.ATTR_PREFERRED_SAMPLE_RATE)
    return int(asked) if asked is not None and RATE_MIN_HZ <= int(asked) <= RATE_MAX_HZ else None
