"""How people say that something is on, open, locked or so warm, in the languages that Barnabee speaks.

Only whole, plain clauses are described: subject, verb, state. What goes on otherwise is not understood, and what is
not understood is not corrected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
import re
from typing import Final, Literal

Kind = Literal["power", "open", "lock", "percent", "degrees"]


@dataclass(frozen=True)
class Grammar:
    """One language; all parts but the last two are regular expressions over lower case."""

    leads: str
    articles: str
    places: str
    before: str
    copula: str
    plural: str
    between: str
    negation: str
    tails: str
    joints: str
    guards: str
    states: tuple[tuple[Kind, bool, str], ...]
    """Kind, value and the words; a group `ag` is the ending that agrees with the subject."""
    percent: str
    degrees: str
    approximately: str
    deeds: tuple[str, ...]
    """Whole clauses in which Barnabee says that it did something: groups `subject` and `deed`."""
    deed_states: tuple[tuple[Kind, bool, str], ...]
    said: Mapping[tuple[Kind, bool], str]
    """How the truth is put; `{}` is the ending."""
    sentence: str
    unavailable: str
    decimal: str = "."
    endings: Mapping[str, str] | None = None
    """The ending by the article, where there are endings."""


_NUMBER: Final = r"(?P<number>\d{1,4}(?:[.,]\d{1,2})?)"

GRAMMARS: Final[Mapping[str, Grammar]] = {
    "en": Grammar(
        leads="yes|no|okay|ok|right|well|currently|now|right now|at the moment|done|sure|all right|alright|yep|so",
        articles="the|your|our|my",
        places=r"in (?:the |your )?|of the ",
        before="",
        copula="is|are|isn't|aren't|'s|isn\u2019t|aren\u2019t|\u2019s",
        plural="are|aren't|aren\u2019t",
        between="now|currently|already|still|also|indeed|both|all|right now",
        negation="not|n't",
        tails="now|right now|at the moment|currently|already|again|too|as well|for you|as requested",
        joints="and|but",
        guards="if|when|whenever|unless|whether|would|could|should|might|may|will|was|were|had|been|yesterday|ago|last|"
        "think|guess|believe|maybe|perhaps|probably|usually|normally|until|once|before|after|while|because|says|said|"
        "told|neither|nor|only|except|every|none|either|or|used|almost|nearly|partly|half|supposed|expected|assume|"
        "earlier|tonight|tomorrow|soon|about to|going|want|like|make sure|let|please|can|try|unable|could not|not true",
        states=(
            ("power", True, "on|turned on|switched on"),
            ("power", False, "off|turned off|switched off"),
            ("open", True, "open|opened"),
            ("open", False, "closed|shut"),
            ("lock", True, "locked"),
            ("lock", False, "unlocked"),
        ),
        percent=rf"(?:at|set to|dimmed to) (?P<about>about |around |roughly )?{_NUMBER} ?(?:%|percent|per cent)",
        degrees=rf"(?P<set>set to |at )?(?P<about>about |around |roughly )?{_NUMBER} ?(?:°|degrees)"
        r"(?P<unit> ?c| ?f| celsius| fahrenheit)?",
        approximately="about|around|roughly",
        deeds=(
            r"(?:i|i've|i\u2019ve|i have)(?: just| now)? (?P<deed>(?:turned|switched) (?:on|off)) (?P<subject>.+?)",
            r"(?:i|i've|i\u2019ve|i have)(?: just| now)? (?P<deed>opened|closed|shut|locked|unlocked) (?P<subject>.+?)",
            r"(?:i|i've|i\u2019ve|i have)(?: just| now)? (?:turned|switched) (?P<subject>.+) (?P<deed>on|off)",
        ),
        deed_states=(
            ("power", True, "on|turned on|switched on"),
            ("power", False, "off|turned off|switched off"),
            ("open", True, "opened"),
            ("open", False, "closed|shut"),
            ("lock", True, "locked"),
            ("lock", False, "unlocked"),
        ),
        said={
            ("power", True): "on",
            ("power", False): "off",
            ("open", True): "open",
            ("open", False): "closed",
            ("lock", True): "locked",
            ("lock", False): "unlocked",
        },
        sentence="{subject} is {state}",
        unavailable="unavailable",
    ),
    "de": Grammar(
        leads="ja|nein|okay|ok|gut|also|erledigt|alles klar|klar|doch",
        articles="der|die|das|dein|deine|euer|eure|mein|meine|den|dem",
        places=r"im |in der |in dem |in den |in |auf der |auf dem |vom |von der ",
        before="",
        copula="ist|sind",
        plural="sind",
        between="jetzt|gerade|noch|schon|bereits|aktuell|derzeit|momentan|immer noch|nun|auch|beide|alle|wieder",
        negation="nicht",
        tails="jetzt|gerade|momentan",
        joints="und|aber",
        guards="wenn|falls|ob|sobald|solange|würde|würden|könnte|sollte|wäre|wird|werden|war|waren|hatte|worden|gestern|"
        "vorhin|letzte|glaube|denke|vielleicht|wahrscheinlich|meistens|normalerweise|bis|bevor|nachdem|weil|dass|sagt|"
        "sagte|weder|noch nie|nur|außer|jede|jeder|kein|keine|entweder|oder|fast|halb|morgen|bald|möchte|kann|bitte|soll",
        states=(
            ("power", True, "an|ein|eingeschaltet|angeschaltet"),
            ("power", False, "aus|ausgeschaltet|abgeschaltet"),
            ("open", True, "offen|auf|geöffnet"),
            ("open", False, "zu|geschlossen"),
            ("lock", True, "abgeschlossen|verriegelt|verschlossen|zugesperrt|abgesperrt"),
            ("lock", False, "aufgeschlossen|entriegelt|unverschlossen|aufgesperrt"),
        ),
        percent=rf"(?:auf|bei) (?P<about>etwa |ungefähr |rund |circa )?{_NUMBER} ?(?:%|prozent)(?: gedimmt| gestellt)?",
        degrees=rf"(?P<set>auf |bei )?(?P<about>etwa |ungefähr |rund |circa )?{_NUMBER} ?(?:°|grad)"
        r"(?P<unit> ?c| ?f| celsius| fahrenheit)?(?: eingestellt| gestellt| warm)?",
        approximately="etwa|ungefähr|rund|circa",
        deeds=(
            r"ich habe(?: gerade| jetzt| soeben)? (?P<subject>.+) (?P<deed>(?:ein|an|aus|ab)(?:geschaltet|gemacht))",
            r"ich habe(?: gerade| jetzt| soeben)? (?P<subject>.+) (?P<deed>geöffnet|geschlossen)",
            r"ich habe(?: gerade| jetzt| soeben)? (?P<subject>.+) (?P<deed>(?:ab|auf)geschlossen|verriegelt|entriegelt)",
        ),
        deed_states=(
            ("power", True, "eingeschaltet|angeschaltet|angemacht|eingemacht"),
            ("power", False, "ausgeschaltet|abgeschaltet|ausgemacht|abgemacht"),
            ("open", True, "geöffnet"),
            ("open", False, "geschlossen"),
            ("lock", True, "abgeschlossen|verriegelt"),
            ("lock", False, "aufgeschlossen|entriegelt"),
        ),
        said={
            ("power", True): "an",
            ("power", False): "aus",
            ("open", True): "offen",
            ("open", False): "geschlossen",
            ("lock", True): "abgeschlossen",
            ("lock", False): "aufgeschlossen",
        },
        sentence="{subject} ist {state}",
        unavailable="nicht erreichbar",
        decimal=",",
    ),
    "fr": Grammar(
        leads="oui|non|ok|d'accord|bon|alors|actuellement|en ce moment|maintenant|c'est fait|voilà|bien sûr",
        articles="le|la|les|l'|l\u2019|ton|ta|tes|votre|vos|notre|nos|mon|ma",
        places=r"dans (?:la |le |les |l'|l\u2019)?|de la |du |des |de l'|de l\u2019|de ",
        before=r"n'|ne |n\u2019",
        copula="est|sont",
        plural="sont",
        between="maintenant|actuellement|encore|toujours|déjà|bien|aussi|tous|toutes|à nouveau|tous les deux",
        negation="pas",
        tails="maintenant|actuellement|en ce moment|à nouveau|aussi",
        joints="et|mais",
        guards="si|quand|lorsque|lorsqu'|serait|seraient|pourrait|devrait|sera|seront|était|étaient|avait|été|hier|"
        "dernière|dernier|pense|crois|peut-être|probablement|normalement|d'habitude|jusqu'|avant|après|parce|que|qu'|dit|"
        "ni|seulement|seul|seule|sauf|chaque|aucun|aucune|soit|ou|presque|demain|bientôt|veux|peux|voudrais|jamais|plus",
        states=(
            ("power", True, "allumé(?P<ag>e?s?)|en marche"),
            ("power", False, "éteint(?P<ag>e?s?)"),
            ("open", True, "ouvert(?P<ag>e?s?)"),
            ("open", False, "fermé(?P<ag>e?s?)"),
            ("lock", True, "verrouillé(?P<ag>e?s?)"),
            ("lock", False, "déverrouillé(?P<ag>e?s?)"),
        ),
        percent=rf"(?:à|réglée? (?:à|sur)) (?P<about>environ )?{_NUMBER} ?(?:%|pour cent|pourcent)",
        degrees=rf"(?P<set>à |réglée? (?:à|sur) )?(?P<about>environ )?{_NUMBER} ?(?:°|degrés)"
        r"(?P<unit> ?c| ?f| celsius| fahrenheit)?",
        approximately="environ",
        deeds=(
            r"(?:j'ai|j\u2019ai)(?: bien)? (?P<deed>allumé|éteint|ouvert|fermé|verrouillé|déverrouillé) (?P<subject>.+?)",
        ),
        deed_states=(
            ("power", True, "allumé"),
            ("power", False, "éteint"),
            ("open", True, "ouvert"),
            ("open", False, "fermé"),
            ("lock", True, "verrouillé"),
            ("lock", False, "déverrouillé"),
        ),
        said={
            ("power", True): "allumé{}",
            ("power", False): "éteint{}",
            ("open", True): "ouvert{}",
            ("open", False): "fermé{}",
            ("lock", True): "verrouillé{}",
            ("lock", False): "déverrouillé{}",
        },
        sentence="{subject} est {state}",
        unavailable="injoignable",
        decimal=",",
        endings={"la": "e", "ta": "e", "ma": "e", "": ""},
    ),
    "es": Grammar(
        leads="sí|no|vale|ok|bien|bueno|ahora mismo|actualmente|ahora|listo|hecho|claro|de acuerdo",
        articles="el|la|los|las|tu|tus|su|nuestra|nuestro|mi",
        places=r"(?:de|en) (?:la |el |los |las )?|del ",
        before="no ",
        copula="está|están",
        plural="están",
        between="ahora|actualmente|todavía|aún|ya|también|todos|todas|de nuevo|ahora mismo",
        negation="(?!)",
        tails="ahora|actualmente|ahora mismo|en este momento|de nuevo|también",
        joints="y|pero",
        guards="si|cuando|estaría|estarían|podría|debería|estará|estarán|estaba|estaban|había|sido|estado|ayer|anoche|"
        "pasado|pasada|creo|pienso|quizás|quizá|tal vez|probablemente|normalmente|hasta|antes|después|porque|que|dice|"
        "dijo|ni|solo|sólo|excepto|cada|ningún|ninguna|o|casi|mañana|pronto|quiero|puedo|quisiera|nunca",
        states=(
            ("power", True, "encendid(?P<ag>[oa]s?)|prendid(?P<ag>[oa]s?)"),
            ("power", False, "apagad(?P<ag>[oa]s?)"),
            ("open", True, "abiert(?P<ag>[oa]s?)"),
            ("open", False, "cerrad(?P<ag>[oa]s?)"),
            ("lock", True, "bloquead(?P<ag>[oa]s?)|cerrad(?P<ag>[oa]s?) con llave"),
            ("lock", False, "desbloquead(?P<ag>[oa]s?)"),
        ),
        percent=rf"(?:al|a un|al) (?P<about>aproximadamente |alrededor de )?{_NUMBER} ?(?:%|por ciento)",
        degrees=rf"(?P<set>a |ajustad[oa] a )?(?P<about>aproximadamente |unos )?{_NUMBER} ?(?:°|grados)"
        r"(?P<unit> ?c| ?f| celsius| centígrados| fahrenheit)?",
        approximately="aproximadamente|alrededor|unos",
        deeds=(r"(?:ya )?he (?P<deed>encendido|apagado|abierto|cerrado|bloqueado|desbloqueado) (?P<subject>.+?)",),
        deed_states=(
            ("power", True, "encendido"),
            ("power", False, "apagado"),
            ("open", True, "abierto"),
            ("open", False, "cerrado"),
            ("lock", True, "bloqueado"),
            ("lock", False, "desbloqueado"),
        ),
        said={
            ("power", True): "encendid{}",
            ("power", False): "apagad{}",
            ("open", True): "abiert{}",
            ("open", False): "cerrad{}",
            ("lock", True): "bloquead{}",
            ("lock", False): "desbloquead{}",
        },
        sentence="{subject} está {state}",
        unavailable="fuera de línea",
        decimal=",",
        endings={"la": "a", "las": "as", "los": "os", "nuestra": "a", "": "o"},
    ),
    "nl": Grammar(
        leads="ja|nee|oké|ok|goed|momenteel|klaar|gedaan|prima|zeker|nou",
        articles="de|het|je|jouw|jullie|onze|ons|mijn",
        places=r"in (?:de |het )?|op (?:de |het )?|van (?:de |het )?",
        before="",
        copula="is|zijn|staat|staan",
        plural="zijn|staan",
        between="nu|momenteel|nog|al|nog steeds|weer|ook|beide|allebei|allemaal",
        negation="niet",
        tails="nu|momenteel|op dit moment|weer|ook",
        joints="en|maar",
        guards="als|wanneer|indien|of|zodra|zolang|zou|zouden|kon|moest|zal|zullen|was|waren|had|geweest|gisteren|straks|"
        "vorige|denk|geloof|misschien|waarschijnlijk|meestal|normaal|tot|totdat|voordat|nadat|omdat|dat|zegt|zei|noch|"
        "alleen|behalve|elke|geen|bijna|half|morgen|binnenkort|wil|kan|graag|moet|eerder",
        states=(
            ("power", True, "aan|ingeschakeld|aangezet"),
            ("power", False, "uit|uitgeschakeld|uitgezet"),
            ("open", True, "open|geopend"),
            ("open", False, "dicht|gesloten"),
            ("lock", True, "op slot|vergrendeld"),
            ("lock", False, "van het slot|van slot|ontgrendeld"),
        ),
        percent=rf"op (?P<about>ongeveer |zo'n )?{_NUMBER} ?(?:%|procent)",
        degrees=rf"(?P<set>op )?(?P<about>ongeveer |zo'n )?{_NUMBER} ?(?:°|graden)"
        r"(?P<unit> ?c| ?f| celsius| fahrenheit)?(?: ingesteld)?",
        approximately="ongeveer|zo'n",
        deeds=(
            r"ik heb(?: zojuist| net| nu)? (?P<subject>.+) (?P<deed>(?:aan|uit)(?:gezet|gedaan)|(?:in|uit)geschakeld)",
            r"ik heb(?: zojuist| net| nu)? (?P<subject>.+) (?P<deed>geopend|gesloten|vergrendeld|ontgrendeld)",
            r"ik heb(?: zojuist| net| nu)? (?P<subject>.+?) (?P<deed>(?:op|van het) slot gedaan)",
        ),
        deed_states=(
            ("power", True, "aangezet|aangedaan|ingeschakeld"),
            ("power", False, "uitgezet|uitgedaan|uitgeschakeld"),
            ("open", True, "geopend"),
            ("open", False, "gesloten"),
            ("lock", True, "vergrendeld|op slot gedaan"),
            ("lock", False, "ontgrendeld|van het slot gedaan"),
        ),
        said={
            ("power", True): "aan",
            ("power", False): "uit",
            ("open", True): "open",
            ("open", False): "dicht",
            ("lock", True): "op slot",
            ("lock", False): "van het slot",
        },
        sentence="{subject} is {state}",
        unavailable="niet bereikbaar",
        decimal=",",
    ),
}


@dataclass(frozen=True)
class Patterns:
    """A grammar, compiled; every pattern is for a whole clause but `joint` and `guard`."""

    state: re.Pattern[str]
    states: tuple[tuple[Kind, bool, re.Pattern[str]], ...]
    percent: re.Pattern[str]
    degrees: re.Pattern[str]
    deeds: tuple[re.Pattern[str], ...]
    deed_states: tuple[tuple[Kind, bool, re.Pattern[str]], ...]
    joint: re.Pattern[str]
    list_joint: re.Pattern[str]
    guard: re.Pattern[str]
    negation: re.Pattern[str]
    plural: re.Pattern[str]
    article: re.Pattern[str]
    place: re.Pattern[str]
    lead: re.Pattern[str]


@cache
def patterns(language: str) -> Patterns:
    """The patterns of one of the languages of `GRAMMARS`."""
    grammar = GRAMMARS[language]
    lead = rf"(?P<lead>(?:(?:{grammar.leads})[,:.!]? )*)"
    tail = rf"(?P<tail>(?:,? (?:{grammar.tails}))*[.!]*)"
    space = "" if "'s" in grammar.copula else " "
    copula = rf"(?P<verb>{space}(?:{_spaced(grammar.copula)}))" if not space else rf"(?P<verb> (?:{grammar.copula}))"
    before = rf"(?P<before> (?:{grammar.before}))?" if grammar.before else "(?P<before>(?!))?"
    if grammar.before:
        # "n'est", "ne sont", "no está": the verb follows at once.
        copula = rf"(?P<verb>(?<=['\u2019 ])(?:{grammar.copula})| (?:{grammar.copula}))"
    # The longest first: what is left of one would pass for the beginning of the state.
    around = "|".join(sorted((*grammar.between.split("|"), grammar.negation), key=len, reverse=True))
    between = rf"(?P<between>(?: (?:{around}))*)"
    return Patterns(
        state=_whole(rf"{lead}(?P<subject>.+?){before}{copula}{between} (?P<state>[^,;]+?){tail}"),
        states=tuple((kind, value, _whole(words)) for kind, value, words in _split(grammar.states)),
        percent=_whole(grammar.percent),
        degrees=_whole(grammar.degrees),
        deeds=tuple(_whole(rf"{lead}{deed}{tail}") for deed in grammar.deeds),
        deed_states=tuple((kind, value, _whole(words)) for kind, value, words in grammar.deed_states),
        joint=re.compile(rf"(?P<joint>[,;] (?:(?:{grammar.joints}) )?| (?:{grammar.joints}) )", re.IGNORECASE),
        list_joint=re.compile(rf"(?:, (?:(?:{grammar.joints}) )?| (?:{grammar.joints}) )", re.IGNORECASE),
        guard=re.compile(rf"(?<!\w)(?:{grammar.guards})(?!\w)", re.IGNORECASE),
        negation=re.compile(rf"(?<!\w)(?:{grammar.negation})(?!\w)|n['\u2019]t(?!\w)", re.IGNORECASE),
        plural=_whole(rf" ?(?:{grammar.plural})"),
        article=re.compile(rf"(?:(?:{grammar.articles})(?:(?<=['\u2019])| ))", re.IGNORECASE),
        place=re.compile(rf" (?:{grammar.places})", re.IGNORECASE),
        lead=_whole(rf"(?:{grammar.leads})[.!]?"),
    )


def _whole(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"^(?:{pattern})$", re.IGNORECASE)


def _spaced(words: str) -> str:
    """Contractions stand at the end of a word, verbs apart."""
    return "|".join(word if word[0] in "'\u2019" else f" {word}" for word in words.split("|"))


def _split(states: tuple[tuple[Kind, bool, str], ...]) -> list[tuple[Kind, bool, str]]:
    """One pattern for each word: a group may have its name only once in a pattern."""
    return [(kind, value, word) for kind, value, words in states for word in words.split("|")]
