"""Wake words by microWakeWord on the CPU: about 0.1 % of a core per stream; the models are in the package."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from ..errors import EngineUnavailable
from .base import SAMPLE_BYTES, SAMPLE_RATE_HZ, EngineInfo, WakeDetection, WakeWordModel
from .quiet_gate import BLOCK_BYTES, BLOCK_MS, QuietGate
from .tensorflow_lite import Levels, Network, NetworkModel
from .wake_words import Trigger, choose

_PACKAGE: Final = "pymicro-wakeword"
# A feature covers 30 ms of audio and the next one begins 10 ms later.
_WINDOW_MS: Final = 30
_STEP_MS: Final = 10
_STEP_BYTES: Final = _STEP_MS * SAMPLE_RATE_HZ // 1000 * SAMPLE_BYTES
# Of one step, when each of its values is a byte.
_FEATURE_BYTES: Final = 40
# A model that has heard nothing yet is rash: of 165 recordings that begin at once it took two for wake words.
_LEAD_IN_MS: Final = 300
# What is heard again when a quiet room is quiet no more: a whole wake word and what the features adapt to before it.
_REMEMBERED_BLOCKS: Final = 1_500 // BLOCK_MS


@dataclass(frozen=True)
class _Word:
    """A wake word and its weights; it is heard when the mean of the last outputs is above the threshold."""

    model: WakeWordModel
    network: NetworkModel
    outputs: int
    threshold: float


class _Listener:
    """Listens to one stream for one wake word."""

    def __init__(self, word: _Word) -> None:
        self.name = word.model.name
        self._word = word
        self._network = Network(word.network)
        self._step_bytes = word.network.step_bytes
        self._features = b""
        self._outputs: list[int] = []

    def hears(self, features: bytes) -> list[int]:
        """Takes the next features; after how many bytes of them it is sure of the wake word."""
        held, step_bytes = self._features + features, self._step_bytes
        before = len(self._features)
        whole = len(held) - len(held) % step_bytes
        self._features = held[whole:]
        return [
            start + step_bytes - before
            for start in range(0, whole, step_bytes)
            if self._is_sure(self._network.run(held[start : start + step_bytes]))
        ]

    def _is_sure(self, output: int) -> bool:
        outputs, word = self._outputs, self._word
        outputs.append(output)
        if len(outputs) < word.outputs:
            return False
        mean = (sum(outputs) / word.outputs - word.network.output_zero_point) * word.network.output_scale
        del outputs[0]
        return mean > word.threshold


class MicroWakeWordStream:
    """One stream of 16 kHz audio; nothing but the weights is shared between streams."""

    def __init__(self, words: Sequence[_Word]) -> None:
        from pymicro_features import create_frontend, process_samples

        self._frontend = create_frontend()
        self._take: Callable[[Any, bytes], tuple[list[float], int]] = process_samples
        # One that several wake words share is made once.
        levels: dict[Levels, list[_Listener]] = {}
        for word in words:
            levels.setdefault(word.network.levels, []).append(_Listener(word))
        self._listeners = list(levels.items())
        self._rest = b""
        self._heard_ms = _WINDOW_MS - _STEP_MS - _LEAD_IN_MS
        self._trigger = Trigger()
        self._gate = QuietGate()
        # The block that is being filled, and those passed over while it was quiet.
        self._block = b""
        self._passed: deque[bytes] = deque()
        self._listen(bytes(_LEAD_IN_MS * SAMPLE_RATE_HZ // 1000 * SAMPLE_BYTES))

    def process(self, pcm: bytes) -> WakeDetection | None:
        """Takes audio of any length; gives the first wake word that it completes."""
        found = None
        at = 0
        while at < len(pcm):
            piece = pcm[at : at + BLOCK_BYTES - len(self._block)]
            at += len(piece)
            self._block += piece
            if not self._gate.is_quiet:
                heard = self._listen(piece)
                found = found or heard
            if len(self._block) == BLOCK_BYTES:
                block, self._block = self._block, b""
                heard = self._watch(block)
                found = found or heard
        return found

    def _watch(self, block: bytes) -> WakeDetection | None:
        """Ends a block; what was passed over is heard when it was the beginning of something."""
        was_quiet = self._gate.is_quiet
        is_quiet = self._gate.watch(block)
        if not was_quiet:
            return None
        self._passed.append(block)
        if is_quiet:
            if len(self._passed) > _REMEMBERED_BLOCKS:
                self._passed.popleft()
                self._heard_ms += BLOCK_MS
            return None
        passed = b"".join(self._passed)
        self._passed.clear()
        return self._listen(passed)

    def _listen(self, pcm: bytes) -> WakeDetection | None:
        audio = self._rest + pcm
        whole = len(audio) - len(audio) % _STEP_BYTES
        self._rest = audio[whole:]
        take, frontend = self._take, self._frontend
        features: list[float] = []
        for start in range(0, whole, _STEP_BYTES):
            features += take(frontend, audio[start : start + _STEP_BYTES])[0]
        sure: dict[int, str] = {}
        for levels, listeners in self._listeners:
            quantised = levels.of(features)
            for listener in listeners:
                for at in listener.hears(quantised):
                    sure.setdefault(at, listener.name)
        found = None
        for at, name in sorted(sure.items()):
            heard = self._trigger.fire(name, self._heard_ms + at // _FEATURE_BYTES * _STEP_MS)
            found = found or heard
        self._heard_ms += len(features) // _FEATURE_BYTES * _STEP_MS
        return found


class MicroWakeWord:
    """Hears "okay Nabu", "hey Jarvis", "hey Mycroft" and "Alexa"."""

    def __init__(self) -> None:
        self._words: dict[str, _Word] = {}

    @property
    def info(self) -> EngineInfo:
        """Who this engine is."""
        return EngineInfo(
            name="microwakeword",
            description="microWakeWord: wake words on the CPU",
            version=version(_PACKAGE),
            languages=sorted({language for model in self.models for language in model.languages}) or ("en",),
            author="Kevin Ahrendt",
            url="https://github.com/kahrendt/microWakeWord",
            licence="Apache-2.0",
        )

    @property
    def models(self) -> Sequence[WakeWordModel]:
        """The wake words that are here, known after `load`; the first is the default."""
        return [word.model for word in self._words.values()]

    async def load(self) -> None:
        """Loads every model once and runs it; raises EngineUnavailable."""
        self._words = await asyncio.to_thread(_load)

    async def close(self) -> None:
        """Nothing is held but what the streams hold."""

    def stream(self, names: Sequence[str] | None) -> MicroWakeWordStream:
        """Begins a stream for some wake words (None: the default); raises Unsupported for an unknown one."""
        return MicroWakeWordStream([self._words[name] for name in choose(names, self.models)])


def _load() -> dict[str, _Word]:
    try:
        from pymicro_wakeword import MicroWakeWord as Detector, Model

        words = [_word(Detector.from_builtin(model)) for model in Model]
        MicroWakeWordStream(words)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        raise EngineUnavailable(f"microWakeWord cannot be loaded ({error}): pip install {_PACKAGE}") from error
    return {word.model.name: word for word in words}


def _word(detector: Any) -> _Word:
    """What the package's own detector knows of its model, which is loaded once more to be shared."""
    return _Word(
        WakeWordModel(detector.id, detector.wake_word, tuple(detector.trained_languages)),
        NetworkModel(Path(detector.libtensorflowlite_c_path), Path(detector.tflite_model)),
        detector.sliding_window_size,
        detector.probability_cutoff,
    )
