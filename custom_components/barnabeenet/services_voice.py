"""The actions that learn and forget voices: from recordings that Home Assistant may read, listened to by the sidecar."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from uuid import uuid4
import wave

from homeassistant.const import ATTR_CONFIG_ENTRY_ID
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.service import async_register_admin_service
import probatio

from .client.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ
from .client.errors import SidecarError
from .client.sidecar import Sidecar
from .const import DOMAIN
from .identity import Household
from .people import Person
from .services_common import entry_of, failed, invalid
from .state.errors import StateError
from .state.voices import SAMPLES_MAX, Voice

ATTR_PERSON: Final = "person"
ATTR_FILES: Final = "files"
ATTR_LANGUAGE: Final = "language"
ATTR_REPLACE: Final = "replace"

RECORDING_MAX_S: Final = 60
_CHUNK_BYTES: Final = 32_000

_PERSON: Final = probatio.All(cv.string, probatio.Length(min=1, max=255))
_PATH: Final = probatio.All(cv.string, probatio.Length(min=1, max=4096))
_ENROLL: Final = probatio.Schema(
    {
        probatio.Optional(ATTR_CONFIG_ENTRY_ID): cv.string,
        probatio.Required(ATTR_PERSON): _PERSON,
        probatio.Required(ATTR_FILES): probatio.All(cv.ensure_list, [_PATH], probatio.Length(min=1, max=SAMPLES_MAX)),
        probatio.Optional(ATTR_LANGUAGE): cv.string,
        probatio.Optional(ATTR_REPLACE, default=False): cv.boolean,
    }
)
_FORGET: Final = probatio.Schema(
    {probatio.Optional(ATTR_CONFIG_ENTRY_ID): cv.string, probatio.Required(ATTR_PERSON): _PERSON}
)


@callback
def async_register(hass: HomeAssistant) -> None:
    """Registers the actions, for administrators: who teaches a voice decides who somebody is."""
    async_register_admin_service(
        hass, DOMAIN, "enroll_speaker", _enroll_speaker, _ENROLL, supports_response=SupportsResponse.OPTIONAL
    )
    async_register_admin_service(hass, DOMAIN, "forget_voice", _forget_voice, _FORGET)


async def _enroll_speaker(call: ServiceCall) -> ServiceResponse:
    hass = call.hass
    data = entry_of(call).runtime_data
    household: Household = data.brain.household
    person = _person(household, call.data[ATTR_PERSON])
    language = call.data.get(ATTR_LANGUAGE) or hass.config.language
    files: list[str] = call.data[ATTR_FILES]
    # All of them before the first is listened to: a wrong path leaves nothing half done.
    recordings = [await hass.async_add_executor_job(_read, hass, path) for path in files]
    voices = [await _listen(data.sidecar, path, pcm, language) for path, pcm in zip(files, recordings, strict=True)]
    try:
        learnt = await household.learning.hear(person.speaker, voices, anew=call.data[ATTR_REPLACE])
    except StateError as error:
        raise failed(error) from error
    return {
        "person": person.name,
        "files": [
            {"file": path, "feedback": feedback.value} for path, feedback in zip(files, learnt.feedback, strict=True)
        ],
        "missing": learnt.missing,
        "samples": learnt.samples,
    }


async def _forget_voice(call: ServiceCall) -> None:
    data = entry_of(call).runtime_data
    household: Household = data.brain.household
    person = _person(household, call.data[ATTR_PERSON])
    try:
        gone = await household.forget_voice(person.speaker)
    except StateError as error:
        raise failed(error) from error
    if not gone:
        raise invalid("no_voice", person=person.name)


def _person(household: Household, said: str) -> Person:
    """The person of this name, entity or id; raises ServiceValidationError."""
    wanted = said.strip().casefold()
    for person in household.people:
        if wanted in {person.name.casefold(), person.key.casefold(), person.person_entity_id}:
            return person
    known = ", ".join(person.name for person in household.people)
    raise invalid("unknown_person", person=said, known=known or "-")


def _read(hass: HomeAssistant, path: str) -> bytes:
    """The samples of a WAV file; blocks. Raises ServiceValidationError."""
    if not hass.config.is_allowed_path(path):
        raise invalid("file_refused", path=path)
    try:
        with wave.open(str(Path(path)), "rb") as recording:
            found = (recording.getframerate(), recording.getsampwidth(), recording.getnchannels())
            if found != (SAMPLE_RATE_HZ, SAMPLE_BYTES, 1):
                rate_hz, width, channels = found
                raise invalid(
                    "file_wrong",
                    path=path,
                    error=f"{rate_hz} Hz, {8 * width} bits, {channels} channels; 16000 Hz, 16 bits, 1 channel are needed",
                )
            if recording.getnframes() > RECORDING_MAX_S * SAMPLE_RATE_HZ:
                raise invalid("file_wrong", path=path, error=f"longer than {RECORDING_MAX_S} seconds")
            return recording.readframes(recording.getnframes())
    except FileNotFoundError as error:
        raise invalid("file_missing", path=path) from error
    except (OSError, EOFError, wave.Error) as error:
        raise invalid("file_wrong", path=path, error=str(error) or "it is cut short") from error


async def _listen(sidecar: Sidecar, path: str, pcm: bytes, language: str) -> Voice | None:
    """The voice in a recording; None when the sidecar makes no voice prints. Raises HomeAssistantError."""

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(pcm), _CHUNK_BYTES):
            yield pcm[start : start + _CHUNK_BYTES]

    try:
        transcription = await sidecar.transcribe(chunks(), language=language, trace_id=uuid4().hex, voice=True)
    except SidecarError as error:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="cannot_hear",
            translation_placeholders={"path": path, "error": str(error)},
        ) from error
    return transcription.voice
