"""Two who live in the demo home: their voices are learnt from recordings, and what one tells Barnabee stays theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
import re

from .api import ApiError, HomeAssistant
from .audio import RATE_HZ, write_wav
from .commands import synthesised

# What they read aloud to be known by afterwards: any sentences of three seconds or so.
READ_ALOUD = (
    "The river was high after so many days of rain.",
    "My sister plays the violin better than anybody else.",
    "We should leave before eight to catch the early train.",
    "There is fresh bread on the table and soup on the stove.",
    "Nobody remembers who planted the old apple tree.",
)


@dataclass(frozen=True)
class Person:
    """Somebody who speaks like the demo's one voice out of a smaller or larger throat."""

    name: str
    pitch: float


@dataclass(frozen=True)
class Line:
    """What somebody says; `reply` is a regular expression that the answer must hold, and `never` one that it must not."""

    who: Person
    said: str
    reply: str = ""
    never: str | None = None

    def wrong(self, reply: str | None, speaker: str | None) -> list[str]:
        """What was wrong with an answer and with whom it was given to."""
        answer = reply or ""
        found = [] if speaker == self.who.name else [f"taken for {speaker or 'a guest'}"]
        if not re.search(self.reply, answer, re.IGNORECASE):
            found.append(f"the reply lacks {self.reply}")
        if self.never is not None and re.search(self.never, answer, re.IGNORECASE):
            found.append(f"the reply gives away {self.never}")
        return found


# Voice prints of the two are 0.6 to 0.73 alike (cosine), those of one 0.84 and more.
ADA, BEN = Person("Ada", 1.08), Person("Ben", 0.88)
PEOPLE = (ADA, BEN)
_CODE = "4 7 1 1"
LINES = (
    Line(ADA, "turn on the lights"),
    Line(ADA, f"remember that my bike code is {_CODE}", reply="remember"),
    Line(BEN, "what is my bike code", never=r"4\D*7\D*1\D*1"),
    Line(ADA, "what is my bike code", reply=f"your bike code is {_CODE}"),
)


async def move_in(home: HomeAssistant, people: Sequence[Person], engine: str, media: Path) -> dict[str, str]:
    """Adds people as in the UI and has their voices learnt from recordings in the home's media folder.

    Returns their names by the key that turns are told with; raises ApiError when a recording was not good enough.
    """
    for person in people:
        await add_person(home, person.name)
        await _learn(home, person, engine, media)
    subentries = await home.call("config_entries/subentries/list", entry_id=await home.entry_id("barnabeenet"))
    return {f"person {each['subentry_id']}": each["title"] for each in subentries if each["subentry_type"] == "person"}


async def add_person(home: HomeAssistant, name: str) -> None:
    """Adds somebody to the integration's entry as in the UI, who may open nothing; raises ApiError."""
    flow = await home.begin_subentry(await home.entry_id("barnabeenet"), "person")
    await home.answer_subentry(flow, {"name": name, "may": "no", "only_when_sure": False})


async def _learn(home: HomeAssistant, person: Person, engine: str, media: Path) -> None:
    folder = media / "voices" / person.name
    await asyncio.to_thread(folder.mkdir, parents=True)
    files = []
    for number, text in enumerate(READ_ALOUD, start=1):
        clip = await synthesised(home, engine, text, pitch=person.pitch)
        files.append(str(folder / f"{number}.wav"))
        await asyncio.to_thread(write_wav, Path(files[-1]), clip.samples, rate_hz=RATE_HZ)
    learnt = await home.action("barnabeenet.enroll_speaker", {"person": person.name, "files": files})
    if learnt["missing"]:
        feedback = ", ".join(f"{Path(each['file']).name} {each['feedback']}" for each in learnt["files"])
        raise ApiError(f"the voice of {person.name} was not learnt: {feedback}")
