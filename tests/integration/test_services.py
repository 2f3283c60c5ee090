"""The actions: what they accept, what they answer, and what they say when they cannot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized
from homeassistant.helpers.translation import async_get_translations
from homeassistant.util import dt as dt_util
import probatio
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser
import yaml

from custom_components.barnabeenet import services, services_common
from custom_components.barnabeenet.const import DOMAIN
from custom_components.barnabeenet.providers.base import Unreachable
from custom_components.barnabeenet.state.errors import StateError

pytestmark = pytest.mark.usefixtures("starting")


class FakeReport:
    def as_dict(self) -> dict[str, Any]:
        return {"cost_usd": 0.25, "by_model": [{"name": "one", "cost_usd": 0.25}]}

    def as_text(self) -> str:
        return "It cost 0.25 USD."

    def as_csv(self) -> str:
        return "model,cost_usd\r\none,0.25\r\n"


class FakeBrain:
    """Writes down what it is asked for; all else is the entry's own."""

    def __init__(self, own: Any) -> None:
        self.own = own
        self.asked: list[Any] = []
        self.sessions = 1
        self.failure: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)

    def _ask(self, *what: Any) -> None:
        self.asked.append(what)
        if self.failure is not None:
            raise self.failure

    async def cost_report(self, first: date, last: date) -> FakeReport:
        self._ask(first, last)
        return FakeReport()

    async def reset_cost_counter(self) -> None:
        self._ask("reset")

    async def end_session(self, *, device_id: str | None = None, speaker: str | None = None) -> int:
        self._ask(device_id, speaker)
        return self.sessions

    async def set_local_only(self, local_only: bool) -> None:
        self._ask(local_only)

    async def benchmark(self, names: Sequence[str]) -> FakeReport:
        self._ask(*names)
        return FakeReport()


@pytest.fixture
def brain(loaded: MockConfigEntry, monkeypatch: pytest.MonkeyPatch) -> FakeBrain:
    """What the actions of the entry reach."""
    fake = FakeBrain(getattr(loaded.runtime_data, "brain", None))
    asked: services.Brain = fake
    monkeypatch.setattr(loaded.runtime_data, "brain", asked, raising=False)
    return fake


async def call(hass: HomeAssistant, name: str, *, context: Context | None = None, **data: Any) -> Any:
    wants_answer = name in ("cost_report", "benchmark")
    return await hass.services.async_call(
        DOMAIN, name, data, blocking=True, return_response=wants_answer, context=context
    )


def add_provider(hass: HomeAssistant, entry: MockConfigEntry, name: str) -> None:
    data = {"kind": "ollama", "base_url": "http://beast:11434/v1", "model": "llama", "tier": "local", "order": 1}
    subentry = ConfigSubentry(data=MappingProxyType(data), subentry_type="provider", title=name, unique_id=None)
    hass.config_entries.async_add_subentry(entry, subentry)


async def test_the_report_of_today_comes_as_data(home: HomeAssistant, brain: FakeBrain) -> None:
    today = dt_util.now().date()
    answer = await call(home, "cost_report")
    assert brain.asked == [(today, today)]
    assert answer == {"start": str(today), "end": str(today), **FakeReport().as_dict()}


@pytest.mark.parametrize(
    ("form", "told"),
    [("text", {"text": "It cost 0.25 USD."}), ("csv", {"csv": "model,cost_usd\r\none,0.25\r\n"})],
)
async def test_a_report_comes_as_text_or_as_a_table(
    home: HomeAssistant, brain: FakeBrain, form: str, told: dict[str, str]
) -> None:
    answer = await call(home, "cost_report", format=form)
    assert {key: value for key, value in answer.items() if key not in ("start", "end")} == told


async def test_days_are_those_of_the_home(
    home: HomeAssistant, brain: FakeBrain, freezer: Any, loaded: MockConfigEntry
) -> None:
    await home.config.async_set_time_zone("Pacific/Auckland")
    freezer.move_to("2026-11-30 13:30:00+00:00")
    await call(home, "cost_report", config_entry_id=loaded.entry_id)
    await call(home, "cost_report", period="month")
    await call(home, "cost_report", period="range", start="2026-11-29")
    first = date(2026, 12, 1)
    assert brain.asked == [(first, first), (first, first), (date(2026, 11, 29), first)]


async def test_a_range_has_two_ends_and_a_longest_length(home: HomeAssistant, brain: FakeBrain) -> None:
    await call(home, "cost_report", period="range", start="2024-01-01", end="2025-02-03")
    assert brain.asked == [(date(2024, 1, 1), date(2025, 2, 3))]
    for wrong, key in (
        ({}, "range_missing"),
        ({"start": "2026-02-02", "end": "2026-02-01"}, "range_wrong"),
        ({"start": "2024-01-01", "end": "2025-02-04"}, "range_too_long"),
    ):
        with pytest.raises(ServiceValidationError) as raised:
            await call(home, "cost_report", period="range", **wrong)
        assert raised.value.translation_key == key
    assert len(brain.asked) == 1


async def test_the_switch_and_the_counter_reach_the_entry(home: HomeAssistant, brain: FakeBrain) -> None:
    await call(home, "set_local_only", enabled=True)
    await call(home, "reset_cost_counter")
    assert brain.asked == [(True,), ("reset",)]


async def test_a_session_ends_by_device_or_by_speaker(home: HomeAssistant, brain: FakeBrain) -> None:
    await call(home, "end_session", device_id="kitchen")
    await call(home, "end_session", speaker="Anna")
    assert brain.asked == [("kitchen", None), (None, "Anna")]
    for wrong in ({}, {"device_id": "kitchen", "speaker": "Anna"}):
        with pytest.raises(ServiceValidationError) as raised:
            await call(home, "end_session", **wrong)
        assert raised.value.translation_key == "device_or_speaker"
    brain.sessions = 0
    with pytest.raises(ServiceValidationError) as raised:
        await call(home, "end_session", device_id="attic")
    assert raised.value.translation_key == "no_session"


async def test_the_named_models_are_compared_or_all(
    home: HomeAssistant, loaded: MockConfigEntry, brain: FakeBrain
) -> None:
    with pytest.raises(ServiceValidationError) as raised:
        await call(home, "benchmark")
    assert raised.value.translation_key == "no_providers"

    add_provider(home, loaded, "one")
    add_provider(home, loaded, "two")
    assert await call(home, "benchmark") == FakeReport().as_dict()
    await call(home, "benchmark", providers=["two", "two"])
    assert brain.asked == [("one", "two"), ("two",)]

    with pytest.raises(ServiceValidationError) as raised:
        await call(home, "benchmark", providers=["three"])
    assert raised.value.translation_placeholders == {"provider": "three", "known": "one, two"}


@pytest.mark.parametrize("error", [StateError("the disk is full"), Unreachable("nobody"), ValueError("too long")])
async def test_what_goes_wrong_is_told_to_whoever_called(
    home: HomeAssistant, brain: FakeBrain, error: Exception
) -> None:
    brain.failure = error
    with pytest.raises(HomeAssistantError, match=f"That did not work: {error}") as raised:
        await call(home, "cost_report")
    assert raised.value.translation_key == "action_failed"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("cost_report", {"period": "year"}),
        ("cost_report", {"format": "pdf"}),
        ("cost_report", {"period": "range", "start": "yesterday"}),
        ("set_local_only", {}),
        ("end_session", {"speaker": ""}),
        ("end_session", {"device_id": "x" * 256}),
        ("benchmark", {"providers": ["x"] * 13}),
        ("reset_cost_counter", {"something": 1}),
    ],
)
async def test_what_an_action_does_not_know_is_refused(
    home: HomeAssistant, brain: FakeBrain, name: str, data: dict[str, Any]
) -> None:
    with pytest.raises(probatio.Invalid):
        await call(home, name, **data)
    assert brain.asked == []


@pytest.mark.parametrize(
    ("name", "allowed"), [("benchmark", False), ("reset_cost_counter", False), ("set_local_only", True)]
)
async def test_what_costs_or_forgets_money_is_for_administrators(
    home: HomeAssistant,
    loaded: MockConfigEntry,
    brain: FakeBrain,
    hass_read_only_user: MockUser,
    name: str,
    allowed: bool,
) -> None:
    context = Context(user_id=hass_read_only_user.id)
    data = {"enabled": True} if name == "set_local_only" else {}
    if allowed:
        await call(home, name, context=context, **data)
    else:
        with pytest.raises(Unauthorized):
            await call(home, name, context=context, **data)
        assert brain.asked == []


async def test_an_entry_that_has_only_begun_to_start_says_so(
    home: HomeAssistant, loaded: MockConfigEntry, brain: FakeBrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as gone:
        gone.setattr(loaded.runtime_data, "brain", None)
        with pytest.raises(ServiceValidationError) as raised:
            await call(home, "reset_cost_counter")
    assert raised.value.translation_key == "not_ready"


async def test_an_entry_that_is_not_there_or_not_loaded_is_told(
    home: HomeAssistant, loaded: MockConfigEntry, brain: FakeBrain
) -> None:
    with pytest.raises(ServiceValidationError, match="not_there"):
        await call(home, "cost_report", config_entry_id="not_there")
    assert await home.config_entries.async_unload(loaded.entry_id)
    with pytest.raises(ServiceValidationError):
        await call(home, "cost_report", config_entry_id=loaded.entry_id)


def test_every_action_and_field_has_its_texts_icon_and_selector(root: Path) -> None:
    folder = root / "custom_components" / "barnabeenet"
    described = yaml.safe_load((folder / "services.yaml").read_text())
    texts = json.loads((folder / "translations" / "en.json").read_text())
    icons = json.loads((folder / "icons.json").read_text())
    assert described.keys() == texts["services"].keys() == icons["services"].keys()
    for name, service in described.items():
        assert service["fields"].keys() == texts["services"][name]["fields"].keys(), name
        for field in service["fields"].values():
            (selector,) = field["selector"]
            options = (field["selector"][selector] or {}).get("options")
            if options:
                assert selector == "select"
                key = field["selector"]["select"]["translation_key"]
                assert texts["selector"][key]["options"].keys() == set(options)
    selectors = {
        f["selector"]["select"]["translation_key"]
        for s in described.values()
        for f in s["fields"].values()
        if "select" in f["selector"]
    }
    assert selectors == {"report_period", "report_format", "visibility"}


async def test_the_described_actions_are_those_that_are_there(home: HomeAssistant, loaded: MockConfigEntry) -> None:
    folder = Path(services.__file__).parent
    described = yaml.safe_load((folder / "services.yaml").read_text())
    assert home.services.async_services_for_domain(DOMAIN).keys() == described.keys()
    for name, service in home.services.async_services_for_domain(DOMAIN).items():
        assert isinstance(service.schema, probatio.Schema)
        assert {marker.schema for marker in service.schema.schema} == described[name]["fields"].keys()


async def test_every_error_of_an_action_has_its_text(home: HomeAssistant) -> None:
    texts = await async_get_translations(home, "en", "exceptions", [DOMAIN])
    source = Path(services.__file__).read_text() + Path(services_common.__file__).read_text()
    for key in ("device_or_speaker", "no_providers", "no_session", "not_ready", "unknown_provider", "action_failed"):
        assert f'"{key}"' in source
        assert texts[f"component.{DOMAIN}.exceptions.{key}.message"]
