"""What the house remembers and may ask: sessions, limits, money and language models, put together for Home Assistant."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, replace
from datetime import date, tzinfo
from decimal import Decimal
import logging
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import instance_id
from homeassistant.util import dt as dt_util
from homeassistant.util.ssl import get_default_context
import httpx

from .client.sidecar import Sidecar
from .database_keeper import DatabaseKeeper, async_keeper
from .dialog.benchmark import Report as Comparison, compare
from .dialog.cache import Answers
from .dialog.context import Sources
from .dialog.enrolment import Lessons
from .dialog.extract import Extraction
from .dialog.memories import Recollections
from .dialog.mind import LanguageModels, Mind
from .dialog.policy import Policy
from .dialog.telling import Telling
from .house import House
from .identity import Household
from .options import Options, async_change, async_follow
from .people import Person
from .provider_entries import ProviderEntry, providers_of
from .providers.base import Call, Provider, ProviderError, Refused, Usage
from .providers.chain import Chain
from .providers.factory import open_provider
from .providers.http import open_http
from .providers.prices import Price, cost
from .repairs_issues import (
    async_budget_fine,
    async_budget_red,
    async_forget,
    async_provider_answers,
    async_provider_refused,
)
from .sources import HomeCalendars, HomeWeather, People
from .state.budget import BudgetLimits, Level, Reason
from .state.database import Database
from .state.errors import StateError
from .state.money import PaidCall, micro_usd, usd
from .state.purse import Purse
from .state.rate_limit import Limits, LimitTable, MemoryLimiter
from .state.redis import open_redis
from .state.redis_limit import SharedLimiter
from .state.report import Report, cost_report
from .state.session_types import Options as SessionOptions
from .state.sessions import Sessions
from .state.sidecar_embedder import SidecarEmbedder
from .state.voice_match import match
from .telemetry.agents import Agents
from .telemetry.trace import VoiceContext

_LOGGER = logging.getLogger(__name__)


class Brain:
    """The state of an entry while it is loaded; `mind` is what turns work with."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, house: House, state: _State) -> None:
        self._hass, self._entry, self._state, self.house = hass, entry, state, house
        self._known: tuple[ProviderEntry, ...] | None = None
        self._providers: dict[str, Provider] = {}
        self._prices: dict[str, Price] = {}
        self._http: httpx.AsyncClient | None = None
        options = Options.from_entry(entry)
        self._opened_with = (options.redis_url, options.sessions_max)
        self._models: LanguageModels | None = None
        self.household = Household(hass, state.keeper.voices, match)
        self.mind = Mind(
            limiter=state.limiter,
            sessions=state.sessions,
            budget=state.purse.budget,
            policy=Policy(house.things, household=self.household),
            telling=Telling(state.keeper.memories),
            sources=Sources(
                house,
                memories=Recollections(state.keeper.memories),
                calendars=HomeCalendars(hass),
                weather=HomeWeather(hass, Answers()),
                profiles=People(hass, self.household),
            ),
        )
        self.mind.lessons = Lessons(self.household, self.mind.codes)
        self.agents = Agents()
        self.memories = state.keeper.memories
        self._extraction = Extraction(self.memories, lambda: self.mind.models, self.mind.budget)

    @classmethod
    async def open(cls, hass: HomeAssistant, entry: ConfigEntry) -> Brain:
        """Opens the database and takes up what was going on; raises StateError."""
        options = Options.from_entry(entry)
        brain = cls(hass, entry, House(hass), await _State.open(hass, entry.entry_id, options))
        await brain.refresh()
        return brain

    @callback
    def start(self, sidecar: Sidecar) -> None:
        """Follows the home, its people, and changed options and providers, while the entry is loaded.

        The sidecar reads memories, and goes on with them when it is back.
        """
        self._state.keeper.lend(self._state.owner, SidecarEmbedder(sidecar))
        self._entry.async_on_unload(sidecar.subscribe(lambda: self.memories.wake() if sidecar.available else None))
        self._entry.async_on_unload(self.household.on_forgotten(self._forget_memories))

        @callback
        def changed() -> None:
            self._entry.async_create_background_task(self._hass, self.refresh(), "barnabeenet options")

        self._entry.async_on_unload(async_follow(self._hass, self._entry, changed))
        self.house.start()
        self._entry.async_on_unload(self._state.purse.budget.subscribe(self._tell_of_budget))
        self._entry.async_on_unload(self._entry.runtime_data.turns.subscribe(self.agents.take))
        self._entry.async_on_unload(self._entry.runtime_data.turns.subscribe(self._extract))
        self._entry.async_on_unload(lambda: async_forget(self._hass, self._entry))
        self._tell_of_budget()

    async def _hand_memories_over(self) -> None:
        """What somebody wrote under their login before they became a person of the home is the person's now."""
        try:
            for person in self.household.people:
                login = person.login(self._hass)
                if login is not None:
                    await self.memories.hand_over(f"user {login}", person.speaker)
        except StateError as error:
            _LOGGER.warning("What people wrote before they were known is theirs after the next start: %s", error)

    async def _forget_memories(self, speakers: Collection[str]) -> None:
        for speaker in speakers:
            await self.memories.forget_all_of(speaker)

    async def refresh(self) -> None:
        """Takes the options and providers as they are now; who cannot be made is left out, with a line that says why."""
        options, providers = Options.from_entry(self._entry), providers_of(self._entry)
        if (options.redis_url, options.sessions_max) != self._opened_with:
            # Sessions that are live go on in the entry that is set up anew.
            self._hass.config_entries.async_schedule_reload(self._entry.entry_id)
            return
        await self.household.follow()
        await self._hand_memories_over()
        self._state.purse.budget.limits = _budget(options, {each.settings.name: each.daily_usd for each in providers})
        self._state.purse.budget.local_only = options.local_only
        self._state.limiter.table = LimitTable(Limits(per_minute=options.per_minute, per_hour=options.per_hour))
        if tuple(providers) != self._known:
            self._known = tuple(providers)
            await self._open_models(providers)
        models = self._models if options.ask_language_model else None
        self.mind.models = models

    def as_dict(self) -> dict[str, Any]:
        """How things stand, JSON-ready; nothing that was said, and no address."""
        state, status = self._state, self._state.purse.budget.status()
        chain = self._models.chain if self._models else None
        return {
            "agents": self.agents.as_dict(),
            "replies": self.mind.counts.as_dict(),
            "refused": dict(state.limiter.refusals.by_bound),
            # Why nothing is kept for good, or the last write failed.
            "database_error": type(error).__name__ if (error := state.keeper.error or state.database.error) else None,
            "sessions": len(state.sessions.live),
            "sessions_error": type(state.sessions.store_error).__name__ if state.sessions.store_error else None,
            "budget": {
                "level": status.level,
                "day_usd": float(usd(status.day)),
                "month_usd": float(usd(status.month)),
                "local_only": status.local_only,
            },
            # Their names are a person's own words.
            "models": [asdict(replace(each, name="")) for each in chain.health()] if isinstance(chain, Chain) else [],
        }

    # What people and automations call

    async def cost_report(self, first: date, last: date) -> Report:
        """What was spent from the first day to the last, both included; raises StateError."""
        await self._state.purse.outbox.flush()
        return await cost_report(self._state.purse.ledger, first, last, self._state.purse.budget.limits)

    async def reset_cost_counter(self) -> None:
        """Begins the budgets of today and of this month anew; the ledger keeps what was spent."""
        self._state.purse.budget.reset()

    async def end_session(self, *, device_id: str | None = None, speaker: str | None = None) -> int:
        """Ends the sessions of a device or a speaker; returns how many there were."""
        meant = [
            each
            for each in self._state.sessions.live
            if device_id == each.device_id or (speaker and speaker == each.speaker)
        ]
        return sum([await self._state.sessions.end(session.id) for session in meant])

    async def set_local_only(self, local_only: bool) -> None:
        """Keeps everything in the house, or no longer; for good."""
        async_change(self._hass, self._entry, local_only=local_only)

    async def benchmark(self, names: Sequence[str]) -> Comparison:
        """Asks each of these providers the standard questions."""
        return await compare([self._providers[name] for name in names if name in self._providers], self._price)

    async def close(self) -> None:
        """Writes what is not yet written and closes everything; safe to call twice."""
        self.house.close()
        if self._http is not None:
            await self._http.aclose()
        await self._state.close()

    async def _open_models(self, entries: list[ProviderEntry]) -> None:
        if self._http is None:
            self._http = await open_http(get_default_context())
        http = self._http
        opened = [provider for entry in entries if (provider := await _open(entry, http)) is not None]
        self._providers = {provider.name: provider for provider in opened}
        prices = {entry.settings.name: entry.settings.price for entry in entries if entry.settings.price is not None}
        tiers = tuple(dict.fromkeys(provider.tier for provider in opened))
        self._prices = prices
        chain = Chain(opened, self._paid, prices=prices, objection=self._objection)
        self._models = LanguageModels(chain, tiers) if opened else None

    @callback
    def _extract(self, turn: VoiceContext) -> None:
        """Where the home wants it, takes lasting facts out of what was told to a model."""
        extraction = self._extraction
        if extraction is None or not Options.from_entry(self._entry).extract_memories or not extraction.wants(turn):
            return
        self._entry.async_create_background_task(self._hass, extraction.extract(turn), "barnabeenet extraction")

    @callback
    def _tell_of(self, call: Call) -> None:
        """A key that is refused is for a person to mend."""
        subentry_id = next(
            (each.subentry_id for each in self._known or () if each.settings.name == call.provider), None
        )
        if subentry_id is None:
            return
        if call.outcome == Refused.outcome:
            async_provider_refused(self._hass, self._entry, subentry_id, call.error or "")
        elif call.outcome in ("answered", "cut"):
            async_provider_answers(self._hass, self._entry, subentry_id)

    @callback
    def _tell_of_budget(self) -> None:
        status = self._state.purse.budget.status()
        if status.level is Level.RED and not status.local_only:
            spent, limit = (status.month, status.limits.month) if status.month_over else (status.day, status.limits.day)
            async_budget_red(self._hass, self._entry, float(usd(spent)), float(usd(limit)))
        else:
            async_budget_fine(self._hass, self._entry)

    def _objection(self, provider: Provider) -> str | None:
        decision = self._state.purse.budget.allows(provider.tier, "interaction", provider=provider.name)
        return "Its budget for today is used up" if decision.reason is Reason.PROVIDER_USED_UP else None

    def _price(self, provider: Provider, usage: Usage) -> float | None:
        return cost(provider.kind, provider.model, provider.tier, usage, self._prices.get(provider.name))[0]

    def _paid(self, call: Call) -> None:
        self._tell_of(call)
        known = call.cost_source != "unknown" and call.cost_usd is not None
        self._state.purse.record(
            PaidCall(
                provider=call.provider,
                model=call.model,
                tier=call.tier,
                agent=call.caller.agent,
                outcome=call.outcome,
                trace_id=call.caller.trace_id,
                speaker=call.caller.speaker,
                session_id=call.caller.session,
                prompt_tokens=call.usage.prompt_tokens,
                cached_tokens=call.usage.cached_tokens,
                completion_tokens=call.usage.completion_tokens,
                latency_ms=call.total_ms,
                cost_usd=Decimal(str(call.cost_usd)) if known else None,
                cost_source=call.cost_source,
            )
        )


async def async_forget_people(hass: HomeAssistant, people: Collection[Person]) -> None:
    """Deletes voices and memories of people whose entry is gone and with it the one who had the database open."""
    keeper = async_keeper(hass)
    if not people or not await hass.async_add_executor_job(keeper.path.exists):
        return
    owner = "people who are gone"
    try:
        await keeper.take(owner)
        await keeper.voices.remove(person.speaker for person in people)
        for person in people:
            await keeper.memories.forget_all_of(person.speaker)
    except StateError as error:
        _LOGGER.warning("Voices and memories of people who were removed are still kept: %s", error)
    finally:
        await keeper.release(owner)


@dataclass
class _State:
    """What is written down."""

    # Who has the home's database open, and as whom.
    keeper: DatabaseKeeper
    owner: str
    database: Database
    sessions: Sessions
    limiter: MemoryLimiter | SharedLimiter
    purse: Purse

    @classmethod
    async def open(cls, hass: HomeAssistant, owner: str, options: Options) -> _State:
        """Raises StateError, and then leaves nothing open."""
        instance, keeper = await instance_id.async_get(hass), async_keeper(hass)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(keeper.release, owner)
            database = await keeper.take(owner)
            purse = await Purse.open(database, _budget(options, {}), zone=_zone)
            stack.push_async_callback(purse.close)
            sessions = await Sessions.open(
                database,
                redis_url=options.redis_url,
                instance=instance,
                options=SessionOptions(sessions_max=options.sessions_max),
            )
            stack.push_async_callback(sessions.close)
            state = cls(keeper, owner, database, sessions, _limiter(options, instance), purse)
            stack.pop_all()
            return state

    async def close(self) -> None:
        """Writes what is not yet written; safe to call twice."""
        await self.sessions.close()
        if isinstance(self.limiter, SharedLimiter):
            await self.limiter.close()
        await self.purse.close()
        await self.keeper.release(self.owner)


async def _open(entry: ProviderEntry, http: httpx.AsyncClient) -> Provider | None:
    try:
        return await open_provider(entry.settings, http)
    except ProviderError as error:
        _LOGGER.warning("The language model %s is left out: %s", entry.settings.name, error)
        return None


def _zone() -> tzinfo:
    return dt_util.DEFAULT_TIME_ZONE


def _budget(options: Options, providers: Mapping[str, float | None]) -> BudgetLimits:
    return BudgetLimits(
        day=micro_usd(options.daily_usd),
        month=micro_usd(options.monthly_usd),
        tiers={
            "cloud_fast": micro_usd(options.cloud_fast_daily_usd),
            "cloud_powerful": micro_usd(options.cloud_powerful_daily_usd),
        },
        providers={name: micro_usd(limit) for name, limit in providers.items() if limit is not None},
    )


def _limiter(options: Options, home: str) -> MemoryLimiter | SharedLimiter:
    table = LimitTable(Limits(per_minute=options.per_minute, per_hour=options.per_hour))
    if options.redis_url is None:
        return MemoryLimiter(table)
    return SharedLimiter(open_redis(options.redis_url), home, table)
