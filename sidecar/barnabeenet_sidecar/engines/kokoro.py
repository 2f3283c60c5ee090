"""Speech by Kokoro 82M: natural voices in six languages, at its best on a GPU; a sentence at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from ..audio.silence import SilenceTrimmer
from ..errors import EngineFailed
from .base import EngineInfo, Voice
from .device import onnx_device
from .kokoro_voices import KokoroVoices, espeak_language
from .local_model import LocalModel
from .model_folder import ModelFolder
from .model_thread import Stop
from .package_version import package_version
from .speakable import sentences

if TYPE_CHECKING:
    from .kokoro_model import KokoroModel

_PACKAGE: Final = "kokoro-onnx"
_RATE_HZ: Final = 24_000
# A character is some 60 ms of speech, which take as long again on a weak processor. Others' sentences may be before it.
_SENTENCE_S: Final = 20.0
_SENTENCE_S_PER_CHAR: Final = 0.2


class Kokoro:
    """One model that speaks for everybody, a sentence each in turn."""

    def __init__(self, model: ModelFolder) -> None:
        self._folder = model
        self._local: LocalModel[KokoroModel] = LocalModel("kokoro", model)
        self._voices = KokoroVoices(())

    @property
    def info(self) -> EngineInfo:
        """Who this engine is."""
        return EngineInfo(
            name="kokoro",
            description="Kokoro 82M: natural voices",
            version=package_version(_PACKAGE),
            languages=list(dict.fromkeys(voice.language for voice in self.voices)),
            author="hexgrad",
            url="https://github.com/thewh1teagle/kokoro-onnx",
            licence="Apache-2.0",
        )

    @property
    def voices(self) -> Sequence[Voice]:
        """The voices of the file that is here, known after `load`; the default first."""
        return self._voices.catalogue

    @property
    def rate_hz(self) -> int:
        """The sample rate of the audio it makes."""
        return _RATE_HZ

    @property
    def placement(self) -> str:
        """Where and in what precision it computes, for people; known after `load`."""
        return self._local.placement

    async def load(self) -> None:
        """Loads the model and speaks a word; raises EngineUnavailable. May be called again after `close`."""
        model = await self._local.load(self._make)
        self._voices = KokoroVoices(model.styles)

    async def close(self) -> None:
        """Stops what is spoken and frees the model; safe to call twice."""
        await self._local.close()

    async def synthesise(self, text: str, voice: str | None, language: str | None) -> AsyncGenerator[bytes, None]:
        """Speaks, a whole sentence in each chunk; closing the iterator stops the sentence that is being made.

        Raises Unsupported for an unknown voice or language, BadRequest for too long a text, and EngineFailed.
        """
        name = self._voices.choose(voice, language)
        for sentence in sentences(text):
            speak = partial(_speak, sentence, name)
            deadline_s = _SENTENCE_S + _SENTENCE_S_PER_CHAR * len(sentence)
            trimmer = SilenceTrimmer(_RATE_HZ)
            if pcm := trimmer.feed(await self._local.run(speak, deadline_s=deadline_s)) + trimmer.finish():
                yield pcm

    def _make(self, stop: Stop) -> KokoroModel:
        from .kokoro_model import KokoroModel

        model = KokoroModel(self._folder, onnx_device())
        voices = KokoroVoices(model.styles)
        if not voices.catalogue:
            raise EngineFailed("none of its voices speaks a language that can be read here")
        _speak("ready", voices.catalogue[0].name, model, stop)
        return model


def _speak(sentence: str, voice: str, model: KokoroModel, stop: Stop) -> bytes:
    return model.speak(sentence, voice, espeak_language(voice), stop)
