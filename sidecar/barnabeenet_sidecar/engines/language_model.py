"""A trigram model of what is said in a home, estimated from sentence templates without filling their slots.

A slot is a word class of the model and each value of its list one word of the class, however many words it is written
with: a name is heard whole or not at all, and 2,000 names cost no more trigrams than two.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
import math
from typing import Final, TypeAlias

# A template as symbols: words and, in square brackets, classes.
Symbols: TypeAlias = tuple[str, ...]

_START: Final = "<s>"
_END: Final = "</s>"
_ORDER: Final = 3
# The share of each history's probability that is kept for what the templates never say after it. Measured: with less,
# other speech is bent into commands (0.02 twice as often as 0.05); with more, commands are misheard.
_BACK_OFF_MASS: Final = 0.05
_NEVER: Final = -99.0


@dataclass(frozen=True)
class LanguageModel:
    """A back-off n-gram model; both mappings hold base-10 logarithms."""

    probabilities: Mapping[Symbols, float]
    back_offs: Mapping[Symbols, float]

    def arpa(self) -> Iterator[str]:
        """The lines of the model in the ARPA format."""
        by_order: dict[int, list[Symbols]] = defaultdict(list)
        for ngram in self.probabilities:
            by_order[len(ngram)].append(ngram)
        yield "\\data\\"
        for order, ngrams in sorted(by_order.items()):
            yield f"ngram {order}={len(ngrams)}"
        for order, ngrams in sorted(by_order.items()):
            yield f"\n\\{order}-grams:"
            for ngram in sorted(ngrams):
                back_off = f" {self.back_offs[ngram]:.4f}" if ngram in self.back_offs else ""
                yield f"{self.probabilities[ngram]:.4f} {' '.join(ngram)}{back_off}"
        yield "\n\\end\\"


def is_class(symbol: str) -> bool:
    """Whether a symbol stands for any word of a class."""
    return symbol.startswith("[")


def weigh(sentences: Iterable[Symbols]) -> dict[Symbols, float]:
    """Weighs sentences so that a command with many wordings does not drown one with few.

    Sentences with the same slots count as wordings of one command, and a command weighs the root of their number.
    """
    unique = list(dict.fromkeys(sentences))
    slots = {sentence: tuple(sorted(filter(is_class, sentence))) for sentence in unique}
    wordings = Counter(slots.values())
    return {sentence: 1 / math.sqrt(wordings[slots[sentence]]) if slots[sentence] else 1.0 for sentence in unique}


def estimate(sentences: Mapping[Symbols, float]) -> LanguageModel:
    """Estimates a model from weighted sentences, with a fixed discount for every history.

    The method is that of CMU's quick_lm: P(w|h) = (1 - mass) c(hw) / c(h), and what is left goes to the shorter history.
    """
    counts = _counts(sentences)
    totals: dict[Symbols, float] = defaultdict(float)
    for ngram, count in counts.items():
        totals[ngram[:-1]] += count
    shares = {
        ngram: count / totals[ngram[:-1]] * (1 - _BACK_OFF_MASS if len(ngram) > 1 else 1)
        for ngram, count in counts.items()
    }
    shorter: dict[Symbols, float] = defaultdict(float)
    for ngram in shares:
        if len(ngram) > 1:
            shorter[ngram[:-1]] += shares[ngram[1:]]
    back_offs = {
        # The shorter history may cover all that follows here; then nothing is left to give away.
        history: math.log10(_BACK_OFF_MASS / max(1 - covered, _BACK_OFF_MASS))
        for history, covered in shorter.items()
    }
    probabilities = {ngram: math.log10(share) for ngram, share in shares.items()}
    return LanguageModel({**probabilities, (_START,): _NEVER}, back_offs)


def _counts(sentences: Mapping[Symbols, float]) -> dict[Symbols, float]:
    """How often each n-gram is said; of the sentence's start only as a history."""
    counts: dict[Symbols, float] = defaultdict(float)
    for sentence, weight in sentences.items():
        padded = (_START, *sentence, _END)
        for end in range(2, len(padded) + 1):
            for start in range(max(0, end - _ORDER), end):
                counts[padded[start:end]] += weight
    return counts
