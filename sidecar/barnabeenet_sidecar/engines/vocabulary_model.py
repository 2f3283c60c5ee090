"""A vocabulary compiled into the files that PocketSphinx reads, and the way back from its words to text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
import json
from pathlib import Path
import re
from typing import Final

from ..errors import BadRequest
from .base import Vocabulary, VocabularyReport
from .language_model import Symbols, estimate, is_class, weigh
from .pronunciation import Lexicon, Unpronounceable
from .sentence_grammar import SentenceGrammar

CONTROL_FILE: Final = "model.lmctl"
DICTIONARY_FILE: Final = "words.dict"
MODEL_NAME: Final = "home"
_LANGUAGE_MODEL_FILE: Final = "sentences.arpa"
_CLASSES_FILE: Final = "lists.classdef"
_TEXT_FILE: Final = "text.json"

# A slot or a word, without the punctuation around words.
_PIECE: Final = re.compile(
    r"""(?P<space>[][()\s.,;:!?"]*)(?:\{(?P<slot>[^{}]*)\}|(?P<word>[^][(){}\s.,;:!?"]+(?:\.\d+)?))"""
)


class VocabularyModel:
    """Turns recognised words back into text, and knows whether they are a whole sentence of the vocabulary."""

    def __init__(self, texts: Mapping[str, str], sentences: Iterable[Symbols]) -> None:
        self._texts = texts
        values: dict[str, list[Symbols]] = defaultdict(list)
        for word in texts:
            if is_class(symbol := _symbol(word)):
                values[symbol].append(tuple(self._spelled(word)))
        self._grammar = SentenceGrammar(
            (
                tuple(symbol if is_class(symbol) else self._spelled(symbol)[0] for symbol in sentence)
                for sentence in sentences
            ),
            values,
        )

    @classmethod
    def load(cls, folder: Path) -> VocabularyModel:
        """Reads what `compile_vocabulary` wrote; raises OSError or ValueError."""
        stored = json.loads((folder / _TEXT_FILE).read_text(encoding="utf-8"))
        return cls(stored["texts"], [tuple(sentence.split()) for sentence in stored["sentences"]])

    def text(self, hypothesis: str) -> str:
        """The text of recognised words, as templates and lists write it."""
        return "".join(self._texts.get(word, "") for word in hypothesis.split()).strip()

    def is_sentence(self, hypothesis: str) -> bool:
        """Whether recognised words are, from first to last, a template with a value in each slot."""
        return self._grammar.accepts([piece for word in hypothesis.split() for piece in self._spelled(word)])

    def _spelled(self, word: str) -> list[str]:
        return self._texts.get(word, "").casefold().split()


def compile_vocabulary(vocabulary: Vocabulary, lexicon: Lexicon, folder: Path) -> VocabularyReport:
    """Writes a vocabulary's files into a folder; leaves out what cannot be pronounced and reports it.

    Raises BadRequest when a sentence names a list that is not there, or when no sentence is left.
    """
    words = _Words(lexicon)
    classes = {name: words.add_list(index, values) for index, (name, values) in enumerate(vocabulary.lists.items())}
    sentences = list(dict.fromkeys(_sentences(vocabulary.sentences, words, classes)))
    if not sentences:
        raise BadRequest(
            "the vocabulary has no sentence that can be pronounced: send some, such as 'turn on the {name}'"
        )
    used = sorted({symbol for sentence in sentences for symbol in sentence if is_class(symbol)})
    _write(folder / DICTIONARY_FILE, words.dictionary())
    _write(folder / _LANGUAGE_MODEL_FILE, estimate(weigh(sentences)).arpa())
    _write(folder / _CLASSES_FILE, _class_definitions(members for members in classes.values() if members))
    # Its format has no place for a path with a space; a bare file name is one beside it.
    _write(
        folder / CONTROL_FILE, [f"{{ {_CLASSES_FILE} }}", f"{_LANGUAGE_MODEL_FILE} {MODEL_NAME} {{ {' '.join(used)} }}"]
    )
    stored = {"texts": words.texts, "sentences": [" ".join(sentence) for sentence in sentences]}
    _write(folder / _TEXT_FILE, [json.dumps(stored)])
    return VocabularyReport(len(words.texts), len(sentences), tuple(sorted(words.unknown)))


class _Words:
    """The recogniser's words. Their names are numbers, so that no spelling can break the files' formats."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.texts: dict[str, str] = {}
        self.unknown: set[str] = set()
        self._lexicon = lexicon
        self._literals: dict[str, str | None] = {}
        self._dictionary: list[str] = []

    def dictionary(self) -> Sequence[str]:
        """The lines of the pronouncing dictionary."""
        return self._dictionary

    def add_list(self, index: int, values: Iterable[str]) -> list[str]:
        """The words of a list's values; those that nobody can pronounce are left out."""
        unique = {value.casefold(): value for value in reversed(list(values))}
        added = (self._add(f"{index}:{number}", f" {value}") for number, value in enumerate(unique.values()))
        return [word for word in added if word]

    def literal(self, text: str) -> str | None:
        """The word for a piece of a template, with the space before it; None when nobody can pronounce it."""
        if text not in self._literals:
            self._literals[text] = self._add(f"w:{len(self._literals)}", text)
        return self._literals[text]

    def _add(self, word: str, text: str) -> str | None:
        try:
            pronunciations = self._lexicon.pronounce(text)
        except Unpronounceable as error:
            self.unknown.update(error.words)
            return None
        self.texts[word] = text
        for number, phones in enumerate(pronunciations, start=1):
            variant = f"({number})" if number > 1 else ""
            self._dictionary.append(f"{word}{variant} {' '.join(phones)}")
        return word


def _sentences(templates: Iterable[str], words: _Words, classes: dict[str, list[str]]) -> Iterator[Symbols]:
    for template in templates:
        symbols = [_template_symbol(piece, words, classes) for piece in _PIECE.finditer(template)]
        known = tuple(symbol for symbol in symbols if symbol is not None)
        if known and len(known) == len(symbols):
            yield known


def _template_symbol(piece: re.Match[str], words: _Words, classes: dict[str, list[str]]) -> str | None:
    if (slot := piece["slot"]) is None:
        glued = piece.start() > 0 and not piece["space"]
        return words.literal(piece["word"] if glued else f" {piece['word']}")
    if slot not in classes:
        raise BadRequest(f"sentence {piece.string!r} names the list {slot!r}, which is not among the lists")
    return _symbol(classes[slot][0]) if classes[slot] else None


def _symbol(word: str) -> str:
    kind, _, _ = word.partition(":")
    return word if kind == "w" else f"[{kind}]"


def _class_definitions(classes: Iterable[list[str]]) -> Iterator[str]:
    for members in classes:
        symbol = _symbol(members[0])
        yield f"LMCLASS {symbol}"
        yield from (f"{word} {1 / len(members):.8f}" for word in members)
        yield f"END {symbol}"


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
