"""What every request on a connection has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import ClassVar, TypeAlias

from wyoming.event import Event

from ..engines.base import SAMPLE_BYTES, SAMPLE_RATE_HZ
from ..errors import BadRequest

# Writes an event; raises PeerGoneError.
Write: TypeAlias = Callable[[Event], Awaitable[None]]

# Long audio is worked off in pieces of this length, so that other connections get their turn in between.
_PIECE_MS = 200
_PIECE_BYTES = SAMPLE_RATE_HZ * SAMPLE_BYTES * _PIECE_MS // 1000


class PeerGoneError(Exception):
    """The peer hung up or does not read; nothing can be written any more."""


class Request(ABC):
    """One request from its first event to the last of its answer; `run` is cancelled when it is no longer wanted."""

    kind: ClassVar[str]
    # Whether it goes on until something happens that may never happen: no drain waits for its end.
    is_endless: ClassVar[bool] = False

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}

    async def feed(self, event: Event) -> None:  # noqa: B027 - most requests are complete in one event
        """Takes a further event of the client's and never waits for `run`; one of no concern is passed over.

        Raises SidecarError when the event makes the request impossible.
        """

    @abstractmethod
    async def run(self) -> Sequence[Event]:
        """Works and writes; gives the events that end the answer, to be written when all is cleared away.

        Raises SidecarError.
        """


def audio_pieces(event: Event) -> Iterator[bytes]:
    """The audio of an `audio-chunk`, in pieces; raises BadRequest when it is not 16 kHz."""
    if event.data["rate"] != SAMPLE_RATE_HZ:
        raise BadRequest(f"the audio has {event.data['rate']} Hz: send {SAMPLE_RATE_HZ} Hz, 16 bit, mono")
    pcm = event.payload or b""
    for start in range(0, len(pcm), _PIECE_BYTES):
        yield pcm[start : start + _PIECE_BYTES]
