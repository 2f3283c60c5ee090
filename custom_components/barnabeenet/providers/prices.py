"""What tokens cost where the vendor does not say it: a dated table, which a person's own prices override."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import datetime as dt
import re
from typing import Final, Literal, NamedTuple

from .base import Tier, Usage

# The day on which the vendors' published prices were last compared with this table.
AS_OF: Final = dt.date(2026, 10, 24)

_TOKENS: Final = 1_000_000
# "gpt-4o-2024-08-06", "claude-haiku-4-5-20251001", "claude-3-5-haiku-latest"
_DATED: Final = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{8}|latest)$")

CostSource = Literal["provider", "user", "table", "free", "unknown"]


@dataclass(frozen=True)
class Price:
    """USD for a million tokens; without a figure of their own cached and written ones cost what prompts do."""

    prompt: float
    completion: float
    cached: float | None = None
    written: float | None = None

    def of(self, usage: Usage) -> float:
        """USD for so many tokens."""
        plain = max(0, usage.prompt_tokens - usage.cached_tokens - usage.written_tokens)
        cached = self.prompt if self.cached is None else self.cached
        written = self.prompt if self.written is None else self.written
        total = plain * self.prompt + usage.cached_tokens * cached + usage.written_tokens * written
        return (total + usage.completion_tokens * self.completion) / _TOKENS


class Cost(NamedTuple):
    """USD, None when nobody knows; and who knew it."""

    usd: float | None
    source: CostSource


def cost(kind: str, model: str, tier: Tier, usage: Usage, override: Price | None = None) -> Cost:
    """The vendor's own figure, else a person's price, else nothing for what runs at home, else the table's."""
    if usage.cost_usd is not None:
        return Cost(usage.cost_usd, "provider")
    if override is not None:
        return Cost(override.of(usage), "user")
    if kind == "ollama" or tier == "local":
        return Cost(0.0, "free")
    price = table_price(kind, model)
    if price is not None:
        return Cost(price.of(usage), "table")
    # A call that used nothing costs nothing at any price.
    return Cost(0.0, "free") if usage == Usage() else Cost(None, "unknown")


def table_price(kind: str, model: str) -> Price | None:
    """The published price as of AS_OF; None for a model that the table does not have."""
    vendor = {"azure_openai": "openai"}.get(kind, kind)
    name = model.lower()
    if kind == "openrouter":
        vendor, _, name = name.partition("/")
        # It writes "claude-haiku-4.5" for "claude-haiku-4-5".
        name = name.replace(".", "-") if vendor == "anthropic" else name
    prices = _TABLE.get(vendor, {})
    return prices.get(name) or prices.get(_DATED.sub("", name))


_TABLE: Final[Mapping[str, Mapping[str, Price]]] = {
    "openai": {
        "gpt-6.1-sol": Price(2.0, 10.0, 0.1, 2.5),
        "gpt-6-sol": Price(2.0, 10.0, 0.2, 2.5),
        "gpt-6-luna": Price(0.1, 0.5, 0.01, 0.125),
        "gpt-5.6-sol": Price(5.0, 30.0, 0.5, 6.25),
        "gpt-5.6-terra": Price(2.0, 12.0, 0.2, 2.5),
        "gpt-5.6-luna": Price(0.2, 1.2, 0.02, 0.25),
        "gpt-5.5": Price(5.0, 30.0, 0.5),
        "gpt-5.4": Price(2.5, 15.0, 0.25),
        "gpt-5.4-mini": Price(0.75, 4.5, 0.075),
        "gpt-5.4-nano": Price(0.2, 1.25, 0.02),
        "gpt-5.2": Price(1.75, 14.0, 0.175),
        "gpt-5.1": Price(1.25, 10.0, 0.125),
        "gpt-5": Price(1.25, 10.0, 0.125),
        "gpt-5-mini": Price(0.25, 2.0, 0.025),
        "gpt-5-nano": Price(0.05, 0.4, 0.005),
        "gpt-4.1": Price(2.0, 8.0, 0.5),
        "gpt-4.1-mini": Price(0.4, 1.6, 0.1),
        "gpt-4.1-nano": Price(0.1, 0.4, 0.025),
        "gpt-4o": Price(2.5, 10.0, 1.25),
        "gpt-4o-mini": Price(0.15, 0.6, 0.075),
        "o3": Price(2.0, 8.0, 0.5),
        "o4-mini": Price(1.1, 4.4, 0.275),
    },
    "anthropic": {
        "claude-fable-5-1": Price(10.0, 50.0, 0.25, 12.5),
        "claude-fable-5": Price(10.0, 50.0, 1.0, 12.5),
        "claude-opus-5": Price(5.0, 25.0, 0.5, 6.25),
        "claude-opus-4-8": Price(5.0, 25.0, 0.5, 6.25),
        "claude-opus-4-7": Price(5.0, 25.0, 0.5, 6.25),
        "claude-opus-4-6": Price(5.0, 25.0, 0.5, 6.25),
        "claude-opus-4-5": Price(5.0, 25.0, 0.5, 6.25),
        "claude-sonnet-5-5": Price(2.0, 10.0, 0.1, 2.5),
        "claude-sonnet-5": Price(2.0, 10.0, 0.2, 2.5),
        "claude-sonnet-4-6": Price(3.0, 15.0, 0.3, 3.75),
        "claude-sonnet-4-5": Price(3.0, 15.0, 0.3, 3.75),
        # For prompts of up to 100,000 tokens, which a voice's are.
        "claude-haiku-5-5": Price(0.1, 0.5, 0.01, 0.125),
        "claude-haiku-4-5": Price(1.0, 5.0, 0.1, 1.25),
    },
    "groq": {
        "openai/gpt-oss-120b": Price(0.15, 0.6, 0.075),
        "openai/gpt-oss-20b": Price(0.075, 0.3, 0.0375),
        "llama-3.3-70b-versatile": Price(0.59, 0.79),
        "llama-3.1-8b-instant": Price(0.05, 0.08),
    },
}
