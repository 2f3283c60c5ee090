"""Repairs what does not belong into Barnabee's mouth: markup, addresses, marks, and talk of being a language model."""

from __future__ import annotations

from collections.abc import Mapping
import re
from typing import Final

from .quote import CLOSE, OPEN

_LINK: Final = re.compile(r"!?\[([^\]\[]{0,200})\]\((?:[^()\s]|\([^()\s]*\)){1,2000}\)")
_URL: Final = re.compile(
    r"(?:https?://|www\.)(?:www\.)?([\w-]+(?:\.[\w-]+)*)(?::\d+)?(?:[/?#](?:[^\s,;!)]*[^\s,;!?.)])?)?", re.IGNORECASE
)
_EMPHASIS: Final = re.compile(r"(\*{1,3}|_{2,3}|~~|`{1,3})(?=\S)(.{1,400}?)(?<=\S)\1")
_HEAD: Final = re.compile(r"^(\s*)(?:#{1,6}\s+|>\s+|[-*•]\s+)")
_LEFTOVER: Final = re.compile(r"\*{2,}|`{2,}|#{2,}\s")
_TEMPLATE: Final = re.compile(r"<\|[^|<>]{0,40}\|>|</?(?:think|tool_call|s)>|\[/?INST\]", re.IGNORECASE)
_PICTURES: Final = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\ufe0f\u200d\u20e3\U0001f1e6-\U0001f1ff]+")
_MAKERS: Final = (
    r"chat ?gpt|gpt-?\d?|openai|claude|anthropic|gemini|bard|google|llama|meta ai|mistral|qwen|deepseek|ollama"
)

# What is only put before: "As an AI language model, I cannot see the door." The rest is worth saying.
_PREFIXES: Final[Mapping[str, str]] = {
    "en": r"as an? (?:ai|artificial intelligence|large language|language|virtual)[\w ]{0,40}, ?",
    "de": r"als (?:ki|künstliche intelligenz|(?:großes )?sprachmodell|ki-sprachmodell|virtuelle[rn]? assistent)"
    r"[\w -]{0,20},? (?=kann|habe|bin|weiß|darf|muss)",
    "fr": r"en tant qu(?:e |['\u2019])(?:ia|intelligence artificielle|modèle de langage|grand modèle|assistant virtuel)"
    r"[\w ]{0,40}, ?",
    "es": r"como (?:una |un )?(?:ia|inteligencia artificial|modelo de lenguaje|asistente virtual)[\w ]{0,40}, ?",
    "nl": r"als (?:een )?(?:ai|kunstmatige intelligentie|(?:groot )?taalmodel|ai-taalmodel)[\w -]{0,20},? "
    r"(?=kan|heb|ben|weet|mag|moet)",
}
_I_AM: Final = (
    r"i(?:(?:'|\u2019| a)m (?:just |only )?(?:an? )?(?:ai |artificial intelligence |large )?(?:language model|MAKERS)"
    r"| was (?:made|created|developed|trained) by (?:MAKERS))[^.!?,]*"
)
# What is the whole sentence: who Barnabee is, answered as if it were the model.
_SELF: Final[Mapping[str, tuple[str, str]]] = {
    "en": (
        _I_AM,
        "I'm Barnabee",
    ),
    "de": (
        r"ich bin (?:nur )?(?:ein )?(?:großes |ki-?)?(?:sprachmodell|MAKERS)[^.!?,]*|ich wurde von (?:MAKERS)[^.!?,]*",
        "Ich bin Barnabee",
    ),
    "fr": (
        r"je (?:ne )?suis (?:qu['\u2019])?(?:un )?(?:grand )?(?:modèle de langage|MAKERS)[^.!?,]*",
        "Je suis Barnabee",
    ),
    "es": (r"(?:yo )?soy (?:solo )?(?:un )?(?:gran )?(?:modelo de lenguaje|MAKERS)[^.!?,]*", "Soy Barnabee"),
    "nl": (r"ik ben (?:maar )?(?:een )?(?:groot )?(?:taalmodel|MAKERS)[^.!?,]*", "Ik ben Barnabee"),
}
_PREFIX: Final = {language: re.compile(rf"^(\s*){words}", re.IGNORECASE) for language, words in _PREFIXES.items()}
_WHO: Final = {
    language: (
        re.compile(rf"^(\s*)(?:{words.replace('MAKERS', _MAKERS)})(?=[.!?,]|$)", re.IGNORECASE),
        put,
    )
    for language, (words, put) in _SELF.items()
}


def repair(sentence: str, language: str | None) -> tuple[str, tuple[str, ...]]:
    """The sentence in plain spoken words, and the names of the slips that were repaired."""
    slips: list[str] = []
    text = _plain(sentence)
    if text != sentence:
        slips.append("markup")
    spoken = _URL.sub(r"\1", text)
    if spoken != text:
        slips.append("address")
    for code in (language,) if language in _PREFIX else _PREFIX:
        who, put = _WHO[code or "en"]
        told = who.sub(rf"\g<1>{put}", spoken)
        told = _PREFIX[code or "en"].sub(r"\1", told)
        if told != spoken:
            slips.append("model")
            at = len(told) - len(told.lstrip())
            spoken = told[:at] + told[at : at + 1].upper() + told[at + 1 :]
    return spoken, tuple(slips)


def _plain(text: str) -> str:
    plain = text.replace(OPEN, "").replace(CLOSE, "")
    plain = _TEMPLATE.sub("", plain)
    plain = _LINK.sub(r"\1", plain)
    plain = _HEAD.sub(r"\1", plain)
    plain = _EMPHASIS.sub(r"\2", plain)
    plain = _EMPHASIS.sub(r"\2", plain)
    plain = _LEFTOVER.sub("", plain)
    pictureless = _PICTURES.sub("", plain)
    if pictureless != plain:
        # A picture leaves its blanks behind.
        plain = re.sub(r" {2,}", " ", pictureless)
        plain = re.sub(r" +([.,!?])", r"\1", plain)
    return plain
