"""A print of the speaker's voice, made beside the recognition of the words. Nothing of it is logged or kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
import logging
import time
from typing import Final, Literal, TypeAlias

import numpy as np

from ..audio.voiced import Recorder, Recording, voiced
from ..engines.base import SAMPLE_BYTES, SAMPLE_RATE_HZ, EngineInfo, VoiceActivity, VoicePrint
from ..errors import BadRequest
from ..gpu.queue import Priority
from .messages import VoiceHeard
from .turns import Turns

_LOGGER = logging.getLogger(__name__)

Outcome: TypeAlias = Literal["printed", "too_little", "late", "failed"]
OnOutcome: TypeAlias = Callable[[Outcome], None]

# How long words that are there wait for the voice, when there was nothing to take in its place.
WAIT_S: Final = 0.03
# While somebody speaks, the voice is printed from so much speech on, and again when it has grown by half.
_FIRST_FRAMES: Final = 25
_GROWTH: Final = 1.5
# Words that end without a pause take the last print when it is of so much of the speech: a new one would be made while
# they are decoded, or later.
_COVERAGE: Final = 0.6
# More tells little more, and takes 6 ms for each second.
SPEECH_MAX_MS: Final = 10_000
_FLOAT: Final = np.dtype("<f4")


def engine_name(info: EngineInfo) -> str:
    """What tells prints apart that cannot be compared."""
    return f"{info.name}-{info.version}"


class SpeakerVoice:
    """Prints the voice of one utterance in each of its pauses, and now and then before, in case that none comes.

    Its turns on the engines come after those of commands, and their words never wait longer for it than WAIT_S.
    """

    def __init__(
        self, engine: VoicePrint, activity: VoiceActivity, turns: Turns, trace_id: str | None, on_outcome: OnOutcome
    ) -> None:
        self.recorder = Recorder(activity.stream(), activity.frame_ms * SAMPLE_RATE_HZ * SAMPLE_BYTES // 1000)
        self.took_ms: float | None = None
        self._engine, self._frame_ms, self._turns = engine, activity.frame_ms, turns
        self._trace_id, self._on_outcome = trace_id, on_outcome
        self._printing: asyncio.Task[VoiceHeard] | None = None
        self._printed_frames = 0
        self._is_settled = False

    def show(self) -> None:
        """Prints what was said so far, unless that was done a moment ago."""
        is_free = self._printing is None or self._printing.done()
        if is_free and self.recorder.spoken_frames >= max(_FIRST_FRAMES, _GROWTH * self._printed_frames):
            self._start()

    def settle(self) -> None:
        """Prints all that was said, in the hope that it is all; nothing new when that is under way."""
        if not self._is_settled:
            self._is_settled = True
            self._start()

    def unsettle(self) -> None:
        """More is being said."""
        self._is_settled = False

    def conclude(self) -> None:
        """Nothing more is said: prints it all, unless most of it is printed or about to be."""
        if not self._covers_most():
            self.settle()

    async def heard(self) -> VoiceHeard | None:
        """The voice of the utterance, or of most of it; None when it is not there in time. Never raises."""
        self.conclude()
        assert self._printing is not None
        await asyncio.wait([self._printing], timeout=WAIT_S)
        if not self._printing.done():
            self._on_outcome("late")
            return None
        if err := self._printing.exception():
            # Its text might hold what the voice is like.
            _LOGGER.warning("a voice was not printed: %s", type(err).__name__)
            self._on_outcome("failed")
            return None
        voice = self._printing.result()
        self._on_outcome("printed" if voice.dimensions else "too_little")
        return voice

    async def close(self) -> None:
        """Stops the work."""
        if self._printing is not None:
            self._printing.cancel()
            await asyncio.wait([self._printing])

    def _covers_most(self) -> bool:
        if self._printing is None or (self._printing.done() and self._printing.exception()):
            return False
        return self._printed_frames >= _COVERAGE * self.recorder.spoken_frames

    def _start(self) -> None:
        if self._printing is not None:
            self._printing.cancel()
        self._printed_frames = self.recorder.spoken_frames
        self._printing = asyncio.create_task(self._print(self.recorder.recording()))
        self._printing.add_done_callback(_see)

    async def _print(self, recording: Recording) -> VoiceHeard:
        """Raises whatever the engine raises, but for audio that is too little for it."""
        started = time.perf_counter()
        part = await asyncio.to_thread(voiced, recording, self._frame_ms, speech_max_ms=SPEECH_MAX_MS)
        try:
            async with self._turns.turn(Priority.NORMAL, beside=True):
                vector = (await self._engine.embed(part.speech, part.room)).astype(_FLOAT, copy=False)
            dimensions, payload = vector.size, vector.tobytes()
        except BadRequest:
            dimensions, payload = 0, None
        self.took_ms = (time.perf_counter() - started) * 1000
        name = engine_name(self._engine.info)
        return VoiceHeard(self._trace_id, name, dimensions, part.speech_ms, round(part.snr_db, 1), payload)


def _see(printing: asyncio.Task[VoiceHeard]) -> None:
    """What went wrong with a print is told of in `heard`, or matters to nobody any more."""
    if not printing.cancelled():
        printing.exception()
