"""Adding a language model's provider to an entry, and changing it, against real HTTP servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
import json
from pathlib import Path
import re
from typing import Any, cast

from homeassistant.config_entries import SOURCE_USER, ConfigSubentry, ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData, section
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.translation import async_get_translations
import probatio
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.barnabeenet import provider_flow, provider_forms as forms
from custom_components.barnabeenet.const import DOMAIN
from custom_components.barnabeenet.options import async_follow
from custom_components.barnabeenet.provider_entries import KINDS, TIERS, InvalidAddress, parse_base_url, providers_of
from custom_components.barnabeenet.providers.prices import Price
from custom_components.barnabeenet.providers.settings import MANNERS
from tests.llm_server import Answer, LlmServer, llm_server, refused

pytestmark = pytest.mark.usefixtures("starting")

KEY = "sk-test-0123456789abcdef0123456789abcdef"
KEEP = Answer(body={"data": [{"id": "gpt-4o-mini"}, {"id": "gpt-4o"}, {"id": "text-embedding-3-small"}]})
DETAILS = {"name": "Cloud", "order": 1, "time_limit_s": 10}


@pytest.fixture
async def vendor(socket_enabled: None) -> AsyncIterator[LlmServer]:
    async with llm_server() as server:
        server.will(KEEP)
        yield server


@pytest.fixture
def in_the_cloud(vendor: LlmServer, monkeypatch: pytest.MonkeyPatch) -> LlmServer:
    """Every vendor is at our server."""
    for kind, manners in MANNERS.items():
        monkeypatch.setitem(cast(Any, MANNERS), kind, replace(manners, base_url=vendor.url))
    for module in ("models._ANTHROPIC", "anthropic._ADDRESS"):
        monkeypatch.setattr(f"custom_components.barnabeenet.providers.{module}", vendor.url.removesuffix("/v1"))
    return vendor


@pytest.fixture
def provider(vendor: LlmServer, identity: Any, home: HomeAssistant) -> MockConfigEntry:
    """An entry with one provider."""
    data = {
        "kind": "openai_compatible",
        "base_url": vendor.url,
        "api_key": KEY,
        "model": "gpt-4o-mini",
        "tier": "cloud_fast",
        "order": 3,
        "time_limit_s": 7.0,
        "daily_usd": 0.2,
        "price_prompt": 1.0,
        "price_completion": 2.0,
    }
    subentry = ConfigSubentryData(data=data, subentry_type="provider", title="Mine", unique_id=None)
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="Barnabee",
        unique_id=identity.sidecar_id,
        data={"host": "beast", "port": 10800, "token": "t" * 32, "preferred": False},
        subentries_data=[subentry],
    )
    entry.add_to_hass(home)
    return entry


async def begin(hass: HomeAssistant, entry: MockConfigEntry, kind: str) -> Any:
    """The form for address and key."""
    flow = hass.config_entries.subentries
    result = await flow.async_init((entry.entry_id, "provider"), context={"source": SOURCE_USER})
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "user")
    return await enter(hass, result, {"kind": kind})


async def enter(hass: HomeAssistant, result: Any, typed: dict[str, Any]) -> Any:
    return await hass.config_entries.subentries.async_configure(result["flow_id"], typed)


async def change(hass: HomeAssistant, entry: MockConfigEntry, what: str) -> Any:
    """The form of an existing provider."""
    (subentry_id,) = entry.subentries
    result = await entry.start_subentry_reconfigure_flow(hass, subentry_id)
    assert result["type"] is FlowResultType.MENU
    return await enter(hass, result, {"next_step_id": what})


async def at_model(hass: HomeAssistant, entry: MockConfigEntry, vendor: LlmServer, **typed: Any) -> Any:
    result = await begin(hass, entry, "openai_compatible")
    return await enter(hass, result, {"base_url": vendor.url, "api_key": KEY, **typed})


def options_of(result: Any, name: str) -> list[str]:
    return list(result["data_schema"].schema[name].config["options"])


def suggested(result: Any) -> dict[str, Any]:
    """What a form shows in its fields, sections unfolded."""
    shown: dict[str, Any] = {}
    for marker, field in result["data_schema"].schema.items():
        inner = getattr(field, "schema", None)
        if inner is not None and hasattr(inner, "schema"):
            shown |= {key.schema: (key.description or {}).get("suggested_value") for key in inner.schema}
        else:
            shown[marker.schema] = (marker.description or {}).get("suggested_value")
    return shown


async def test_kind_address_and_key_then_a_model_of_its_list_make_a_provider(
    home: HomeAssistant, entry: MockConfigEntry, vendor: LlmServer
) -> None:
    result = await at_model(home, entry, vendor)
    assert result["step_id"] == "model"
    assert options_of(result, "model") == ["gpt-4o", "gpt-4o-mini"]
    assert vendor.paths == ["/v1/models"]
    assert vendor.headers[0]["Authorization"] == f"Bearer {KEY}"

    result = await enter(home, result, {"model": "gpt-4o-mini", "tier": "cloud_fast"})
    assert result["step_id"] == "details"
    assert suggested(result)["name"] == "OpenAI-compatible gpt-4o-mini"

    result = await enter(home, result, {**DETAILS, "daily_usd": 0.3, "prices": {}})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    (subentry,) = entry.subentries.values()
    assert (subentry.subentry_type, subentry.title) == ("provider", "Cloud")
    assert subentry.data == {
        "kind": "openai_compatible",
        "base_url": vendor.url,
        "api_key": KEY,
        "model": "gpt-4o-mini",
        "tier": "cloud_fast",
        "order": 1,
        "time_limit_s": 10.0,
        "daily_usd": 0.3,
    }


async def test_what_is_kept_opens_as_a_provider(home: HomeAssistant, provider: MockConfigEntry) -> None:
    (mine,) = providers_of(provider)
    assert (mine.settings.name, mine.settings.kind, mine.settings.tier) == ("Mine", "openai_compatible", "cloud_fast")
    assert (mine.settings.api_key, mine.settings.limits.first_token_s) == (KEY, 7.0)
    assert (mine.settings.price, mine.daily_usd, mine.order) == (Price(1.0, 2.0), 0.2, 3)


@pytest.mark.parametrize(
    ("answer", "errors"),
    [
        (refused(401, message=f"bad {KEY}"), {"api_key": "invalid_auth"}),
        (refused(402, message="Add credits"), {"base": "refused"}),
        (refused(503), {"base": "cannot_connect"}),
        (refused(429), {"base": "rate_limited"}),
        (Answer(body={}, status=302, headers={"Location": "/elsewhere"}), {"base": "cannot_connect"}),
    ],
)
async def test_a_key_or_an_address_that_does_not_work_says_so_and_can_be_mended(
    home: HomeAssistant, entry: MockConfigEntry, vendor: LlmServer, answer: Answer, errors: dict[str, str]
) -> None:
    vendor.will(answer, KEEP)
    result = await at_model(home, entry, vendor)
    assert (result["step_id"], result["errors"]) == ("connection", errors)
    assert result["description_placeholders"]["error"]
    assert KEY not in str(result["description_placeholders"])
    assert "api_key" not in {key for key, value in suggested(result).items() if value}
    texts = await async_get_translations(home, "en", "config_subentries", [DOMAIN])
    (error,) = errors.values()
    assert len(texts[f"component.{DOMAIN}.config_subentries.provider.error.{error}"]) > 40

    result = await enter(home, result, {"base_url": vendor.url, "api_key": KEY})
    assert result["step_id"] == "model"


async def test_nobody_at_the_address_can_be_saved_all_the_same(
    home: HomeAssistant, entry: MockConfigEntry, vendor: LlmServer, unused_tcp_port: int
) -> None:
    address = f"http://127.0.0.1:{unused_tcp_port}/v1"
    result = await at_model(home, entry, vendor, base_url=address)
    assert result["errors"] == {"base": "cannot_connect"}

    result = await enter(home, result, {"base_url": address, "api_key": KEY, "save_anyway": True})
    assert result["step_id"] == "model"
    result = await enter(home, result, {"model": "my-model", "tier": "local"})
    result = await enter(home, result, DETAILS)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert vendor.requests == []


async def test_saving_anyway_is_not_offered_for_what_will_not_pass(
    home: HomeAssistant, entry: MockConfigEntry, vendor: LlmServer
) -> None:
    vendor.will(refused(401))
    result = await at_model(home, entry, vendor)
    assert "save_anyway" not in suggested(result)
    with pytest.raises(InvalidData):
        await enter(home, result, {"base_url": vendor.url, "api_key": KEY, "save_anyway": True})


async def test_a_server_that_goes_silent_is_given_up(
    home: HomeAssistant, entry: MockConfigEntry, vendor: LlmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_components.barnabeenet.provider_entries.CHECK_S", 0.1)
    vendor.will(Answer(then="stall"))
    result = await at_model(home, entry, vendor)
    assert result["errors"] == {"base": "timeout"}
    assert "save_anyway" in suggested(result)


async def test_a_model_that_the_provider_does_not_have_is_refused_at_its_field(
    home: HomeAssistant, entry: MockConfigEntry, vendor: LlmServer
) -> None:
    result = await at_model(home, entry, vendor)
    result = await enter(home, result, {"model": "gpt-99", "tier": "cloud_fast"})
    assert (result["step_id"], result["errors"]) == ("model", {"model": "model_refused"})
    assert "gpt-99" in result["description_placeholders"]["error"]
    assert suggested(result)["model"] == "gpt-99"


async def test_a_key_that_was_withdrawn_meanwhile_is_told_as_such(
    home: HomeAssistant, provider: MockConfigEntry, vendor: LlmServer
) -> None:
    vendor.will(refused(401))
    result = await change(home, provider, "model")
    result = await enter(home, result, {"model": "gpt-4o", "tier": "cloud_fast"})
    assert result["errors"] == {"base": "invalid_auth"}


async def test_without_a_list_the_model_is_typed_and_tested(
    home: HomeAssistant, entry: MockConfigEntry, vendor: LlmServer
) -> None:
    vendor.will(refused(404), Answer(body={"data": []}))
    result = await at_model(home, entry, vendor)
    assert "options" not in result["data_schema"].schema["model"].config
    result = await enter(home, result, {"model": "  my-model ", "tier": "cloud_fast"})
    assert result["step_id"] == "details"


async def test_prices_of_the_table_are_shown_and_only_others_are_kept(
    home: HomeAssistant, entry: MockConfigEntry, in_the_cloud: LlmServer
) -> None:
    result = await enter(home, await begin(home, entry, "openai"), {"api_key": KEY})
    result = await enter(home, result, {"model": "gpt-4o-mini", "tier": "cloud_fast"})
    shown = suggested(result)
    prices = {name: shown[name] for name in ("price_prompt", "price_completion", "price_cached")}
    assert prices == {"price_prompt": 0.15, "price_completion": 0.6, "price_cached": 0.075}

    result = await enter(home, result, {**DETAILS, "prices": prices})
    (subentry,) = entry.subentries.values()
    assert not {name for name in subentry.data if name.startswith("price")}


async def test_prices_of_ones_own_are_kept_and_half_a_price_is_not(
    home: HomeAssistant, entry: MockConfigEntry, vendor: LlmServer
) -> None:
    result = await at_model(home, entry, vendor)
    result = await enter(home, result, {"model": "gpt-4o", "tier": "cloud_powerful"})
    result = await enter(home, result, {**DETAILS, "prices": {"price_prompt": 0.1}})
    assert result["errors"] == {"base": "price_incomplete"}
    result = await enter(home, result, {**DETAILS, "prices": {"price_prompt": 0.1, "price_completion": 0.4}})
    assert providers_of(entry)[0].settings.price == Price(0.1, 0.4)


@pytest.mark.parametrize(
    ("kind", "paths", "tiers"),
    [
        ("openai", ["/v1/models", "/v1/models/gpt-4o"], ["cloud_fast", "cloud_powerful"]),
        ("groq", ["/v1/models", "/v1/models"], ["cloud_fast", "cloud_powerful"]),
        ("anthropic", ["/v1/models", "/v1/models/gpt-4o"], ["cloud_fast", "cloud_powerful"]),
        (
            "openrouter",
            ["/v1/key", "/v1/models", "/v1/key", "/v1/models/gpt-4o/endpoints"],
            ["cloud_fast", "cloud_powerful"],
        ),
    ],
)
async def test_a_vendor_needs_a_key_and_no_address(
    home: HomeAssistant, entry: MockConfigEntry, in_the_cloud: LlmServer, kind: str, paths: list[str], tiers: list[str]
) -> None:
    result = await begin(home, entry, kind)
    assert list(suggested(result)) == ["api_key"]
    with pytest.raises(InvalidData):
        await enter(home, result, {})
    result = await enter(home, result, {"api_key": f" {KEY[:9]}\n{KEY[9:]} "})
    assert options_of(result, "tier") == tiers
    model = KEEP.body | {"id": "gpt-4o", "type": "model", "object": "model", "created": 1, "owned_by": "x"}
    in_the_cloud.will(Answer(body=model | {"created_at": "2026-01-01T00:00:00Z", "display_name": "x"}))
    result = await enter(home, result, {"model": "gpt-4o", "tier": "cloud_fast"})
    assert result["step_id"] == "details", result["description_placeholders"]
    assert in_the_cloud.paths == paths
    assert all(KEY in str(dict(headers)) for headers in in_the_cloud.headers)


async def test_no_model_may_take_longer_than_a_turn(home: HomeAssistant, provider: MockConfigEntry) -> None:
    result = await change(home, provider, "details")
    for wrong in ({"time_limit_s": 31}, {"time_limit_s": 0}, {"order": 0}, {"order": 101}, {"daily_usd": -1}):
        with pytest.raises(InvalidData):
            await enter(home, result, {**DETAILS, **wrong, "prices": {}})


async def test_azure_has_an_address_and_its_deployment_is_asked(
    home: HomeAssistant, entry: MockConfigEntry, vendor: LlmServer
) -> None:
    result = await begin(home, entry, "azure_openai")
    address = vendor.url.removesuffix("/v1")
    result = await enter(home, result, {"base_url": f"{address}/openai/v1/", "api_key": KEY})
    assert "options" not in result["data_schema"].schema["model"].config
    answer = {"id": "1", "object": "chat.completion", "created": 1, "model": "x", "choices": []}
    vendor.will(Answer(body=answer))
    result = await enter(home, result, {"model": "my-deployment", "tier": "cloud_powerful"})
    assert result["step_id"] == "details", result["description_placeholders"]
    assert vendor.paths == ["/openai/v1/models", "/openai/v1/chat/completions"]
    assert vendor.requests[-1]["model"] == "my-deployment"


async def test_ollama_needs_no_key_costs_nothing_and_is_local_at_first(
    home: HomeAssistant, entry: MockConfigEntry, vendor: LlmServer
) -> None:
    vendor.will(Answer(body={"data": [{"id": "llama4:latest"}, {"id": "nomic-embed-text:latest"}]}))
    result = await enter(home, await begin(home, entry, "ollama"), {"base_url": f"127.0.0.1:{vendor.port}"})
    assert options_of(result, "model") == ["llama4:latest"]
    result = await enter(home, result, {"model": "llama4:latest"})
    assert set(suggested(result)) == {"name", "order", "time_limit_s"}
    result = await enter(home, result, DETAILS)
    assert providers_of(entry)[0].settings.base_url == f"http://127.0.0.1:{vendor.port}/v1"
    assert providers_of(entry)[0].settings.tier == "local"


async def test_older_addresses_of_azure_are_asked_with_their_version(
    home: HomeAssistant, entry: MockConfigEntry, vendor: LlmServer
) -> None:
    address = vendor.url.removesuffix("/v1")
    result = await begin(home, entry, "azure_openai")
    result = await enter(home, result, {"base_url": address, "api_key": KEY, "api_version": " 2024-10-21 "})
    assert vendor.paths == ["/openai/models"]
    assert vendor.headers[0]["api-key"] == KEY
    vendor.will(Answer(body={"id": "1", "object": "chat.completion", "created": 1, "model": "x", "choices": []}))
    await enter(home, result, {"model": "mine", "tier": "cloud_fast"})
    assert vendor.paths[-1] == "/openai/deployments/mine/chat/completions"


@pytest.mark.parametrize("model", ["", "   ", "x" * 201, "two\nlines"])
async def test_what_is_no_name_of_a_model_is_refused_without_a_connection(
    home: HomeAssistant, entry: MockConfigEntry, vendor: LlmServer, model: str
) -> None:
    result = await at_model(home, entry, vendor)
    result = await enter(home, result, {"model": model, "tier": "cloud_fast"})
    assert result["errors"] == {"model": "invalid_model"}
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("key", ["x" * 501, "sk-schlüssel", "sk-\0"])
async def test_what_cannot_be_a_key_is_refused_without_a_connection(
    home: HomeAssistant, entry: MockConfigEntry, vendor: LlmServer, key: str
) -> None:
    result = await at_model(home, entry, vendor, api_key=key)
    assert result["errors"] == {"api_key": "invalid_key"}
    assert vendor.requests == []


async def test_blanks_are_no_key(home: HomeAssistant, entry: MockConfigEntry, in_the_cloud: LlmServer) -> None:
    result = await enter(home, await begin(home, entry, "openai"), {"api_key": "  "})
    assert result["errors"] == {"api_key": "key_missing"}
    assert in_the_cloud.requests == []


async def test_a_provider_that_goes_away_between_list_and_test_can_be_saved_all_the_same(
    home: HomeAssistant, entry: MockConfigEntry, vendor: LlmServer
) -> None:
    vendor.will(KEEP, refused(503))
    result = await at_model(home, entry, vendor)
    result = await enter(home, result, {"model": "gpt-4o", "tier": "cloud_fast"})
    assert result["errors"] == {"base": "cannot_connect"}
    result = await enter(home, result, {"model": "gpt-4o", "tier": "cloud_fast", "save_anyway": True})
    assert result["step_id"] == "details"


async def test_a_name_is_taken_once_and_a_new_provider_comes_last(
    home: HomeAssistant, provider: MockConfigEntry, vendor: LlmServer
) -> None:
    result = await at_model(home, provider, vendor)
    result = await enter(home, result, {"model": "gpt-4o", "tier": "cloud_fast"})
    assert result["data_schema"]({"name": "x", "prices": {}})["order"] == 4
    result = await enter(home, result, {**DETAILS, "name": "Mine", "prices": {}})
    assert result["errors"] == {"name": "name_taken"}
    result = await enter(home, result, {**DETAILS, "name": "  ", "prices": {}})
    assert result["errors"] == {"name": "invalid_name"}
    await enter(home, result, {**DETAILS, "prices": {}})
    assert [each.settings.name for each in providers_of(provider)] == ["Cloud", "Mine"]


async def test_another_key_is_tested_before_it_replaces_the_old_one(
    home: HomeAssistant, provider: MockConfigEntry, vendor: LlmServer
) -> None:
    vendor.will(refused(401), KEEP)
    result = await change(home, provider, "connection")
    assert suggested(result) == {"base_url": vendor.url, "api_key": None}
    result = await enter(home, result, {"base_url": vendor.url, "api_key": "sk-new"})
    assert result["errors"] == {"api_key": "invalid_auth"}
    assert providers_of(provider)[0].settings.api_key == KEY

    result = await enter(home, result, {"base_url": vendor.url, "api_key": "sk-new"})
    result = await enter(home, result, {"model": "gpt-4o-mini", "tier": "cloud_fast"})
    assert suggested(result)["price_prompt"] == 1.0
    result = await enter(
        home, result, {**DETAILS, "name": "Mine", "prices": {"price_prompt": 1, "price_completion": 2}}
    )
    assert result["reason"] == "reconfigure_successful"
    assert providers_of(provider)[0].settings.api_key == "sk-new"


async def test_an_empty_key_keeps_the_old_one_but_not_for_another_address(
    home: HomeAssistant, provider: MockConfigEntry, vendor: LlmServer
) -> None:
    result = await change(home, provider, "connection")
    result = await enter(home, result, {"base_url": "http://elsewhere.example/v1"})
    assert result["errors"] == {"api_key": "key_again"}
    assert vendor.requests == []
    result = await enter(home, result, {"base_url": vendor.url})
    assert result["step_id"] == "model"
    assert vendor.headers[0]["Authorization"] == f"Bearer {KEY}"


async def test_another_model_does_not_keep_the_prices_of_the_old_one(
    home: HomeAssistant, provider: MockConfigEntry
) -> None:
    result = await change(home, provider, "model")
    assert suggested(result)["model"] == "gpt-4o-mini"
    result = await enter(home, result, {"model": "gpt-4o", "tier": "cloud_fast"})
    assert suggested(result)["price_prompt"] is None


async def test_order_and_budget_are_changed_without_asking_the_provider(
    home: HomeAssistant, provider: MockConfigEntry, vendor: LlmServer
) -> None:
    changes: list[int] = []
    stop = async_follow(home, provider, lambda: changes.append(providers_of(provider)[0].order))
    result = await change(home, provider, "details")
    assert suggested(result)["daily_usd"] == 0.2
    result = await enter(home, result, {**DETAILS, "name": "First", "prices": {}})
    assert result["reason"] == "reconfigure_successful"
    (mine,) = providers_of(provider)
    assert (mine.settings.name, mine.order, mine.daily_usd, mine.settings.price) == ("First", 1, None, None)
    assert vendor.requests == []

    home.config_entries.async_update_entry(provider, title="Another title")
    assert changes == [1]
    stop()


async def test_taking_a_provider_away_is_heard_of(home: HomeAssistant, provider: MockConfigEntry) -> None:
    left: list[int] = []
    stop = async_follow(home, provider, lambda: left.append(len(providers_of(provider))))
    home.config_entries.async_remove_subentry(provider, next(iter(provider.subentries)))
    stop()
    assert left == [0]


async def test_names_that_were_made_equal_elsewhere_stay_apart(home: HomeAssistant, provider: MockConfigEntry) -> None:
    (mine,) = provider.subentries.values()
    for kind in ("provider", "something_else"):
        other = ConfigSubentry(data=mine.data, subentry_type=kind, title="Mine", unique_id=None)
        home.config_entries.async_add_subentry(provider, other)
    assert [each.settings.name for each in providers_of(provider)] == ["Mine", "Mine (2)"]


@pytest.mark.parametrize(
    ("typed", "kind", "address"),
    [
        ("192.168.1.5:11434", "ollama", "http://192.168.1.5:11434/v1"),
        (" http://beast:11434/ ", "ollama", "http://beast:11434/v1"),
        ("http://[fd00::1]:8000/v1/", "openai_compatible", "http://[fd00::1]:8000/v1"),
        ("https://llm.example/api/v1/chat/completions", "openai_compatible", "https://llm.example/api/v1"),
        ("me.openai.azure.com", "azure_openai", "https://me.openai.azure.com"),
    ],
)
def test_addresses_are_read_as_people_paste_them(typed: str, kind: str, address: str) -> None:
    assert parse_base_url(typed, kind) == address


@pytest.mark.parametrize(
    "typed",
    ["", "ftp://x", "http://", "http://a b", "http://x:99999", "http://x:0", "http://u:p@x", "http://x?y=1", "x" * 501],
)
async def test_what_is_no_address_is_refused_without_a_connection(
    home: HomeAssistant, entry: MockConfigEntry, vendor: LlmServer, typed: str
) -> None:
    with pytest.raises(InvalidAddress):
        parse_base_url(typed, "openai_compatible")
    result = await enter(home, await begin(home, entry, "openai_compatible"), {"base_url": typed})
    assert result["errors"] == {"base_url": "invalid_address"}
    assert vendor.requests == []


# One walk through every form, to hold it against the texts.
FORMS = {
    "user": forms.KIND.schema,
    "connection": forms.connection("azure_openai", has_key=False) | forms.SAVE_ANYWAY,
    "model": forms.model("ollama", ["x"]) | forms.SAVE_ANYWAY,
    "details": forms.details({"tier": "cloud_fast"}, []),
}


def test_every_field_error_and_choice_of_the_flow_has_its_text(root: Path) -> None:
    texts = json.loads((root / "custom_components/barnabeenet/translations/en.json").read_text())
    flow = texts["config_subentries"]["provider"]
    assert flow["step"].keys() == {"reconfigure", *FORMS}
    for step, fields in FORMS.items():
        check_texts(fields, flow["step"][step])
    errors = {error for _, _, error, _ in provider_flow._FAILURES}
    source = Path(provider_flow.__file__).read_text()
    errors |= set(re.findall(r'_Invalid\(\s*[^,]+, "(\w+)"', source))
    assert errors == flow["error"].keys()
    assert texts["selector"]["provider_kind"]["options"].keys() == set(KINDS)
    assert texts["selector"]["tier"]["options"].keys() == set(TIERS)


def check_texts(fields: dict[Any, Any], texts: dict[str, Any]) -> None:
    plain = {marker.schema for marker, field in fields.items() if not isinstance(field, section)}
    assert plain == texts["data"].keys() == texts["data_description"].keys()
    sections = {marker.schema: field for marker, field in fields.items() if isinstance(field, section)}
    assert sections.keys() == texts.get("sections", {}).keys()
    for name, field in sections.items():
        check_texts(field.schema.schema, texts["sections"][name])


async def test_the_forms_can_be_sent_to_a_browser(home: HomeAssistant) -> None:
    for fields in FORMS.values():
        assert probatio.to_field_list(probatio.Schema(fields), custom_serializer=cv.custom_serializer)
