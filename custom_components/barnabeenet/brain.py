"""What the house remembers and may ask: sessions, limits, money and language models, put together for Home Assistant."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal
import logging
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import instance_id
from homeassistant.helpers.httpx_client import get_async_client
from homeassistant.util import dt as dt_util
import httpx

from .dialog.context import Sources
from .dialog.mind import LanguageModels, Mind
from .dialog.policy import Policy
from .house import House
from .options import Options, async_follow
from .provider_entries import ProviderEntry, providers_of
from .providers.base import Call, Provider, ProviderError
from .providers.chain import Chain
from .providers.factory import open_provider
from .state.budget import BudgetLimits
from .state.database import Database
from .state.errors import StateError
from .state.money import PaidCall, micro_usd
from .state.purse import Purse
from .state.rate_limit import Limits, LimitTable, MemoryLimiter
from .state.redis import open_redis
from .state.redis_limit import SharedLimiter
from .state.session_types import Options as SessionOptions
from .state.sessions import Sessions

_LOGGER = logging.getLogger(__name__)

# One for all entries: what a family tells belongs to the home, not to a sidecar.
DATABASE: Final = Path("barnabeenet") / "barnabeenet.db"


class Brain:
    """The state of an entry while it is loaded; `mind` is what turns work with."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, house: House, state: _State) -> None:
        self._hass, self._entry, self._state, self.house = hass, entry, state, house
        self._known: tuple[ProviderEntry, ...] | None = None
        self._models: LanguageModels | None = None
        self.mind = Mind(
            limiter=state.limiter,
            sessions=state.sessions,
            budget=state.purse.budget,
            policy=Policy(house.things),
            sources=Sources(house=house),
        )

    @classmethod
    async def open(cls, hass: HomeAssistant, entry: ConfigEntry) -> Brain:
        """Opens the database and takes up what was going on; raises StateError."""
        options = Options.from_entry(entry)
        brain = cls(hass, entry, House(hass), await _State.open(hass, options))
        await brain.refresh()
        return brain

    @callback
    def start(self) -> None:
        """Follows the home, and changed options and providers, while the entry is loaded."""

        @callback
        def changed() -> None:
            self._entry.async_create_background_task(self._hass, self.refresh(), "barnabeenet options")

        self._entry.async_on_unload(async_follow(self._hass, self._entry, changed))
        self.house.start()

    async def refresh(self) -> None:
        """Takes the options and providers as they are now; who cannot be made is left out, with a line that says why."""
        options, providers = Options.from_entry(self._entry), providers_of(self._entry)
        self._state.purse.budget.limits = _budget(options, {each.settings.name: each.daily_usd for each in providers})
        self._state.purse.budget.local_only = options.local_only
        self._state.limiter.table = LimitTable(Limits(per_minute=options.per_minute, per_hour=options.per_hour))
        if tuple(providers) != self._known:
            self._known = tuple(providers)
            await self._open_models(providers)
        models = self._models if options.ask_language_model else None
        self.mind.models = models

    async def close(self) -> None:
        """Writes what is not yet written and closes everything; safe to call twice."""
        self.house.close()
        await self._state.close()

    async def _open_models(self, entries: list[ProviderEntry]) -> None:
        http = get_async_client(self._hass)
        opened = [provider for entry in entries if (provider := await _open(entry, http)) is not None]
        prices = {entry.settings.name: entry.settings.price for entry in entries if entry.settings.price is not None}
        tiers = tuple(dict.fromkeys(provider.tier for provider in opened))
        self._models = LanguageModels(Chain(opened, self._paid, prices=prices), tiers) if opened else None

    def _paid(self, call: Call) -> None:
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


@dataclass
class _State:
    """What is written down."""

    database: Database
    sessions: Sessions
    limiter: MemoryLimiter | SharedLimiter
    purse: Purse

    @classmethod
    async def open(cls, hass: HomeAssistant, options: Options) -> _State:
        """Raises StateError, and then leaves nothing open."""
        instance = await instance_id.async_get(hass)
        async with AsyncExitStack() as stack:
            database = await _open_database(hass, stack)
            purse = await Purse.open(database, _budget(options, {}), zone=_zone)
            stack.push_async_callback(purse.close)
            sessions = await Sessions.open(
                database,
                redis_url=options.redis_url,
                instance=instance,
                options=SessionOptions(sessions_max=options.sessions_max),
            )
            stack.push_async_callback(sessions.close)
            state = cls(database, sessions, _limiter(options, instance), purse)
            stack.pop_all()
            return state

    async def close(self) -> None:
        """Writes what is not yet written; safe to call twice."""
        await self.sessions.close()
        if isinstance(self.limiter, SharedLimiter):
            await self.limiter.close()
        await self.purse.close()
        await self.database.close()


async def _open_database(hass: HomeAssistant, stack: AsyncExitStack) -> Database:
    """The home's database, or one that lasts until the next restart when that cannot be opened: people are heard anyway."""
    try:
        database = await Database.open(Path(hass.config.path(str(DATABASE))))
    except StateError as error:
        _LOGGER.warning("Nothing is remembered until this is mended and Home Assistant restarted: %s", error)
        folder = await hass.async_add_executor_job(mkdtemp)
        database = await Database.open(Path(folder) / DATABASE.name)
    stack.push_async_callback(database.close)
    return database


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
        providers={name: micro_usd(usd) for name, usd in providers.items() if usd is not None},
    )


def _limiter(options: Options, home: str) -> MemoryLimiter | SharedLimiter:
    table = LimitTable(Limits(per_minute=options.per_minute, per_hour=options.per_hour))
    if options.redis_url is None:
        return MemoryLimiter(table)
    return SharedLimiter(open_redis(options.redis_url), home, table)
