"""BarnabeeNet, the voice of a home."""

from __future__ import annotations

from homeassistant.const import CONF_TOKEN, EVENT_HOMEASSISTANT_STOP, Platform
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.dispatcher import async_dispatcher_send
from homeassistant.helpers.typing import ConfigType

from . import pipelines, services, websocket
from .address import address_of
from .brain import Brain, async_forget_people
from .client.sidecar import Sidecar
from .const import DOMAIN, SIGNAL_TURN
from .coordinator import BarnabeeNet, BarnabeeNetConfigEntry, SidecarWatch, async_introduction
from .people import people_of
from .quick_words_keeper import QuickWordsKeeper
from .telemetry.trace import Turns, VoiceContext
from .vocabulary_keeper import VocabularyKeeper

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)

PLATFORMS = [Platform.CONVERSATION, Platform.SENSOR, Platform.STT, Platform.TTS, Platform.WAKE_WORD]


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:  # noqa: ARG001
    """Registers what does not belong to one entry."""
    websocket.async_register(hass)
    services.async_register(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: BarnabeeNetConfigEntry) -> bool:
    """Sets an entry up, whether or not its sidecar answers; takes no longer than the first attempt (5 s)."""
    home, software = await async_introduction(hass)
    address = address_of(entry)
    sidecar = Sidecar(address, entry.data[CONF_TOKEN], home=home, software=software)
    vocabulary = VocabularyKeeper(hass, sidecar)
    quick_words = QuickWordsKeeper(hass, entry, sidecar)
    brain = await Brain.open(hass, entry)
    entry.runtime_data = BarnabeeNet(sidecar, Turns(), vocabulary, quick_words, brain)
    _close_at_the_end(hass, entry)
    _publish_turns(hass, entry)

    await sidecar.start()
    watch = SidecarWatch(hass, entry)
    watch.update()
    entry.async_on_unload(sidecar.subscribe(watch.update))
    entry.async_on_unload(watch.forget)

    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    await pipelines.PipelineKeeper(hass, entry).async_start()
    vocabulary.start()
    brain.start(sidecar)
    await quick_words.async_start()
    return True


async def async_unload_entry(hass: HomeAssistant, entry: BarnabeeNetConfigEntry) -> bool:
    """Takes the entities away; the connections close afterwards."""
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)


async def async_remove_entry(hass: HomeAssistant, entry: BarnabeeNetConfigEntry) -> None:
    """Leaves nothing behind that would not work without the entry, nor the voices and memories of its people."""
    await pipelines.async_remove(hass, entry)
    await async_forget_people(hass, people_of(entry))


def _close_at_the_end(hass: HomeAssistant, entry: BarnabeeNetConfigEntry) -> None:
    """Ends what runs when the entry is unloaded and when Home Assistant stops, which unloads nothing."""
    data = entry.runtime_data

    async def close(_: Event | None = None) -> None:
        data.vocabulary.close()
        await data.quick_words.async_close()
        await data.sidecar.close()
        await data.brain.close()

    entry.async_on_unload(close)
    entry.async_on_unload(hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, close))


def _publish_turns(hass: HomeAssistant, entry: BarnabeeNetConfigEntry) -> None:
    @callback
    def publish(turn: VoiceContext) -> None:
        async_dispatcher_send(hass, SIGNAL_TURN, turn.as_dict())

    entry.async_on_unload(entry.runtime_data.turns.subscribe(publish))
