"""Memories that look like those of the set: the more there are, the harder the right one is to tell from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle, islice
from random import Random

_PEOPLE = [
    "Adele",
    "Bastian",
    "Cosima",
    "Darius",
    "Elin",
    "Fabian",
    "Greta",
    "Hannes",
    "Imke",
    "Jasper",
    "Kirsten",
    "Leander",
    "Mirja",
    "Niklas",
    "Odile",
    "Pascal",
    "Ronja",
    "Silvan",
    "Thea",
    "Ulrich",
    "Valeska",
    "Wendelin",
    "Xenia",
    "Yorick",
    "Zora",
    "Anselm",
    "Birte",
    "Constantin",
    "Dorothea",
    "Emil",
    "Friederike",
    "Gernot",
    "Hilde",
    "Ivo",
]
_SURNAMES = [
    "Abendroth",
    "Brockmann",
    "Castellano",
    "Dierksen",
    "Eisenhut",
    "Falkenberg",
    "Grunewald",
    "Hollander",
    "Iversen",
    "Jablonski",
    "Kowalczyk",
    "Lachner",
    "Montague",
    "Nordquist",
    "Oberhofer",
    "Petrossian",
    "Quast",
    "Rosenbaum",
    "Steinmetz",
    "Tiedemann",
    "Urquhart",
    "Vandenberg",
    "Wieland",
    "Zimmerli",
]
_THINGS = [
    "drill",
    "tent",
    "kettle",
    "blanket",
    "projector",
    "raclette",
    "toaster",
    "sledge",
    "lantern",
    "trolley",
    "cooler",
    "hammock",
    "guitar",
    "tripod",
    "globe",
    "juicer",
    "easel",
    "wok",
    "loom",
    "anvil",
    "kayak",
]
_PLACES = ["attic", "cellar", "garage", "shed", "study", "hallway", "pantry", "porch", "barn", "loft", "nursery"]
_FOODS = [
    "kale",
    "rhubarb",
    "lentils",
    "olives",
    "anchovies",
    "coriander",
    "beetroot",
    "liver",
    "aniseed",
    "marzipan",
    "capers",
    "tripe",
]


def look_alikes(count: int, seed: int = 1) -> list[str]:
    """So many different memories of the same kinds, none of which answers a question of the set."""
    random = Random(seed)  # noqa: S311 - the same in every run

    def who() -> str:
        return f"{random.choice(_PEOPLE)} {random.choice(_SURNAMES)}"

    def number() -> str:
        return f"{random.randint(1000, 9999)}"

    makers: Sequence[Callable[[], str]] = (
        lambda: f"The number of {who()} is 0711 666 {number()}",
        lambda: f"Box {random.randint(30, 900)} in the {random.choice(_PLACES)} has the {random.choice(_THINGS)}",
        lambda: f"The code of the locker of {who()} is {number()}",
        lambda: f"{who()} cannot stand {random.choice(_FOODS)}",
        lambda: (
            f"The birthday of {who()} is on the {random.randint(2, 28)}th of {random.choice(('June', 'July', 'May'))}"
        ),
        lambda: f"The {random.choice(_THINGS)} of {who()} is in our {random.choice(_PLACES)}",
        lambda: (
            f"The serial number of the {random.choice(_THINGS)} is {random.choice('ABCDEFGHK')}T-{number()}-{number()[:2]}"
        ),
        lambda: (
            f"Filter {random.choice('BCDEG')}F-{random.randint(10, 99)} fits the {random.choice(_THINGS)} of {who()}"
        ),
        lambda: f"I met {who()} at the market and we talked about the {random.choice(_THINGS)}",
        lambda: f"{who()} looks after the children on the {random.randint(2, 28)}th",
        lambda: f"The appointment with {who()} is on the {random.randint(2, 28)}th at {random.randint(8, 18)}",
        lambda: f"{who()} still has our {random.choice(_THINGS)}",
    )
    made: dict[str, None] = {}
    for maker in cycle(makers):
        made[maker()] = None
        if len(made) >= count:
            break
    return list(islice(made, count))
