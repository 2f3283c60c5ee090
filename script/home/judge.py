"""Says whether a command was acted on rightly: what changed in the home, what should have, what was answered."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
import re
import tomllib
from typing import Any

from .api import HomeAssistant
from .player import Turn
from .satellite import Timers

TABLE = tomllib.loads((Path(__file__).parent / "expectations.toml").read_text())
_WATCHED = {"climate", "counter", "cover", "light", "lock", "media_player", "todo"}
_ATTRIBUTES = ("brightness", "rgb_color", "temperature")
# Nobody waits for it where the home did as it should; only a busy machine takes longer than a moment.
_SETTLE_S = 5
_ACTED = {"action_done", "query_answer"}
_NOTHING_HEARD = "stt-no-text-recognized"

State = dict[str, Any]
Snapshot = dict[str, State]


def _key(sentence: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", sentence.lower()))


_ROWS: dict[str, dict[str, Any]] = {_key(row["say"]): row for row in TABLE["command"]}


@dataclass(frozen=True)
class Expectation:
    """What must come of a sentence; see expectations.toml."""

    before: dict[str, Any]
    asked: list[str]
    after: dict[str, State]
    timers: list[str] | None
    reply: str | None
    refused: bool


@dataclass(frozen=True)
class Verdict:
    """Whether a turn did what it should, what changed (entity id: before, after), and what was wrong."""

    changed: dict[str, tuple[str, str]]
    wrong: list[str]

    @property
    def done(self) -> bool:
        """Whether nothing was wrong."""
        return not self.wrong


def expectation(sentence: str) -> Expectation | None:
    """The row for a sentence or a recording's name; None when nobody wrote one."""
    row = _ROWS.get(_key(sentence))
    if row is None:
        return None
    return Expectation(
        before=row.get("before", {}),
        asked=row.get("asked", []),
        after={entity: _wanted(state) for entity, state in row.get("after", {}).items()},
        timers=row.get("timers"),
        reply=row.get("reply"),
        refused=row.get("refused", False),
    )


def _wanted(state: Any) -> State:
    return state if isinstance(state, dict) else {"state": state}


def same_words(heard: str | None, said: str) -> bool:
    """Whether the same words were heard, however they are written."""
    return _key(heard or "") == _key(said)


class Judge:
    """Sets the home up before a command and looks at it afterwards."""

    def __init__(self, home: HomeAssistant, timers: Timers, *, device_id: str) -> None:
        self._home = home
        self._timers = timers
        self._device_id = device_id
        self._before: Snapshot = {}

    async def prepare(self, wanted: Expectation | None) -> None:
        """Brings the home into the state in which the sentence is said; raises TimeoutError when it does not go there."""
        states = TABLE["baseline"] | (wanted.before if wanted else {})
        if self._timers.describe():
            await self._type("cancel all timers")
        await self._home.service("scene.apply", {"entities": states})
        for sentence in wanted.asked if wanted else []:
            await self._type(sentence)
        if not await self._settled({entity: _wanted(state) for entity, state in states.items()}):
            raise TimeoutError("the demo home did not take its starting state")
        self._before = await self._snapshot()

    async def verdict(self, turn: Turn, wanted: Expectation | None) -> Verdict:
        """What the turn changed and whether that is right; without an expectation, whether it was understood."""
        if wanted is not None and not wanted.refused:
            await self._settled(wanted.after)
        after = await self._snapshot()
        changed = {entity: after[entity] for entity in after if after[entity] != self._before.get(entity)}
        refused = wanted is not None and wanted.refused
        wrong = _misunderstood(turn, refused=refused)
        if wanted is not None:
            wrong += self._differences(wanted, after, changed, turn.reply or "")
        shown = {entity: (_show(self._before.get(entity, {})), _show(state)) for entity, state in changed.items()}
        return Verdict(shown, wrong)

    def _differences(self, wanted: Expectation, after: Snapshot, changed: Snapshot, reply: str) -> list[str]:
        wrong = [
            f"{entity} is {_show(after[entity])}" for entity in wanted.after if not _is(after, entity, wanted.after)
        ]
        wrong += [f"{entity} changed too" for entity in changed if entity not in wanted.after]
        if wanted.timers is not None and self._timers.describe() != wanted.timers:
            wrong.append(f"timers are {self._timers.describe()}")
        if wanted.reply is not None and not re.search(wanted.reply, reply, re.IGNORECASE):
            wrong.append(f"the reply lacks {wanted.reply}")
        return wrong

    async def _type(self, sentence: str) -> None:
        await self._home.call("conversation/process", text=sentence, language="en", device_id=self._device_id)

    async def _settled(self, states: dict[str, State]) -> bool:
        """Whether the home is, within some seconds, as described."""
        async with self._home.subscribe("subscribe_events", event_type="state_changed") as changes:
            try:
                async with asyncio.timeout(_SETTLE_S):
                    while True:
                        now = await self._snapshot(everything=True)
                        if all(_is(now, entity, states) for entity in states):
                            return True
                        await anext(changes)
            except TimeoutError:
                return False

    async def _snapshot(self, *, everything: bool = False) -> Snapshot:
        return {
            entity: {"state": state["state"]} | {name: state["attributes"].get(name) for name in _ATTRIBUTES}
            for entity, state in (await self._home.states()).items()
            if everything or entity.split(".")[0] in _WATCHED
        }


def _misunderstood(turn: Turn, *, refused: bool) -> list[str]:
    acted = turn.response_type in _ACTED
    if refused:
        failed = [turn.error] if turn.error and not turn.error.startswith(_NOTHING_HEARD) else []
        return [*failed, "took it for a command"] if acted else failed
    if turn.error:
        return [turn.error]
    return [] if acted else ["not understood"]


def _is(snapshot: Snapshot, entity: str, wanted: dict[str, State]) -> bool:
    state = snapshot.get(entity, {})
    return all(state.get(name) == value for name, value in wanted[entity].items())


def _show(state: State) -> str:
    details = [f"{name} {state[name]}" for name in _ATTRIBUTES if state.get(name) is not None]
    return ", ".join([str(state.get("state", "absent")), *details])
