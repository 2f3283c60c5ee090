"""The options of an entry: what they may be, that they count at once, and that Redis is tested before it is kept."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
import json
from pathlib import Path
import re
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData, section
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.translation import async_get_translations
import probatio
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from redis.asyncio import Redis

from custom_components.barnabeenet import options_flow
from custom_components.barnabeenet.const import DOMAIN
from custom_components.barnabeenet.options import BOUNDS, REPLY_STYLES, Options, async_change, async_follow
from custom_components.barnabeenet.options_flow import MASK
from custom_components.barnabeenet.state.rate_limit import Limits
from custom_components.barnabeenet.state.session_types import Options as SessionOptions
from tests.redis_server import RedisServer

pytestmark = pytest.mark.usefixtures("starting")

PASSWORD = "pa:ss@word/1"
QUOTED = "pa%3Ass%40word%2F1"
FORM: dict[str, Any] = {
    "ask_language_model": True,
    "local_only": False,
    "confirm_sensitive": True,
    "extract_memories": False,
    "reply_style": "friendly",
    "limits": {"per_minute": 30, "per_hour": 300, "sessions_max": 4},
    "money": {"daily_usd": 1.0, "monthly_usd": 25.0, "cloud_fast_daily_usd": 0.3, "cloud_powerful_daily_usd": 0.5},
    "redis": {},
}


def filled(**changes: Any) -> dict[str, Any]:
    """The form with other values, wherever in its sections they are."""
    form = {name: dict(value) if isinstance(value, dict) else value for name, value in FORM.items()}
    for name, value in changes.items():
        within = next((part for part in form.values() if isinstance(part, dict) and name in part), form)
        (form["redis"] if name == "redis_url" else within)[name] = value
    return form


async def open_form(hass: HomeAssistant, entry: MockConfigEntry) -> Any:
    return await hass.config_entries.options.async_init(entry.entry_id)


async def enter(hass: HomeAssistant, result: Any, form: dict[str, Any]) -> Any:
    return await hass.config_entries.options.async_configure(result["flow_id"], form)


def shown(result: Any, section: str) -> dict[str, Any]:
    fields = result["data_schema"].schema[section].schema.schema
    return {key.schema: (key.description or {}).get("suggested_value") for key in fields}


async def test_the_form_shows_the_defaults_and_saving_them_changes_nothing(
    home: HomeAssistant, entry: MockConfigEntry
) -> None:
    result = await open_form(home, entry)
    assert shown(result, "limits") == FORM["limits"]
    assert shown(result, "money") == FORM["money"]
    result = await enter(home, result, FORM)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert Options.from_entry(entry) == Options()


def test_the_defaults_are_those_of_the_parts_they_are_for() -> None:
    options = Options()
    assert Limits(options.per_minute, options.per_hour) == Limits()
    assert options.sessions_max == SessionOptions().sessions_max


def test_all_that_the_form_lets_through_is_taken_by_the_parts_it_is_for() -> None:
    for name in ("least", "most"):
        bound = {option: int(getattr(BOUNDS[option], name)) for option in ("per_minute", "per_hour", "sessions_max")}
        Limits(bound["per_minute"], bound["per_hour"])
        SessionOptions(sessions_max=bound["sessions_max"])


async def test_what_is_entered_is_kept_flat_and_typed(home: HomeAssistant, entry: MockConfigEntry) -> None:
    home.config_entries.async_update_entry(entry, options={"something_else": 1})
    form = filled(local_only=True, reply_style="brief", per_minute=10.0, daily_usd=2, monthly_usd=20)
    await enter(home, await open_form(home, entry), form)
    assert entry.options["something_else"] == 1
    options = Options.from_entry(entry)
    assert options == Options(
        local_only=True, reply_style="brief", per_minute=10, daily_usd=2.0, monthly_usd=20.0, redis_url=None
    )
    assert isinstance(options.per_minute, int)
    assert isinstance(options.daily_usd, float)


async def test_options_count_at_once_and_reload_nothing(
    home: HomeAssistant, loaded: MockConfigEntry, sidecar: Any
) -> None:
    heard: list[Options] = []
    stop = async_follow(home, loaded, lambda: heard.append(Options.from_entry(loaded)))
    await enter(home, await open_form(home, loaded), filled(local_only=True))
    await home.async_block_till_done()
    assert heard == [Options(local_only=True)]
    assert sidecar.closed == 0
    assert loaded.state is ConfigEntryState.LOADED

    async_change(home, loaded, local_only=False, daily_usd=3.0)
    assert heard[1:] == [Options(daily_usd=3.0)]
    async_change(home, loaded, daily_usd=3.0)
    home.config_entries.async_update_entry(loaded, data={**loaded.data, "pipeline": "p1"})
    other = MockConfigEntry(domain=DOMAIN)
    other.add_to_hass(home)
    async_change(home, other, local_only=True)
    assert len(heard) == 2
    stop()
    async_change(home, loaded, daily_usd=4.0)
    assert len(heard) == 2
    async_change(home, loaded, daily_usd=None)
    assert Options.from_entry(loaded) == Options()
    assert loaded.update_listeners == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("per_minute", 0),
        ("per_hour", 10_001),
        ("sessions_max", 33),
        ("daily_usd", -0.01),
        ("monthly_usd", 10_001),
        ("cloud_fast_daily_usd", "a lot"),
        ("reply_style", "rude"),
    ],
)
async def test_what_is_out_of_bounds_is_refused_by_the_form_and_not_believed_when_stored(
    home: HomeAssistant, entry: MockConfigEntry, name: str, value: Any
) -> None:
    with pytest.raises(InvalidData):
        await enter(home, await open_form(home, entry), filled(**{name: value}))
    home.config_entries.async_update_entry(entry, options={name: value})
    assert Options.from_entry(entry) == Options()


def test_what_is_stored_with_a_wrong_type_is_not_believed() -> None:
    stored: dict[str, Any] = {field.name: [] for field in fields(Options)}
    assert Options.from_mapping(stored) == Options()
    assert Options.from_mapping({"per_minute": True, "local_only": 1, "redis_url": ""}) == Options()
    mine = replace(Options(), local_only=True, per_hour=5, redis_url="redis://x")
    assert Options.from_mapping(asdict(mine)) == mine


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"per_minute": 40, "per_hour": 39}, "hour_below_minute"),
        ({"daily_usd": 2.0, "monthly_usd": 1.0}, "month_below_day"),
    ],
)
async def test_what_does_not_go_together_says_so_and_can_be_mended(
    home: HomeAssistant, entry: MockConfigEntry, changes: dict[str, Any], error: str
) -> None:
    result = await enter(home, await open_form(home, entry), filled(**changes))
    assert result["errors"] == {"base": error}
    (name, value), *_ = changes.items()
    section = "limits" if name in FORM["limits"] else "money"
    assert shown(result, section)[name] == value
    assert (await enter(home, result, FORM))["type"] is FlowResultType.CREATE_ENTRY


async def test_a_redis_that_answers_is_kept_with_its_password_hidden(
    home: HomeAssistant, entry: MockConfigEntry, redis_server: RedisServer
) -> None:
    await protect(redis_server)
    url = f"redis://:{QUOTED}@127.0.0.1:{redis_server.port}/0"
    await enter(home, await open_form(home, entry), filled(redis_url=url))
    kept = Options.from_entry(entry).redis_url
    assert kept is not None
    client = Redis.from_url(kept)
    assert await client.ping()
    await client.aclose()

    result = await open_form(home, entry)
    masked = shown(result, "redis")["redis_url"]
    assert masked == f"redis://:{MASK}@127.0.0.1:{redis_server.port}/0"
    assert PASSWORD not in str(result)

    await enter(home, result, filled(redis_url=masked, per_minute=20))
    assert (Options.from_entry(entry).redis_url, Options.from_entry(entry).per_minute) == (kept, 20)


async def test_a_hidden_password_does_not_go_to_another_address(
    home: HomeAssistant, entry: MockConfigEntry, redis_server: RedisServer
) -> None:
    home.config_entries.async_update_entry(entry, options={"redis_url": f"redis://:{QUOTED}@beast:6379/0"})
    result = await open_form(home, entry)
    masked = f"redis://:{MASK}@127.0.0.1:{redis_server.port}/0"
    result = await enter(home, result, filled(redis_url=masked))
    assert result["errors"] == {"base": "redis_password_again"}


async def test_a_redis_with_another_password_is_refused(
    home: HomeAssistant, entry: MockConfigEntry, redis_server: RedisServer
) -> None:
    await protect(redis_server)
    for url in (redis_server.url, f"redis://:wrong@127.0.0.1:{redis_server.port}/0"):
        result = await enter(home, await open_form(home, entry), filled(redis_url=url))
        assert result["errors"] == {"base": "redis_auth"}
    assert Options.from_entry(entry).redis_url is None


async def test_a_redis_that_cannot_be_written_to_is_refused(
    home: HomeAssistant, entry: MockConfigEntry, redis_server: RedisServer
) -> None:
    client = Redis.from_url(redis_server.url)
    await client.execute_command("REPLICAOF", "127.0.0.1", "1")
    await client.aclose()
    result = await enter(home, await open_form(home, entry), filled(redis_url=redis_server.url))
    assert result["errors"] == {"base": "redis_unreachable"}
    assert "read only" in result["description_placeholders"]["error"]


async def test_nobody_at_the_address_of_redis_is_told_with_the_reason(
    home: HomeAssistant, entry: MockConfigEntry, socket_enabled: None, unused_tcp_port: int
) -> None:
    # Without a scheme, as people type it.
    result = await enter(home, await open_form(home, entry), filled(redis_url=f"127.0.0.1:{unused_tcp_port}"))
    assert result["errors"] == {"base": "redis_unreachable"}
    assert result["description_placeholders"]["error"]
    texts = await async_get_translations(home, "en", "options", [DOMAIN])
    assert "{error}" in texts[f"component.{DOMAIN}.options.error.redis_unreachable"]


@pytest.mark.parametrize("typed", ["http://x", "redis://x:99999", "redis://[", "x" * 1001])
async def test_what_is_no_address_of_a_redis_is_refused(
    home: HomeAssistant, entry: MockConfigEntry, typed: str
) -> None:
    result = await enter(home, await open_form(home, entry), filled(redis_url=typed))
    assert result["errors"] == {"base": "redis_address"}


async def test_an_empty_address_takes_redis_away(home: HomeAssistant, entry: MockConfigEntry) -> None:
    home.config_entries.async_update_entry(entry, options={"redis_url": "redis://beast"})
    await enter(home, await open_form(home, entry), filled(redis_url="  "))
    assert "redis_url" not in entry.options


async def protect(server: RedisServer) -> None:
    client = Redis.from_url(server.url)
    await client.config_set("requirepass", PASSWORD)
    await client.aclose()


async def test_every_field_error_and_choice_of_the_form_has_its_text(home: HomeAssistant, root: Path) -> None:
    texts = json.loads((root / "custom_components/barnabeenet/translations/en.json").read_text())
    step = texts["options"]["step"]["init"]
    form = options_flow._SCHEMA.schema
    plain = {marker.schema for marker in form if not isinstance(form[marker], section)}
    assert plain == step["data"].keys() == step["data_description"].keys()
    within = {marker.schema: field.schema.schema for marker, field in form.items() if isinstance(field, section)}
    assert within.keys() == step["sections"].keys()
    for name, inner in within.items():
        names = {marker.schema for marker in inner}
        assert names == step["sections"][name]["data"].keys() == step["sections"][name]["data_description"].keys()
    assert plain | {field for names in options_flow._SECTIONS.values() for field in names} == set(asdict(Options()))
    errors = set(re.findall(r'_Invalid\("(\w+)"', Path(options_flow.__file__).read_text()))
    assert errors == texts["options"]["error"].keys()
    assert texts["selector"]["reply_style"]["options"].keys() == set(REPLY_STYLES)
    assert probatio.to_field_list(options_flow._SCHEMA, custom_serializer=cv.custom_serializer)
