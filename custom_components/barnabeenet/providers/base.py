"""What a language model is asked and what it answers, the same for every vendor; and what can go wrong."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Protocol

Tier = Literal["local", "cloud_fast", "cloud_powerful"]
Role = Literal["user", "assistant", "tool"]
# `length`: a limit on the output was reached, the vendor's or ours.
Reason = Literal["stop", "tools", "length"]


@dataclass(frozen=True)
class Tool:
    """What a model may call; `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class ToolCall:
    """A call that a model asks for; the arguments are a JSON object that was parsed, not checked against the schema."""

    id: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Message:
    """One message of a conversation; `tool_call_id` names the call that a message of role `tool` answers."""

    role: Role
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True)
class Prompt:
    """What a model is given, in this order: what never changes first, so that the vendors' prompt caches stay warm.

    `static` (persona, rules), `entities` (the home) and `volatile` (room, speaker, time) are system text; the last
    message is the user's or a tool's. `max_tokens` bounds the answer.
    """

    static: str
    entities: str
    volatile: str
    messages: Sequence[Message]
    tools: Sequence[Tool]
    max_tokens: int


@dataclass(frozen=True)
class Usage:
    """What a call used; `cost_usd` is the vendor's own figure.

    `cached_tokens` (read from the vendor's prompt cache) and `written_tokens` (put into it, where that costs extra) are
    parts of `prompt_tokens`. `estimated`: the vendor did not tell, the tokens are reckoned from the characters.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None
    estimated: bool = False
    written_tokens: int = 0


@dataclass(frozen=True)
class TextDelta:
    """A piece of the answer's text."""

    text: str


@dataclass(frozen=True)
class ToolCallDelta:
    """A whole call, given out only when the model has ended its answer well.

    `repeats` is the id of an equal call of the same turn that has its result already: give that result again and
    carry nothing out.
    """

    call: ToolCall
    repeats: str | None = None


@dataclass(frozen=True)
class Done:
    """The last delta of every answer that did not fail."""

    reason: Reason
    usage: Usage


Delta = TextDelta | ToolCallDelta | Done


@dataclass
class Meter:
    """What a stream has used so far, also when it fails or is left: the provider writes, whoever pays reads."""

    # Whether the request may have reached a model, so that it may have to be paid.
    sent: bool = False
    prompt_chars: int = 0
    received_chars: int = 0
    told: Usage | None = None

    def usage(self) -> Usage:
        """What the vendor told, else an estimate; where it told only of the prompt, the output is estimated."""
        if self.told is not None:
            told = self.told
            return replace(told, completion_tokens=tokens(self.received_chars)) if told.estimated else told
        if not self.sent:
            return Usage()
        return Usage(tokens(self.prompt_chars), 0, tokens(self.received_chars), estimated=True)


# English text has about four characters to a token; it is a rule of thumb for every vendor's tokeniser.
_CHARS_PER_TOKEN = 4


def tokens(chars: int) -> int:
    """About how many tokens so many characters are, rounded up."""
    return -(-chars // _CHARS_PER_TOKEN)


class Provider(Protocol):
    """One model of one vendor."""

    @property
    def name(self) -> str:
        """The name a person gave it; unique."""

    @property
    def kind(self) -> str:
        """Which vendor's manners it has."""

    @property
    def tier(self) -> Tier:
        """What it may be used for."""

    @property
    def model(self) -> str:
        """The vendor's name of the model."""

    def stream(self, prompt: Prompt, *, trace_id: str, meter: Meter | None = None) -> AsyncGenerator[Delta, None]:
        """The answer as it comes, `Done` last; raises ProviderError. Leaving it closes the connection."""

    async def check(self) -> None:
        """Asks cheaply whether it could answer (address, key, model); raises ProviderError within some seconds."""


class ProviderError(Exception):
    """A provider did not answer as it should; the text is for a person and holds no secret.

    `retry_after_s` is when the vendor said to come again, where it said so.
    """

    outcome: ClassVar[str] = "failed"

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        """Keeps the vendor's own waiting time beside the text."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RateLimited(ProviderError):
    """It wants fewer requests."""

    outcome = "rate_limited"


class Unreachable(ProviderError):
    """Nobody answers at the address, or only with an error of the server's own."""

    outcome = "unreachable"


class TimedOut(ProviderError):
    """It did not begin, or did not go on, in time."""

    outcome = "timed_out"


class Refused(ProviderError):
    """It does not let us in: a wrong key, an unknown model, an empty account. A person must act."""

    outcome = "refused"


class Rejected(ProviderError):
    """It does not accept this request (too long, a parameter it does not know); another one may go through."""

    outcome = "rejected"


class Truncated(ProviderError):
    """The answer ended in the middle."""

    outcome = "truncated"


class BadAnswer(ProviderError):
    """It answered nonsense: broken JSON, a tool that does not exist, nothing at all, the same again and again."""

    outcome = "bad_answer"


class ContentFiltered(ProviderError):
    """The vendor's filter kept the answer back."""

    outcome = "content_filtered"


@dataclass(frozen=True)
class Caller:
    """On whose behalf a model is asked, for the ledger; `agent` is the part of Barnabee that asks."""

    trace_id: str
    agent: str
    speaker: str | None = None
    session: str | None = None


@dataclass(frozen=True)
class Call:
    """One try at one provider, however it ended: what the ledger keeps.

    `outcome` is `answered`, `cut` (a limit on the output), `cancelled` or the `outcome` of a ProviderError, whose text
    is in `error`. `cost_usd` is None when nobody knows the price; `cost_source` says who knew it.
    """

    provider: str
    kind: str
    model: str
    tier: Tier
    outcome: str
    first_token_ms: float | None
    total_ms: float
    usage: Usage
    cost_usd: float | None
    cost_source: Literal["provider", "user", "table", "free", "unknown"]
    caller: Caller
    error: str | None = None
