"""What is said while Barnabee learns a voice, in the languages that it speaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .follow_up_words import base_of


@dataclass(frozen=True)
class Words:
    """`ask` are the ways to ask for it and `name` those to say who one is, separated by "|", without accents."""

    ask: str
    name: str
    fillers: str
    phrases: tuple[str, str, str, str, str]
    says: Mapping[str, str]


_WORDS: Final[Mapping[str, Words]] = {
    "en": Words(
        ask="learn my voice|remember my voice|memorise my voice|memorize my voice|enrol my voice|enroll my voice|"
        "register my voice|train my voice|save my voice|recognise my voice|recognize my voice|know my voice|"
        "teach you my voice|learn how i sound|learn what i sound like|relearn my voice|set up my voice|add my voice",
        name="my name is|my name s|i am|i m|it is|it s|this is|call me|the name is",
        fillers="hey hi hello barnabee please can could would will you to i want d like let s me now again new get the a "
        "and for thanks thank so",
        phrases=(
            "The quick wind blows yellow leaves across our quiet garden path.",
            "Please wake me gently when the coffee is hot and ready.",
            "Every Thursday we cook rice, fish and vegetables for the neighbours.",
            "Should I bring the blue umbrella, or will the weather stay fine?",
            "My favourite chair stands by the window, below the old clock.",
        ),
        says={
            "nobody": "I know no people yet. Add them in the settings of Home Assistant first.",
            "who": "Gladly. Who are you?",
            "who_again": "Sorry, I know {names}. Which of them are you?",
            "unknown": "I know nobody of that name. Add them in the settings of Home Assistant first.",
            "code": "I want to be sure that it is you. Please say your code, {name}.",
            "wrong_code": "That was not the right code. Please say it again.",
            "no_code": "That was wrong too often, so I leave it for now.",
            "proof": "I cannot tell whether you are {name}. Learn the voice in the app, or set a spoken code first.",
            "begin": "Then I learn your voice, {name}. I say five sentences, and you repeat each. Say stop to end it. {phrase}",
            "next": "Thank you. The next one: {phrase}",
            "too_short": "I heard too little of that. Once more, please: {phrase}",
            "too_noisy": "It is too noisy here, or I am too far away. Once more, please: {phrase}",
            "too_different": "That did not sound like before. Are you still there? Once more, please: {phrase}",
            "misread": "That was something else. Please repeat: {phrase}",
            "not_available": "I cannot learn voices here: what hears for me does not tell them apart.",
            "given_up": "That does not work at the moment, so I keep nothing of it. Let us try again later.",
            "stopped": "All right, I keep nothing of it.",
            "failed": "Sorry, I could not write that down, so I keep nothing of it.",
            "done": "Done. From now on I know your voice, {name}.",
        },
    ),
    "de": Words(
        ask="lern meine stimme|lerne meine stimme|lern meine stimme kennen|lerne meine stimme kennen|"
        "meine stimme lernen|meine stimme kennenlernen|meine stimme beibringen|merk dir meine stimme|"
        "merke dir meine stimme|meine stimme merken|erkenne meine stimme|speichere meine stimme|"
        "lern wie ich klinge|lerne wie ich klinge|meine stimme einlernen|richte meine stimme ein",
        name="ich bin|ich heisse|mein name ist|hier ist|das ist|hier spricht|nenn mich",
        fillers="hey hallo barnabee bitte kannst konntest wurdest du dir ich will mochte dass jetzt neu noch mal einmal "
        "nochmal und die der das mal danke doch es die",
        phrases=(
            "Der kühle Wind weht gelbe Blätter über unseren stillen Gartenweg.",
            "Weck mich bitte sanft, wenn der Kaffee heiß und fertig ist.",
            "Jeden Donnerstag kochen wir Fisch, Reis und Gemüse für die Nachbarn.",
            "Soll ich den blauen Schirm mitnehmen, oder bleibt das Wetter schön?",
            "Mein Lieblingsstuhl steht am Fenster, gleich unter der alten Uhr.",
        ),
        says={
            "nobody": "Ich kenne noch keine Leute. Trag sie zuerst in den Einstellungen von Home Assistant ein.",
            "who": "Gern. Wer bist du?",
            "who_again": "Entschuldigung, ich kenne {names}. Wer davon bist du?",
            "unknown": "Ich kenne niemanden mit diesem Namen. Trag ihn zuerst in den Einstellungen von Home Assistant ein.",
            "code": "Ich möchte sicher sein, dass du es bist. Sag bitte deinen Code, {name}.",
            "wrong_code": "Das war nicht der richtige Code. Sag ihn bitte noch einmal.",
            "no_code": "Das war zu oft falsch, ich lasse es erst einmal.",
            "proof": "Ich weiß nicht, ob du {name} bist. Lass die Stimme in der App lernen, oder lege zuerst einen Code fest.",
            "begin": "Dann lerne ich deine Stimme, {name}. Ich sage fünf Sätze, und du sprichst jeden nach. Mit Stopp hören wir auf. {phrase}",
            "next": "Danke. Der nächste: {phrase}",
            "too_short": "Davon habe ich zu wenig gehört. Bitte noch einmal: {phrase}",
            "too_noisy": "Hier ist es zu laut, oder ich bin zu weit weg. Bitte noch einmal: {phrase}",
            "too_different": "Das klang anders als vorher. Bist du noch da? Bitte noch einmal: {phrase}",
            "misread": "Das war etwas anderes. Sprich bitte nach: {phrase}",
            "not_available": "Hier kann ich keine Stimmen lernen: Was für mich hört, unterscheidet sie nicht.",
            "given_up": "Das geht gerade nicht, ich behalte nichts davon. Versuchen wir es später noch einmal.",
            "stopped": "Gut, ich behalte nichts davon.",
            "failed": "Tut mir leid, ich konnte das nicht aufschreiben und behalte nichts davon.",
            "done": "Fertig. Ab jetzt kenne ich deine Stimme, {name}.",
        },
    ),
    "fr": Words(
        ask="apprends ma voix|apprendre ma voix|apprenez ma voix|retiens ma voix|retenir ma voix|memorise ma voix|"
        "memoriser ma voix|enregistre ma voix|enregistrer ma voix|reconnais ma voix|reconnaitre ma voix|"
        "apprends a reconnaitre ma voix|apprends a connaitre ma voix|apprends comment je parle",
        name="je suis|je m appelle|mon nom est|c est|ici",
        fillers="salut bonjour barnabee s il te vous plait peux tu pouvez pourrais je veux voudrais que maintenant encore "
        "une fois et merci de nouveau t a le la",
        phrases=(
            "Le vent frais pousse les feuilles jaunes sur le chemin du jardin.",
            "Réveille-moi doucement quand le café sera chaud et bien prêt.",
            "Chaque jeudi, nous cuisinons du poisson et du riz pour les voisins.",
            "Dois-je prendre le parapluie bleu, ou fera-t-il beau demain ?",
            "Mon fauteuil préféré est près de la fenêtre, sous la vieille horloge.",
        ),
        says={
            "nobody": "Je ne connais encore personne. Ajoutez d'abord les habitants dans les réglages de Home Assistant.",
            "who": "Volontiers. Qui êtes-vous ?",
            "who_again": "Pardon, je connais {names}. Lequel êtes-vous ?",
            "unknown": "Je ne connais personne de ce nom. Ajoutez-le d'abord dans les réglages de Home Assistant.",
            "code": "Je veux être sûr que c'est vous. Dites votre code, {name}.",
            "wrong_code": "Ce n'était pas le bon code. Redites-le, s'il vous plaît.",
            "no_code": "C'était faux trop souvent, je laisse cela pour l'instant.",
            "proof": "Je ne peux pas savoir si vous êtes {name}. Faites-le dans l'application, ou fixez d'abord un code.",
            "begin": "J'apprends donc votre voix, {name}. Je dis cinq phrases et vous répétez chacune. Dites stop pour arrêter. {phrase}",
            "next": "Merci. La suivante : {phrase}",
            "too_short": "J'en ai trop peu entendu. Encore une fois : {phrase}",
            "too_noisy": "Il y a trop de bruit, ou je suis trop loin. Encore une fois : {phrase}",
            "too_different": "Cela ne ressemblait pas à avant. Êtes-vous toujours là ? Encore une fois : {phrase}",
            "misread": "C'était autre chose. Répétez, s'il vous plaît : {phrase}",
            "not_available": "Je ne peux pas apprendre de voix ici : ce qui écoute pour moi ne les distingue pas.",
            "given_up": "Cela ne marche pas pour l'instant, je n'en garde rien. Réessayons plus tard.",
            "stopped": "D'accord, je n'en garde rien.",
            "failed": "Désolé, je n'ai pas pu le noter, je n'en garde rien.",
            "done": "C'est fait. Je connais maintenant votre voix, {name}.",
        },
    ),
    "es": Words(
        ask="aprende mi voz|aprender mi voz|aprendas mi voz|recuerda mi voz|recordar mi voz|memoriza mi voz|"
        "guarda mi voz|registra mi voz|registrar mi voz|reconoce mi voz|reconocer mi voz|aprende a reconocer mi voz|"
        "aprende como hablo|conoce mi voz|ensenarte mi voz",
        name="soy|yo soy|me llamo|mi nombre es|habla|aqui",
        fillers="hola oye barnabee por favor puedes podrias quiero quisiera que ahora otra vez de nuevo y gracias a el la",
        phrases=(
            "El viento fresco mueve las hojas amarillas por el camino del jardín.",
            "Despiértame con cuidado cuando el café esté caliente y listo.",
            "Todos los jueves cocinamos pescado con arroz para nuestros vecinos.",
            "¿Llevo el paraguas azul, o seguirá haciendo buen tiempo mañana?",
            "Mi silla favorita está junto a la ventana, bajo el reloj viejo.",
        ),
        says={
            "nobody": "Todavía no conozco a nadie. Añade primero a las personas en los ajustes de Home Assistant.",
            "who": "Con gusto. ¿Quién eres?",
            "who_again": "Perdona, conozco a {names}. ¿Quién de ellos eres?",
            "unknown": "No conozco a nadie con ese nombre. Añádelo primero en los ajustes de Home Assistant.",
            "code": "Quiero estar seguro de que eres tú. Di tu código, {name}.",
            "wrong_code": "Ese no era el código correcto. Dilo otra vez, por favor.",
            "no_code": "Ha fallado demasiadas veces, así que lo dejo por ahora.",
            "proof": "No puedo saber si eres {name}. Hazlo en la aplicación, o pon primero un código.",
            "begin": "Entonces aprendo tu voz, {name}. Digo cinco frases y tú repites cada una. Di para si quieres terminar. {phrase}",
            "next": "Gracias. La siguiente: {phrase}",
            "too_short": "He oído muy poco. Otra vez, por favor: {phrase}",
            "too_noisy": "Hay demasiado ruido, o estoy demasiado lejos. Otra vez, por favor: {phrase}",
            "too_different": "Eso no sonaba como antes. ¿Sigues ahí? Otra vez, por favor: {phrase}",
            "misread": "Eso era otra cosa. Repite, por favor: {phrase}",
            "not_available": "Aquí no puedo aprender voces: lo que oye por mí no las distingue.",
            "given_up": "Ahora mismo no funciona, así que no guardo nada. Probemos más tarde.",
            "stopped": "De acuerdo, no guardo nada.",
            "failed": "Lo siento, no he podido anotarlo, así que no guardo nada.",
            "done": "Listo. Desde ahora conozco tu voz, {name}.",
        },
    ),
    "nl": Words(
        ask="leer mijn stem|leer mijn stem kennen|mijn stem leren|mijn stem leren kennen|onthoud mijn stem|"
        "mijn stem onthouden|herken mijn stem|mijn stem herkennen|bewaar mijn stem|registreer mijn stem|"
        "leer hoe ik klink|stel mijn stem in",
        name="ik ben|ik heet|mijn naam is|dit is|je spreekt met",
        fillers="hoi hallo hey barnabee alsjeblieft alstublieft kun kan je jij ik wil graag dat nu opnieuw nog eens een "
        "keer en bedankt te de het",
        phrases=(
            "De koele wind blaast gele bladeren over ons stille tuinpad.",
            "Maak me rustig wakker als de koffie warm en klaar is.",
            "Elke donderdag koken wij vis met rijst en groente voor de buren.",
            "Zal ik de blauwe paraplu meenemen, of blijft het weer mooi?",
            "Mijn lievelingsstoel staat bij het raam, vlak onder de oude klok.",
        ),
        says={
            "nobody": "Ik ken nog geen mensen. Voeg ze eerst toe in de instellingen van Home Assistant.",
            "who": "Graag. Wie ben je?",
            "who_again": "Sorry, ik ken {names}. Wie van hen ben je?",
            "unknown": "Ik ken niemand met die naam. Voeg die eerst toe in de instellingen van Home Assistant.",
            "code": "Ik wil zeker weten dat jij het bent. Zeg je code, {name}.",
            "wrong_code": "Dat was niet de juiste code. Zeg hem nog eens, alsjeblieft.",
            "no_code": "Dat was te vaak fout, dus ik laat het voor nu.",
            "proof": "Ik weet niet of je {name} bent. Laat de stem in de app leren, of stel eerst een code in.",
            "begin": "Dan leer ik je stem, {name}. Ik zeg vijf zinnen en je zegt ze na. Zeg stop om te stoppen. {phrase}",
            "next": "Dank je. De volgende: {phrase}",
            "too_short": "Daar heb ik te weinig van gehoord. Nog een keer: {phrase}",
            "too_noisy": "Het is hier te rumoerig, of ik sta te ver weg. Nog een keer: {phrase}",
            "too_different": "Dat klonk anders dan daarnet. Ben je er nog? Nog een keer: {phrase}",
            "misread": "Dat was iets anders. Zeg na, alsjeblieft: {phrase}",
            "not_available": "Hier kan ik geen stemmen leren: wat voor mij luistert, houdt ze niet uit elkaar.",
            "given_up": "Dat lukt nu niet, dus ik bewaar er niets van. Laten we het later nog eens proberen.",
            "stopped": "Goed, ik bewaar er niets van.",
            "failed": "Sorry, ik kon dat niet opschrijven, dus ik bewaar er niets van.",
            "done": "Klaar. Vanaf nu ken ik je stem, {name}.",
        },
    ),
}


def words_of(language: str | None) -> Words:
    """The words of a language or its regional form; English where Barnabee does not speak it."""
    return _WORDS[base_of(language)]


def phrases_of(language: str | None) -> tuple[str, ...]:
    """The sentences that people read out."""
    return words_of(language).phrases
