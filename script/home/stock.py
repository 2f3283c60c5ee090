"""Home Assistant's own way: its Wyoming integration on the sidecar's plain listener, with its own agent."""

from __future__ import annotations

from typing import Any

from .api import ApiError, HomeAssistant
from .sidecar import Sidecar

AGENT = "conversation.home_assistant"
LANGUAGE = "en"


async def stock_pipeline(home: HomeAssistant, ears: Sidecar) -> str:
    """Sets all of it up as in the UI; returns the new pipeline's id."""
    assert ears.plain_port is not None
    entry = await home.configure("wyoming", {"host": "127.0.0.1", "port": ears.plain_port})
    entities = [
        found["entity_id"]
        for found in await home.call("config/entity_registry/list")
        if found["config_entry_id"] == entry["entry_id"]
    ]
    stt = await _engine(home, "stt", entities)
    tts = await _engine(home, "tts", entities)
    pipeline: dict[str, Any] = await home.call(
        "assist_pipeline/pipeline/create",
        name="Stock",
        language=LANGUAGE,
        conversation_engine=AGENT,
        conversation_language=LANGUAGE,
        stt_engine=stt["engine_id"],
        stt_language=stt["supported_languages"][0],
        tts_engine=tts["engine_id"],
        tts_language=tts["supported_languages"][0],
        tts_voice=None,
        wake_word_entity=None,
        wake_word_id=None,
    )
    ident: str = pipeline["id"]
    return ident


async def _engine(home: HomeAssistant, kind: str, entities: list[str]) -> dict[str, Any]:
    """The entry's engine for English, as the pipeline editor lists it."""
    engines: list[dict[str, Any]] = (await home.call(f"{kind}/engine/list", language=LANGUAGE))["providers"]
    for engine in engines:
        if engine["engine_id"] in entities and engine["supported_languages"]:
            return engine
    raise ApiError(f"the Wyoming integration brought no {kind} engine for English")
