"""The trigram model of a home's sentences."""

from __future__ import annotations

import math

from hypothesis import given, strategies as st
import pytest

from barnabeenet_sidecar.engines.language_model import LanguageModel, Symbols, estimate, weigh

TURN_ON = ("turn", "on", "[0]")
TURN_OFF = ("turn", "off", "[0]")
TIME = ("what", "time", "is", "it")


def probability(model: LanguageModel, history: Symbols, word: str) -> float:
    """P(word | history) as a recogniser computes it from a back-off model."""
    if (*history, word) in model.probabilities:
        return 10 ** model.probabilities[(*history, word)]
    if not history:
        return 0.0
    return float(10 ** model.back_offs.get(history, 0.0) * probability(model, history[1:], word))


def sentence_probability(model: LanguageModel, sentence: Symbols) -> float:
    padded = ("<s>", *sentence, "</s>")
    return math.prod(probability(model, padded[max(0, i - 2) : i], padded[i]) for i in range(1, len(padded)))


def test_what_is_said_is_likelier_than_what_is_not() -> None:
    model = estimate({TURN_ON: 1, TURN_OFF: 1, TIME: 1})
    assert sentence_probability(model, TURN_ON) > 0.25
    assert sentence_probability(model, ("time", "off", "what")) < 1e-4


def test_a_weightier_sentence_is_likelier() -> None:
    model = estimate({TURN_ON: 3, TURN_OFF: 1})
    assert sentence_probability(model, TURN_ON) == pytest.approx(3 * sentence_probability(model, TURN_OFF), rel=0.01)


def test_a_trigram_is_remembered_across_its_first_word() -> None:
    model = estimate({("open", "the", "door"): 1, ("dim", "the", "lamp"): 1})
    assert probability(model, ("open", "the"), "door") > 0.9
    assert probability(model, ("dim", "the"), "door") < 0.05


SYMBOLS = st.sampled_from(["a", "b", "c", "[0]"])


@given(
    st.dictionaries(st.lists(SYMBOLS, min_size=1, max_size=6).map(tuple), st.floats(0.01, 10), min_size=1, max_size=8)
)
def test_the_probabilities_after_any_history_never_exceed_one(sentences: dict[Symbols, float]) -> None:
    model = estimate(sentences)
    words = [ngram[0] for ngram in model.probabilities if len(ngram) == 1 and ngram != ("<s>",)]
    histories: set[Symbols] = {(), *(ngram[:-1] for ngram in model.probabilities)}
    for history in histories:
        assert 0 < sum(probability(model, history, word) for word in words) <= 1.0001


def test_wordings_of_one_command_share_its_weight() -> None:
    many = [("set", word, "[0]", "to", "[1]") for word in ("the", "my", "our", "all")]
    weights = weigh([*many, TURN_ON, TIME])
    assert weights[TURN_ON] == 1
    assert sum(weights[wording] for wording in many) == pytest.approx(2)


def test_sentences_without_slots_are_commands_of_their_own() -> None:
    assert set(weigh([TIME, ("never", "mind"), ("pause",)]).values()) == {1.0}


def test_a_sentence_that_comes_twice_counts_once() -> None:
    assert weigh([TIME, TIME]) == {TIME: 1.0}


def test_the_file_counts_its_ngrams_and_keeps_their_order() -> None:
    lines = list(estimate({("a", "b"): 1}).arpa())
    assert lines[:4] == ["\\data\\", "ngram 1=4", "ngram 2=3", "ngram 3=2"]
    assert "0.0000 a b </s>" not in lines
    assert any(line.endswith(" <s> a b") for line in lines)
    assert lines[-1] == "\n\\end\\"
