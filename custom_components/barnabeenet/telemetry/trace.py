"""One spoken turn from the first sound to the last: its trace id, its words and where the time went."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
import logging
import time
from typing import Any, Final, NamedTuple, Protocol
from uuid import uuid4

_LOGGER = logging.getLogger(__name__)

TURNS_KEPT: Final = 50
# A turn has about a dozen; the bound holds when a reply's audio is asked for again and again.
STAGES_MAX: Final = 64


class Stage(NamedTuple):
    """A stretch of a turn; times in milliseconds, the start relative to the turn's own."""

    name: str
    start_ms: float
    duration_ms: float


class Voice(Protocol):
    """How the speaker's voice sounded; `client.transcription.Voice` is one and says what the fields are."""

    @property
    def engine(self) -> str:
        """What heard it; points of different engines cannot be compared."""

    @property
    def vector(self) -> tuple[float, ...]:
        """A point on the unit sphere; empty when too little was heard."""

    @property
    def speech_ms(self) -> float:
        """How much speech it was heard in."""

    @property
    def snr_db(self) -> float:
        """How far the speech stood above the noise."""


def _new_trace_id() -> str:
    return uuid4().hex


@dataclass(eq=False)
class VoiceContext:
    """A turn under way. One mutable object per turn: every platform that takes part writes into the same."""

    trace_id: str = field(default_factory=_new_trace_id)
    language: str | None = None
    device_id: str | None = None
    satellite_id: str | None = None
    # Who speaks, as far as it is known; None is a guest.
    speaker: str | None = None
    # How sure that is, from 0 (a guest) to 1; None before anybody has looked.
    confidence: float | None = None
    # Whether it can be hardly anybody else.
    is_sure: bool = False
    text: str | None = None
    reply: str | None = None
    intent: str | None = None
    tier: str | None = None
    error: str | None = None
    # Who speaks is found by it; it is never shown, logged or sent on.
    voice: Voice | None = field(default=None, repr=False)
    stages: list[Stage] = field(default_factory=list)
    started_at: float = field(default_factory=time.time)
    _start_s: float = field(default_factory=time.monotonic, repr=False)

    def elapsed_ms(self) -> float:
        """Milliseconds since the turn began, on the monotonic clock."""
        return (time.monotonic() - self._start_s) * 1000

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times what runs inside, also when it raises."""
        start_ms = self.elapsed_ms()
        try:
            yield
        finally:
            self._append(Stage(name, start_ms, self.elapsed_ms() - start_ms))

    def mark(self, name: str) -> None:
        """Notes a moment: a stage without length."""
        self._append(Stage(name, self.elapsed_ms(), 0.0))

    def record(self, name: str, duration_ms: float) -> None:
        """Notes a stage that somebody else measured and that has just ended."""
        self._append(Stage(name, max(0.0, self.elapsed_ms() - duration_ms), duration_ms))

    def as_dict(self) -> dict[str, Any]:
        """All that may be shown of the turn as JSON-ready values, times rounded to microseconds."""
        return {
            "trace_id": self.trace_id,
            "started_at": round(self.started_at, 3),
            "language": self.language,
            "device_id": self.device_id,
            "satellite_id": self.satellite_id,
            "speaker": self.speaker,
            "confidence": None if self.confidence is None else round(self.confidence, 3),
            "text": self.text,
            "reply": self.reply,
            "intent": self.intent,
            "tier": self.tier,
            "error": self.error,
            "stages": [
                {"name": stage.name, "start_ms": round(stage.start_ms, 3), "duration_ms": round(stage.duration_ms, 3)}
                for stage in self.stages
            ],
        }

    def _append(self, stage: Stage) -> None:
        if len(self.stages) < STAGES_MAX:
            self.stages.append(stage)


# Set in the coroutine that hears the speech, it is seen by all that the same pipeline run awaits afterwards.
current: ContextVar[VoiceContext | None] = ContextVar("barnabeenet_voice_context", default=None)


def begin(
    *, language: str | None = None, device_id: str | None = None, satellite_id: str | None = None
) -> VoiceContext:
    """Opens a turn and makes it the current one of this task and of the tasks it starts from now on."""
    context = VoiceContext(language=language, device_id=device_id, satellite_id=satellite_id)
    current.set(context)
    return context


def pending() -> VoiceContext | None:
    """The current turn while it waits for its answer.

    An answered one is not given out: what it set off (an automation, say) inherits the context but is no part of it.
    """
    context = current.get()
    if context is None or context.reply is not None or context.error is not None:
        return None
    return context


class Turns:
    """The last turns, newest last, in memory only."""

    def __init__(self, kept: int = TURNS_KEPT) -> None:
        self._turns: deque[VoiceContext] = deque(maxlen=kept)
        self._listeners: list[Callable[[VoiceContext], None]] = []

    def __iter__(self) -> Iterator[VoiceContext]:
        return iter(tuple(self._turns))

    def __len__(self) -> int:
        return len(self._turns)

    def finish(self, context: VoiceContext) -> None:
        """Keeps a turn and tells the subscribers; for a turn that is kept already it only tells them of the change."""
        if context not in self._turns:
            self._turns.append(context)
        for listener in tuple(self._listeners):
            try:
                listener(context)
            except Exception:
                _LOGGER.exception("A subscriber failed on turn %s", context.trace_id)

    def subscribe(self, listener: Callable[[VoiceContext], None]) -> Callable[[], None]:
        """Calls the listener with every finished or changed turn until the returned function is called."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe
