"""Pairing as in the UI, and what Home Assistant refuses comes back in its own words."""

from __future__ import annotations

import asyncio

import pytest

from script.home.api import ApiError, HomeAssistant, onboard
from script.home.hass import OWNER
from script.home.stage import Stage, pair, pipeline_named

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


async def test_what_was_done_once_or_wrongly_is_refused_in_words(on_stage: Stage) -> None:
    home, ears = on_stage.home, on_stage.sidecar
    with pytest.raises(ApiError, match="already_configured"):
        await pair(home, ears, await ears.token())
    with pytest.raises(ApiError, match="invalid_auth"):
        await pair(home, ears, "0" * 64)
    with pytest.raises(ApiError, match="no pipeline named Nobody"):
        await pipeline_named(home, "Nobody")
    with pytest.raises(ApiError, match="unknown_command"):
        await home.call("sing")
    with pytest.raises(ApiError, match="already done"):
        await onboard(home.url, **OWNER)
    with pytest.raises(ApiError, match="sign-in refused"):
        async with HomeAssistant(home.url, "no token of yours"):
            pass


async def test_the_pairing_makes_a_pipeline_of_our_own_engines(on_stage: Stage) -> None:
    pipeline = on_stage.pipeline
    states = await on_stage.home.states()
    assert states[pipeline.ears]["state"] != "unavailable"
    assert states[pipeline.voice]["state"] != "unavailable"
    assert pipeline == await pipeline_named(on_stage.home, "Barnabee")


async def test_a_home_assistant_that_goes_away_ends_calls_and_subscriptions(on_stage: Stage) -> None:
    home = on_stage.home
    async with home.subscribe("subscribe_events", event_type="never") as events:
        await home._socket.close()
        async with asyncio.timeout(30):
            assert [arrived async for arrived in events] == []
        with pytest.raises((ApiError, ConnectionError)):
            await home.call("get_states")
