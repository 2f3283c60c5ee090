"""Speech to text: streams the microphone to the sidecar and stops as soon as a whole command is understood."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable
import logging

from homeassistant.components import stt
from homeassistant.components.stt.models import SpeechAudioProcessing
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from wyoming.info import Info

from .client.errors import SidecarError
from .client.messages import Partial
from .coordinator import BarnabeeNetConfigEntry
from .entity import SidecarEntity
from .telemetry import trace

_LOGGER = logging.getLogger(__name__)

# The pool bounds what runs at once.
PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001
    entry: BarnabeeNetConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Adds the entry's one speech-to-text entity."""
    async_add_entities([SpeechToText(entry)])


class SpeechToText(SidecarEntity, stt.SpeechToTextEntity):
    """Hears 16 kHz, 16-bit mono PCM; the sidecar decides when the speaker has finished."""

    _attr_translation_key = "speech_to_text"

    def __init__(self, entry: BarnabeeNetConfigEntry) -> None:
        self._languages = ["en"]
        self._hears_the_end = True
        super().__init__(entry)

    def _read(self, info: Info) -> bool:
        models = [model for program in info.asr if program.installed for model in program.models if model.installed]
        languages = {language for model in models for language in model.languages}
        if languages:
            self._languages = sorted(languages)
            self._hears_the_end = not any(program.requires_external_vad for program in info.asr)
        return bool(languages)

    @property
    def supported_languages(self) -> list[str]:
        """The languages of the installed models; English until the sidecar has told."""
        return self._languages

    @property
    def supported_formats(self) -> list[stt.AudioFormats]:
        """WAV alone, as the pipeline sends it: without a header."""
        return [stt.AudioFormats.WAV]

    @property
    def supported_codecs(self) -> list[stt.AudioCodecs]:
        """PCM alone."""
        return [stt.AudioCodecs.PCM]

    @property
    def supported_bit_rates(self) -> list[stt.AudioBitRates]:
        """16 bits a sample."""
        return [stt.AudioBitRates.BITRATE_16]

    @property
    def supported_sample_rates(self) -> list[stt.AudioSampleRates]:
        """16 kHz."""
        return [stt.AudioSampleRates.SAMPLERATE_16000]

    @property
    def supported_channels(self) -> list[stt.AudioChannels]:
        """Mono."""
        return [stt.AudioChannels.CHANNEL_MONO]

    @property
    def audio_processing(self) -> SpeechAudioProcessing:
        """Audio as it comes; the sidecar finds the end of speech itself unless it has lost its ear for that."""
        return SpeechAudioProcessing(
            requires_external_vad=not self._hears_the_end,
            prefers_auto_gain_enabled=False,
            prefers_noise_reduction_enabled=False,
        )

    async def async_process_audio_stream(
        self, metadata: stt.SpeechMetadata, stream: AsyncIterable[bytes]
    ) -> stt.SpeechResult:
        """Returns what was said; state ERROR when the sidecar or the audio fails, never an exception."""
        # Opened here, in the pipeline's own task: conversation and speech of the same run then see it.
        turn = trace.begin(language=metadata.language)
        return await self._transcribe(turn, stream, lambda _: None)

    async def async_process_audio_stream_with_progress(
        self, metadata: stt.SpeechMetadata, stream: AsyncIterable[bytes]
    ) -> AsyncGenerator[stt.PartialSpeechResult | stt.SpeechResult]:  # type: ignore[name-defined]
        """The same with the words so far in between; Home Assistant calls this from 2026.11 on."""
        turn = trace.begin(language=metadata.language)
        texts: asyncio.Queue[str | None] = asyncio.Queue()
        hearing = asyncio.create_task(self._transcribe(turn, stream, texts.put_nowait))
        hearing.add_done_callback(lambda _: texts.put_nowait(None))
        try:
            while (text := await texts.get()) is not None:
                yield stt.PartialSpeechResult(text)  # type: ignore[attr-defined]
            yield await hearing
        finally:
            hearing.cancel()
            await asyncio.wait([hearing])

    async def _transcribe(
        self, turn: trace.VoiceContext, stream: AsyncIterable[bytes], show: Callable[[str], None]
    ) -> stt.SpeechResult:
        language = turn.language or "en"

        async def is_whole_command(partial: Partial) -> bool:
            show(partial.text)
            endpoint = self._data.endpoint
            return (
                endpoint is not None
                and partial.stable
                and await endpoint.complete(partial.text, language, turn.device_id)
            )

        try:
            with turn.stage("stt"):
                transcription = await self._data.sidecar.transcribe(
                    stream, language=language, trace_id=turn.trace_id, on_partial=is_whole_command
                )
        # A TimeoutError of the audio's source would end the pipeline run without a word to anybody.
        except (SidecarError, TimeoutError) as error:
            _LOGGER.debug("Could not hear turn %s: %s", turn.trace_id, error)
            turn.error = str(error) or "the audio stopped coming"
            self._data.turns.finish(turn)
            return stt.SpeechResult(None, stt.SpeechResultState.ERROR)
        turn.text = transcription.text
        for name, duration_ms in transcription.timings_ms.items():
            turn.record(f"stt.{name}", duration_ms)
        if not turn.text:
            # The pipeline ends here, so nobody after us will close the turn.
            turn.error = "nothing was understood"
            self._data.turns.finish(turn)
        return stt.SpeechResult(turn.text, stt.SpeechResultState.SUCCESS)
