"""What a bug report may carry: how things stand and how long they took, nothing that was said and no secret."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from homeassistant.components.diagnostics import async_redact_data
from homeassistant.const import CONF_API_KEY, CONF_HOST, CONF_TOKEN
from homeassistant.core import HomeAssistant
from wyoming.info import Artifact

from .coordinator import BarnabeeNetConfigEntry
from .people import CONF_CODE_HASH, CONF_PERSON, CONF_USER, people_of
from .provider_entries import CONF_BASE_URL, providers_of

_SECRET: Final = {CONF_API_KEY, CONF_BASE_URL, CONF_HOST, CONF_TOKEN, "redis_url"}
_WHO: Final = {CONF_CODE_HASH, CONF_PERSON, CONF_USER}
_SAID: Final = {"text", "reply", "error", "device_id", "satellite_id", "speaker"}


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant,  # noqa: ARG001
    entry: BarnabeeNetConfigEntry,
) -> dict[str, Any]:
    """The entry, its sidecar and its last turns, redacted."""
    sidecar, turns = entry.runtime_data.sidecar, entry.runtime_data.turns
    return {
        "entry": async_redact_data(dict(entry.data), _SECRET),
        "options": async_redact_data(dict(entry.options), _SECRET),
        "providers": [
            async_redact_data(dict(entry.subentries[provider.subentry_id].data), _SECRET)
            for provider in providers_of(entry)
        ],
        "people": [
            async_redact_data(dict(entry.subentries[person.key].data), _WHO)
            | {"samples": len(entry.runtime_data.brain.household.voices.samples(person.speaker))}
            for person in people_of(entry)
        ],
        "sidecar": {
            "available": sidecar.available,
            "error": type(sidecar.error).__name__ if sidecar.error else None,
            "software": sidecar.identity.software if sidecar.identity else None,
            "engines": _engines(entry),
            "quick_words": entry.runtime_data.quick_words.as_dict(),
        },
        "brain": entry.runtime_data.brain.as_dict(),
        "turns": [async_redact_data(turn.as_dict(), _SAID) for turn in turns],
    }


def _engines(entry: BarnabeeNetConfigEntry) -> dict[str, list[str]]:
    info = entry.runtime_data.sidecar.info
    if info is None:
        return {}
    programs: dict[str, Sequence[Artifact]] = {"stt": info.asr, "tts": info.tts, "wake_word": info.wake}
    return {kind: [f"{program.name} {program.version}" for program in offered] for kind, offered in programs.items()}
