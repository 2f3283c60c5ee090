"""What people say about memories, and what only sounds like it."""

from __future__ import annotations

from hypothesis import given, strategies as st
import pytest

from custom_components.barnabeenet.dialog.telling_grammar import (
    GRAMMARS,
    Form,
    Wish,
    is_about_me,
    telling_words,
    wish_of,
)

LANGUAGES = ("en", "de", "fr", "es", "nl")
REMEMBER = [
    ("en", "remember that my bike code is 4711", "my bike code is 4711"),
    ("en", "Remember my bike code is 4711.", "my bike code is 4711"),
    ("en", "please remember that I like tea", "I like tea"),
    ("en", "can you remember that Anna is allergic to nuts?", "Anna is allergic to nuts"),
    ("en", "don't forget that the bins go out on Tuesday", "the bins go out on Tuesday"),
    ("en", "Don\u2019t forget the bins go out on Tuesday", "the bins go out on Tuesday"),
    ("en", "keep in mind that we are away in July", "we are away in July"),
    ("en", "memorise that my locker is number 12", "my locker is number 12"),
    ("en", "Remember this: my bike code is 4711", "my bike code is 4711"),
    ("de", "Merk dir das: mein Fahrradcode ist 4711", "mein Fahrradcode ist 4711"),
    ("es", "recuerda esto: mi código es 4711", "mi código es 4711"),
    ("nl", "onthoud dit: mijn code is 4711", "mijn code is 4711"),
    ("de", "Merk dir, dass mein Fahrradcode 4711 ist.", "dass mein Fahrradcode 4711 ist"),
    ("de", "merke dir bitte mein Fahrradcode ist 4711", "mein Fahrradcode ist 4711"),
    ("de", "Denk daran, dass die Tonne am Dienstag rausmuss", "dass die Tonne am Dienstag rausmuss"),
    ("de", "vergiss nicht, dass Anna keine Nüsse mag", "dass Anna keine Nüsse mag"),
    ("fr", "Rappelle-toi que mon code de vélo est 4711", "mon code de vélo est 4711"),
    ("fr", "souviens-toi qu'Anna est allergique aux noix", "Anna est allergique aux noix"),
    ("fr", "N\u2019oublie pas que les poubelles sortent mardi", "les poubelles sortent mardi"),
    ("fr", "retenez que mon casier est le numéro 12", "mon casier est le numéro 12"),
    ("es", "Recuerda que mi código de la bici es 4711", "mi código de la bici es 4711"),
    ("es", "por favor, acuérdate de que Ana es alérgica", "Ana es alérgica"),
    ("es", "no olvides que la basura sale el martes", "la basura sale el martes"),
    ("nl", "Onthoud dat mijn fietscode 4711 is", "dat mijn fietscode 4711 is"),
    ("nl", "onthoud mijn fietscode is 4711", "mijn fietscode is 4711"),
    ("nl", "vergeet niet dat de kliko dinsdag naar buiten moet", "dat de kliko dinsdag naar buiten moet"),
]
FOR_FAMILY = [
    ("en", "remember for the family that the wifi password is banana", "the wifi password is banana"),
    ("en", "remember for everybody that the wifi password is banana", "the wifi password is banana"),
    ("en", "everyone should know that the spare key is at Tom's", "the spare key is at Tom's"),
    ("de", "merk dir für die Familie, dass das WLAN Banane heißt", "dass das WLAN Banane heißt"),
    ("de", "merk dir für alle das WLAN heißt Banane", "das WLAN heißt Banane"),
    ("fr", "retiens pour toute la famille que le wifi s'appelle banane", "le wifi s'appelle banane"),
    ("fr", "souviens-toi pour tout le monde que le wifi est banane", "le wifi est banane"),
    ("es", "recuerda para la familia que el wifi es plátano", "el wifi es plátano"),
    ("es", "recuerda para todos que el wifi es plátano", "el wifi es plátano"),
    ("nl", "onthoud voor het gezin dat de wifi banaan heet", "dat de wifi banaan heet"),
    ("nl", "onthoud voor iedereen de wifi heet banaan", "de wifi heet banaan"),
]
ASK = [
    ("en", "what did I tell you about my bike?", Form.ASK, "my bike"),
    ("en", "what have I said about the bike", Form.ASK, "the bike"),
    ("en", "do you remember my bike code", Form.ASK, "my bike code"),
    ("en", "do you still remember what I told you about Anna", Form.ASK, "Anna"),
    ("en", "what do you know about Anna", Form.KNOW, "Anna"),
    ("en", "What's my bike code?", Form.MINE, "my bike code"),
    ("en", "where are our passports", Form.MINE, "our passports"),
    ("en", "Where did I put my keys?", Form.MINE, "my keys"),
    ("en", "where have we left our umbrella", Form.MINE, "our umbrella"),
    ("en", "do you know when my appointment is", Form.MINE, "my appointment is"),
    ("en", "what is the wifi password", Form.WHAT, "the wifi password"),
    ("en", "When is Anna's birthday?", Form.WHAT, "Anna's birthday"),
    ("de", "wann ist Annas Geburtstag", Form.WHAT, "Annas Geburtstag"),
    ("de", "wie lautet der Code von meinem Rad", Form.WHAT, "der Code von meinem Rad"),
    ("fr", "quel est le code de mon vélo", Form.WHAT, "le code de mon vélo"),
    ("fr", "quand est l'anniversaire d'Anna", Form.WHAT, "l'anniversaire d'Anna"),
    ("es", "¿cuál es el código de mi bici?", Form.WHAT, "el código de mi bici"),
    ("nl", "wat is de code van mijn fiets", Form.WHAT, "de code van mijn fiets"),
    ("de", "Was habe ich dir über mein Fahrrad gesagt?", Form.ASK, "mein Fahrrad"),
    ("de", "was hab ich dir erzählt von Anna", Form.ASK, "Anna"),
    ("de", "Weißt du noch, was ich dir über Anna erzählt habe?", Form.ASK, "Anna"),
    ("de", "erinnerst du dich an meinen Fahrradcode", Form.ASK, "meinen Fahrradcode"),
    ("de", "Was weißt du über Anna?", Form.KNOW, "Anna"),
    ("de", "wie lautet mein Fahrradcode", Form.MINE, "mein Fahrradcode"),
    ("de", "wo sind unsere Pässe", Form.MINE, "unsere Pässe"),
    ("de", "wo habe ich meine Schlüssel hingelegt", Form.MINE, "meine Schlüssel"),
    ("fr", "Qu\u2019est-ce que je t\u2019ai dit à propos du vélo ?", Form.ASK, "vélo"),
    ("fr", "que t'ai-je dit sur mon vélo", Form.ASK, "mon vélo"),
    ("fr", "te souviens-tu de mon code", Form.ASK, "mon code"),
    ("fr", "que sais-tu d'Anna", Form.KNOW, "Anna"),
    ("fr", "Quel est mon code de vélo ?", Form.MINE, "mon code de vélo"),
    ("fr", "où ai-je mis mes clés", Form.MINE, "mes clés"),
    ("es", "¿Qué te dije sobre mi bici?", Form.ASK, "mi bici"),
    ("es", "qué te he contado de Ana", Form.ASK, "Ana"),
    ("es", "¿te acuerdas de mi código?", Form.ASK, "mi código"),
    ("es", "qué sabes sobre Ana", Form.KNOW, "Ana"),
    ("es", "¿Cuál es mi código?", Form.MINE, "mi código"),
    ("es", "¿dónde he dejado mis llaves?", Form.MINE, "mis llaves"),
    ("nl", "Wat heb ik je over mijn fiets verteld?", Form.ASK, "mijn fiets"),
    ("nl", "wat heb ik je verteld over Anna", Form.ASK, "Anna"),
    ("nl", "weet je nog wat mijn fietscode is", Form.ASK, "mijn fietscode is"),
    ("nl", "wat weet je over Anna", Form.KNOW, "Anna"),
    ("nl", "wat is mijn fietscode", Form.MINE, "mijn fietscode"),
    ("nl", "waar heb ik mijn sleutels gelaten", Form.MINE, "mijn sleutels"),
]
FORGET = [
    ("en", "forget what I told you about the bike", "the bike"),
    ("en", "forget everything about the bike", "the bike"),
    ("en", "forget my bike code", "my bike code"),
    ("en", "forget that my bike code is 4711", "my bike code is 4711"),
    ("de", "Vergiss, was ich dir über das Fahrrad gesagt habe", "das Fahrrad"),
    ("de", "vergiss alles über das Fahrrad", "das Fahrrad"),
    ("de", "vergiss meinen Fahrradcode", "meinen Fahrradcode"),
    ("fr", "oublie ce que je t'ai dit sur le vélo", "le vélo"),
    ("fr", "oublie mon code", "mon code"),
    ("es", "olvida lo que te dije sobre la bici", "la bici"),
    ("es", "olvida mi código", "mi código"),
    ("nl", "vergeet wat ik je over de fiets heb verteld", "de fiets"),
    ("nl", "vergeet mijn fietscode", "mijn fietscode"),
]
FORGET_THAT = [
    ("en", "forget that"),
    ("en", "Please forget that again."),
    ("en", "forget what I just said"),
    ("de", "vergiss das"),
    ("de", "Vergiss das wieder, bitte"),
    ("de", "vergiss, was ich gerade gesagt habe"),
    ("fr", "oublie ça"),
    ("fr", "oublie ce que je viens de te dire"),
    ("es", "olvida eso"),
    ("es", "olvida lo que acabo de decir"),
    ("nl", "vergeet dat"),
    ("nl", "vergeet wat ik net zei"),
]
FORGET_ALL = [
    ("en", "forget everything you know about me"),
    ("en", "forget everything I've told you"),
    ("de", "vergiss alles, was du über mich weißt"),
    ("de", "vergiss alles was ich dir gesagt habe"),
    ("fr", "oublie tout ce que tu sais sur moi"),
    ("fr", "oublie tout ce que je t'ai dit"),
    ("es", "olvida todo lo que sabes de mí"),
    ("es", "olvida todo lo que te he dicho"),
    ("nl", "vergeet alles wat je over mij weet"),
    ("nl", "vergeet alles wat ik je heb verteld"),
]
NOTHING_OF_IT = [
    ("en", "remember to buy milk"),
    ("en", "don't forget to lock the door"),
    ("en", "remember when we went to Paris"),
    ("en", "remember it"),
    ("en", "remember"),
    ("en", "forget it"),
    ("en", "forget about it"),
    ("en", "turn on the light"),
    ("en", "where is Anna"),
    ("en", "add milk to my shopping list"),
    ("en", "tell me a joke"),
    ("en", "note the milk"),
    ("de", "vergiss es"),
    ("de", "vergiss nicht, die Milch zu kaufen"),
    ("de", "mach das Licht an"),
    ("de", "alle Lichter aus"),
    ("fr", "oublie"),
    ("fr", "rappelle-moi d'acheter du lait"),
    ("fr", "quel temps fait-il"),
    ("fr", "allume la lumière"),
    ("es", "olvídalo"),
    ("es", "recuérdame comprar leche"),
    ("es", "no enciendas la luz"),
    ("es", "qué tiempo hace"),
    ("nl", "vergeet het"),
    ("nl", "doe het licht aan"),
    ("nl", "hoe laat is het"),
]


@pytest.mark.parametrize(("language", "said", "text"), REMEMBER)
def test_a_text_to_remember(language: str, said: str, text: str) -> None:
    assert wish_of(said, language) == Wish(Form.REMEMBER, text)


@pytest.mark.parametrize(("language", "said", "text"), FOR_FAMILY)
def test_a_text_to_remember_for_all(language: str, said: str, text: str) -> None:
    assert wish_of(said, language) == Wish(Form.REMEMBER, text, for_family=True)


@pytest.mark.parametrize(("language", "said", "form", "topic"), ASK)
def test_a_question(language: str, said: str, form: Form, topic: str) -> None:
    assert wish_of(said, language) == Wish(form, topic)


@pytest.mark.parametrize(("language", "said", "topic"), FORGET)
def test_something_to_forget(language: str, said: str, topic: str) -> None:
    assert wish_of(said, language) == Wish(Form.FORGET, topic)


@pytest.mark.parametrize(("language", "said"), FORGET_THAT)
def test_the_last_thing_to_forget(language: str, said: str) -> None:
    assert wish_of(said, language) == Wish(Form.FORGET_THAT)


@pytest.mark.parametrize(("language", "said"), FORGET_ALL)
def test_everything_to_forget(language: str, said: str) -> None:
    assert wish_of(said, language) == Wish(Form.FORGET_ALL)


@pytest.mark.parametrize(("language", "said"), NOTHING_OF_IT)
def test_what_has_nothing_to_do_with_memories(language: str, said: str) -> None:
    assert wish_of(said, language) is None


def test_a_language_that_barnabee_does_not_speak_has_english_sentences_alone() -> None:
    assert wish_of("kom ihåg att min kod är 4711", "sv") is None
    assert wish_of("remember that my code is 4711", "sv") == Wish(Form.REMEMBER, "my code is 4711")


def test_a_region_is_its_language() -> None:
    assert wish_of("vergiss das", "de-CH") == Wish(Form.FORGET_THAT)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_form(language: str) -> None:
    assert set(GRAMMARS[language].forms) == set(Form)


@pytest.mark.parametrize(
    ("language", "me"), [("en", "me"), ("de", "mich"), ("fr", "moi"), ("es", "mí"), ("nl", "mij"), ("de-AT", "mich")]
)
def test_the_speaker_may_be_the_topic(language: str, me: str) -> None:
    assert is_about_me(me, language)
    assert not is_about_me("Anna", language)


@pytest.mark.parametrize(
    ("language", "topic", "words"),
    [
        ("en", "my bike code", {"bike", "code"}),
        ("de", "das alte Fahrrad", {"alte", "fahrrad"}),
        ("fr", "mon vélo", {"velo"}),
        ("es", "la bici de Ana", {"bici", "ana"}),
        ("nl", "mijn fiets", {"fiets"}),
        ("en", "the a", {"the", "a"}),
    ],
)
def test_the_words_of_a_topic_that_say_something(language: str, topic: str, words: set[str]) -> None:
    assert set(telling_words(topic, language)) == words


@given(
    st.sampled_from(LANGUAGES),
    st.sampled_from([case[1] for case in (*REMEMBER, *FORGET, *FORGET_THAT, *ASK)]),
    st.text(max_size=60),
    st.text(max_size=60),
)
def test_whatever_stands_around_it_the_answer_is_some_wish_or_none(
    language: str, said: str, before: str, after: str
) -> None:
    wish = wish_of(before + said + after, language)
    assert wish is None or wish.form in Form
    if wish is not None and wish.form in {Form.REMEMBER, Form.FORGET, Form.ASK, Form.KNOW, Form.MINE, Form.WHAT}:
        assert wish.words


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "word", ["remember that ", "vergiss was ich dir ", "what do you ", "oublie ", "über ", "x" * 9]
)
def test_a_long_sentence_is_read_in_one_go(language: str, word: str) -> None:
    wish_of((word * 200)[:1000], language)
