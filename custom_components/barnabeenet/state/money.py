"""What a call of a language model cost, in whole millionths of a US dollar."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Final, Literal

Tier = Literal["instant", "local", "cloud_fast", "cloud_powerful"]
CostSource = Literal["provider", "user", "table", "free", "estimate"]

MICRO_PER_USD: Final = 1_000_000
# One call that costs more is a mistake of whoever says so.
CALL_MAX_USD: Final = 1000
TOKENS_MAX: Final = 1_000_000_000
_TEXT_MAX_CHARS: Final = 200

# USD for a million tokens of prompt and of answer where nobody knows the price: dearer than all but the dearest.
_DEAR: Final[dict[Tier, tuple[int, int]]] = {
    "instant": (0, 0),
    "local": (0, 0),
    "cloud_fast": (3, 15),
    "cloud_powerful": (15, 75),
}
# What such a call is taken to have used at least.
_PROMPT_LEAST_TOKENS: Final = 1000
_COMPLETION_LEAST_TOKENS: Final = 100


@dataclass(frozen=True, slots=True)
class PaidCall:
    """One try at one provider, however it ended; `cost_usd` is None when nobody knows it."""

    provider: str
    model: str
    tier: Tier
    agent: str
    outcome: str
    trace_id: str
    speaker: str | None = None
    session_id: str | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    latency_ms: float = 0.0
    cost_usd: Decimal | float | None = None
    cost_source: CostSource | Literal["unknown"] = "unknown"


def micro_usd(usd: Decimal | float | str) -> int:
    """Rounded up, for a budget errs on the safe side; raises ValueError for what is no amount of money."""
    try:
        amount = Decimal(str(usd))
        micro = int((amount * MICRO_PER_USD).to_integral_value(ROUND_CEILING))
    except (InvalidOperation, ValueError, OverflowError) as error:
        raise ValueError(f"{usd} is no amount of money: give US dollars as a number") from error
    if micro < 0 or amount < 0:
        raise ValueError(f"{usd} is less than nothing: give an amount of 0 USD or more")
    return micro


def call_micro_usd(usd: Decimal | float | str) -> int:
    """The same for one call, which also raises ValueError for more than any call costs."""
    micro = micro_usd(usd)
    if micro > CALL_MAX_USD * MICRO_PER_USD:
        raise ValueError(f"{usd} USD is more than one call can cost: {CALL_MAX_USD} USD are the most")
    return micro


def usd(micro: int) -> Decimal:
    """Exact."""
    return Decimal(micro) / MICRO_PER_USD


def dollars(micro: int) -> str:
    """For people: cents from a dollar on, else as many digits as the amount has."""
    amount = usd(micro)
    return f"{amount:,.2f} USD" if micro >= MICRO_PER_USD or micro % 10_000 == 0 else f"{amount:f} USD"


def priced(call: PaidCall) -> tuple[int, CostSource]:
    """What a call is counted with and who says so; a figure that cannot be is taken for none."""
    if call.cost_usd is None or call.cost_source == "unknown":
        return _estimated(call)
    try:
        return call_micro_usd(call.cost_usd), call.cost_source
    except ValueError:
        return _estimated(call)


def _estimated(call: PaidCall) -> tuple[int, CostSource]:
    dear_prompt, dear_completion = _DEAR[call.tier]
    if not dear_prompt:
        return 0, "free"
    prompt = max(_PROMPT_LEAST_TOKENS, counted(call.prompt_tokens))
    completion = max(_COMPLETION_LEAST_TOKENS, counted(call.completion_tokens))
    # USD for a million tokens are millionths of a dollar for one.
    micro = prompt * dear_prompt + completion * dear_completion
    return min(micro, CALL_MAX_USD * MICRO_PER_USD), "estimate"


def counted(tokens: int) -> int:
    """Tokens that a database can hold, whatever a vendor says."""
    return min(max(0, int(tokens)), TOKENS_MAX)


def short(text: str) -> str:
    """A name from outside, no longer than a name is and of characters that can be written."""
    return text[:_TEXT_MAX_CHARS].encode("utf-8", "replace").decode("utf-8")
