"""A sidecar whose owner wants the connection encrypted: a process of its own, paired through the form."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from homeassistant.components import tts
from homeassistant.config_entries import SOURCE_USER
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest

from custom_components.barnabeenet.const import DOMAIN
from script.home.sidecar import Sidecar, sidecar

TTS = "tts.barnabee_text_to_speech"


@pytest.fixture
async def encrypting(tmp_path: Path, socket_enabled: None) -> AsyncIterator[Sidecar]:
    settings = tmp_path / "sidecar" / "config" / "barnabeenet" / "sidecar.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text("tls = true\n")
    async with sidecar(tmp_path / "sidecar", plain=False) as started:
        await started.ready()
        yield started


async def enter(hass: HomeAssistant, result: Any, **typed: Any) -> Any:
    return await hass.config_entries.flow.async_configure(result["flow_id"], {"host": "127.0.0.1", **typed})


async def test_it_is_paired_with_encryption_and_speaks(home: HomeAssistant, encrypting: Sidecar) -> None:
    result = await home.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    typed = {"port": encrypting.port, "token": await encrypting.token(), "preferred": True}
    result = await enter(home, result, **typed)
    assert result["errors"] == {"base": "tls_mismatch"}
    assert "turn encryption on" in result["description_placeholders"]["error"]

    result = await enter(home, result, **typed, tls=True)
    assert result["type"] is FlowResultType.CREATE_ENTRY, result
    await home.async_block_till_done()
    stream = tts.async_create_stream(home, TTS)
    stream.async_set_message("Turn on the kitchen light")
    audio = b"".join([chunk async for chunk in stream.async_stream_result()])
    assert audio.startswith(b"RIFF")
    assert len(audio) > 20_000
    await home.config_entries.async_unload(result["result"].entry_id)
