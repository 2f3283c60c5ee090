"""What Barnabee asks when it is not sure what was meant, and which answers it understands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
import re
from typing import Final

from .clauses import base_of
from .sentences import Phrase, say
from .sounds import likeness

_NEAR: Final = 0.75


class _Words:
    """The words of a language that answer a question."""

    def __init__(self, *, yes: str, no: str, ordinals: tuple[str, ...], last: str, unneeded: str, either: str) -> None:
        self.yes = re.compile(rf"(?:{yes})(?:\s+(?:{yes}|{unneeded}))*", re.IGNORECASE)
        self.no = re.compile(rf"(?:{no})(?:\s+(?:{no}|{unneeded}))*", re.IGNORECASE)
        self.ordinals = tuple(
            re.compile(rf"(?:(?:{unneeded}|{yes})\s+)*(?:{each})(?:\s+(?:{unneeded}))*", re.IGNORECASE)
            for each in ordinals
        )
        self.last = re.compile(rf"(?:(?:{unneeded})\s+)*(?:{last})(?:\s+(?:{unneeded}))*", re.IGNORECASE)
        self.unneeded = re.compile(rf"(?:{unneeded}|{yes})", re.IGNORECASE)
        self.either = either


_WORDS: Final[Mapping[str, _Words]] = {
    "en": _Words(
        yes=r"yes|yeah|yep|yup|sure|right|correct|exactly|ok|okay|do it|please|of course",
        no=r"no|nope|none|neither|cancel|never mind|nevermind|stop|don't|forget it|of them|of those",
        ordinals=(r"first|1st|former|number one", r"second|2nd|latter|number two", r"third|3rd|number three"),
        last=r"last",
        unneeded=r"the|one|i|mean|meant|please|it's|it|is|that|thanks|do|a",
        either="or",
    ),
    "de": _Words(
        yes=r"ja|jawohl|jo|genau|richtig|stimmt|klar|ok|okay|bitte|mach das|gerne",
        no=r"nein|nö|nee|keine?s?|keinen|keine von beiden|abbrechen|stopp?|egal|vergiss es|lass es",
        ordinals=(r"erste[nrs]?", r"zweite[nrs]?", r"dritte[nrs]?"),
        last=r"letzte[nrs]?",
        unneeded=r"der|die|das|den|dem|ich|meine|meinte|bitte|es|ist|danke",
        either="oder",
    ),
    "fr": _Words(
        yes=r"oui|ouais|ok|okay|d'accord|exactement|c'est ça|bien sûr|voilà|vas-y",
        no=r"non|aucune?|ni l'un ni l'autre|annule|arrête|stop|laisse tomber|laisse|pas du tout",
        ordinals=(r"premi(?:er|ère)", r"second|seconde|deuxième", r"troisième"),
        last=r"derni(?:er|ère)",
        unneeded=r"le|la|les|l'|je|veux|dire|c'est|s'il te plaît|merci|celui|celle",
        either="ou",
    ),
    "es": _Words(
        yes=r"sí|si|claro|vale|ok|okay|exacto|correcto|eso es|eso|por supuesto|hazlo",
        no=r"no|ninguno|ninguna|cancela|cancelar|para|déjalo|olvídalo|nada",
        ordinals=(r"primer[oa]?", r"segund[oa]", r"tercer[oa]?"),
        last=r"últim[oa]",
        unneeded=r"el|la|los|las|lo|quiero|decir|quería|es|por favor|gracias|de",
        either="o",
    ),
    "nl": _Words(
        yes=r"ja|jawel|jep|klopt|precies|goed|oké|ok|okay|graag|doe maar|natuurlijk",
        no=r"nee|neen|geen|geen van beide|annuleer|stop|laat maar|niet|vergeet het",
        ordinals=(r"eerste", r"tweede", r"derde"),
        last=r"laatste",
        unneeded=r"de|het|een|ik|bedoel|bedoelde|is|dat|graag|alsjeblieft|bedankt",
        either="of",
    ),
}


@dataclass(frozen=True)
class Option:
    """One answer: the name that may have been meant and the sentence to carry out then, which is understood strictly."""

    name: str
    sentence: str


class Reply(Enum):
    """Answers that choose nothing."""

    NO = "no"


@dataclass(frozen=True)
class Question:
    """A question that waits for its answer: of one option, whether it was meant; of several, which."""

    options: tuple[Option, ...]
    language: str

    def spoken(self) -> str:
        """The question in words: "Did you mean Ceiling Light or Ceiling Fan?"."""
        names = [option.name for option in self.options]
        either = _WORDS.get(base_of(self.language), _WORDS["en"]).either
        listed = f" {either} ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]
        return say(Phrase.DID_YOU_MEAN, self.language, options=listed)

    def answered(self, text: str) -> Option | Reply | None:
        """What was chosen; None for what is no answer and must be taken as a sentence of its own."""
        words = _WORDS.get(base_of(self.language), _WORDS["en"])
        said = " ".join(re.sub(r"[^\w\s'’-]", " ", text).split()).casefold()  # noqa: RUF001
        if not said:
            return None
        if words.yes.fullmatch(said):
            # Yes to "this or that" chooses neither.
            return self.options[0] if len(self.options) == 1 else None
        if words.no.fullmatch(said):
            return Reply.NO
        for option, ordinal in zip(self.options, words.ordinals, strict=False):
            if ordinal.fullmatch(said):
                return option
        if words.last.fullmatch(said):
            return self.options[-1]
        return self._named(" ".join(word for word in said.split() if not words.unneeded.fullmatch(word)))

    def _named(self, said: str) -> Option | None:
        """The one option that the words name, wholly or by what sets it apart from the others."""
        if not said:
            return None
        spoken = said.split()
        scored = [(self._likeness(spoken, option), option) for option in self.options]
        best = max(scored, key=lambda each: each[0])
        others = [score for score, option in scored if option is not best[1]]
        return best[1] if best[0] >= _NEAR and all(score < _NEAR for score in others) else None

    def _likeness(self, spoken: list[str], option: Option) -> float:
        """How like the least like of the spoken words is to a word of the name."""
        names = option.name.casefold().split()
        return min(max(likeness(word, name, self.language) for name in names) for word in spoken)
