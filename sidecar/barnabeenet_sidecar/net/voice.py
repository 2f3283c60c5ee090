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

# How long words that are there wait for the voice, when there was no pause to print it in.
WAIT_S: Final = 0.03
# More tells little more, and takes 6 ms for each second.
SPEECH_MAX_MS: Final = 10_000
_FLOAT: Final = np.dtype("<f4")


def engine_name(info: EngineInfo) -> str:
    """What tells prints apart that cannot be compared."""
    return f"{info.name}-{info.version}"


class SpeakerVoice:
    """Prints the voice of one utterance in each of its pauses; a print whose utterance goes on is dropped.

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

    def settle(self) -> None:
        """Prints what was said so far, in the hope that it is all; a print that is under way goes on."""
        if self._printing is None:
            self._printing = asyncio.create_task(self._print(self.recorder.recording()))

    def unsettle(self) -> None:
        """More is being said."""
        if self._printing is not None:
            self._printing.cancel()
        self._printing = None

    async def heard(self) -> VoiceHeard | None:
        """The voice of the whole utterance; None when it is not there in time. Never raises."""
        self.settle()
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
            if not self._printing.cancelled():
                self._printing.exception()  # seen, and told of in `heard`

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
