"""Replies against the home: what is false is put right, what is right is never touched, in five languages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import assume, given, settings, strategies as st
import pytest

from custom_components.barnabeenet.dialog.things import Reading, Thing, Things
from custom_components.barnabeenet.dialog.validate import Finding, ReplyCheck, ReplyCounts

THINGS = (
    Thing(
        "light.k",
        ("Kitchen light", "Küchenlicht", "Keukenlamp", "Lampe de la cuisine", "Luz de la cocina"),
        area="Kitchen",
    ),
    Thing("light.b", ("Bed light", "Bettlicht", "Bedlamp", "Lampe du lit", "Luz de la cama"), area="Bedroom"),
    Thing("light.c", ("Ceiling",), area="Kitchen"),
    Thing("lock.f", ("Front door", "Haustür", "Voordeur", "Porte d'entrée", "Puerta principal"), area="Hall"),
    Thing("cover.g", ("Garage door", "Garagentor", "Garagedeur", "Portail", "Persiana"), "garage", area="Garage"),
    Thing("climate.t", ("Thermostat",), area="Living room"),
    Thing("sensor.o", ("Outside temperature",), "temperature"),
    Thing("fan.v", ("Ventilator",), area="Kitchen"),
    Thing("media_player.tv", ("TV",), area="Living room"),
    Thing("binary_sensor.w", ("Window",), "window", area="Kitchen"),
)
BOOLEANS = {
    "light.k": ("on", "off"),
    "light.b": ("on", "off"),
    "lock.f": ("locked", "unlocked"),
    "cover.g": ("open", "closed"),
}
# (language, whether the truth of light.k, the lock, the cover must be so for the sentence to be right)
PLAIN = {
    "en": {
        "light.k": (
            [
                "The kitchen light is on.",
                "Yes, the kitchen light is still on",
                "Your Kitchen light isn't off.",
                "Kitchen light's on.",
            ],
            [
                "The kitchen light is off.",
                "The kitchen light is not on!",
                "Okay, the kitchen light is now switched off.",
            ],
        ),
        "lock.f": (
            ["The front door is locked.", "No, the front door is not unlocked."],
            ["The front door is unlocked.", "The front door isn't locked."],
        ),
        "cover.g": (["The garage door is open."], ["The garage door is closed.", "The garage door is shut now."]),
    },
    "de": {
        "light.k": (
            [
                "Das Küchenlicht ist an.",
                "Ja, das Küchenlicht ist noch eingeschaltet.",
                "Das Küchenlicht ist nicht aus.",
            ],
            ["Das Küchenlicht ist aus.", "Das Küchenlicht ist jetzt nicht an.", "Das Küchenlicht ist ausgeschaltet."],
        ),
        "lock.f": (
            ["Die Haustür ist abgeschlossen."],
            ["Die Haustür ist nicht verriegelt.", "Die Haustür ist aufgeschlossen."],
        ),
        "cover.g": (["Das Garagentor ist offen."], ["Das Garagentor ist zu.", "Das Garagentor ist geschlossen."]),
    },
    "fr": {
        "light.k": (
            ["La lampe de la cuisine est allumée.", "Oui, la lampe de la cuisine est encore allumée."],
            ["La lampe de la cuisine est éteinte.", "La lampe de la cuisine n'est pas allumée."],
        ),
        "lock.f": (["La porte d'entrée est verrouillée."], ["La porte d'entrée est déverrouillée."]),
        "cover.g": (["Le portail est ouvert."], ["Le portail est fermé.", "Le portail n'est pas ouvert."]),
    },
    "es": {
        "light.k": (
            ["La luz de la cocina está encendida.", "Sí, la luz de la cocina está ahora mismo encendida."],
            ["La luz de la cocina está apagada.", "La luz de la cocina no está encendida."],
        ),
        "lock.f": (["La puerta principal está bloqueada."], ["La puerta principal está desbloqueada."]),
        "cover.g": (["La persiana está abierta."], ["La persiana está cerrada.", "La persiana no está abierta."]),
    },
    "nl": {
        "light.k": (
            ["De keukenlamp is aan.", "Ja, de keukenlamp staat nog steeds aan."],
            ["De keukenlamp is uit.", "De keukenlamp is nu niet aan."],
        ),
        "lock.f": (["De voordeur is op slot."], ["De voordeur is van het slot.", "De voordeur is niet vergrendeld."]),
        "cover.g": (["De garagedeur is open."], ["De garagedeur is dicht.", "De garagedeur staat nu niet open."]),
    },
}
CASES = [
    (language, entity_id, sentence, value)
    for language, things in PLAIN.items()
    for entity_id, said in things.items()
    for value, sentences in zip((True, False), said, strict=True)
    for sentence in sentences
]
# Right or wrong, these are not for us to judge: questions, conditions, other times, guesses, reports, plans.
NOT_JUDGED = {
    "en": [
        "Is the kitchen light off?",
        "If the kitchen light is off, I can turn it on.",
        "The kitchen light was off.",
        "The kitchen light was off an hour ago.",
        "The kitchen light will be off at ten.",
        "I think the kitchen light is off.",
        "Maybe the kitchen light is off.",
        "Anna said the kitchen light is off.",
        "You told me that the kitchen light is off.",
        "Tell me when the kitchen light is off.",
        "The kitchen light is usually off.",
        "The kitchen light is almost off.",
        "Should I turn off the kitchen light?",
        "I could turn off the kitchen light.",
        "I turned off the kitchen light yesterday.",
        "I turned it off.",
        "It is off.",
        "Neither the kitchen light nor the bed light is off.",
        "The only light that is off is the kitchen light.",
        "Make sure the kitchen light is off.",
        'He called it "the kitchen light is off".',
        "The light, not the kitchen light, is off.",
        "The kitchen light is off-white.",
        "The kitchen light is off the network.",
        "The kitchen light is on the list.",
        "The kitchen light is open.",
        "The front door is closed.",
        "The kitchen light is on sale and off limits.",
        "Turning off the kitchen light saves power.",
        "The thermostat is off.",
        "Every light but the kitchen light is off.",
        "The kitchen light is in the kitchen.",
    ],
    "de": [
        "Ist das Küchenlicht aus?",
        "Wenn das Küchenlicht aus ist, sage ich es.",
        "Das Küchenlicht war aus.",
        "Ich glaube, das Küchenlicht ist aus.",
        "Das Küchenlicht ist aus Glas.",
        "Das Küchenlicht ist auf dem Tisch.",
        "Soll ich das Küchenlicht ausschalten?",
        "Anna sagt, das Küchenlicht ist aus.",
        "Das Küchenlicht ist fast aus.",
        "Die Haustür ist zu.",
        "Gestern habe ich das Küchenlicht ausgeschaltet.",
    ],
    "fr": [
        "La lampe de la cuisine est-elle éteinte ?",
        "Si la lampe de la cuisine est éteinte, dites-le.",
        "La lampe de la cuisine était éteinte.",
        "Je crois que la lampe de la cuisine est éteinte.",
        "Hier, j'ai éteint la lampe de la cuisine.",
        "La lampe de la cuisine n'est plus éteinte.",
        "La lampe de la cuisine est éteinte quand il fait jour.",
    ],
    "es": [
        "¿Está apagada la luz de la cocina?",
        "Si la luz de la cocina está apagada, dímelo.",
        "La luz de la cocina estaba apagada.",
        "Creo que la luz de la cocina está apagada.",
        "Ayer he apagado la luz de la cocina.",
    ],
    "nl": [
        "Is de keukenlamp uit?",
        "Als de keukenlamp uit is, zeg ik het.",
        "De keukenlamp was uit.",
        "Ik denk dat de keukenlamp uit is.",
        "De keukenlamp is uit Zweden.",
        "Gisteren heb ik de keukenlamp uitgezet.",
    ],
}


@dataclass
class House:
    """A home whose states a test sets."""

    states: dict[str, Reading] = field(default_factory=dict)
    things: Things = field(default_factory=lambda: Things(THINGS))

    def reading(self, entity_id: str) -> Reading | None:
        return self.states.get(entity_id)


def house(**states: str | tuple[str, dict[str, Any]]) -> House:
    made = {
        name.replace("__", "."): Reading(value) if isinstance(value, str) else Reading(*value)
        for name, value in states.items()
    }
    return House(made)


def say(home: House, sentence: str, language: str = "en", acted: frozenset[str] = frozenset()) -> str:
    return ReplyCheck(home, language, ReplyCounts(), lambda: acted).check(sentence).text


def _home(truths: dict[str, bool]) -> House:
    return House({each: Reading(BOOLEANS[each][0 if truth else 1]) for each, truth in truths.items()})


@pytest.mark.parametrize(("language", "entity_id", "sentence", "value"), CASES)
def test_what_is_right_stays_and_what_is_false_is_put_right(
    language: str, entity_id: str, sentence: str, value: bool
) -> None:
    right, wrong = _home({entity_id: value}), _home({entity_id: not value})
    assert say(right, sentence, language) == sentence
    corrected = say(wrong, sentence, language)
    assert corrected != sentence
    # The correction is right, and says the opposite: in a home where the first was right it would be false.
    assert say(wrong, corrected, language) == corrected
    assert say(right, corrected, language) != corrected


@pytest.mark.parametrize(
    ("language", "sentence", "put"),
    [
        ("en", "The kitchen light isn't on.", "The kitchen light is on."),
        ("en", "I turned off the kitchen light.", "The kitchen light is on."),
        ("en", "Okay, I've switched the kitchen light off for you.", "Okay, the kitchen light is on."),
        ("de", "Ja, das Küchenlicht ist jetzt aus.", "Ja, das Küchenlicht ist an."),
        ("de", "Ich habe das Küchenlicht ausgeschaltet.", "Das Küchenlicht ist an."),
        ("fr", "La lampe de la cuisine n'est pas allumée.", "La lampe de la cuisine est allumée."),
        ("fr", "J'ai éteint la lampe de la cuisine.", "La lampe de la cuisine est allumée."),
        ("es", "He apagado la luz de la cocina.", "La luz de la cocina está encendida."),
        ("nl", "Ik heb de keukenlamp uitgezet.", "De keukenlamp is aan."),
        ("en", "The kitchen light and the bed light are on.", "The kitchen light is on and the bed light is off."),
        (
            "en",
            "The kitchen light is on, and the bed light is on too.",
            "The kitchen light is on, and the bed light is off too.",
        ),
        ("fr", "La lampe du lit est allumée.", "La lampe du lit est éteinte."),
    ],
)
def test_the_correction_changes_as_little_as_it_can(language: str, sentence: str, put: str) -> None:
    assert say(house(light__k="on", light__b="off"), sentence, language) == put


@pytest.mark.parametrize(("language", "sentence"), [(code, each) for code, all_ in NOT_JUDGED.items() for each in all_])
@pytest.mark.parametrize("state", ["on", "off"])
def test_what_is_no_plain_claim_is_left_alone(language: str, sentence: str, state: str) -> None:
    home = house(light__k=state, light__b=state, lock__f="unlocked", cover__g="open", climate__t="heat")
    assert say(home, sentence, language) == sentence


@pytest.mark.parametrize(
    "sentence", ["I turned off the kitchen light.", "The kitchen light is now off.", "Done, the kitchen light is off."]
)
def test_what_a_tool_has_just_done_may_be_said_before_the_lamp_tells(sentence: str) -> None:
    assert say(house(light__k="on"), sentence, acted=frozenset({"light.k"})) == sentence
    assert say(house(light__k="on"), sentence, acted=frozenset({"light.b"})) != sentence


@pytest.mark.parametrize("state", ["opening", "closing", "unknown", "stopped"])
def test_what_moves_or_is_not_known_is_not_judged(state: str) -> None:
    assert say(house(cover__g=state), "The garage door is closed.") == "The garage door is closed."
    assert say(house(lock__f="jammed"), "The front door is locked.") == "The front door is locked."


def test_what_cannot_be_reached_is_said_so() -> None:
    checked = ReplyCheck(house(light__k="unavailable"), "en", ReplyCounts()).check("The kitchen light is on.")
    assert checked.text == "The kitchen light is unavailable."
    assert checked.findings == (Finding("unavailable", "light.k"),)


@pytest.mark.parametrize(
    ("sentence", "put"),
    [
        ("The kitchen light is at 30 percent.", "The kitchen light is at 50 percent."),
        ("The kitchen light is at 49%.", None),
        ("The kitchen light is at about 55 %.", None),
        ("The bed light is at 40 percent.", "The bed light is off."),
        ("The thermostat is set to 25 degrees.", "The thermostat is set to 21 degrees."),
        ("The thermostat is set to 21 degrees.", None),
        ("The thermostat is set to 19.5 degrees.", "The thermostat is set to 21 degrees."),
        ("The thermostat is at 19.5 degrees Celsius.", None),
        ("The thermostat is at 20 degrees.", None),
        ("The outside temperature is 12 degrees.", "The outside temperature is 7.4 degrees."),
        ("The outside temperature is 7 degrees.", None),
        ("The outside temperature is about 9 degrees.", None),
        ("The outside temperature is 45 degrees Fahrenheit.", None),
        ("The outside temperature is not 12 degrees.", None),
        ("The ventilator is at 30 percent.", "The ventilator is at 60 percent."),
        ("The TV is at 20 percent.", "The TV is at 45 percent."),
        ("The kitchen light is at 7 degrees.", None),
    ],
)
def test_numbers_are_put_right_but_not_for_a_rounding(sentence: str, put: str | None) -> None:
    home = house(
        light__k=("on", {"brightness": 128}),
        light__b="off",
        climate__t=("heat", {"temperature": 21, "current_temperature": 19.5, "temperature_unit": "°C"}),
        sensor__o=("7.4", {"unit_of_measurement": "°C"}),
        fan__v=("on", {"percentage": 60}),
        media_player__tv=("playing", {"volume_level": 0.45}),
    )
    assert say(home, sentence) == (put or sentence)


@pytest.mark.parametrize(
    ("language", "sentence", "put"),
    [
        ("de", "Das Küchenlicht ist auf 30 Prozent gedimmt.", "Das Küchenlicht ist auf 50 Prozent gedimmt."),
        ("de", "Der Thermostat ist auf 25 Grad eingestellt.", "Der Thermostat ist auf 20,5 Grad eingestellt."),
        ("fr", "La lampe de la cuisine est à 30 %.", "La lampe de la cuisine est à 50 %."),
        ("es", "La luz de la cocina está al 30 %.", "La luz de la cocina está al 50 %."),
        ("nl", "De keukenlamp staat op 30 procent.", "De keukenlamp staat op 50 procent."),
    ],
)
def test_numbers_are_put_right_in_other_languages(language: str, sentence: str, put: str) -> None:
    home = house(light__k=("on", {"brightness": 128}), climate__t=("heat", {"temperature": 20.5}))
    assert say(home, sentence, language) == put
    assert say(home, put, language) == put


def test_a_group_is_corrected_only_when_all_of_it_is_otherwise() -> None:
    said = "The lights in the kitchen are off."
    assert say(house(light__k="on", light__c="on"), said) == "The lights in the kitchen are on."
    assert say(house(light__k="on", light__c="off"), said) == said
    assert say(house(light__k="off", light__c="off"), said) == said


def test_two_things_of_one_name_are_judged_only_when_they_agree() -> None:
    home = house(light__k="on", light__x="off")
    home.things.put(Thing("light.x", ("Kitchen light",), area="Bedroom"))
    assert say(home, "The kitchen light is off.") == "The kitchen light is off."
    home.states["light.x"] = Reading("on")
    assert say(home, "The kitchen light is off.") == "The kitchen light is on."
    home.states["light.x"] = Reading("off")
    assert say(home, "The kitchen light in the kitchen is off.") == "The kitchen light in the kitchen is on."


@pytest.mark.parametrize(
    ("sentence", "kind", "about"),
    [
        ("The attic light is on.", "unknown_device", "The attic light"),
        ("The light in the attic is on.", "unknown_room", "attic"),
        ("I turned off the balcony lamp.", "unknown_device", "the balcony lamp"),
        ("The light is on.", None, None),
        ("The lights in the kitchen are on.", None, None),
        ("The kitchen ceiling light is on.", None, None),
        ("All lights are off.", None, None),
        ("The weather is fine.", None, None),
        ("The dinner is on.", None, None),
    ],
)
def test_what_the_home_does_not_have_is_flagged_and_left(sentence: str, kind: str | None, about: str | None) -> None:
    checked = ReplyCheck(house(light__k="on", light__c="on"), "en", ReplyCounts()).check(sentence)
    assert checked.text == sentence
    assert [(each.kind, each.about) for each in checked.findings] == ([(kind, about)] if kind else [])


def test_counts_are_plain_numbers() -> None:
    counts = ReplyCounts()
    check = ReplyCheck(house(light__k="on"), "en", counts)
    for sentence in ("**Well**.", "The kitchen light is off.", "The attic light is on.", "Good night."):
        check.check(sentence)
    counts.regenerations += 1
    counts.replied("Twelve chars", intent="HassGetState", path="cloud_fast")
    counts.replied("x" * 20, intent="HassGetState", path="cloud_fast")
    counts.replied("Hi", intent=None, path="local")
    assert counts.as_dict() == {
        "findings": {"corrected": 1, "persona": 1, "unknown_device": 1},
        "regenerations": 1,
        "lengths": [
            {"intent": "HassGetState", "path": "cloud_fast", "replies": 2, "mean_chars": 16.0, "longest_chars": 20},
            {"intent": "none", "path": "local", "replies": 1, "mean_chars": 2.0, "longest_chars": 2},
        ],
    }
    for number in range(1_000):
        counts.replied("x", intent=str(number), path="p")
    assert len(counts.lengths) <= 257


_SUBJECTS = {
    "en": ["the kitchen light", "The bed light", "the front door", "the garage door", "it", "the dinner", "everything"],
    "de": ["das Küchenlicht", "Das Bettlicht", "die Haustür", "das Garagentor", "es", "das Essen"],
    "fr": ["la lampe de la cuisine", "La lampe du lit", "la porte d'entrée", "le portail", "il", "le dîner"],
    "es": ["la luz de la cocina", "La luz de la cama", "la puerta principal", "la persiana", "la cena"],
    "nl": ["de keukenlamp", "De bedlamp", "de voordeur", "de garagedeur", "het", "het eten"],
}
_WORDS = {
    "en": "is are isn't on off open closed locked unlocked not now still and but , if was I turned the at 30 percent",
    "de": "ist sind nicht an aus auf zu offen geschlossen jetzt und aber , wenn war ich habe ausgeschaltet 30 Prozent",
    "fr": "est sont n'est pas allumée éteinte ouvert fermé et mais , si était j'ai éteint à 30 % maintenant",
    "es": "está están no encendida apagada abierta cerrada y pero , si estaba he apagado al 30 % ahora",
    "nl": "is zijn niet aan uit open dicht op slot nu en maar , als was ik heb uitgezet 30 procent",
}


@st.composite
def _sentences(draw: st.DrawFn) -> tuple[str, str]:
    language = draw(st.sampled_from(sorted(_WORDS)))
    pieces = st.one_of(st.sampled_from(_SUBJECTS[language]), st.sampled_from(_WORDS[language].split()))
    words = " ".join(draw(st.lists(pieces, min_size=1, max_size=12))).replace(" ,", ",")
    return language, words + draw(st.sampled_from([".", "", "!", "?"]))


@settings(max_examples=400)
@given(_sentences(), st.tuples(*[st.booleans()] * 4))
def test_a_correction_stands_and_is_the_only_change(said: tuple[str, str], truths: tuple[bool, ...]) -> None:
    """Whatever comes, checking again changes nothing more, and nothing is changed without a finding."""
    language, sentence = said
    home = _home(dict(zip(BOOLEANS, truths, strict=True)))
    counts = ReplyCounts()
    checked = ReplyCheck(home, language, counts).check(sentence)
    if checked.text != sentence:
        assert {finding.kind for finding in checked.findings} & {"corrected", "unavailable", "persona"}
    assert say(home, checked.text, language) == checked.text


@settings(max_examples=300)
@given(
    st.sampled_from(sorted(PLAIN)),
    st.lists(st.tuples(st.sampled_from(sorted(BOOLEANS)), st.booleans()), min_size=1, max_size=3),
    st.data(),
)
def test_a_right_sentence_is_never_changed(language: str, about: list[tuple[str, bool]], data: st.DataObject) -> None:
    """Right clauses of all sorts, joined as people join them."""
    assume(len({each for each, _ in about}) == len(about) and "light.b" not in dict(about))
    clauses = [
        data.draw(st.sampled_from(PLAIN[language][each][0 if value else 1])).rstrip(".!") for each, value in about
    ]
    joint = {"en": ", and ", "de": " und ", "fr": ", et ", "es": " y ", "nl": ", maar "}[language]
    sentence = joint.join([clauses[0], *(clause[:1].lower() + clause[1:] for clause in clauses[1:])]) + "."
    assert say(_home(dict(about)), sentence, language) == sentence


@given(st.text(max_size=600), st.sampled_from(["en", "de", "fr", "es", "nl", "pl"]))
def test_anything_may_come(text: str, language: str) -> None:
    ReplyCheck(_home(dict.fromkeys(BOOLEANS, True)), language, ReplyCounts()).check(text)
