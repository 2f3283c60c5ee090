"""The `transcribe` request: audio in, words out as early as they are known."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
import time
from typing import Final

from wyoming.asr import Transcript
from wyoming.event import Event
from wyoming.vad import VoiceStarted, VoiceStopped

from ..audio.endpoint import Endpointer, EndpointEvent, EndpointKind, Sensitivity
from ..engines.base import SAMPLE_BYTES, SAMPLE_RATE_HZ, Recognition
from ..engines.catalogue import Engines
from ..errors import BadRequest, EngineFailed
from .connection import Connection
from .messages import Timings, VoiceHeard, trace_id_of, wants_voice
from .request import Request, Write, audio_pieces
from .turns import Turns
from .voice import OnOutcome, SpeakerVoice
from .words import Words

UTTERANCE_S: Final = 60
_BYTES_PER_MS = SAMPLE_RATE_HZ * SAMPLE_BYTES // 1000
# A recogniser is not kept waiting for audio that comes slower than it was spoken.
_LISTEN_S = UTTERANCE_S + 10
_WORKER_WAIT_S = 10
_PARTIAL_EVERY_MS = 300


class SpeechTranscription(Request):
    """Recognises one utterance, of a minute at most.

    On the authenticated listener it ends at `audio-stop` or where speech ends; a plain client hears the end itself and
    says `audio-stop`. Stages: `speech`, from its first sound to its last; `endpoint`, the silence until its end was
    certain; `decode`, from then to the words: next to nothing when they were decoded during that silence; `queue`, how
    long these words waited for their turn; `voice`, beside the others, how long it took to print the speaker's voice.
    """

    kind = "transcribe"

    def __init__(
        self,
        event: Event,
        engines: Engines,
        turns: Turns,
        connection: Connection,
        write: Write,
        *,
        on_voice: OnOutcome,
    ) -> None:
        super().__init__()
        self._stt = engines.stt.get()
        self._language: str = event.data.get("language") or self._stt.info.languages[0]
        self._bias = [*(event.data.get("transcript_names") or ()), *(event.data.get("transcript_terms") or ())]
        self._trace_id = trace_id_of(event)
        self._home, self._turns, self._write = connection.home, turns, write
        hears_the_end = engines.vad.ready and not connection.plain
        self._endpointer: Endpointer | None = None
        self._voice: SpeakerVoice | None = None
        if hears_the_end:
            activity = engines.vad.get()
            if wants_voice(event) and engines.voice_print.ready:
                self._voice = SpeakerVoice(engines.voice_print.get(), activity, turns, self._trace_id, on_voice)
            heard = self._voice.recorder if self._voice else activity.stream()
            self._endpointer = Endpointer(heard, activity.frame_ms, _sensitivity(event.data.get("vad_sensitivity")))
        self._audio: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._bytes_left = UTTERANCE_S * 1000 * _BYTES_PER_MS
        self._heard_ms = 0.0
        self._speech_start_ms: int | None = None
        self._is_speaking = False

    async def feed(self, event: Event) -> None:
        """Takes audio; what goes beyond a minute is dropped."""
        if event.type == "audio-stop":
            self._audio.put_nowait(None)
        elif event.type == "audio-chunk" and self._bytes_left > 0:
            for pcm in audio_pieces(event):
                self._audio.put_nowait(pcm[: self._bytes_left])
                self._bytes_left -= min(len(pcm), self._bytes_left)
            if not self._bytes_left:
                self._audio.put_nowait(None)

    async def run(self) -> Sequence[Event]:
        """Listens, then decodes."""
        recognition = await self._recognition()
        words = Words(
            recognition, self._write, self._turns, heard_ms=lambda: self._heard_ms, silence_ms=self._silence_ms
        )
        try:
            await self._listen(recognition, words)
            return await self._conclude(words)
        finally:
            if self._voice:
                await self._voice.close()
            await words.close()
            await recognition.close()

    async def _recognition(self) -> Recognition:
        try:
            async with asyncio.timeout(_WORKER_WAIT_S):
                return await self._stt.recognise(self._language, self._home, self._bias)
        except TimeoutError:
            advice = "try again, or raise stt_workers"
            raise EngineFailed(f"all recognisers were busy for {_WORKER_WAIT_S} s: {advice}") from None

    async def _listen(self, recognition: Recognition, words: Words) -> None:
        try:
            async with asyncio.timeout(_LISTEN_S):
                await self._follow_audio(recognition, words)
        except TimeoutError:
            raise BadRequest(f"the utterance did not end within {_LISTEN_S} s: send audio-stop") from None

    async def _follow_audio(self, recognition: Recognition, words: Words) -> None:
        """Follows the audio to its end, or to the end of speech where that is ours to hear."""
        shown_ms = 0.0
        while (pcm := await self._audio.get()) is not None:
            recognition.feed(pcm)
            self._heard_ms += len(pcm) / _BYTES_PER_MS
            for event in self._endpointer.feed(pcm) if self._endpointer else ():
                if event.kind in (EndpointKind.SPEECH_ENDED, EndpointKind.NO_SPEECH):
                    return
                await self._follow(event, words)
            if self._is_speaking and self._heard_ms - shown_ms >= _PARTIAL_EVERY_MS:
                shown_ms = self._heard_ms
                words.show()
                if self._voice:
                    self._voice.show()
            # Audio that comes faster than it was spoken must not keep others waiting.
            await asyncio.sleep(0)

    async def _follow(self, event: EndpointEvent, words: Words) -> None:
        self._is_speaking = event.kind is not EndpointKind.PAUSE
        if event.kind is EndpointKind.PAUSE:
            words.settle()
            if self._voice:
                self._voice.settle()
        elif event.kind is EndpointKind.SPEECH_RESUMED:
            words.unsettle()
            if self._voice:
                self._voice.unsettle()
        else:
            self._speech_start_ms = event.at_ms
            await self._write(VoiceStarted(event.at_ms).event())

    async def _conclude(self, words: Words) -> Sequence[Event]:
        decided = time.perf_counter()
        words.hide()
        text, voice = "", None
        if self._speech_start_ms is not None:
            self.stages["endpoint"] = self._silence_ms()
            speech_end_ms = round(self._heard_ms - self._silence_ms())
            self.stages["speech"] = max(0, speech_end_ms - self._speech_start_ms)
            await self._write(VoiceStopped(speech_end_ms).event())
        if self._speech_start_ms is not None or self._endpointer is None:
            if self._voice:
                self._voice.conclude()
            text = (await words.final()).text
            self.stages["decode"] = (time.perf_counter() - decided) * 1000
            self.stages["queue"] = self._turns.waited_ms
            voice = await self._voice_heard()
        timings, transcript = Timings(self._trace_id, self.stages), Transcript(text=text, language=self._language)
        return [message.event() for message in (voice, timings, transcript) if message is not None]

    async def _voice_heard(self) -> VoiceHeard | None:
        if self._voice is None:
            return None
        voice = await self._voice.heard()
        if self._voice.took_ms is not None:
            self.stages["voice"] = self._voice.took_ms
        return voice

    def _silence_ms(self) -> float:
        return self._endpointer.silence_ms if self._endpointer else 0.0


def _sensitivity(wanted: str | None) -> Sensitivity:
    try:
        return Sensitivity(wanted or Sensitivity.DEFAULT)
    except ValueError:
        raise BadRequest(f"vad_sensitivity is {wanted!r}: it may be {', '.join(Sensitivity)}") from None
