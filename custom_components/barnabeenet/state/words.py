"""The words of a question by which memories are looked for."""

from __future__ import annotations

from collections.abc import Sequence
import re
from typing import Final
import unicodedata

QUERY_MAX_CHARS: Final = 1_000
WORDS_MAX: Final = 24
# From this length on a word is also found as the beginning of a longer one: "birthday" in "birthdays", and compounds.
PREFIX_MIN_CHARS: Final = 4

_WORD: Final = re.compile(r"[^\W_]+")

# What questions and requests are made of and memories are not told apart by; folded.
_STOP: Final = {
    "en": "a an and any anything are about at be been by can could did do does for from get got had has have he her hers him "
    "his how i if in into is it its know like list me mine my of on or our ours out please remember remind s say she should "
    "some something t tell than that the their them there these they this those to up us use was we were what what's when "
    "where which who whom whose why will with would you your",
    "de": "aber alle als am an auch auf aus bei bin bist bitte da das dass dein deine dem den denn der des die dir dich doch du "
    "ein eine einem einen einer eines er erinnere es euch fur gibt hab habe haben hat hatte ich ihm ihn ihr ihre im in ist ja "
    "kann kannst kennst man mein meine meinem meinen meiner mich mir mit nach noch oder sag sein seine sich sie sind so uber "
    "um und uns unser unsere vom von vor wann war waren warum was weisst weiss welche welchem welchen welcher welches wem wen "
    "wenn wer werden wie wieder wir wird wo woher wohin zu zum zur",
    "fr": "a ai ainsi as au aux avec ce cela ces cet cette combien comment d dans de des dis donc dont du elle elles en es est "
    "et eu fait il ils j je l la le les leur leurs lui m ma mais me mes moi mon n ne nos notre nous on ont ou par pas pour "
    "pourquoi qu quand que quel quelle quelles quels qui quoi rappelle s sa sais se ses si son sont sur t ta te tes toi ton "
    "tu un une va vos votre vous y",
    "es": "a al algo ante como con cual cuales cuando cuanto cuantos de del dime donde dos e el ella ellas ellos en era es esa "
    "ese eso esta estan este esto fue ha han hay he la las le les lo los mas me mi mis muy nos nuestra nuestro o para pero "
    "por porque que quien quienes recuerda sabes se ser si sin sobre son su sus te tiene tengo tu tus un una unas uno unos y "
    "ya yo",
    "nl": "aan al als bij ben bent dan dat de deze die dit doe door een en er ging haar had heb hebben heeft hem herinner het "
    "hij hoe hoeveel hun ik in is je jij jouw kan kun maar me men met mij mijn naar niet nog of om ons onze ook op over te "
    "tot u uit van veel voor waar waarom wanneer waren was wat weet welk welke wie wij word worden zal ze zeg zich zij zijn zo",
}
_STOP_SETS: Final = {language: frozenset(words.split()) for language, words in _STOP.items()}


def words_of(query: str) -> tuple[str, ...]:
    """The words worth looking for, each once; those that every sentence has only when there are no others."""
    # As FTS5 takes texts apart, which knows accents but does not take "ß" for "ss".
    words = _WORD.findall(unicodedata.normalize("NFC", query[:QUERY_MAX_CHARS]).lower())
    stop = _stop_words([_fold(word) for word in words])
    telling = dict.fromkeys(word for word in words if _fold(word) not in stop)
    return tuple(telling or dict.fromkeys(words))[:WORDS_MAX]


def phrase(word: str) -> str:
    """A word as an expression of FTS5; nothing in it can be syntax, for it has letters and digits alone."""
    assert _WORD.fullmatch(word)
    return f'"{word}"*' if len(word) >= PREFIX_MIN_CHARS else f'"{word}"'


def any_of(words: Sequence[str]) -> str:
    """What has one of the words at least, as an expression of FTS5."""
    return " OR ".join(map(phrase, words))


def _fold(word: str) -> str:
    decomposed = unicodedata.normalize("NFD", word)
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def _stop_words(words: Sequence[str]) -> frozenset[str]:
    """Those of the language that most of the words speak for: a German "hat" is none in an English question."""
    votes = {language: sum(word in stop for word in words) for language, stop in _STOP_SETS.items()}
    most = max(votes.values())
    return frozenset().union(*(_STOP_SETS[language] for language, count in votes.items() if 0 < count == most))
