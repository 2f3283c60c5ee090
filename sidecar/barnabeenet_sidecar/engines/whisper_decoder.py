"""OpenAI's Whisper through faster-whisper; import it only to load a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import math
from typing import Final

import ctranslate2
from faster_whisper import WhisperModel

from .base import SAMPLE_RATE_HZ, Transcription
from .batch_speech_to_text import Speech
from .device import Device
from .model_folder import ModelFolder
from .model_thread import Stop

# Where Whisper's name of a language is not the one in BCP 47.
_TAGS: Final = {"jw": "jv"}
_CODES: Final = {tag: code for code, tag in _TAGS.items()} | {"nb": "no", "cmn": "zh", "fil": "tl"}

# A prompt may have 223 tokens; a long one costs time and is repeated back on noise.
_HINT_MAX_TOKENS: Final = 150
_HINT_MAX_WORDS: Final = 200

# The thresholds of OpenAI's own `transcribe`.
_NO_SPEECH: Final = 0.6
_LOGPROB_MIN: Final = -1.0
_COMPRESSION_MAX: Final = 2.4

# Nobody says more in a second; a loop that never ends is cut off.
_TOKENS_PER_S: Final = 25
_TOKENS_MIN: Final = 24
_TOKENS_MAX: Final = 220


class WhisperDecoder:
    """A loaded Whisper model."""

    def __init__(self, folder: ModelFolder, device: Device) -> None:
        """Loads it; raises EngineUnavailable when a file is missing, and what CTranslate2 raises."""
        # Without its tokenizer faster-whisper would look for one on the internet.
        for file in ("model.bin", "config.json", "tokenizer.json"):
            folder.file(file)
        compute_type = _compute_type(device)
        self._model = WhisperModel(
            str(folder.path), device=device.kind, compute_type=compute_type, local_files_only=True
        )
        codes = self._model.supported_languages
        self.languages: Sequence[str] = ["en", *(_TAGS.get(code, code) for code in codes if code != "en")]
        if len(codes) > 1:
            self.languages = [*self.languages, *(tag for tag in _CODES if tag not in self.languages)]
        self.placement = f"{device} in {compute_type}"
        self._beam = 5 if device.kind == "cuda" else 1

    def transcribe(self, speech: Speech, stop: Stop) -> Transcription:
        """The words of an utterance, none where it rather heard noise; can be stopped between windows of 30 s.

        Raises Stopped or what CTranslate2 raises.
        """
        stop.check()
        segments, _ = self._model.transcribe(
            speech.samples,
            language=_CODES.get(speech.language, speech.language),
            beam_size=self._beam if speech.final else 1,
            temperature=0.0,
            without_timestamps=True,
            condition_on_previous_text=False,
            hotwords=self._hint(speech.bias) or None,
            max_new_tokens=min(_TOKENS_MIN + _TOKENS_PER_S * len(speech.samples) // SAMPLE_RATE_HZ, _TOKENS_MAX),
            no_speech_threshold=_NO_SPEECH,
            log_prob_threshold=_LOGPROB_MIN,
            compression_ratio_threshold=_COMPRESSION_MAX,
        )
        words, logprobs = [], []
        for segment in segments:
            stop.check()
            # A text that repeats itself was invented.
            if segment.compression_ratio <= _COMPRESSION_MAX:
                words.append(segment.text)
                logprobs.append(segment.avg_logprob)
        confidence = math.exp(sum(logprobs) / len(logprobs)) if logprobs else 1.0
        return Transcription("".join(words).strip(), confidence)

    def _hint(self, words: Iterable[str]) -> str:
        """The first words that fit into a prompt. Text that would be read as a special token is left out."""
        hint, tokens = "", 0
        for word in list(words)[:_HINT_MAX_WORDS]:
            addition = f", {word}" if hint else word
            count = len(self._model.hf_tokenizer.encode(addition, add_special_tokens=False).ids)
            if "<|" not in word and tokens + count <= _HINT_MAX_TOKENS:
                hint += addition
                tokens += count
        return hint


def _compute_type(device: Device) -> str:
    wanted = ("float16", "int8_float32", "float32") if device.kind == "cuda" else ("int8", "float32")
    supported = ctranslate2.get_supported_compute_types(device.kind)
    return next(compute_type for compute_type in wanted if compute_type in supported)
