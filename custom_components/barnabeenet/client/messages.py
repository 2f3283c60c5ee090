"""The events that pass between integration and sidecar, checked: Wyoming's own and ours.

This file stands on both sides as an identical twin; `contract/README.md` describes the conversation. Wyoming's
dataclasses are the vocabulary, but their `from_event` trusts its input: `check` comes before it on both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
import re
import struct
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
QUICK_WORDS_MAX: Final = 64
MODELS_MAX: Final = 256
EMBED_MAX_TEXTS: Final = 256
EMBEDDING_MAX_DIMENSIONS: Final = 1_024
VOICE_MAX_DIMENSIONS: Final = 1_024
SNR_MAX_DB: Final = 100.0
_FLOAT_BYTES: Final = 4
# How far the square of a unit vector's length may be from one.
_UNIT_TOLERANCE: Final = 0.01


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


def _one_of(*choices: str) -> Check:
    def check(name: str, value: Any) -> None:
        if value not in choices:
            raise MessageError(f"{name} must be one of {', '.join(choices)}")

    return check


def _list_of(item: Check, maximum: int, minimum: int = 0) -> Check:
    def check(name: str, value: Any) -> None:
        if not isinstance(value, list) or not minimum <= len(value) <= maximum:
            raise MessageError(f"{name} must be a list of {minimum} to {maximum}")
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
_RATE_HZ = _integer(RATE_MIN_HZ, RATE_MAX_HZ)
_CONTEXT = _optional(_object({"trace_id": _TRACE_ID, "rate": _optional(_RATE_HZ), "voice": _optional(_boolean)}))
_VOICE = _optional(_object({"name": _optional(_NAME), "language": _optional(_NAME), "speaker": _optional(_NAME)}))
_FORMAT: Mapping[str, Check] = {
    "rate": _RATE_HZ,
    "width": _integer(2, 2),
    "channels": _integer(1, 1),
    "timestamp": _TIMESTAMP,
}

_BYTES = _integer(0, 2**53)
_MODEL = _object(
    {
        "name": _REQUIRED_NAME,
        "version": _REQUIRED_NAME,
        "status": _one_of("active", "rollback_available", "archived", "to_pull"),
        "capability": _optional(_NAME),
        "licence": _optional(_NAME),
        "bytes": _optional(_BYTES),
        "vram_mb": _optional(_integer(0, 1_000_000)),
        "damage": _optional(_TEXT),
        "deployed_at": _TIMESTAMP,
        "deployed_by": _optional(_NAME),
    }
)

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
        "voice": _optional(_REQUIRED_NAME),
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
    "barnabeenet-voice": {
        "trace_id": _TRACE_ID,
        "engine": _REQUIRED_NAME,
        "dimensions": _integer(0, VOICE_MAX_DIMENSIONS),
        "speech_ms": _MILLISECONDS,
        "snr_db": _number(-SNR_MAX_DB, SNR_MAX_DB),
    },
    "barnabeenet-cancel": {},
    "barnabeenet-cancelled": {},
    "barnabeenet-draining": {"text": _TEXT},
    "barnabeenet-quick-words": {
        "language": _REQUIRED_NAME,
        "voice": _optional(_NAME),
        "rate": _optional(_RATE_HZ),
        "texts": _list_of(_REQUIRED_NAME, QUICK_WORDS_MAX, minimum=1),
    },
    "barnabeenet-quick-words-ready": {
        "voice": _REQUIRED_NAME,
        "version": _REQUIRED_NAME,
        "rate": _RATE_HZ,
        "words": _list_of(_object({"text": _REQUIRED_NAME, "bytes": _BYTES}), QUICK_WORDS_MAX),
        "last": _boolean,
    },
    "barnabeenet-models": {
        "action": _one_of("list", "pull", "verify", "activate", "rollback", "remove"),
        "model": _optional(_REQUIRED_NAME),
        "version": _optional(_REQUIRED_NAME),
    },
    "barnabeenet-model-progress": {
        "model": _REQUIRED_NAME,
        "file": _REQUIRED_NAME,
        "done_bytes": _BYTES,
        "total_bytes": _optional(_BYTES),
    },
    "barnabeenet-models-ready": {"text": _TEXT, "models": _list_of(_MODEL, MODELS_MAX)},
    "barnabeenet-embed": {"texts": _list_of(_TEXT, EMBED_MAX_TEXTS, minimum=1)},
    "barnabeenet-embeddings": {
        "model": _REQUIRED_NAME,
        "dimensions": _integer(1, EMBEDDING_MAX_DIMENSIONS),
        "count": _integer(1, EMBED_MAX_TEXTS),
    },
}

# The events with a payload, and the bytes of its units: 16-bit samples, 32-bit numbers.
_PAYLOAD_UNITS: Final[Mapping[str, int]] = {
    "audio-chunk": 2,
    "barnabeenet-quick-words-ready": 2,
    "barnabeenet-embeddings": _FLOAT_BYTES,
    "barnabeenet-voice": _FLOAT_BYTES,
}
_PAYLOAD_OPTIONAL: Final = frozenset({"barnabeenet-voice"})


def check(event: Event) -> Event:
    """Returns the event, less its nulls, when its data keeps the contract; raises MessageError naming the field.

    Wyoming's readers take a missing field, but some of them not a null, for the default.
    """
    fields = _FIELDS.get(event.type)
    if fields is None:
        raise MessageError(f"unknown event {event.type[:NAME_MAX_CHARS]!r}")
    for name, item in fields.items():
        item(name, event.data.get(name))
    unit_bytes = _PAYLOAD_UNITS.get(event.type)
    if unit_bytes is None:
        if event.payload:
            raise MessageError(f"{event.type} carries no payload")
    elif len(event.payload or b"") % unit_bytes or not (event.payload or event.type in _PAYLOAD_OPTIONAL):
        raise MessageError(f"{event.type} needs a payload of whole {8 * unit_bytes}-bit values")
    return Event(event.type, {name: value for name, value in event.data.items() if value is not None}, event.payload)


def trace_id_of(event: Event) -> str | None:
    """The trace id that a checked request carries in its context, if any."""
    context = event.data.get("context") or {}
    trace_id: str | None = context.get("trace_id")
    return trace_id


def wants_voice(event: Event) -> bool:
    """Whether a checked request asks in its context for a print of the speaker's voice."""
    context = event.data.get("context") or {}
    return context.get("voice") is True


def _take(event: Event, expected: str) -> dict[str, Any]:
    """The checked data of an event that must be of the expected type, and its payload; raises MessageError."""
    if event.type != expected:
        raise MessageError(f"expected {expected}, got {event.type[:NAME_MAX_CHARS]!r}")
    data = check(event).data
    taken = {name: data.get(name) for name in _FIELDS[expected]}
    return taken if expected not in _PAYLOAD_UNITS else taken | {"payload": event.payload}


class Message(Eventable):
    """Shared by our own messages: the dataclass's fields are the event's data, but `payload`, which is its payload."""

    TYPE: ClassVar[str]

    @classmethod
    def is_type(cls, event_type: str) -> bool:
        """Whether an event of this type is this message."""
        return event_type == cls.TYPE

    def event(self) -> Event:
        """This message as an event to write."""
        data = {name: getattr(self, name) for name in _FIELDS[self.TYPE]}
        return Event(self.TYPE, data, getattr(self, "payload", None))

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
    """The sidecar proves that it knows the token and says who it is; `voice` names what it tells voices apart with."""

    TYPE: ClassVar = "barnabeenet-welcome"

    proof: str
    sidecar: str
    name: str
    software: str
    vocabulary: str | None = None
    voice: str | None = None


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


@dataclass(frozen=True)
class VoiceHeard(Message):
    """A print of the speaker's voice: the payload is a point on the unit sphere, `dimensions` little-endian floats.

    Without a payload too little was heard of the voice: `speech_ms` of speech, `snr_db` above the noise. Points of
    different engines cannot be compared. Raises MessageError when the payload is no such point.
    """

    TYPE: ClassVar = "barnabeenet-voice"

    trace_id: str | None
    engine: str
    dimensions: int
    speech_ms: float
    snr_db: float
    payload: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Checks the payload."""
        payload = self.payload or b""
        if len(payload) != self.dimensions * _FLOAT_BYTES:
            raise MessageError(f"{self.TYPE} of {self.dimensions} dimensions has {len(payload)} bytes of payload")
        # What is no number makes this no number, which is near to nothing.
        if payload and not abs(sum(value * value for value in self.vector()) - 1) <= _UNIT_TOLERANCE:
            raise MessageError(f"the payload of {self.TYPE} must be finite and of length 1")

    def vector(self) -> tuple[float, ...]:
        """The point; empty when there is none."""
        return struct.unpack(f"<{self.dimensions}f", self.payload or b"")


@dataclass(frozen=True)
class DrainingNotice(Message):
    """The sidecar is about to stop: what runs may end, nothing new is taken. May come between any two answers."""

    TYPE: ClassVar = "barnabeenet-draining"

    text: str


@dataclass(frozen=True)
class QuickWords(Message):
    """Asks for the audio of short replies, to be held in memory; `voice` None takes the language's default."""

    TYPE: ClassVar = "barnabeenet-quick-words"

    language: str
    voice: str | None
    rate: int | None
    texts: list[str]


@dataclass(frozen=True)
class QuickWordsReady(Message):
    """The audio of some of the replies, one after the other in the payload: `words` are {text, bytes} in that order."""

    TYPE: ClassVar = "barnabeenet-quick-words-ready"

    voice: str
    version: str
    rate: int
    words: list[dict[str, Any]]
    last: bool
    payload: bytes


@dataclass(frozen=True)
class Models(Message):
    """Asks about the model store or has it do something."""

    TYPE: ClassVar = "barnabeenet-models"

    action: str
    model: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class ModelProgress(Message):
    """How far a pull of a whole model has come, and at which of its files; `total_bytes` may be unknown."""

    TYPE: ClassVar = "barnabeenet-model-progress"

    model: str
    file: str
    done_bytes: int
    total_bytes: int | None = None


@dataclass(frozen=True)
class ModelsReady(Message):
    """What came of it, in words, and every version that is here or can be pulled."""

    TYPE: ClassVar = "barnabeenet-models-ready"

    text: str
    models: list[dict[str, Any]]


@dataclass(frozen=True)
class Embed(Message):
    """Asks what texts mean."""

    TYPE: ClassVar = "barnabeenet-embed"

    texts: list[str]


@dataclass(frozen=True)
class Embeddings(Message):
    """One point on the unit sphere for each text: the payload is `count` rows of `dimensions` little-endian floats."""

    TYPE: ClassVar = "barnabeenet-embeddings"

    model: str
    dimensions: int
    count: int
    payload: bytes


CANCEL: Final = "barnabeenet-cancel"
CANCELLED: Final = "barnabeenet-cancelled"
