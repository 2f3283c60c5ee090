"""One utterance at a time through a PocketSphinx decoder: provisional words as it goes, final ones in one batch."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pocketsphinx

from ..audio.noise_floor import with_noise_floor
from ..audio.trim import speech_span_ms
from .base import SAMPLE_BYTES, SAMPLE_RATE_HZ, Transcription
from .silero import Silero
from .vocabulary_model import CONTROL_FILE, DICTIONARY_FILE, MODEL_NAME, VocabularyModel

_BYTES_PER_MS: Final = SAMPLE_RATE_HZ * SAMPLE_BYTES // 1000
# PocketSphinx looks back at the last frames of a stream. A piece that fills its queue (some 128 frames of 10 ms) pushes
# them out, and then it scores what is not there: words are lost, or the process is.
_STREAMED_BYTES: Final = 250 * _BYTES_PER_MS
_NOTHING: Final = Transcription("")
_LIVE_SEARCH: Final = "live"
_SECOND_PASSES: Final = ("fwdflat", "bestpath")
ACOUSTIC_MODEL: Final = Path(pocketsphinx.get_model_path()) / "en-us" / "en-us"
PRONUNCIATIONS: Final = Path(pocketsphinx.get_model_path()) / "en-us" / "cmudict-en-us.dict"


class Utterance:
    """Takes the audio of an utterance and tells its words, again and again."""

    def __init__(self, folder: Path) -> None:
        """Loads the model that `compile_vocabulary` wrote into a folder; some 40 ms."""
        self._model = VocabularyModel.load(folder)
        self._decoder = pocketsphinx.Decoder(
            hmm=str(ACOUSTIC_MODEL),
            dict=str(folder / DICTIONARY_FILE),
            lm=None,
            lmctl=str(folder / CONTROL_FILE),
            lmname=MODEL_NAME,
            loglevel="ERROR",
        )
        self._add_live_search()
        self._silero = Silero()
        self._streamed: int | None = None
        self._live_mean = ""
        self.restart()

    def restart(self) -> None:
        """Forgets the audio and begins the next utterance."""
        self._stop_streaming()
        self._activity = self._silero.stream()
        self._audio = bytearray()
        self._probabilities: list[float] = []

    def feed(self, pcm: bytes) -> None:
        """Takes the next 16 kHz audio."""
        self._audio += pcm
        self._probabilities += self._activity.process(pcm)

    def partial(self) -> Transcription:
        """The words so far: cheap, for it goes along with the audio, but heard less well than by `decode`."""
        span = self._speech()
        if span is None:
            return _NOTHING
        if self._streamed is None:
            self._streamed = span.start
            self._start_streaming()
        fresh = bytes(self._audio[self._streamed : span.stop])
        self._streamed += len(fresh)
        for start in range(0, len(fresh), _STREAMED_BYTES):
            piece = fresh[start : start + _STREAMED_BYTES]
            self._decoder.process_raw(piece, no_search=False, full_utt=False)
        hypothesis = self._decoder.hyp()
        return Transcription(self._model.text(hypothesis.hypstr)) if hypothesis else _NOTHING

    def decode(self) -> Transcription:
        """The words of all audio so far; empty when they are no sentence of the vocabulary.

        The whole utterance at once is heard far better than piece by piece: its loudness is known from the start.
        """
        self._stop_streaming()
        span = self._speech()
        if span is None:
            return _NOTHING
        self._decoder.reinit_feat()  # what it learnt of the noise while streaming spoils the whole: 43 of 53 became 48
        self._decoder.activate_search(MODEL_NAME)
        self._decoder.start_utt()
        self._decoder.process_raw(with_noise_floor(bytes(self._audio[span])), no_search=False, full_utt=True)
        self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        if hypothesis is None or not self._model.is_sentence(hypothesis.hypstr):
            return _NOTHING
        return Transcription(self._model.text(hypothesis.hypstr))

    def _add_live_search(self) -> None:
        """A search for provisional words, over the same language model.

        A search that is ended looks at the whole utterance again: time that the final words would have to wait for.
        """
        for second_pass in _SECOND_PASSES:
            self._decoder.config[second_pass] = False
        self._decoder.add_lm(_LIVE_SEARCH, self._decoder.get_lm(MODEL_NAME))
        for second_pass in _SECOND_PASSES:
            self._decoder.config[second_pass] = True

    def _speech(self) -> slice | None:
        span = speech_span_ms(self._probabilities, self._silero.frame_ms, self._levels_db())
        return slice(span[0] * _BYTES_PER_MS, span[1] * _BYTES_PER_MS) if span else None

    def _levels_db(self) -> list[float]:
        frame = self._silero.frame_ms * SAMPLE_RATE_HZ // 1000
        samples = np.frombuffer(bytes(self._audio), np.int16)[: len(self._probabilities) * frame]
        power = np.square(samples.reshape(-1, frame), dtype=np.float64).mean(axis=1)
        levels: list[float] = (10 * np.log10(power + 1)).tolist()
        return levels

    def _start_streaming(self) -> None:
        if self._live_mean:
            self._decoder.set_cmn(self._live_mean)
        self._decoder.activate_search(_LIVE_SEARCH)
        self._decoder.start_utt()

    def _stop_streaming(self) -> None:
        if self._streamed is not None:
            self._decoder.end_utt()
            self._live_mean = self._decoder.get_cmn(False)  # a stream cannot know its own mean: the last one's is near
            self._streamed = None
