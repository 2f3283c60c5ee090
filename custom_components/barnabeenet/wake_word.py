"""Wake word: listens with the sidecar for the phrases it knows."""

from __future__ import annotations

from collections.abc import AsyncIterable
import logging
from uuid import uuid4

from homeassistant.components import wake_word
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from wyoming.info import Info

from .client.errors import SidecarError
from .coordinator import BarnabeeNetConfigEntry
from .entity import SidecarEntity

_LOGGER = logging.getLogger(__name__)

# The pool bounds what runs at once.
PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001
    entry: BarnabeeNetConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Adds the entry's one wake word entity."""
    async_add_entities([WakeWordDetection(entry)])


class WakeWordDetection(SidecarEntity, wake_word.WakeWordDetectionEntity):
    """Detects the sidecar's wake words in 16 kHz, 16-bit mono PCM."""

    _attr_translation_key = "wake_word"

    def __init__(self, entry: BarnabeeNetConfigEntry) -> None:
        self._wake_words: list[wake_word.WakeWord] = []
        super().__init__(entry)

    def _read(self, info: Info) -> bool:
        models = [model for program in info.wake if program.installed for model in program.models if model.installed]
        if models:
            self._wake_words = [
                wake_word.WakeWord(model.name, model.description or model.name, model.phrase) for model in models
            ]
        return bool(models)

    async def get_supported_wake_words(self) -> list[wake_word.WakeWord]:
        """What the sidecar listens for, with the phrases to say."""
        return self._wake_words

    async def _async_process_audio_stream(
        self, stream: AsyncIterable[tuple[bytes, int]], wake_word_id: str | None
    ) -> wake_word.DetectionResult | None:
        """Returns the detection with the audio read beyond it; None when the audio ends or the sidecar fails."""
        try:
            detection = await self._data.sidecar.detect(
                stream, names=None if wake_word_id is None else [wake_word_id], trace_id=uuid4().hex
            )
        except SidecarError as error:
            _LOGGER.debug("Could not listen for the wake word: %s", error)
            return None
        if detection is None:
            return None
        return wake_word.DetectionResult(
            wake_word_id=detection.name,
            wake_word_phrase=self._phrase(detection.name),
            timestamp=detection.timestamp_ms,
            queued_audio=detection.queued_audio or None,
        )

    def _phrase(self, name: str) -> str:
        return next((word.phrase for word in self._wake_words if word.id == name and word.phrase), name)
