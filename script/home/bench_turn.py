"""A turn's own time: local sentences against Home Assistant's agent, and what is added to a language model's time."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
import cProfile
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle, islice
import json
import logging
from pathlib import Path
import pstats
from statistics import median
import sys
import time

import aiohttp
from homeassistant.helpers.httpx_client import get_async_client
import httpx

from custom_components.barnabeenet.dialog.context import Event, Heard, Memory, Profile, Sources, Weather, gather
from custom_components.barnabeenet.dialog.things import Reading, Things
from custom_components.barnabeenet.providers.base import Caller, Message, Prompt
from custom_components.barnabeenet.providers.chain import Chain
from custom_components.barnabeenet.providers.factory import open_provider
from custom_components.barnabeenet.providers.settings import Settings
from custom_components.barnabeenet.telemetry.trace import VoiceContext

from . import report
from .api import ApiError
from .bench_home import HOME_ASSISTANT_AGENT, BigHome, big_home
from .commands import SPOKEN
from .hass import HERE
from .mock_model import MODEL
from .process import Process, ProcessFailed, free_port
from .stage import workplace

ENTITIES, ROUNDS, QUESTIONS = 2_300, 15, 30
MODEL_FIRST_TOKEN_S, MODEL_TOKEN_S = 0.05, 0.005
_START_S = 20
_TOPICS = ("geese", "volcanoes", "whales", "comets", "glaciers", "violins", "bridges", "deserts", "tides", "mushrooms")
_ASKED = ("tell me something about {}", "what do people love about {}", "who knows the most about {}")
_ASKED_OF_HOME = ("would {} like it in the kitchen", "is our bed light good for {}", "do {} mind if a door is open")
_THROWN_AWAY = 2
# What sources of a home take, in seconds.
_DELAYS_S = {"memories": 0.03, "calendar": 0.06, "weather": 0.05, "profile": 0.005}


@dataclass(frozen=True)
class Mock:
    """The language model, in a process of its own: it has its own core, and its clock is the system's."""

    address: str
    http: aiohttp.ClientSession

    async def requests(self) -> list[dict[str, float]]:
        """Those that came since the last time."""
        async with self.http.get(f"{self.address}/requests") as response:
            told: list[dict[str, float]] = await response.json()
            return told


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Mock]:
    """The mock until the block is left."""
    port = free_port()
    speed = ["--first-token-s", str(MODEL_FIRST_TOKEN_S), "--token-s", str(MODEL_TOKEN_S)]
    command = [sys.executable, "-m", "home.mock_model", "--port", str(port), *speed]
    process = Process(command, log=folder / "mock.out", env={"PYTHONPATH": str(HERE.parent)})
    async with process, aiohttp.ClientSession() as http:
        address = f"http://127.0.0.1:{port}"
        await process.until_answered(f"{address}/v1/models", within_s=_START_S)
        yield Mock(address, http)


async def timed_ms(work: Callable[[], Awaitable[object]]) -> float:
    """Milliseconds that something takes."""
    began_s = time.perf_counter()
    await work()
    return (time.perf_counter() - began_s) * 1000


# Local sentences


async def local(home: BigHome, rounds: int) -> dict[str, float]:
    """The same sentences to both agents, who begins changing each time; the first round only warms both up."""
    times: dict[str, dict[str, list[float]]] = {agent: {} for agent in (home.agent, HOME_ASSISTANT_AGENT)}
    for number in range(rounds + 1):
        for at, sentence in enumerate(SPOKEN):
            for agent in sorted(times, reverse=(number + at) % 2 == 0):
                spent_ms = await timed_ms(lambda text=sentence, by=agent: home.say(text, by))  # type: ignore[misc]
                await home.hass.async_block_till_done()
                if number:
                    times[agent].setdefault(sentence, []).append(spent_ms)
    medians = {agent: {text: median(spent) for text, spent in of.items()} for agent, of in times.items()}
    ours, theirs = medians[home.agent], medians[HOME_ASSISTANT_AGENT]
    ratios = {text: ours[text] / theirs[text] for text in ours}
    for text, ratio in ratios.items():
        report.note(f"{text:<32}{ours[text]:>8.1f} ms ours {theirs[text]:>8.1f} ms theirs {ratio:>6.2f}")
    return {
        "ratio_local_to_ha_agent": round(median(ratios.values()), 3),
        "ratio_local_to_ha_agent_worst": round(max(ratios.values()), 3),
        "local_ms_median": round(median(ours.values()), 2),
        "ha_agent_ms_median": round(median(theirs.values()), 2),
    }


# Questions for a language model


def questions(count: int, asked: Sequence[str]) -> list[str]:
    """Each another one, so that nobody can have kept an answer."""
    pairs = [(words, topic) for topic in _TOPICS for words in asked]
    return [
        words.format(topic) + " again" * (number // len(pairs)) for number, (words, topic) in _numbered(pairs, count)
    ]


def _numbered(pairs: Sequence[tuple[str, str]], count: int) -> Iterator[tuple[int, tuple[str, str]]]:
    return enumerate(islice(cycle(pairs), count))


async def talk(home: BigHome, mock: Mock, count: int) -> dict[str, float]:
    """What is added to a model's time by questions about the world, and by those that might be commands of the home."""
    world = await _overhead(home, mock, questions(count, _ASKED))
    about_home = await _overhead(home, mock, questions(count, _ASKED_OF_HOME))
    return {f"llm_overhead_{name}": spent for name, spent in world.items()} | {
        f"llm_overhead_of_home_{name}": spent for name, spent in about_home.items()
    }


async def _overhead(home: BigHome, mock: Mock, asked: Sequence[str]) -> dict[str, float]:
    """From a sentence to the arrival of the request, and what is added until the first words are out.

    The first two questions are thrown away.
    """
    before_ms, after_ms, stages = list[float](), list[float](), dict[str, list[float]]()
    for number, question in enumerate(asked):
        home.turns.clear()
        await mock.requests()
        began_s = time.monotonic()
        await home.say(question, home.agent)
        requests = await mock.requests()
        if len(requests) != 1:
            raise ProcessFailed(f"{question!r} was not left to the model: {home.turns[-1]['reply']!r}")
        if number < _THROWN_AWAY:
            continue
        turn, request = home.turns[-1], requests[0]
        before_ms.append((request["arrived_s"] - began_s) * 1000)
        words_ms = next(stage["start_ms"] for stage in turn["stages"] if stage["name"] == "first words")
        after_ms.append(words_ms - (request["first_sentence_s"] - request["arrived_s"]) * 1000)
        for stage in turn["stages"]:
            if stage["duration_ms"] > 0.1:
                stages.setdefault(stage["name"], []).append(stage["duration_ms"])
    told = ", ".join(f"{name} {median(spent):.1f} ({len(spent)} times)" for name, spent in stages.items())
    report.note(f"stages of a question such as {asked[0]!r}, medians in ms: {told}")
    return {
        "ms_median": round(median(before_ms), 2),
        "ms_worst": round(max(before_ms), 2),
        "to_first_words_ms_median": round(median(after_ms), 2),
    }


# A provider that is dead


async def dead_provider(home: BigHome, mock: Mock, rounds: int) -> dict[str, float]:
    """What a dead provider in the first place adds until the second one is asked, and once it is left alone."""
    http = get_async_client(home.hass)
    # It tells of every failure, and these are wanted.
    logging.getLogger(Chain.__module__).setLevel(logging.ERROR)
    ways = {"refuses": f"http://127.0.0.1:{free_port()}/v1", "500": f"{mock.address}/broken/v1"}
    good = await open_provider(_settings("good", f"{mock.address}/v1"), http)
    alone = await _asked_ms(lambda: Chain([good], lambda _: None), mock, rounds)
    found: dict[str, float] = {}
    for name, address in ways.items():
        dead = await open_provider(_settings("dead", address), http)
        fresh = await _asked_ms(lambda: Chain([dead, good], lambda _: None), mock, rounds)  # noqa: B023
        resting = Chain([dead, good], lambda _: None)
        for _ in range(6):
            await _ask(resting)
        opened = await _asked_ms(lambda: resting, mock, rounds)  # noqa: B023
        found[f"dead_provider_cost_ms_{name}"] = round(fresh - alone, 2)
        found[f"dead_provider_cost_ms_{name}_once_known"] = round(opened - alone, 2)
    return {"dead_provider_cost_ms": max(found[f"dead_provider_cost_ms_{name}"] for name in ways), **found}


def _settings(name: str, address: str) -> Settings:
    return Settings(name=name, kind="openai_compatible", model=MODEL, tier="cloud_fast", base_url=address)


async def _asked_ms(chain: Callable[[], Chain], mock: Mock, rounds: int) -> float:
    """Milliseconds from the question to the arrival at the one who answers, the median; the first is thrown away."""
    spent_ms = []
    for _ in range(rounds + 1):
        asked = chain()
        await mock.requests()
        began_s = time.monotonic()
        await _ask(asked)
        (request,) = await mock.requests()
        spent_ms.append((request["arrived_s"] - began_s) * 1000)
    return median(spent_ms[1:])


async def _ask(chain: Chain) -> None:
    prompt = Prompt("You are Barnabee.", "", "", [Message("user", "Hello")], [], 100)
    async for _ in chain.stream(prompt, tiers=("cloud_fast",), caller=Caller("bench", "interaction")):
        pass


# The context


class _Slow:
    """Every source of a home, each with its delay."""

    async def recall(self, text: str, **_: object) -> list[Memory]:
        await asyncio.sleep(_DELAYS_S["memories"])
        return [Memory(text, 0.9)]

    async def events(self, start: datetime, end: datetime, **_: object) -> list[Event]:
        await asyncio.sleep(_DELAYS_S["calendar"])
        return [Event(start, end, "Swimming")]

    async def weather(self, language: str) -> Weather:
        await asyncio.sleep(_DELAYS_S["weather"])
        return Weather("Home", language)

    async def profile(self, speaker: str) -> Profile:
        await asyncio.sleep(_DELAYS_S["profile"])
        return Profile(speaker)


class _NoHouse:
    things = Things()

    def reading(self, entity_id: str) -> Reading | None:
        """Nothing is there."""


async def context(home: BigHome, rounds: int) -> dict[str, float]:
    """All sources at once against one after the other, of the large home."""
    slow, none = _Slow(), _NoHouse()
    house = home.entry.runtime_data.brain.mind.sources.house
    whole = Sources(house, slow, slow, slow, slow)
    single = (
        Sources(house),
        *(Sources(none, **{name: slow}) for name in ("memories", "calendars", "weather", "profiles")),
    )
    heard = Heard("how will the weather be and is the kitchen lit", "en", "Anna", "1", "Kitchen", datetime.now(UTC))

    async def in_sequence() -> None:
        for source in single:
            await gather(source, heard, VoiceContext())

    parallel, sequence = list[float](), list[float]()
    for _ in range(rounds + 1):
        parallel.append(await timed_ms(lambda: gather(whole, heard, VoiceContext())))
        sequence.append(await timed_ms(in_sequence))
    together_ms, apart_ms = median(parallel[1:]), median(sequence[1:])
    return {
        "context_parallel_ratio": round(together_ms / apart_ms, 3),
        "context_parallel_ms": round(together_ms, 2),
        "context_sequence_ms": round(apart_ms, 2),
    }


async def bench(folder: Path, asked: argparse.Namespace) -> dict[str, float]:
    """Runs all of it in one home; returns the figures."""
    async with served(folder) as mock:
        provider = {
            "name": "Mock",
            "kind": "openai_compatible",
            "base_url": f"{mock.address}/v1",
            "model": MODEL,
            "tier": "local",
            "order": 1,
        }
        async with big_home(folder / "home", entities=asked.entities, providers=[provider]) as home:
            found: dict[str, float] = {"entities": len(home.entry.runtime_data.brain.mind.sources.house.things)}
            # The home's names are still being read when it has just started: what bears that comes first.
            found |= await context(home, asked.rounds)
            found |= await dead_provider(home, mock, asked.rounds)
            with _profiled(asked.profile):
                found |= await talk(home, mock, asked.questions)
            return found | await local(home, asked.rounds)


class _profiled:  # noqa: N801 - reads as what it does
    """Tells where the time of the block goes, if a person asked for it."""

    def __init__(self, wanted: bool) -> None:
        self._profile = cProfile.Profile() if wanted else None

    def __enter__(self) -> None:
        if self._profile is not None:
            self._profile.enable()

    def __exit__(self, *_: object) -> None:
        if self._profile is not None:
            self._profile.disable()
            pstats.Stats(self._profile, stream=sys.stderr).sort_stats("cumulative").print_stats(60)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="script/bench turn", description=__doc__)
    parser.add_argument("--entities", type=int, default=ENTITIES, help="exposed ones in all (%(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each sentence is said (%(default)s)")
    parser.add_argument("--questions", type=int, default=QUESTIONS, help="for the language model (%(default)s)")
    parser.add_argument("--profile", action="store_true", help="tell where the time of the questions goes")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    return parser.parse_args()


def main() -> int:
    """Prints the figures, or one JSON object as the last line; returns 0, or 2 when the bench could not be held."""
    asked = arguments()
    try:
        with workplace("bench_turn") as folder:
            found = asyncio.run(bench(folder, asked))
    except (ApiError, ProcessFailed, TimeoutError, OSError, aiohttp.ClientError, httpx.HTTPError) as error:
        report.note(f"error: {error or type(error).__name__}")
        return 2
    if asked.json:
        print(json.dumps({"bench": "turn", "figures": found}))
    else:
        print("\n".join(f"{name:<44}{figure:>10}" for name, figure in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
