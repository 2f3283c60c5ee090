"""Kokoro's voices: the two letters before a name say its language and whether it is a woman's or a man's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ..errors import Unsupported
from .base import Voice


@dataclass(frozen=True)
class _Language:
    tag: str
    name: str
    espeak: str


# Japanese (j) and Chinese (z) are left out: espeak-ng does not read their writing, and the voices need other phonemes.
_LANGUAGES: Final = {
    "a": _Language("en-US", "US English", "en-us"),
    "b": _Language("en-GB", "British English", "en-gb"),
    "e": _Language("es", "Spanish", "es"),
    "f": _Language("fr-FR", "French", "fr-fr"),
    "h": _Language("hi", "Hindi", "hi"),
    "i": _Language("it", "Italian", "it"),
    "p": _Language("pt-BR", "Brazilian Portuguese", "pt-br"),
}
_SEXES: Final = {"f": "female", "m": "male"}
# Rated best by the model's maker; the others follow by name.
_BEST: Final = ("af_heart", "bf_emma", "ff_siwis")


class KokoroVoices:
    """The voices of one file that can be spoken with."""

    def __init__(self, names: Iterable[str]) -> None:
        spoken = [name for name in names if name[:1] in _LANGUAGES and name[1:2] in _SEXES and name[2:3] == "_"]
        spoken.sort(key=lambda name: (list(_LANGUAGES).index(name[0]), name not in _BEST, name))
        self.catalogue: Sequence[Voice] = [_voice(name) for name in spoken]

    def choose(self, name: str | None, language: str | None) -> str:
        """A voice by its name, else the default of a language; raises Unsupported."""
        if name is not None:
            if any(voice.name == name for voice in self.catalogue):
                return name
            known = ", ".join(voice.name for voice in self.catalogue)
            raise Unsupported(f"Kokoro has no voice {name[:64]!r}: take one of {known}")
        wanted = (self.catalogue[0].language if language is None else language).replace("_", "-").lower()
        exact = [voice.name for voice in self.catalogue if voice.language.lower() == wanted]
        alike = [voice.name for voice in self.catalogue if voice.language.partition("-")[0] == wanted.partition("-")[0]]
        if not alike:
            raise Unsupported(f"Kokoro does not speak {wanted[:64]!r} here: choose another language or engine")
        return (exact or alike)[0]


def espeak_language(voice: str) -> str:
    """The language whose rules turn text into a voice's phonemes."""
    return _LANGUAGES[voice[0]].espeak


def _voice(name: str) -> Voice:
    language = _LANGUAGES[name[0]]
    return Voice(name, f"{name[3:].title()}, {language.name}, {_SEXES[name[1]]}", language.tag)
