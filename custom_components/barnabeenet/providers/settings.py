"""How a provider is configured, and in what the vendors differ from one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from .base import Tier
from .prices import Price

Kind = Literal["openai", "azure_openai", "openrouter", "groq", "ollama", "openai_compatible", "anthropic"]


@dataclass(frozen=True)
class Limits:
    """What one answer may take: seconds to the first word and of silence, characters, calls, parts of a stream."""

    first_token_s: float = 10.0
    silence_s: float = 10.0
    # Fewer characters than these within `silence_s` are silence, too: a person listens to fifteen in a second.
    progress_chars: int = 16
    # After the last word the vendor may still tell what was used.
    trailer_s: float = 1.0
    # Beside the prompt's own max_tokens, which not every server holds to.
    output_max_chars: int = 16_000
    tool_calls_max: int = 8
    arguments_max_chars: int = 16_000
    pieces_max: int = 20_000
    check_s: float = 8.0


@dataclass(frozen=True)
class Settings:
    """One provider as a person configured it; `base_url` None is the vendor's own address.

    `extra` goes into every request as it is (reasoning effort, temperature...). `keep_alive` is Ollama's ("30m", -1).
    """

    name: str
    kind: Kind
    model: str
    tier: Tier
    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    # Only for Azure's older addresses, which want one.
    api_version: str | None = None
    keep_alive: str | int | None = None
    price: Price | None = None
    limits: Limits = Limits()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Manners:
    """In what a vendor's OpenAI interface is its own; `check` is how to ask cheaply whether it could answer."""

    base_url: str | None
    needs_key: bool = True
    max_tokens_as: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    check: Literal["list", "retrieve", "ask", "openrouter"] = "list"
    extra: Mapping[str, Any] = field(default_factory=dict)


MANNERS: Final[Mapping[str, Manners]] = {
    "openai": Manners("https://api.openai.com/v1", max_tokens_as="max_completion_tokens", check="retrieve"),
    # A deployment's name is in no list that its key may read.
    "azure_openai": Manners(None, max_tokens_as="max_completion_tokens", check="ask"),
    # Its list of models needs no key, so that it says nothing about ours.
    "openrouter": Manners("https://openrouter.ai/api/v1", check="openrouter", extra={"usage": {"include": True}}),
    "groq": Manners("https://api.groq.com/openai/v1", max_tokens_as="max_completion_tokens"),
    "ollama": Manners("http://localhost:11434/v1", needs_key=False),
    "openai_compatible": Manners(None, needs_key=False),
}
