"""Which of espeak-ng's voices a request means; they are known by their BCP 47 tag."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Final

from ..errors import Unsupported
from .base import Voice
from .espeak_library import EspeakVoice

_DEFAULT: Final = "gmw/en-US"
# Of 27 variants tried in English this one was understood best by a recogniser: 33 % of the words wrong against 87 %
# with the plain voice. Nothing is known of other languages, which keep theirs.
_ENGLISH_VARIANT: Final = "+edward"
# Listed, but espeakng-loader carries no dictionary for them and they stay silent.
_SILENT: Final = frozenset({"art/xex", "gmq/fo", "trk/kaa"})


class EspeakVoices:
    """The voices that are here; the default first."""

    def __init__(self, found: Sequence[EspeakVoice]) -> None:
        speaking = (voice for voice in found if voice.identifier not in _SILENT)
        ordered = sorted(speaking, key=lambda voice: (voice.identifier != _DEFAULT, voice.name))
        self._voices: dict[str, EspeakVoice] = {}
        for voice in ordered:
            self._voices.setdefault(bcp_47(voice.languages[0][1]), voice)

    @cached_property
    def catalogue(self) -> Sequence[Voice]:
        """What a person can choose from."""
        return [Voice(tag, voice.name, tag) for tag, voice in self._voices.items()]

    def choose(self, name: str | None, language: str | None) -> str:
        """The library's name of the voice that was asked for, else of the language's; raises Unsupported."""
        if name is not None:
            if voice := self._voices.get(name):
                return _with_variant(voice)
            raise Unsupported(f"espeak-ng has no voice {name[:64]!r}: take one of {', '.join(self._voices)}")
        if language is None:
            return _with_variant(next(iter(self._voices.values())))
        ranked = [(rank, voice) for voice in self._voices.values() if (rank := _rank(voice, language)) is not None]
        if not ranked:
            raise Unsupported(f"espeak-ng does not speak {language[:64]!r}")
        return _with_variant(min(ranked, key=lambda entry: entry[0])[1])


def bcp_47(tag: str) -> str:
    """The usual upper and lower case of a language tag (RFC 5646, section 2.1.1)."""
    first, *others = tag.lower().split("-")
    private = others.index("x") if "x" in others else len(others)
    usual = [
        part.upper() if len(part) == 2 else part.title() if len(part) == 4 and part.isalpha() else part
        for part in others[:private]
    ]
    return "-".join([first, *usual, *others[private:]])


def _rank(voice: EspeakVoice, language: str) -> tuple[int, bool, int] | None:
    """How well a voice speaks a language, the least being best; None when it does not."""
    wanted = language.lower().replace("_", "-")
    closeness = {wanted: 0, _primary(wanted): 1}
    ranks = [
        (closeness.get(tag.lower(), 2), voice.identifier != _DEFAULT, priority)
        for priority, tag in voice.languages
        if _primary(tag.lower()) == _primary(wanted)
    ]
    return min(ranks, default=None)


def _primary(tag: str) -> str:
    return tag.split("-", maxsplit=1)[0]


def _with_variant(voice: EspeakVoice) -> str:
    return voice.identifier + (_ENGLISH_VARIANT if _primary(voice.languages[0][1]) == "en" else "")
