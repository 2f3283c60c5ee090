"""Shared by the engines' tests: what a home says, and a pronouncing dictionary."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
import re

import pytest

from barnabeenet_sidecar.engines.base import Vocabulary
from barnabeenet_sidecar.engines.letter_to_sound import LetterToSound
from barnabeenet_sidecar.engines.pronunciation import Lexicon, read_dictionary
from barnabeenet_sidecar.engines.utterance import PRONUNCIATIONS

# [optional], one|other_words: written out, as the integration sends its sentences.
_SENTENCES = """
turn on|off [the] {name}
turn [the] {name} on|off
turn on|off [the] lights|fans
turn [the] lights on|off
turn on|off [all of] [the] {area} lights
turn on|off [all] [the] lights in the {area}
turn on|off the {name} in the {area}
turn the {name} in the {area} on|off
dim the {name}
set {name} brightness to {percent} percent
set the {name} to {percent} percent
set [the] brightness to {percent} percent
set [the] {name} color to {color}
set [the] {name} to {color}
set [the] lights to {color}
set [the] color of the {name} to {color}
what's|what_is the temperature
what's the temp
what's|what_is the temperature in the {area}
what's|what_is the {name} temperature
set the {name} to {degrees} degrees
set|start|create a timer for {count} minutes|seconds|hours
set|start|create a timer for 1 minute|hour
set|start|create a timer for {count} and a half minutes|hours
set|start|create [a] timer for {count} minutes and {count} seconds
set|start|create [a] timer for {count} hours and {count} minutes
set|start a timer for 1 hour and 1 minute
cancel|stop|pause|resume [the|my] timer
cancel all timers
timer status
status of the|my timers
how much time is left on the|my timer
next [track|song]
previous track|song
skip this|the song|track
pause|resume|stop [the] {name}
turn the volume up|down
lock|unlock the {name}
is the {name} locked|unlocked|open|closed|on|off
open|close the {name}
open|close the {cover} in the {area}
open|close the {area} {cover}
what's|what_is the {name}
what's|what_is the value of [the] {name}
what's the weather [like] [today|tomorrow]
what's the weather in {name}
what's the {name} weather
activate|run|start [the] {name} [scene|script]
add {item} to my|the shopping list
what time is it
what's the time
what's the date [today]
good morning|night
never mind
yes|no
[my_code_is] {first} {second} {third} {fourth}
[i'm|i_am|my_name_is] {person}
remember [that] my|our {secret} code is {first} {second} {third} {fourth}
what's|what_is my|our {secret} code
remember [that] my {things} are in the {area}
where are my {things}
learn my voice
every thursday we cook rice fish and vegetables for the neighbours
"""

_LISTS = {
    "name": [
        "Bed Light",
        "Standing Light",
        "Kitchen lights",
        "Ceiling Lights",
        "Front Door",
        "Sliding Door",
        "TV",
        "EcoBee",
        "Outdoor Humidity",
        "New York",
        "Party Time",
        "Mood Lighting",
        "Coffee Machine",
        "Living Room Lamp",
        "Garage Door",
        "Heat Pump",
    ],
    "area": ["Kitchen", "Office", "Bedroom", "Living Room"],
    "cover": ["windows", "blinds", "curtains", "shutters"],
    "color": ["white", "red", "orange", "yellow", "green", "blue", "purple", "pink", "warm white"],
    "percent": [str(number) for number in range(101)],
    "count": [str(number) for number in range(1, 61)],
    "degrees": [str(number) for number in range(10, 31)],
    **{key: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"] for key in ("first", "second", "third", "fourth")},
    "person": ["Ada", "Ben"],
    "secret": ["bike", "bike lock", "gate"],
    "things": ["glasses", "gloves", "keys", "shoes"],
    "item": ["milk", "bread", "eggs", "butter", "apples", "bananas", "coffee", "cheese", "rice", "toilet paper"],
}


def _wordings(line: str) -> Iterator[str]:
    alternatives = [
        ["", *piece[1:-1].split("|")] if piece.startswith("[") else piece.split("|")
        for piece in re.findall(r"\[[^\]]*\]|\S+", line)
    ]
    for choice in product(*alternatives):
        yield " ".join(" ".join(choice).replace("_", " ").split())


@pytest.fixture(scope="session")
def home_vocabulary() -> Vocabulary:
    sentences = dict.fromkeys(wording for line in _SENTENCES.strip().splitlines() for wording in _wordings(line))
    return Vocabulary(language="en", revision="0123abcd", sentences=tuple(sentences), lists=dict(_LISTS))


@pytest.fixture(scope="session")
def lexicon() -> Lexicon:
    return Lexicon(read_dictionary(PRONUNCIATIONS), LetterToSound())
