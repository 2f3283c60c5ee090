"""Vocabularies compiled for the recogniser, and recognised words turned back into text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import time

from hypothesis import HealthCheck, given, settings, strategies as st
import pocketsphinx
import pytest

from barnabeenet_sidecar.engines.base import Vocabulary, VocabularyReport
from barnabeenet_sidecar.engines.pronunciation import Lexicon
from barnabeenet_sidecar.engines.utterance import ACOUSTIC_MODEL
from barnabeenet_sidecar.engines.vocabulary_model import (
    CONTROL_FILE,
    DICTIONARY_FILE,
    MODEL_NAME,
    VocabularyModel,
    compile_vocabulary,
)
from barnabeenet_sidecar.errors import BadRequest

SMALL = Vocabulary(
    language="en",
    revision="00000001",
    sentences=("turn on the {name}", "set {name} to {percent}%", "what's the time?"),
    lists={"name": ("Bed Light", "TV", "bed light"), "percent": ("5", "50")},
)


def load_into_decoder(folder: Path) -> pocketsphinx.Decoder:
    return pocketsphinx.Decoder(
        hmm=str(ACOUSTIC_MODEL),
        dict=str(folder / DICTIONARY_FILE),
        lm=None,
        lmctl=str(folder / CONTROL_FILE),
        lmname=MODEL_NAME,
        loglevel="FATAL",
    )


class Compiled:
    """A compiled vocabulary, with the recogniser's words found by their text."""

    def __init__(self, vocabulary: Vocabulary, lexicon: Lexicon, folder: Path) -> None:
        self.report: VocabularyReport = compile_vocabulary(vocabulary, lexicon, folder)
        self.model = VocabularyModel.load(folder)
        words = dict.fromkeys(
            line.split()[0].partition("(")[0] for line in (folder / DICTIONARY_FILE).read_text().splitlines()
        )
        self.words = {self.model.text(word): word for word in words}

    def hypothesis(self, *texts: str) -> str:
        return " ".join(self.words[text] for text in texts)


@pytest.fixture
def small(lexicon: Lexicon, tmp_path: Path) -> Compiled:
    return Compiled(SMALL, lexicon, tmp_path)


def test_text_comes_out_as_it_was_given(small: Compiled) -> None:
    assert small.model.text(small.hypothesis("turn", "on", "the", "Bed Light")) == "turn on the Bed Light"


def test_numbers_come_out_as_they_were_given_and_glued_where_they_were_glued(small: Compiled) -> None:
    assert small.model.text(small.hypothesis("set", "TV", "to", "50", "%")) == "set TV to 50%"


def test_punctuation_of_sentences_is_dropped(small: Compiled) -> None:
    assert small.model.text(small.hypothesis("what's", "the", "time")) == "what's the time"


def test_noises_and_silences_between_words_are_dropped(small: Compiled) -> None:
    hypothesis = small.hypothesis("turn", "on", "the", "TV").replace(" ", " <sil> ") + " [NOISE]"
    assert small.model.text(hypothesis) == "turn on the TV"
    assert small.model.is_sentence(hypothesis)


def test_a_whole_sentence_is_told_from_a_part(small: Compiled) -> None:
    assert small.model.is_sentence(small.hypothesis("set", "Bed Light", "to", "5", "%"))
    assert not small.model.is_sentence(small.hypothesis("set", "Bed Light", "to"))
    assert not small.model.is_sentence(small.hypothesis("on", "the", "TV"))


def test_a_value_that_differs_in_case_alone_is_taken_once(small: Compiled) -> None:
    assert {text for text in small.words if text.casefold() == "bed light"} == {"Bed Light"}


def test_the_report_counts_words_and_sentences(small: Compiled) -> None:
    assert small.report == VocabularyReport(words=12, sentences=3, unknown=())


def test_names_that_nobody_can_pronounce_are_left_out_and_reported(lexicon: Lexicon, tmp_path: Path) -> None:
    lists = {**SMALL.lists, "name": ("кухня", "TV", "台所 lamp")}
    compiled = Compiled(replace(SMALL, lists=lists), lexicon, tmp_path)
    assert [word.casefold() for word in compiled.report.unknown] == ["кухня", "台所"]
    assert "TV" in compiled.words
    assert compiled.report.sentences == 3


def test_a_sentence_with_an_unpronounceable_word_is_left_out(lexicon: Lexicon, tmp_path: Path) -> None:
    compiled = Compiled(replace(SMALL, sentences=("включи {name}", "turn on {name}")), lexicon, tmp_path)
    assert compiled.report.sentences == 1


def test_a_sentence_whose_list_is_empty_is_left_out(lexicon: Lexicon, tmp_path: Path) -> None:
    vocabulary = replace(SMALL, sentences=("never mind", "dim the {name}"), lists={"name": ()})
    assert Compiled(vocabulary, lexicon, tmp_path).report.sentences == 1


def test_a_list_that_is_not_there_is_refused_by_name(lexicon: Lexicon, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="'floor'"):
        compile_vocabulary(replace(SMALL, sentences=("turn on the {floor} lights",)), lexicon, tmp_path)


@pytest.mark.parametrize("sentences", [(), ("",), ("{}{",), ("...",), ("включи",)])
def test_a_vocabulary_without_a_sentence_is_refused(
    lexicon: Lexicon, tmp_path: Path, sentences: tuple[str, ...]
) -> None:
    with pytest.raises(BadRequest):
        compile_vocabulary(Vocabulary("en", "00000001", sentences=sentences), lexicon, tmp_path)


def test_the_recogniser_reads_it_from_a_folder_with_spaces(lexicon: Lexicon, tmp_path: Path) -> None:
    folder = tmp_path / "data dir"
    folder.mkdir()
    compile_vocabulary(SMALL, lexicon, folder)
    assert load_into_decoder(folder).lookup_word("0:0") is not None


# What people may call things, and what might break the files' formats.
TEXT = st.text(st.sampled_from("abcdeTV 059.'-%[](){}<>/\\#;:\n\té漢"), min_size=1, max_size=20)


@given(st.lists(TEXT, min_size=1, max_size=4), st.lists(TEXT, min_size=1, max_size=4))
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_no_spelling_breaks_the_files(lexicon: Lexicon, tmp_path: Path, names: list[str], sentences: list[str]) -> None:
    plain = tuple(sentence.replace("{", "").replace("}", "") for sentence in sentences)
    vocabulary = Vocabulary("en", "00000001", sentences=("stop {name}", "never mind", *plain), lists={"name": names})
    compile_vocabulary(vocabulary, lexicon, tmp_path)
    assert load_into_decoder(tmp_path).n_frames() >= 0


def test_a_large_home_is_compiled_within_seconds(lexicon: Lexicon, tmp_path: Path) -> None:
    rooms = [f"{floor} {room}" for floor in ("upper", "lower", "north", "south") for room in ("hall", "bath", "attic")]
    names = [f"{room} {thing} {number}" for room in rooms for thing in ("lamp", "plug") for number in range(96)]
    verbs = [f"{verb} the {word}" for verb in ("dim", "open", "start", "check") for word in cycle_words(5000)]
    vocabulary = Vocabulary(
        "en", "00000001", sentences=tuple(f"{verb} {{name}}" for verb in verbs), lists={"name": names}
    )
    started = time.perf_counter()
    report = compile_vocabulary(vocabulary, lexicon, tmp_path)
    assert (len(names), report.sentences) == (2304, 20_000)
    assert time.perf_counter() - started < 20


def cycle_words(count: int) -> list[str]:
    first, second = ("red", "blue", "old", "new", "big"), ("hat", "cat", "dog", "map", "pen", "cup", "bus", "key")
    words = [f"{a} {b} {c} {d}" for a in first for b in second for c in first for d in second]
    return [*words, *(f"{word} {tail}" for tail in ("one", "two", "three") for word in words)][:count]
