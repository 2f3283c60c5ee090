"""Which kind of model a question needs, and which of them may be asked today."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
import re
from typing import Final

from ..providers.base import Tier
from ..state.budget import Budget, Purpose, Reason
from .sentences import Phrase

# Who asks for an explanation or tells a long story wants the model that thinks.
_LONG_WORDS: Final = 40
_DEEP: Final = re.compile(
    r"\b(?:why|explain|compare|analy[sz]e|pros and cons|plan|warum|wieso|erkläre?|vergleiche?|plane|pourquoi|explique[rz]?"
    r"|compare[rz]?|por qué|explica|compara|waarom|leg uit|vergelijk)\b",
    re.IGNORECASE,
)
_WANTED: Final[dict[Purpose, Sequence[Tier]]] = {
    "interaction": ("cloud_fast", "cloud_powerful", "local"),
    "complex": ("cloud_powerful", "cloud_fast", "local"),
    "command": ("local", "cloud_fast"),
}


@dataclass(frozen=True)
class Route:
    """The tiers to ask, in this order; without any, `refusal` says why not."""

    purpose: Purpose
    tiers: Sequence[Tier]
    refusal: Phrase | None = None


def purpose_of(text: str) -> Purpose:
    """Whether a question is talk or needs thought."""
    return "complex" if len(text.split()) > _LONG_WORDS or _DEEP.search(text) else "interaction"


def route(text: str, budget: Budget, available: Collection[Tier], *, trace_id: str) -> Route:
    """The tiers that the need asks for, less those that the home lacks and those for which there is no money."""
    purpose = purpose_of(text)
    wanted = [tier for tier in _WANTED[purpose] if tier in available]
    decisions = [(tier, budget.allows(tier, purpose, turn=trace_id)) for tier in wanted]
    tiers = [tier for tier, decision in decisions if decision.allowed]
    if tiers:
        return Route(purpose, tiers)
    return Route(purpose, (), _refusal([decision.reason for _, decision in decisions]))


def _refusal(reasons: Sequence[Reason | None]) -> Phrase:
    if not reasons:
        return Phrase.CANNOT_HELP
    if Reason.DAY_USED_UP in reasons or Reason.MONTH_USED_UP in reasons:
        return Phrase.BUDGET_USED_UP
    return Phrase.LOCAL_ONLY if Reason.LOCAL_ONLY in reasons else Phrase.SAVING
