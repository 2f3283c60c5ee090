"""How people have Barnabee remember something, ask for it and have it forgotten, in the languages that it speaks.

Every pattern stands for a whole sentence, without the words that open it and the punctuation that ends it; the groups
are `text` (what is to be remembered), `everyone` (it is for the family) and `topic` (what is asked about).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
import re
from typing import Final, NamedTuple
import unicodedata

from .cues import tokens, word_set
from .follow_up_words import base_of


class Form(Enum):
    """What a sentence wants; where two could be meant, the one that stands first here is."""

    REMEMBER = "remember"
    FORGET_ALL = "forget_all"
    FORGET_THAT = "forget_that"
    FORGET = "forget"
    ASK = "ask"
    """What was told; it was told, or it was not."""
    KNOW = "know"
    """What is known; not only from what was told."""
    MINE = "mine"
    """Something of the speaker's own."""
    WHAT = "what"
    """Anything that has a name; a memory may know it by chance."""


class Wish(NamedTuple):
    """A sentence about memories; `words` are the text or the topic, as they were said."""

    form: Form
    words: str = ""
    for_family: bool = False


@dataclass(frozen=True)
class Grammar:
    """One language; all are regular expressions over text in which case does not count."""

    leads: str
    firsts: str
    """The beginnings of all the sentences: what has none of them is not looked at further."""
    forms: Mapping[Form, tuple[str, ...]]
    about_me: str
    """The topics that mean the speaker."""
    empty: str
    """Words of a topic that say nothing about it, folded."""


_EN_ALL: Final = r"(?P<everyone> for (?:the (?:whole |entire )?family|every(?:body|one)|all of us|us all))?"
# "Remember to ..." and "remember when ..." want something else.
_EN_NO: Final = (
    r"(?!(?:to|when|how|who|what|where|why|whether|if|me|us|him|her|them|the time|everything|anything|about)\b"
    r"|(?:it|this|that|these|those)$)"
)
_EN_WHICH: Final = r"(?:what|who|where|when|which)"
_DE_ALL: Final = r"(?P<everyone> für (?:die (?:ganze )?familie|uns alle|alle|jeden))?"
_DE_OWN: Final = r"(?:mein|unser|unsr)\w* .+"
_DE_ABOUT: Final = r"(?:über|zu|zum|zur|von|vom|wegen)"
_DE_TOLD: Final = r"(?:gesagt|erzählt|mitgeteilt)"
_FR_ALL: Final = r"(?P<everyone> pour (?:(?:toute )?la famille|tout le monde|nous tous|tous))?"
_FR_ABOUT: Final = r"(?:(?:à|a) propos |au sujet )?(?:sur |de la |de l'|du |des |de |d')"
_FR_OWN: Final = r"(?:mon|ma|mes|notre|nos) .+"
_FR_TOLD: Final = r"(?:dit|raconté)"
_ES_ALL: Final = r"(?P<everyone> para (?:toda )?(?:la familia|todos(?: nosotros)?|todo el mundo))?"
_ES_ABOUT: Final = r"(?:sobre|acerca de|acerca del|respecto a|de|del)"
_ES_OWN: Final = r"(?:mi|mis|nuestr[oa]s?) .+"
_ES_TOLD: Final = r"(?:dije|he dicho|conté|he contado)"
_NL_ALL: Final = r"(?P<everyone> voor (?:(?:het|ons) (?:hele )?gezin|de (?:hele )?familie|iedereen|ons allemaal))?"
_NL_ABOUT: Final = r"(?:over|van)"
_NL_OWN: Final = r"(?:mijn|m'n|onze|ons) .+"
_NL_TOLD: Final = r"(?:verteld|gezegd)"

GRAMMARS: Final[Mapping[str, Grammar]] = {
    "en": Grammar(
        leads="please|hey|ok|okay|so|and|barnabee|can you|could you|would you|i want you to|i'd like you to",
        firsts=r"remember|memori|keep in|make a note|note|don't forget|do not forget|never forget|every|the (?:whole |entire )?family|forget|what|who|where|when|which|do you|can you|you |remind|tell me",
        forms={
            Form.REMEMBER: (
                rf"(?:remember|memori[sz]e|keep in mind|make a note|note){_EN_ALL},?(?: that| this[,:]|:) {_EN_NO}(?P<text>\S+ .+)",
                rf"(?:remember|memori[sz]e|keep in mind){_EN_ALL},? {_EN_NO}(?P<text>\S+ \S+ \S.*)",
                rf"(?:don't|do not|never) forget{_EN_ALL},?(?: that|:)? {_EN_NO}(?P<text>\S+ \S+ \S.*)",
                (
                    r"(?P<everyone>everyone|everybody|the (?:whole |entire )?family) (?:should|must|has to|needs to) know"
                    r"(?: that)? (?P<text>\S+ \S+ \S.*)"
                ),
            ),
            Form.FORGET_ALL: (
                (
                    r"forget (?:everything|all)(?: that)? (?:you (?:know|remember) about me|about me"
                    r"|i(?:'ve| have)?(?: ever)? (?:told|said to) you)"
                ),
            ),
            Form.FORGET_THAT: (
                r"forget (?:that|this|what i(?:'ve| have)? just (?:said|told you))(?: again)?(?: please)?",
            ),
            Form.FORGET: (
                (
                    r"forget (?:what|everything|all|anything)(?: that)? i(?:'ve| have)? (?:told you|said|said to you) about"
                    r" (?P<topic>.+)"
                ),
                r"forget (?:everything|all|anything)(?: you know)? about (?P<topic>.+)",
                r"forget (?:that|about) (?!it$|that$|this$)(?P<topic>.+)",
                r"forget (?P<topic>(?:my|our) .+)",
            ),
            Form.ASK: (
                r"what (?:did i|have i) (?:tell|told|say|said)(?: to)?(?: you)? about (?P<topic>.+)",
                (
                    r"(?:do you|can you|you) (?:still )?remember (?:what (?:i (?:said|told you) about )?|when |where |who )?"
                    r"(?P<topic>.+)"
                ),
                r"what do you (?:still )?remember (?:about|of) (?P<topic>.+)",
                r"remind me (?:of )?what i (?:said|told you) about (?P<topic>.+)",
            ),
            Form.KNOW: (r"(?:tell me )?what (?:do )?you know about (?P<topic>.+)",),
            Form.MINE: (
                rf"{_EN_WHICH}(?:'s| is| are| was| were) (?P<topic>(?:my|our) .+)",
                rf"(?:tell me|do you know) {_EN_WHICH} (?P<topic>(?:my|our) .+)",
                r"where (?:did|have) (?:i|we) (?:put|leave|left) (?P<topic>(?:my|our) .+)",
            ),
            Form.WHAT: (rf"{_EN_WHICH}(?:'s| is| are| was| were) (?P<topic>(?:the|\w+'s) .+)",),
        },
        about_me="me|myself|us",
        empty="i me my you your we us our is are was were be been the a an of in on at to for with from about "
        "and or that this do did does have has had s what who where when which how so please tell hey",
    ),
    "de": Grammar(
        leads="bitte|hey|ok|okay|also|und|barnabee|kannst du|könntest du",
        firsts=r"merk|notier|denk|erinner|behalt|vergiss|alle |die (?:ganze )?familie|was|wer|wo|wann|wie|wei|kannst|sag mir",
        forms={
            Form.REMEMBER: (
                rf"(?:merke?|notiere?) dir(?: bitte)?{_DE_ALL}(?: bitte)?(?: das[,:]|[,:])? (?P<text>(?!das$|es$|dies$)\S+ \S+ \S.*)",
                rf"(?:denke? daran|erinnere? dich(?: daran)?|behalte?){_DE_ALL}(?: bitte)?,? (?P<text>dass \S+ .+)",
                rf"vergiss nicht{_DE_ALL}(?: bitte)?[,:]? (?P<text>(?!zu )(?!.* zu \w+$)\S+ \S+ \S.*)",
                r"(?P<everyone>alle|die (?:ganze )?familie) (?:sollen|soll|müssen|muss) wissen,? (?P<text>dass \S+ .+)",
            ),
            Form.FORGET_ALL: (
                rf"vergiss alles,? was (?:du (?:über|von) mir?(?:ch)? wei(?:ß|ss)t|ich dir (?:je )?{_DE_TOLD} habe)",
                r"vergiss alles (?:über|von) mi(?:ch|r)",
            ),
            Form.FORGET_THAT: (
                r"vergiss,? (?:das|dies|das eben|was ich (?:gerade|eben) gesagt habe)(?: wieder)?(?:,? bitte)?",
            ),
            Form.FORGET: (
                rf"vergiss(?: bitte)?(?: alles)?,? was ich (?:dir )?{_DE_ABOUT} (?P<topic>.+?) {_DE_TOLD} habe",
                rf"vergiss(?: bitte)? alles {_DE_ABOUT} (?P<topic>.+)",
                r"vergiss(?: bitte)?,? dass (?P<topic>.+)",
                rf"vergiss(?: bitte)? (?P<topic>{_DE_OWN})",
            ),
            Form.ASK: (
                rf"was hab(?:e|')? ich (?:dir )?{_DE_ABOUT} (?P<topic>.+?) {_DE_TOLD}",
                rf"was hab(?:e|')? ich (?:dir )?{_DE_TOLD} {_DE_ABOUT} (?P<topic>.+)",
                rf"wei(?:ß|ss)t du noch,? was ich (?:dir )?{_DE_ABOUT} (?P<topic>.+?) {_DE_TOLD} habe",
                rf"wei(?:ß|ss)t du noch,? (?:wie |was |wo |wann |wer )?(?P<topic>{_DE_OWN})",
                r"(?:erinnerst du dich|kannst du dich)(?: noch)? an (?P<topic>.+?)(?: erinnern)?",
            ),
            Form.KNOW: (rf"was wei(?:ß|ss)t du {_DE_ABOUT} (?P<topic>.+)",),
            Form.MINE: (
                (
                    r"(?:was|wer|wo|wann|wie) (?:ist|sind|war|lautet|lauten|heißt|heißen|liegt|liegen|steht|stehen) "
                    rf"(?P<topic>{_DE_OWN})"
                ),
                rf"(?:sag mir|wei(?:ß|ss)t du),? (?:was|wer|wo|wann|wie) (?P<topic>{_DE_OWN})",
                rf"wo hab(?:e|')? ich (?P<topic>{_DE_OWN}) (?:hingelegt|hingetan|gelassen|abgelegt)",
            ),
            Form.WHAT: (
                (
                    r"(?:was|wer|wo|wann|wie) (?:ist|sind|war|lautet|lauten|heißt|heißen|liegt|liegen|steht|stehen) "
                    r"(?P<topic>(?:der|die|das|\w+s) .+)"
                ),
            ),
        },
        about_me="mich|mir|uns",
        empty="ich mich mir mein meine meinen meinem meiner meines du dein wir uns unser unsere unseren ist "
        "sind war heisst lautet liegt steht der die das den dem des ein eine einen einem einer und oder "
        "in im am an auf zu zum zur fur mit von vom uber dass habe hat was wer wo wann wie welche welcher welches bitte denn",
    ),
    "fr": Grammar(
        leads="s'il te plaît|s'il te plait|s'il vous plaît|s'il vous plait|hé|ok|alors|et|barnabee|peux-tu|pouvez-vous",
        firsts=r"rappel|souv|reten|retiens|m[ée]mor|n'oubli|garde|tout|la famille|oublie|qu|est-ce|tu te|te sou|vous sou|o[uù]|c'est quoi|comment",
        forms={
            Form.REMEMBER: (
                (
                    r"(?:(?:rappelle|souviens)[- ]toi|(?:rappelez|souvenez)[- ]vous|retiens|retenez|retenir|m[ée]morise[rz]?"
                    rf"|n'oublie[sz]? pas|garde[rz]? en mémoire){_FR_ALL}(?: bien)?(?: qu(?:e |')|(?: ceci)? ?: )"
                    r"(?P<text>(?!ça$|cela$)\S+ .+)"
                ),
                rf"(?:retiens|retenez|m[ée]morise[rz]?){_FR_ALL} (?P<text>(?:mon|ma|mes|notre|nos) \S+ \S.*)",
                r"(?P<everyone>tout le monde|(?:toute )?la famille) doit savoir qu(?:e |')(?P<text>\S+ .+)",
            ),
            Form.FORGET_ALL: (
                (
                    r"oublie[sz]? tout ce que (?:(?:tu sais|vous savez) (?:sur|de) moi"
                    rf"|je (?:t'ai|vous ai) {_FR_TOLD})"
                ),
                r"oublie[sz]? tout (?:sur|de) moi",
            ),
            Form.FORGET_THAT: (r"oublie[sz]? (?:ça|ca|cela|ce que je viens de (?:te |vous )?dire)",),
            Form.FORGET: (
                rf"oublie[sz]? (?:tout )?ce que je (?:t'ai|vous ai) {_FR_TOLD} {_FR_ABOUT}(?P<topic>.+)",
                rf"oublie[sz]? tout {_FR_ABOUT}(?P<topic>.+)",
                r"oublie[sz]? qu(?:e |')(?P<topic>.+)",
                rf"oublie[sz]? (?P<topic>{_FR_OWN})",
            ),
            Form.ASK: (
                rf"qu'est[- ]ce que (?:je t'ai|je vous ai|j'ai) {_FR_TOLD} {_FR_ABOUT}(?P<topic>.+)",
                rf"que (?:t'ai|vous ai)[- ]je {_FR_TOLD} {_FR_ABOUT}(?P<topic>.+)",
                rf"(?:est-ce que )?(?:tu te souviens|te souviens[- ]tu|vous souvenez[- ]vous) {_FR_ABOUT}(?P<topic>.+)",
            ),
            Form.KNOW: (
                rf"que (?:sais[- ]tu|savez[- ]vous) {_FR_ABOUT}(?P<topic>.+)",
                rf"qu'est[- ]ce que (?:tu sais|vous savez) {_FR_ABOUT}(?P<topic>.+)",
            ),
            Form.MINE: (
                (
                    r"(?:quel(?:le)?s? (?:est|sont|était)|o[uù] (?:est|sont|se trouve|se trouvent)|quand (?:est|sont)"
                    rf"|qui est|c'est quoi|comment s'appelle(?:nt)?) (?P<topic>{_FR_OWN})"
                ),
                rf"o[uù] (?:ai-je|est-ce que j'ai) (?:mis|posé|laissé|rangé) (?P<topic>{_FR_OWN})",
            ),
            Form.WHAT: (
                (
                    r"(?:quel(?:le)?s? (?:est|sont|était)|o[uù] (?:est|sont|se trouve|se trouvent)|quand (?:est|sont)"
                    r"|qui est|c'est quoi|comment s'appelle(?:nt)?) (?P<topic>(?:le |la |les |l').+)"
                ),
            ),
        },
        about_me="moi|nous",
        empty="je j moi mon ma mes tu ton ta tes vous votre vos nous notre nos est sont etait le la les l un "
        "une des du de d et ou a au aux en sur pour avec que qu s quel quelle quels quelles qui quand comment c ce",
    ),
    "es": Grammar(
        leads="por favor|oye|ok|vale|y|barnabee|puedes|podrías",
        firsts=r"rec|acu|no |memor|ten en|todos|toda|la familia|olvida|qu|te acuerdas|dime|cu|d[óo]nde|c[óo]mo",
        forms={
            Form.REMEMBER: (
                (
                    r"(?:recuerd[ae]|recordar|acu[ée]rdate(?: de)?|no (?:te )?olvides(?: de)?|memoriza|memorizar"
                    rf"|ten en cuenta){_ES_ALL}(?: que|(?: esto)?[,:]) (?P<text>(?!eso$|esto$)\S+ .+)"
                ),
                rf"(?:recuerda|memoriza){_ES_ALL} (?P<text>(?:mi|mis|nuestr[oa]s?) \S+ \S.*)",
                r"(?P<everyone>todos|(?:toda )?la familia) (?:deben?|tienen? que) saber que (?P<text>\S+ .+)",
            ),
            Form.FORGET_ALL: (
                rf"olvida todo lo que (?:sabes (?:de|sobre) mí|sabes (?:de|sobre) mi|te {_ES_TOLD})",
                r"olvida todo (?:sobre|de) m[ií]",
            ),
            Form.FORGET_THAT: (r"olvida (?:eso|esto|lo que (?:acabo de decir(?:te)?|te acabo de decir))",),
            Form.FORGET: (
                rf"olvida (?:todo )?lo que te {_ES_TOLD} {_ES_ABOUT} (?P<topic>.+)",
                rf"olvida todo {_ES_ABOUT} (?P<topic>.+)",
                r"olvida que (?P<topic>.+)",
                rf"olvida (?P<topic>{_ES_OWN})",
            ),
            Form.ASK: (
                rf"qu[ée] te {_ES_TOLD} {_ES_ABOUT} (?P<topic>.+)",
                r"(?:te acuerdas de|recuerdas) (?P<topic>.+)",
                rf"recu[ée]rdame (?:qué|que|lo que) te {_ES_TOLD} {_ES_ABOUT} (?P<topic>.+)",
            ),
            Form.KNOW: (rf"(?:dime )?qu[ée] sabes {_ES_ABOUT} (?P<topic>.+)",),
            Form.MINE: (
                (
                    r"(?:cu[áa]l(?:es)? (?:es|son|era)|d[óo]nde est[áa]n?|cu[áa]ndo (?:es|son)|qui[ée]n es"
                    rf"|c[óo]mo se llaman?) (?P<topic>{_ES_OWN})"
                ),
                rf"d[óo]nde (?:he (?:puesto|dejado)|puse|dejé) (?P<topic>{_ES_OWN})",
            ),
            Form.WHAT: (
                (
                    r"(?:cu[áa]l(?:es)? (?:es|son|era)|d[óo]nde est[áa]n?|cu[áa]ndo (?:es|son)|qui[ée]n es"
                    r"|c[óo]mo se llaman?) (?P<topic>(?:el|la|los|las) .+)"
                ),
            ),
        },
        about_me="mí|mi|nosotros",
        empty="yo me mi mis tu tus nosotros nuestro nuestra nuestros nuestras es son esta estan era el la los "
        "las un una de del y o a al en para con que se que cual cuales quien donde cuando como por favor",
    ),
    "nl": Grammar(
        leads="alsjeblieft|hé|hey|ok|oké|en|barnabee|kun je|kan je|wil je",
        firsts=r"onth|vergeet|denk|herinner|iedereen|het|de |dat|wat|weet|wie|waar|wanneer|hoe",
        forms={
            Form.REMEMBER: (
                rf"onthoud?{_NL_ALL}(?: alsjeblieft)?(?: dit[,:]|[,:])? (?P<text>(?!dat$|dit$|het$)\S+ \S+ \S.*)",
                rf"(?:vergeet niet|denk er(?: ?aan|aan)|herinner je){_NL_ALL}(?: alsjeblieft)?,? (?P<text>dat \S+ .+)",
                r"(?P<everyone>iedereen|(?:het|de) (?:hele )?(?:gezin|familie)) moet weten,? (?P<text>dat \S+ .+)",
                rf"(?P<text>dat \S+ .+) onthouden{_NL_ALL}",
            ),
            Form.FORGET_ALL: (
                rf"vergeet alles wat (?:je (?:over|van) mij? weet|ik je (?:ooit )?(?:heb {_NL_TOLD}|{_NL_TOLD} heb))",
                r"vergeet alles (?:over|van) mij?",
            ),
            Form.FORGET_THAT: (
                (
                    r"vergeet (?:dat|dit|wat ik (?:net|zojuist) (?:zei|heb gezegd|gezegd heb))(?: weer| maar)?"
                    r"(?: alsjeblieft)?"
                ),
            ),
            Form.FORGET: (
                (
                    rf"vergeet (?:alles )?wat ik (?:je )?{_NL_ABOUT} (?P<topic>.+?) "
                    rf"(?:heb {_NL_TOLD}|{_NL_TOLD} heb|zei|vertelde)"
                ),
                rf"vergeet (?:alles )?wat ik (?:je )?(?:heb {_NL_TOLD}|{_NL_TOLD} heb|zei|vertelde) {_NL_ABOUT} (?P<topic>.+)",
                rf"vergeet alles {_NL_ABOUT} (?P<topic>.+)",
                r"vergeet dat (?P<topic>.+)",
                rf"vergeet (?P<topic>{_NL_OWN})",
            ),
            Form.ASK: (
                rf"wat heb ik (?:je |jou )?{_NL_ABOUT} (?P<topic>.+?) {_NL_TOLD}",
                rf"wat heb ik (?:je |jou )?{_NL_TOLD} {_NL_ABOUT} (?P<topic>.+)",
                r"(?:weet|herinner) je (?:je |nog )+(?:wat |waar |wanneer |wie |hoe )?(?P<topic>.+)",
            ),
            Form.KNOW: (rf"wat weet je {_NL_ABOUT} (?P<topic>.+)",),
            Form.MINE: (
                (
                    r"(?:wat|wie|waar|wanneer|hoe) (?:is|zijn|was|heet|heten|staat|staan|ligt|liggen) "
                    rf"(?P<topic>{_NL_OWN})"
                ),
                rf"waar heb ik (?P<topic>{_NL_OWN}) (?:gelaten|gelegd|neergelegd)",
            ),
            Form.WHAT: (
                (
                    r"(?:wat|wie|waar|wanneer|hoe) (?:is|zijn|was|heet|heten|staat|staan|ligt|liggen) "
                    r"(?P<topic>(?:de|het|\w+s) .+)"
                ),
            ),
        },
        about_me="mij|me|ons",
        empty="ik mij me mijn m n je jij jouw we wij ons onze is zijn was heet staat ligt de het een en of in "
        "op van aan voor met over dat die er heb heeft wat wie waar wanneer hoe welke alsjeblieft nou",
    ),
}

_PUNCTUATION: Final = " .,;:!?¡¿…"


def wish_of(text: str, language: str | None) -> Wish | None:
    """What a sentence wants with memories; None for almost every sentence, after some microseconds."""
    gate, patterns = _compiled(base_of(language))
    said = _plain(text)
    opened = gate.match(said)
    if opened is None:
        return None
    rest = said[opened.start("rest") :]
    for form, pattern in patterns:
        if (found := pattern.fullmatch(rest)) is not None:
            groups = found.groupdict()
            words = (groups.get("text") or groups.get("topic") or "").strip(_PUNCTUATION)
            if words or not ({"text", "topic"} & groups.keys()):
                return Wish(form, words, bool(groups.get("everyone")))
    return None


def is_about_me(topic: str, language: str | None) -> bool:
    """Whether a topic is the speaker."""
    return topic.casefold() in GRAMMARS[base_of(language)].about_me.split("|")


def telling_words(text: str, language: str | None) -> tuple[str, ...]:
    """The folded words of a topic or a text that say what it is about, in their order; all of them when none does."""
    words, empty = tuple(dict.fromkeys(tokens(text))), word_set(GRAMMARS[base_of(language)].empty)
    return tuple(word for word in words if word not in empty) or words


def _plain(text: str) -> str:
    said = text if text.isascii() else unicodedata.normalize("NFC", text).replace("\u2019", "'")
    return " ".join(said.split()).strip(_PUNCTUATION)


@cache
def _compiled(base: str) -> tuple[re.Pattern[str], tuple[tuple[Form, re.Pattern[str]], ...]]:
    """The patterns, and one that tells of a sentence's first letters that none of them can match."""
    grammar = GRAMMARS[base]
    patterns = [(form, re.compile(pattern, re.IGNORECASE)) for form in Form for pattern in grammar.forms.get(form, ())]
    gate = re.compile(rf"(?:(?:{grammar.leads})[ ,]+){{0,3}}(?P<rest>(?:{grammar.firsts}))", re.IGNORECASE)
    return gate, tuple(patterns)
