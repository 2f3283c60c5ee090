"""Speech to text: streams the microphone to the sidecar and stops as soon as a whole command is understood."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable
import logging

from homeassistant.components import stt
from homeassistant.components.stt.models import SpeechAudioProcessing
from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import Event, HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from wyoming.info import Info

from .client.errors import SidecarError
from .client.messages import Partial
from .coordinator import BarnabeeNetConfigEntry
from .dialog.speculate import Speculator
from .early import EarlyHome, is_question_expected
from .entity import SidecarEntity
from .telemetry import trace

_LOGGER = logging.getLogger(__name__)

# The pool bounds what runs at once.
PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,
    entry: BarnabeeNetConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Adds the entry's one speech-to-text entity."""
    async_add_entities([SpeechToText(hass, entry)])


class SpeechToText(SidecarEntity, stt.SpeechToTextEntity):
    """Hears 16 kHz, 16-bit mono PCM; the sidecar decides when the speaker has finished."""

    _attr_translation_key = "speech_to_text"

    def __init__(self, hass: HomeAssistant, entry: BarnabeeNetConfigEntry) -> None:
        self._languages = ["en"]
        self._hears_the_end = True
        self._speculator = Speculator(EarlyHome(hass), entry.runtime_data.quick_words)
        super().__init__(entry)

    async def async_added_to_hass(self) -> None:
        """Follows the sidecar, and leaves nothing half done when Home Assistant stops."""
        await super().async_added_to_hass()

        async def close(_: Event) -> None:
            await self._speculator.close()

        self.async_on_remove(self.hass.bus.async_listen(EVENT_HOMEASSISTANT_STOP, close))

    async def async_will_remove_from_hass(self) -> None:
        """Leaves nothing half done."""
        await self._speculator.close()
        await super().async_will_remove_from_hass()

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
        guess = self._speculator.begin(language, turn.device_id, may_act=is_question_expected())

        async def is_whole_command(partial: Partial) -> bool:
            show(partial.text)
            endpoint = self._data.endpoint
            if endpoint and partial.stable and await endpoint.complete(partial.text, language, turn.device_id):
                return True
            # It may be all nevertheless; until that is certain there is time to get ready.
            guess.hear(partial.text, stable=partial.stable, silence_ms=partial.silence_ms)
            return False

        final: str | None = None
        try:
            with turn.stage("stt"):
                sidecar = self._data.sidecar
                transcription = await sidecar.transcribe(
                    stream,
                    language=language,
                    trace_id=turn.trace_id,
                    on_partial=is_whole_command,
                    voice=sidecar.voice_engine is not None,
                )
            final = transcription.text
        # A TimeoutError of the audio's source would end the pipeline run without a word to anybody.
        except (SidecarError, TimeoutError) as error:
            _LOGGER.debug("Could not hear turn %s: %s", turn.trace_id, error)
            turn.error = str(error) or "the audio stopped coming"
            self._data.turns.finish(turn)
            return stt.SpeechResult(None, stt.SpeechResultState.ERROR)
        finally:
            await guess.settle(final)
        turn.text, turn.voice = transcription.text, transcription.voice
        # Whoever answers, be it another agent, knows in whose name.
        identity = self._data.brain.household.who(turn.voice, None, turn.device_id)
        turn.speaker, turn.confidence, turn.is_sure = identity.speaker, identity.confidence, identity.is_sure
        for name, duration_ms in transcription.timings_ms.items():
            turn.record(f"stt.{name}", duration_ms)
        if not turn.text:
            # The pipeline ends here, so nobody after us will close the turn.
            turn.error = "nothing was understood"
            self._data.turns.finish(turn)
        return stt.SpeechResult(turn.text, stt.SpeechResultState.SUCCESS)
