"""What the sidecar says it can do, as Wyoming's `info`."""

from __future__ import annotations

from typing import TypedDict

from wyoming.info import AsrModel, AsrProgram, Attribution, Info, TtsProgram, TtsVoice, WakeModel, WakeProgram

from ..engines.base import EngineInfo, SpeechToText, TextToSpeech, WakeWord
from ..engines.catalogue import Engines


class _Artifact(TypedDict):
    name: str
    attribution: Attribution
    installed: bool
    description: str
    version: str


def info(engines: Engines, *, plain: bool) -> Info:
    """The engines that are loaded.

    With voice activity detection the sidecar hears the end of speech itself; a plain client keeps its own ear for it.
    """
    requires_external_vad = plain or not engines.vad.ready
    return Info(
        asr=[_asr(engines.stt.get(), requires_external_vad)] if engines.stt.ready else [],
        tts=[_tts(engines.tts.get())] if engines.tts.ready else [],
        wake=[_wake(engines.wake.get())] if engines.wake.ready else [],
    )


def _asr(engine: SpeechToText, requires_external_vad: bool) -> AsrProgram:
    described = engine.info
    artifact = _artifact(described)
    model = AsrModel(**artifact, languages=list(described.languages))
    return AsrProgram(**artifact, models=[model], requires_external_vad=requires_external_vad)


def _tts(engine: TextToSpeech) -> TtsProgram:
    artifact = _artifact(engine.info)
    voices = [
        TtsVoice(**_part_of(artifact, voice.name, voice.description), languages=[voice.language])
        for voice in engine.voices
    ]
    return TtsProgram(**artifact, voices=voices, supports_synthesize_streaming=True)


def _wake(engine: WakeWord) -> WakeProgram:
    artifact = _artifact(engine.info)
    models = [
        WakeModel(**_part_of(artifact, model.name, model.phrase), languages=list(model.languages), phrase=model.phrase)
        for model in engine.models
    ]
    return WakeProgram(**artifact, models=models)


def _artifact(info: EngineInfo) -> _Artifact:
    return {
        "name": info.name,
        "attribution": Attribution(name=info.author, url=info.url),
        "installed": True,
        "description": info.description,
        "version": info.version,
    }


def _part_of(artifact: _Artifact, name: str, description: str) -> _Artifact:
    """A voice or wake word, by the same people as its engine."""
    return {**artifact, "name": name, "description": description}
