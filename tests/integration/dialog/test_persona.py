"""What must not be spoken: markup, addresses, marks, and talk of being a language model."""

from __future__ import annotations

from hypothesis import given, strategies as st
import pytest

from custom_components.barnabeenet.dialog.persona import repair


@pytest.mark.parametrize(
    ("said", "language", "spoken", "slips"),
    [
        ("As an AI language model, I cannot see the door.", "en", "I cannot see the door.", ("model",)),
        ("I'm just an AI language model.", "en", "I'm Barnabee.", ("model",)),
        ("I am ChatGPT, how can I help?", "en", "I'm Barnabee, how can I help?", ("model",)),
        ("I was developed by OpenAI.", "en", "I'm Barnabee.", ("model",)),
        ("Als KI-Sprachmodell kann ich das nicht.", "de", "Kann ich das nicht.", ("model",)),
        ("Ich bin ein Sprachmodell von Google.", "de", "Ich bin Barnabee.", ("model",)),
        ("En tant qu'IA, je ne peux pas sortir.", "fr", "Je ne peux pas sortir.", ("model",)),
        ("Je suis un modèle de langage.", "fr", "Je suis Barnabee.", ("model",)),
        ("Como modelo de lenguaje, no puedo verlo.", "es", "No puedo verlo.", ("model",)),
        ("Soy Claude.", "es", "Soy Barnabee.", ("model",)),
        ("Ik ben een groot taalmodel.", "nl", "Ik ben Barnabee.", ("model",)),
        ("It is **very** `warm` today.", "en", "It is very warm today.", ("markup",)),
        ("## The *weather*", "en", "The weather", ("markup",)),
        ("- Milk", "en", "Milk", ("markup",)),
        ("Look at [the forecast](https://weather.example/x?y=1).", "en", "Look at the forecast.", ("markup",)),
        ("See https://www.weather.example/today?x=1.", "en", "See weather.example.", ("address",)),
        ("Good morning 😀!", "en", "Good morning!", ("markup",)),
        ("The ⟦Lamp⟧ is on.<|im_end|>", "en", "The Lamp is on.", ("markup",)),
        ("I am ChatGPT.", None, "I'm Barnabee.", ("model",)),
    ],
)
def test_a_slip_is_repaired_and_named(said: str, language: str | None, spoken: str, slips: tuple[str, ...]) -> None:
    assert repair(said, language) == (spoken, slips)


@pytest.mark.parametrize(
    "said",
    [
        "The kitchen light is on.",
        "It's 5 * 3 = 15, or 5*3.",
        "That is 20 - 30 % more.",
        "AI is a topic of its own.",
        "I'm happy to help.",
        "Anna is a language teacher.",
        "Your file_name_here is fine.",
        "Es ist 21,5 Grad - warm genug.",
        "Costs: $5 (or 4 €), at 10:30.",
        "  And then?  ",
        "",
    ],
)
@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "nl", None])
def test_plain_words_stay_as_they_are(said: str, language: str | None) -> None:
    assert repair(said, language) == (said, ())


@given(st.text(st.sampled_from("ab *_`#[]()<>|~!-:/.wht⟦⟧")), st.sampled_from(["en", "de", None]))
def test_whatever_comes_it_is_no_longer_after(text: str, language: str | None) -> None:
    spoken, _ = repair(text, language)
    assert len(spoken) <= len(text) + 2
    assert not set("⟦⟧") & set(spoken)
