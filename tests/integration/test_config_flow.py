"""Pairing with a sidecar, by hand and by discovery, and mending the pairing later."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
import json
from pathlib import Path
import re
from typing import Any
from unittest.mock import AsyncMock, patch

from homeassistant.config_entries import SOURCE_IGNORE, SOURCE_RECONFIGURE, SOURCE_USER, SOURCE_ZEROCONF
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import instance_id
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo
from homeassistant.helpers.translation import async_get_translations
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.barnabeenet.client import errors
from custom_components.barnabeenet.client.sidecar import Address, Identity
from custom_components.barnabeenet.const import DOMAIN, ZEROCONF_TYPE

pytestmark = pytest.mark.usefixtures("starting")

TYPED = {
    "host": "beast",
    "port": 10800,
    "tls": False,
    "token": "0123456789abcdef0123456789abcdef",
    "preferred": False,
}
ERRORS = [
    (errors.BackingOff, "backing_off"),
    (errors.Busy, "busy"),
    (errors.CannotConnect, "cannot_connect"),
    (errors.ConnectionLost, "connection_lost"),
    (errors.ContractMismatch, "contract_mismatch"),
    (errors.Impostor, "impostor"),
    (errors.NotASidecar, "not_a_sidecar"),
    (errors.ProtocolError, "protocol_error"),
    (errors.RequestFailed, "request_failed"),
    (errors.SidecarTimeout, "timeout"),
    (errors.TlsMismatch, "tls_mismatch"),
    (errors.Unauthorized, "invalid_auth"),
]


@pytest.fixture
def probe(sidecar: Any, identity: Identity) -> Iterator[AsyncMock]:
    """Stands for one connection to whatever is at an address."""
    with patch("custom_components.barnabeenet.config_flow.probe", AsyncMock(return_value=(identity, None))) as probe:
        yield probe


def announcement(sidecar_id: str | None = "sidecar-1", host: str = "192.168.1.20", **more: str) -> ZeroconfServiceInfo:
    return ZeroconfServiceInfo(
        ip_address=ip_address(host),
        ip_addresses=[ip_address(host)],
        port=10801,
        hostname="beast.local.",
        type=ZEROCONF_TYPE,
        name=f"Beast.{ZEROCONF_TYPE}",
        properties={"id": sidecar_id, "name": "Beast", **more} if sidecar_id else {},
    )


async def begin(hass: HomeAssistant, source: str, data: Any = None) -> Any:
    return await hass.config_entries.flow.async_init(DOMAIN, context={"source": source}, data=data)


async def enter(hass: HomeAssistant, result: Any, typed: dict[str, Any]) -> Any:
    return await hass.config_entries.flow.async_configure(result["flow_id"], typed)


async def test_a_host_a_port_and_a_token_make_an_entry(home: HomeAssistant, probe: AsyncMock) -> None:
    result = await begin(home, SOURCE_USER)
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == "user"

    result = await enter(home, result, TYPED)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "Barnabee"
    assert result["data"] == TYPED
    assert result["result"].unique_id == "sidecar-1"
    probe.assert_awaited_once()
    assert probe.await_args is not None
    assert probe.await_args.args == (Address("beast", 10800), TYPED["token"])
    assert probe.await_args.kwargs["home"] == await instance_id.async_get(home)
    assert probe.await_args.kwargs["software"] == "BarnabeeNet 0.1.0"


@pytest.mark.parametrize(("error", "message"), ERRORS)
async def test_every_failure_tells_what_to_do_and_the_form_can_be_sent_again(
    home: HomeAssistant, probe: AsyncMock, error: type[errors.SidecarError], message: str
) -> None:
    answer, probe.side_effect = probe.return_value, error("the details")
    result = await enter(home, await begin(home, SOURCE_USER), TYPED)
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == {"base": message}
    assert result["description_placeholders"]["error"] == "the details"
    texts = await async_get_translations(home, "en", "config", [DOMAIN])
    assert len(texts[f"component.{DOMAIN}.config.error.{message}"]) > 40

    probe.side_effect, probe.return_value = None, answer
    assert (await enter(home, result, TYPED))["type"] is FlowResultType.CREATE_ENTRY


def test_no_error_of_the_client_is_without_its_message() -> None:
    named = {error for error, _ in ERRORS}
    kinds = errors.SidecarError.__subclasses__()
    assert {*kinds, *(each for kind in kinds for each in kind.__subclasses__())} == named


async def test_blanks_and_line_breaks_that_came_with_the_token_are_taken_out(
    home: HomeAssistant, probe: AsyncMock
) -> None:
    typed = TYPED | {"token": f"  {TYPED['token'][:16]}\n {TYPED['token'][16:]}\n"}
    result = await enter(home, await begin(home, SOURCE_USER), typed)
    assert result["data"]["token"] == TYPED["token"]


@pytest.mark.parametrize("token", ["", "   ", "too short", "x" * 257])
async def test_what_cannot_be_a_token_is_refused_without_a_connection(
    home: HomeAssistant, probe: AsyncMock, token: str
) -> None:
    result = await enter(home, await begin(home, SOURCE_USER), TYPED | {"token": token})
    assert result["errors"] == {"token": "invalid_token"}
    probe.assert_not_awaited()


async def test_a_url_is_understood_and_its_port_wins(home: HomeAssistant, probe: AsyncMock) -> None:
    result = await enter(home, await begin(home, SOURCE_USER), TYPED | {"host": "tcp://beast.local:12345/"})
    assert (result["data"]["host"], result["data"]["port"]) == ("beast.local", 12345)


async def test_what_names_no_host_is_refused_without_a_connection(home: HomeAssistant, probe: AsyncMock) -> None:
    result = await enter(home, await begin(home, SOURCE_USER), TYPED | {"host": "the box in the cellar"})
    assert result["errors"] == {"host": "invalid_host"}
    probe.assert_not_awaited()


async def test_the_same_sidecar_is_not_set_up_twice_but_its_new_address_is_kept(
    home: HomeAssistant, probe: AsyncMock, entry: MockConfigEntry
) -> None:
    result = await enter(home, await begin(home, SOURCE_USER), TYPED | {"host": "elsewhere"})
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"
    assert entry.data["host"] == "elsewhere"


async def test_a_second_sidecar_has_a_name_of_its_own(
    home: HomeAssistant, probe: AsyncMock, entry: MockConfigEntry
) -> None:
    probe.return_value = (Identity("sidecar-2", "Attic", "barnabeenet-sidecar 0.1.0"), None)
    result = await enter(home, await begin(home, SOURCE_USER), TYPED)
    assert result["title"] == "Barnabee (Attic)"


async def test_barnabee_is_offered_as_preferred_where_nothing_else_was_made(
    home: HomeAssistant, probe: AsyncMock
) -> None:
    result = await begin(home, SOURCE_USER)
    assert result["data_schema"]({k: v for k, v in TYPED.items() if k != "preferred"})["preferred"] is True


async def test_a_discovered_sidecar_asks_for_its_token_alone(home: HomeAssistant, probe: AsyncMock) -> None:
    result = await begin(home, SOURCE_ZEROCONF, announcement())
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == "zeroconf_confirm"
    assert result["description_placeholders"]["name"] == "Beast"
    probe.assert_not_awaited()

    result = await enter(home, result, {"token": TYPED["token"], "preferred": False})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert (result["data"]["host"], result["data"]["port"]) == ("192.168.1.20", 10801)
    assert result["result"].unique_id == "sidecar-1"


async def test_a_discovered_sidecar_with_a_wrong_token_asks_again(home: HomeAssistant, probe: AsyncMock) -> None:
    probe.side_effect = errors.Unauthorized("wrong")
    result = await begin(home, SOURCE_ZEROCONF, announcement())
    result = await enter(home, result, {"token": TYPED["token"], "preferred": False})
    assert result["errors"] == {"base": "invalid_auth"}


async def test_an_announcement_without_an_id_is_put_aside(home: HomeAssistant, probe: AsyncMock) -> None:
    result = await begin(home, SOURCE_ZEROCONF, announcement(sidecar_id=None))
    assert result["reason"] == "invalid_discovery"


async def test_a_known_sidecar_that_proves_itself_elsewhere_is_followed(
    home: HomeAssistant, probe: AsyncMock, entry: MockConfigEntry
) -> None:
    result = await begin(home, SOURCE_ZEROCONF, announcement())
    assert result["reason"] == "already_configured"
    assert (entry.data["host"], entry.data["port"]) == ("192.168.1.20", 10801)


async def test_a_sidecar_that_announces_encryption_is_encrypted_to(home: HomeAssistant, probe: AsyncMock) -> None:
    result = await begin(home, SOURCE_ZEROCONF, announcement(tls="1"))
    result = await enter(home, result, {"token": TYPED["token"], "preferred": False})
    assert result["data"]["tls"] is True
    assert probe.await_args is not None
    assert probe.await_args.args[0] == Address("192.168.1.20", 10801, tls=True)


async def test_a_known_sidecar_that_encrypts_now_is_followed(
    home: HomeAssistant, probe: AsyncMock, entry: MockConfigEntry
) -> None:
    home.config_entries.async_update_entry(entry, data={**entry.data, "host": "192.168.1.20", "port": 10801})
    await begin(home, SOURCE_ZEROCONF, announcement(tls="1"))
    assert entry.data["tls"] is True


async def test_encryption_is_not_given_up_for_an_announcement(
    home: HomeAssistant, probe: AsyncMock, entry: MockConfigEntry
) -> None:
    home.config_entries.async_update_entry(entry, data={**entry.data, "tls": True})
    await begin(home, SOURCE_ZEROCONF, announcement(tls="0"))
    assert probe.await_args is not None
    assert probe.await_args.args[0] == Address("192.168.1.20", 10801, tls=True)
    assert entry.data["tls"] is True


async def test_encryption_is_typed_and_shown_again(
    home: HomeAssistant, probe: AsyncMock, loaded: MockConfigEntry, sidecar: Any
) -> None:
    assert "tls" not in loaded.data, "an entry of the time before there was encryption"
    typed = {"host": "beast", "port": 10800, "tls": True}
    await enter(home, await loaded.start_reconfigure_flow(home), typed)
    await home.async_block_till_done()
    assert sidecar.address == Address("beast", 10800, tls=True)
    result = await loaded.start_reconfigure_flow(home)
    shown = {str(field): field.description for field in result["data_schema"].schema}
    assert shown["tls"] == {"suggested_value": True}


@pytest.mark.parametrize("answer", [errors.Impostor("no proof"), errors.CannotConnect("nobody")])
async def test_who_only_announces_a_known_id_does_not_take_its_entry(
    home: HomeAssistant, probe: AsyncMock, entry: MockConfigEntry, answer: errors.SidecarError
) -> None:
    probe.side_effect = answer
    result = await begin(home, SOURCE_ZEROCONF, announcement())
    assert result["reason"] == "already_configured"
    assert entry.data["host"] == "beast"


async def test_a_sidecar_that_people_ignore_is_not_brought_up_again(home: HomeAssistant, probe: AsyncMock) -> None:
    MockConfigEntry(domain=DOMAIN, unique_id="sidecar-1", source=SOURCE_IGNORE).add_to_hass(home)
    result = await begin(home, SOURCE_ZEROCONF, announcement())
    assert result["reason"] == "already_configured"
    probe.assert_not_awaited()

    result = await enter(home, await begin(home, SOURCE_USER), TYPED)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_a_sidecar_that_works_where_it_is_stays_there(
    home: HomeAssistant, probe: AsyncMock, loaded: MockConfigEntry
) -> None:
    result = await begin(home, SOURCE_ZEROCONF, announcement())
    assert result["reason"] == "already_configured"
    assert loaded.data["host"] == "beast"
    probe.assert_not_awaited()


async def test_a_new_token_mends_the_entry(
    home: HomeAssistant, probe: AsyncMock, loaded: MockConfigEntry, sidecar: Any
) -> None:
    result = await loaded.start_reauth_flow(home)
    assert result["step_id"] == "reauth_confirm"
    assert result["description_placeholders"]["host"] == "beast"

    probe.side_effect = errors.Unauthorized("wrong")
    result = await enter(home, result, {"token": "w" * 32})
    assert result["errors"] == {"base": "invalid_auth"}

    probe.side_effect = None
    result = await enter(home, result, {"token": "n" * 32})
    await home.async_block_till_done()
    assert result["reason"] == "reauth_successful"
    assert loaded.data["token"] == sidecar.token == "n" * 32
    assert loaded.data["host"] == "beast"


async def test_reauthentication_refuses_the_token_of_another_sidecar(
    home: HomeAssistant, probe: AsyncMock, loaded: MockConfigEntry
) -> None:
    probe.return_value = (Identity("sidecar-2", "Attic", "x"), None)
    result = await enter(home, await loaded.start_reauth_flow(home), {"token": "n" * 32})
    assert result["reason"] == "another_sidecar"
    assert result["description_placeholders"]["name"] == "Attic"
    assert loaded.data["token"] == TYPED["token"]


async def test_a_moved_sidecar_is_reconfigured_without_its_token(
    home: HomeAssistant, probe: AsyncMock, loaded: MockConfigEntry, sidecar: Any
) -> None:
    result = await loaded.start_reconfigure_flow(home)
    assert result["step_id"] == "reconfigure"
    result = await enter(home, result, {"host": "10.0.0.7", "port": 11000})
    await home.async_block_till_done()
    assert result["reason"] == "reconfigure_successful"
    assert sidecar.address == Address("10.0.0.7", 11000)
    assert sidecar.token == TYPED["token"]


async def test_reconfiguring_takes_a_new_token_too_and_refuses_what_does_not_work(
    home: HomeAssistant, probe: AsyncMock, loaded: MockConfigEntry
) -> None:
    probe.side_effect = errors.SidecarTimeout("slow")
    typed = {"host": "10.0.0.7", "port": 11000, "token": "n" * 32}
    result = await enter(home, await loaded.start_reconfigure_flow(home), typed)
    assert result["errors"] == {"base": "timeout"}
    assert loaded.data["host"] == "beast"

    probe.side_effect = None
    await enter(home, result, typed)
    await home.async_block_till_done()
    assert (loaded.data["host"], loaded.data["token"]) == ("10.0.0.7", "n" * 32)


async def test_reconfiguring_refuses_another_sidecar(
    home: HomeAssistant, probe: AsyncMock, loaded: MockConfigEntry
) -> None:
    probe.return_value = (Identity("sidecar-2", "Attic", "x"), None)
    result = await begin_reconfigure(home, loaded)
    result = await enter(home, result, {"host": "attic", "port": 10800})
    assert result["reason"] == "another_sidecar"
    assert loaded.data["host"] == "beast"


async def begin_reconfigure(hass: HomeAssistant, entry: MockConfigEntry) -> Any:
    return await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
    )


@pytest.mark.parametrize("language", ["de", "es", "fr", "nl"])
def test_the_other_languages_say_all_that_english_says(root: Path, language: str) -> None:
    folder = root / "custom_components" / "barnabeenet" / "translations"
    english, other = (json.loads((folder / f"{name}.json").read_text()) for name in ("en", language))
    assert _texts(other).keys() == _texts(english).keys()
    for key, text in _texts(english).items():
        assert _placeholders(_texts(other)[key]) == _placeholders(text), key


@pytest.mark.parametrize("language", ["en", "de", "es", "fr", "nl"])
def test_texts_keep_to_what_home_assistant_allows(root: Path, language: str) -> None:
    folder = root / "custom_components" / "barnabeenet" / "translations"
    for key, text in _texts(json.loads((folder / f"{language}.json").read_text())).items():
        assert text == text.strip(), key
        assert text, key
        # Addresses and mark-up go into placeholders; quotes would be taken for the message format's own.
        assert not re.search(r"https?://|<\w|'\{\w+\}'", text), key
        assert re.fullmatch(r"[a-z0-9_.]+", key), key


async def test_an_entry_has_options_and_takes_language_models_and_people(
    home: HomeAssistant, entry: MockConfigEntry
) -> None:
    assert entry.supports_options
    assert entry.supported_subentry_types == {
        "provider": {"supports_reconfigure": True},
        "person": {"supports_reconfigure": True},
    }


def _texts(node: dict[str, Any], path: str = "") -> dict[str, str]:
    texts: dict[str, str] = {}
    for name, value in node.items():
        texts |= _texts(value, f"{path}.{name}") if isinstance(value, dict) else {f"{path}.{name}": value}
    return texts


def _placeholders(text: str) -> set[str]:
    return {part.partition("}")[0] for part in text.split("{")[1:]}
