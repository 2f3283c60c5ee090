"""The `detect` request: listen to a stream of audio until a wake word is heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from wyoming.event import Event
from wyoming.wake import Detection, NotDetected

from ..engines.base import SAMPLE_BYTES, SAMPLE_RATE_HZ, WakeWord
from .request import Request, audio_pieces

WAKE_STREAM_S: Final = 86_400


class WakeWordDetection(Request):
    """Answers `detection`, or `not-detected` when the audio stops first or has gone on for a day."""

    kind = "detect"
    is_endless = True

    def __init__(self, event: Event, engine: WakeWord, on_detection: Callable[[str], None] = lambda _: None) -> None:
        """`on_detection` is told the wake word's name; raises Unsupported for a wake word that is not here."""
        super().__init__()
        self._on_detection = on_detection
        self._stream = engine.stream(event.data.get("names") or None)
        self._bytes_left = WAKE_STREAM_S * SAMPLE_RATE_HZ * SAMPLE_BYTES
        self._heard: asyncio.Future[Event] = asyncio.get_running_loop().create_future()

    async def feed(self, event: Event) -> None:
        """Takes audio; the stream costs so little that it is watched right here."""
        if self._heard.done():
            return
        if event.type == "audio-chunk":
            self._watch(event)
        elif event.type == "audio-stop":
            self._heard.set_result(NotDetected().event())

    def _watch(self, event: Event) -> None:
        for pcm in audio_pieces(event):
            self._bytes_left -= len(pcm)
            if detection := self._stream.process(pcm):
                self._on_detection(detection.name)
                # A client that dates its chunks wants the detection in its own time.
                timestamp = event.data.get("timestamp")
                at_ms = detection.offset_ms if timestamp is None else timestamp
                self._heard.set_result(Detection(name=detection.name, timestamp=at_ms).event())
                return
        if self._bytes_left <= 0:
            self._heard.set_result(NotDetected().event())

    async def run(self) -> Sequence[Event]:
        """Waits for the wake word."""
        return [await self._heard]
