"""A language model for the demo home: added as in the UI, asked in writing, and what its answers took and cost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
import sqlite3
from typing import Any

from .api import ApiError, HomeAssistant
from .mock_model import MODEL, mock_model

MOCK = "mock"
# What no sentence of Home Assistant's answers, and a wish that takes a tool.
QUESTIONS = ("why can geese remember people", "could you make it a bit brighter in here please")


@dataclass(frozen=True)
class Provider:
    """Where a language model is reached; without a model's name the first one of the server's list is taken."""

    address: str
    model: str | None = None
    key: str | None = None


@dataclass(frozen=True)
class Calls:
    """What one question took: requests, tokens and USD; `sources` says who knew the price."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    sources: tuple[str, ...] = ()


@dataclass
class Actions:
    """The actions that Home Assistant carried out, in order, such as `light.turn_on {...}`."""

    done: list[str] = field(default_factory=list)


@asynccontextmanager
async def at(provider: Provider) -> AsyncIterator[Provider]:
    """The provider itself; one called `mock` is served meanwhile."""
    if provider.address != MOCK:
        yield provider
        return
    async with mock_model() as address:
        yield Provider(f"{address}/v1", provider.model or MODEL, provider.key)


async def add_provider(home: HomeAssistant, provider: Provider) -> str:
    """Adds it to the integration's entry as in the UI, where address, key and model are tested; returns its name."""
    key = {"api_key": provider.key} if provider.key else {}
    flow = await home.begin_subentry(await home.entry_id("barnabeenet"), "provider")
    flow = await home.answer_subentry(flow, {"kind": "openai_compatible"})
    flow = await home.answer_subentry(flow, {"base_url": provider.address, **key})
    flow = await home.answer_subentry(flow, {"model": provider.model or _first_model(flow), "tier": "cloud_fast"})
    suggested = {row["name"]: row.get("description", {}).get("suggested_value") for row in flow["data_schema"]}
    details = {"name": suggested["name"], "order": 1, "time_limit_s": 10, "prices": {}}
    name: str = (await home.answer_subentry(flow, details))["title"]
    return name


def _first_model(form: dict[str, Any]) -> str:
    field_ = next(row for row in form["data_schema"] if row["name"] == "model")
    options: list[str] = field_["selector"].get("select", {}).get("options", [])
    if not options:
        raise ApiError("the server lists no models: name one with --model")
    return options[0]


@asynccontextmanager
async def actions(home: HomeAssistant) -> AsyncIterator[Actions]:
    """Notes what is carried out until the block is left."""
    noted = Actions()

    async with home.subscribe("subscribe_events", event_type="call_service") as calls:

        async def note() -> None:
            async for arrived in calls:
                data = arrived.event["data"]
                noted.done.append(f"{data['domain']}.{data['service']} {data['service_data']}")

        noting = asyncio.create_task(note())
        try:
            yield noted
        finally:
            noting.cancel()
            await asyncio.wait([noting])


def calls_of(database: Path, trace_id: str) -> Calls:
    """What the integration's ledger has of a turn; reads a file."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as ledger:
        rows = ledger.execute(
            "SELECT prompt_tokens, completion_tokens, cost_micro_usd, cost_source FROM calls WHERE trace_id = ?",
            (trace_id,),
        ).fetchall()
    return Calls(
        requests=len(rows),
        prompt_tokens=sum(row[0] for row in rows),
        completion_tokens=sum(row[1] for row in rows),
        usd=sum(row[2] for row in rows) / 1_000_000,
        sources=tuple(sorted({row[3] for row in rows})),
    )
