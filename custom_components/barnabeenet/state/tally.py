"""Rows of the ledger, added up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

GUEST: Final = "guest"


@dataclass(frozen=True, slots=True)
class Row:
    """Calls that have everything but time and trace in common."""

    day: str
    provider: str
    model: str
    tier: str
    agent: str
    speaker: str
    cost_source: str
    answered: bool
    requests: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    micro: int
    # Answers of a few tokens, and what they cost.
    short_answers: int
    short_micro: int


@dataclass(slots=True)
class Tally:
    """Sums; costs in millionths of a US dollar."""

    requests: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    micro: int = 0

    @property
    def cached_percent(self) -> int:
        """How much of the prompts the vendors had in their caches."""
        return round(self.cached_tokens * 100 / self.prompt_tokens) if self.prompt_tokens else 0

    def add(self, row: Row) -> None:
        """Counts a row in."""
        failed = 0 if row.answered else row.requests
        self.merge(Tally(row.requests, failed, row.prompt_tokens, row.cached_tokens, row.completion_tokens, row.micro))

    def merge(self, other: Tally) -> None:
        """Counts other sums in."""
        self.requests += other.requests
        self.failed += other.failed
        self.prompt_tokens += other.prompt_tokens
        self.cached_tokens += other.cached_tokens
        self.completion_tokens += other.completion_tokens
        self.micro += other.micro
