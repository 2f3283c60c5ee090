"""libespeak-ng through ctypes: the few calls that are needed of its `speak_lib.h`.

The library keeps its state in globals: it is initialised once in a process and every call holds one lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import ctypes
from dataclasses import dataclass
from functools import cache
import threading
from typing import Final

AUDIO_OUTPUT_SYNCHRONOUS: Final = 2
INITIALIZE_DONT_EXIT: Final = 0x8000
POSITION_CHARACTER: Final = 1
CHARACTERS_UTF8: Final = 1  # and neither espeakSSML nor espeakPHONEMES: "<" and "[[" are text
PARAMETER_RATE: Final = 1
PHONEMES_IPA: Final = 2

SPEAKING_RATE_WPM: Final = 160

_BUFFER_MS: Final = 60
_LOCK: Final = threading.Lock()


@dataclass(frozen=True)
class EspeakVoice:
    """A voice file of espeak-ng; `languages` are (priority, tag), the lowest priority being its proper language."""

    name: str
    identifier: str
    languages: Sequence[tuple[int, str]]


class _VoiceStruct(ctypes.Structure):
    """`espeak_VOICE`; its languages are (priority byte, zero-ended tag)..., ended by a zero priority."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_SynthCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class EspeakError(RuntimeError):
    """The library refused a call."""


@cache
def library() -> EspeakLibrary:
    """The one library of this process; raises ImportError, OSError or EspeakError where it cannot be used."""
    return EspeakLibrary()


class EspeakLibrary:
    """Speaks one text at a time; calls from several threads wait for each other."""

    def __init__(self) -> None:
        import espeakng_loader

        self._lib = ctypes.CDLL(espeakng_loader.get_library_path())
        self._lib.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_VoiceStruct))
        self._lib.espeak_Info.restype = ctypes.c_char_p
        self._lib.espeak_TextToPhonemes.restype = ctypes.c_char_p
        data_path = espeakng_loader.get_data_path().encode()
        self.rate_hz: int = self._lib.espeak_Initialize(
            AUDIO_OUTPUT_SYNCHRONOUS, _BUFFER_MS, data_path, INITIALIZE_DONT_EXIT
        )
        if self.rate_hz <= 0:
            raise EspeakError(f"espeak_Initialize failed with {self.rate_hz}")
        self.version: str = self._lib.espeak_Info(None).decode()
        self._voice: tuple[str, int] | None = None
        self._on_audio: Callable[[bytes], bool] = lambda _pcm: False
        # Kept: a callback that ctypes collects while the library still holds it crashes the process.
        self._callback = _SynthCallback(self._hear)
        self._lib.espeak_SetSynthCallback(self._callback)

    def voices(self) -> list[EspeakVoice]:
        """Every voice whose data is here."""
        with _LOCK:
            found = self._lib.espeak_ListVoices(None)
            return list(_read_voices(found))

    def speak(self, text: str, identifier: str, rate_wpm: int, on_audio: Callable[[bytes], bool]) -> None:
        """Blocks while it speaks; `on_audio` takes each buffer, must not raise, and answers False to stop.

        Raises EspeakError.
        """
        encoded = text.encode() + b"\0"
        with _LOCK:
            self._choose(identifier, rate_wpm)
            self._on_audio = on_audio
            failed = self._lib.espeak_Synth(
                encoded, len(encoded), 0, POSITION_CHARACTER, 0, CHARACTERS_UTF8, None, None
            )
        if failed:
            raise EspeakError(f"espeak_Synth failed with {failed}")

    def pronounce(self, word: str, identifier: str) -> str:
        """How a voice pronounces a word, in the International Phonetic Alphabet; raises EspeakError."""
        text = ctypes.c_char_p(word.encode())
        with _LOCK:
            # At the rate of speech: what is asked between two sentences must not hurry the second.
            self._choose(identifier, SPEAKING_RATE_WPM)
            ipa: bytes | None = self._lib.espeak_TextToPhonemes(ctypes.byref(text), CHARACTERS_UTF8, PHONEMES_IPA)
        return ipa.decode() if ipa else ""

    def _choose(self, identifier: str, rate_wpm: int) -> None:
        if self._voice == (identifier, rate_wpm):
            return
        self._voice = None
        if failed := self._lib.espeak_SetVoiceByName(identifier.encode()):
            raise EspeakError(f"espeak_SetVoiceByName({identifier!r}) failed with {failed}")
        if failed := self._lib.espeak_SetParameter(PARAMETER_RATE, rate_wpm, 0):
            raise EspeakError(f"espeak_SetParameter(rate, {rate_wpm}) failed with {failed}")
        self._voice = (identifier, rate_wpm)

    def _hear(self, samples: ctypes._Pointer[ctypes.c_short], count: int, _events: int | None) -> int:
        if not samples or count <= 0:
            return 0
        return 0 if self._on_audio(ctypes.string_at(samples, 2 * count)) else 1


def _read_voices(found: ctypes._Pointer[ctypes._Pointer[_VoiceStruct]]) -> Iterator[EspeakVoice]:
    index = 0
    while found[index]:
        voice = found[index].contents
        yield EspeakVoice(
            voice.name.decode().strip(), voice.identifier.decode(), tuple(_read_languages(voice.languages))
        )
        index += 1


def _read_languages(address: int) -> Iterator[tuple[int, str]]:
    while priority := ctypes.string_at(address, 1)[0]:
        tag = ctypes.string_at(address + 1)
        yield priority, tag.decode()
        address += 1 + len(tag) + 1
