"""The events that pass between integration and sidecar, checked: Wyoming's own and ours.

This file stands on both sides as an identical twin; `contract/README.md` describes the conversation. Wyoming's
dataclasses are the vocabulary, but their `from_event` trusts its input: `check` comes before it on both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
import re
from typing import Any, ClassVar, Final, Self, TypeAlias

from wyoming.event import Event, Eventable

CONTRACT_VERSION: Final = 1

TEXT_MAX_CHARS: Final = 16_384
NAME_MAX_CHARS: Final = 256
TOKEN_MIN_CHARS: Final = 32
TOKEN_MAX_CHARS: Final = 256
VOCABULARY_MAX_LISTS: Final = 64
VOCABULARY_MAX_TERMS: Final = 20_000
VOCABULARY_MAX_SENTENCES: Final = 20_000
RATE_MIN_HZ: Final = 8_000
RATE_MAX_HZ: Final = 48_000
STAGES_MAX: Final = 32


class MessageError(ValueError):
    """An event whose data breaks the contract; the text says which field and why."""


# A check takes the field's name and value and raises MessageError.
Check: TypeAlias = Callable[[str, Any], None]


def _text(maximum: int = TEXT_MAX_CHARS, minimum: int = 0) -> Check:
    def check(name: str, value: Any) -> None:
        if not isinstance(value, str):
            raise MessageError(f"{name} must be text")
        if not minimum <= len(value) <= maximum:
            raise MessageError(f"{name} must have {minimum} to {maximum} characters")
        if "\0" in value:
            # C libraries would read the text only up to here.
            raise MessageError(f"{name} must not contain NUL")

    return check


def _matching(pattern: str, meaning: str) -> Check:
    compiled = re.compile(pattern)

    def check(name: str, value: Any) -> None:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise MessageError(f"{name} must be {meaning}")

    return check


def _integer(minimum: int, maximum: int) -> Check:
    def check(name: str, value: Any) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
            raise MessageError(f"{name} must be a whole number from {minimum} to {maximum}")

    return check


def _number(minimum: float, maximum: float) -> Check:
    def check(name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise MessageError(f"{name} must be a number")
        if not minimum <= value <= maximum:
            raise MessageError(f"{name} must be from {minimum:g} to {maximum:g}")

    return check


def _boolean(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise MessageError(f"{name} must be true or false")


def _list_of(item: Check, maximum: int) -> Check:
    def check(name: str, value: Any) -> None:
        if not isinstance(value, list) or len(value) > maximum:
            raise MessageError(f"{name} must be a list of at most {maximum}")
        for index, entry in enumerate(value):
            item(f"{name}[{index}]", entry)

    return check


def _mapping_of(item: Check, maximum: int) -> Check:
    def check(name: str, value: Any) -> None:
        if not isinstance(value, dict) or len(value) > maximum:
            raise MessageError(f"{name} must be an object of at most {maximum} entries")
        for key, entry in value.items():
            _NAME(f"a key of {name}", key)
            item(f"{name}.{key}", entry)

    return check


def _optional(item: Check) -> Check:
    def check(name: str, value: Any) -> None:
        if value is not None:
            item(name, value)

    return check


def _object(fields: Mapping[str, Check]) -> Check:
    def check(name: str, value: Any) -> None:
        if not isinstance(value, dict):
            raise MessageError(f"{name} must be an object")
        for key, item in fields.items():
            item(f"{name}.{key}", value.get(key))

    return check


_NAME = _text(NAME_MAX_CHARS)
_REQUIRED_NAME = _text(NAME_MAX_CHARS, minimum=1)
_TEXT = _text()
_HEX_32_BYTES = _matching(r"[0-9a-f]{64}", "64 lower-case hexadecimal digits")
_REVISION = _matching(r"[0-9a-f]{8,64}", "8 to 64 lower-case hexadecimal digits")
# It goes into log lines and file names as it is.
_TRACE_ID = _optional(_matching(r"[0-9A-Za-z._-]{1,64}", "1 to 64 letters, digits, dots, dashes or underscores"))
_WORDS = _list_of(_NAME, VOCABULARY_MAX_TERMS)
_MILLISECONDS = _number(0, 86_400_000)
_TIMESTAMP = _optional(_integer(0, 2**53))
_CONTEXT = _optional(
    _object(
        {
            "trace_id": _TRACE_ID,
            "rate": _optional(_integer(RATE_MIN_HZ, RATE_MAX_HZ)),
        }
    )
)
_VOICE = _optional(_object({"name": _optional(_NAME), "language": _optional(_NAME), "speaker": _optional(_NAME)}))
_FORMAT: Mapping[str, Check] = {
    "rate": _integer(RATE_MIN_HZ, RATE_MAX_HZ),
    "width": _integer(2, 2),
    "channels": _integer(1, 1),
    "timestamp": _TIMESTAMP,
}

# What the data of each event must look like. A field that is not named here is let through unread.
_FIELDS: Final[Mapping[str, Mapping[str, Check]]] = {
    "describe": {},
    # What an engine may say about itself is read by Wyoming's own reader; bounded by the frame.
    "info": {},
    "ping": {"text": _optional(_NAME)},
    "pong": {"text": _optional(_NAME)},
    "error": {"text": _TEXT, "code": _optional(_NAME)},
    "audio-start": _FORMAT,
    "audio-chunk": _FORMAT,
    "audio-stop": {"timestamp": _TIMESTAMP},
    "transcribe": {
        "name": _optional(_NAME),
        "language": _optional(_NAME),
        "vad_sensitivity": _optional(_NAME),
        "transcript_names": _optional(_WORDS),
        "transcript_terms": _optional(_WORDS),
        "context": _CONTEXT,
    },
    "transcript": {"text": _TEXT, "language": _optional(_NAME), "context": _optional(_object({}))},
    "voice-started": {"timestamp": _TIMESTAMP},
    "voice-stopped": {"timestamp": _TIMESTAMP},
    "synthesize": {"text": _TEXT, "voice": _VOICE, "context": _CONTEXT},
    "synthesize-start": {"voice": _VOICE, "context": _CONTEXT},
    "synthesize-chunk": {"text": _TEXT},
    "synthesize-stop": {},
    "synthesize-stopped": {},
    "detect": {"names": _optional(_list_of(_NAME, 32)), "context": _CONTEXT},
    "detection": {"name": _optional(_NAME), "timestamp": _TIMESTAMP},
    "not-detected": {},
    "barnabeenet-hello": {
        "contract": _integer(0, 2**31),
        "nonce": _HEX_32_BYTES,
        "home": _REQUIRED_NAME,
        "software": _REQUIRED_NAME,
    },
    "barnabeenet-challenge": {
        "contract": _integer(0, 2**31),
        "nonce": _HEX_32_BYTES,
        "software": _REQUIRED_NAME,
    },
    "barnabeenet-proof": {"proof": _HEX_32_BYTES},
    "barnabeenet-welcome": {
        "proof": _HEX_32_BYTES,
        "sidecar": _REQUIRED_NAME,
        "name": _REQUIRED_NAME,
        "software": _REQUIRED_NAME,
        "vocabulary": _optional(_REVISION),
    },
    "barnabeenet-vocabulary": {
        "language": _REQUIRED_NAME,
        "revision": _REVISION,
        "names": _WORDS,
        "terms": _WORDS,
        "sentences": _list_of(_NAME, VOCABULARY_MAX_SENTENCES),
        "lists": _mapping_of(_WORDS, VOCABULARY_MAX_LISTS),
    },
    "barnabeenet-vocabulary-ready": {
        "revision": _REVISION,
        "words": _integer(0, 2**31),
        "sentences": _integer(0, 2**31),
        "unknown": _WORDS,
    },
    "barnabeenet-partial": {"text": _TEXT, "silence_ms": _MILLISECONDS, "stable": _boolean},
    "barnabeenet-timings": {
        "trace_id": _TRACE_ID,
        "stages": _mapping_of(_MILLISECONDS, STAGES_MAX),
    },
    "barnabeenet-cancel": {},
    "barnabeenet-cancelled": {},
}


def check(event: Event) -> Event:
    """Returns the event, less its nulls, when its data keeps the contract; raises MessageError naming the field.

    Wyoming's readers take a missing field, but some of them not a null, for the default.
    """
    fields = _FIELDS.get(event.type)
    if fields is None:
        raise MessageError(f"unknown event {event.type[:NAME_MAX_CHARS]!r}")
    for name, item in fields.items():
        item(name, event.data.get(name))
    if event.type == "audio-chunk":
        if not event.payload or len(event.payload) % 2:
            raise MessageError("audio-chunk needs a payload of whole 16-bit samples")
    elif event.payload:
        raise MessageError(f"{event.type} carries no payload")
    return Event(event.type, {name: value for name, value in event.data.items() if value is not None}, event.payload)


def trace_id_of(event: Event) -> str | None:
    """The trace id that a checked request carries in its context, if any."""
    context = event.data.get("context") or {}
    trace_id: str | None = context.get("trace_id")
    return trace_id


def _take(event: Event, expected: str) -> dict[str, Any]:
    """The checked data of an event that must be of the expected type; raises MessageError."""
    if event.type != expected:
        raise MessageError(f"expected {expected}, got {event.type[:NAME_MAX_CHARS]!r}")
    data = check(event).data
    return {name: data.get(name) for name in _FIELDS[expected]}


class Message(Eventable):
    """Shared by our own messages: the dataclass's fields are the event's data."""

    TYPE: ClassVar[str]

    @classmethod
    def is_type(cls, event_type: str) -> bool:
        """Whether an event of this type is this message."""
        return event_type == cls.TYPE

    def event(self) -> Event:
        """This message as an event to write."""
        return Event(self.TYPE, {name: getattr(self, name) for name in _FIELDS[self.TYPE]})

    @classmethod
    def from_event(cls, event: Event) -> Self:
        """Reads an event; raises MessageError when it is of another type or breaks the contract."""
        return cls(**_take(event, cls.TYPE))


@dataclass(frozen=True)
class Hello(Message):
    """The integration opens: its contract version, a fresh nonce and the home it belongs to."""

    TYPE: ClassVar = "barnabeenet-hello"

    contract: int
    nonce: str
    home: str
    software: str


@dataclass(frozen=True)
class Challenge(Message):
    """The sidecar answers a hello with its own nonce."""

    TYPE: ClassVar = "barnabeenet-challenge"

    contract: int
    nonce: str
    software: str


@dataclass(frozen=True)
class Proof(Message):
    """The integration proves that it knows the token."""

    TYPE: ClassVar = "barnabeenet-proof"

    proof: str


@dataclass(frozen=True)
class Welcome(Message):
    """The sidecar proves that it knows the token and says who it is."""

    TYPE: ClassVar = "barnabeenet-welcome"

    proof: str
    sidecar: str
    name: str
    software: str
    vocabulary: str | None = None


@dataclass(frozen=True)
class Vocabulary(Message):
    """What people in this home say: sentences with {list} slots, the lists' values, and bias words."""

    TYPE: ClassVar = "barnabeenet-vocabulary"

    language: str
    revision: str
    names: list[str] = field(default_factory=list)
    terms: list[str] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    lists: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class VocabularyReady(Message):
    """The sidecar has built its language model; `unknown` are words it cannot pronounce."""

    TYPE: ClassVar = "barnabeenet-vocabulary-ready"

    revision: str
    words: int
    sentences: int
    unknown: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Partial(Message):
    """The words so far; stable when decoded as final after `silence_ms` of silence."""

    TYPE: ClassVar = "barnabeenet-partial"

    text: str
    silence_ms: float
    stable: bool


@dataclass(frozen=True)
class Timings(Message):
    """How long the stages of a request took in the sidecar, in milliseconds."""

    TYPE: ClassVar = "barnabeenet-timings"

    trace_id: str | None
    stages: dict[str, float] = field(default_factory=dict)


CANCEL: Final = "barnabeenet-cancel"
CANCELLED: Final = "barnabeenet-cancelled"
