"""Commands that are prepared, carried out early and put back while people are still speaking."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
import logging
from typing import Any, Final, NamedTuple

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
import pytest

from custom_components.barnabeenet.dialog.speculate import CannotAct, Plan, Speculation, Speculator, said


class Lamp(NamedTuple):
    """On or off, and how bright it is when on."""

    is_on: bool
    brightness: int = 100
    effect: bool = False


LAMPS: Final = ("lamp", "strip", "spot")
COMMANDS: Final[dict[str, dict[str, Lamp | None]]] = {
    # Turned on, each keeps its brightness.
    "turn on the lamp": {"lamp": None},
    "turn on the lamp strip": {"strip": None},
    "turn off the lamp": {"lamp": Lamp(False)},
    "turn off everything": dict.fromkeys(LAMPS, Lamp(False)),
    "unlock the door": {"door": Lamp(True)},
}
Listener = Callable[[str, Lamp | None, str], None]


class Home:
    """Lamps and a door. What changes may be reported late, and commands wait for `gate`."""

    def __init__(self) -> None:
        self.things = dict.fromkeys((*LAMPS, "door"), Lamp(False))
        self.reported = dict(self.things)
        self.reports: list[tuple[str, Lamp, str]] = []
        self.late = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.arrived = asyncio.Event()
        self.fails_at: str | None = None
        self.cannot_restore: frozenset[str] = frozenset()
        self.listeners: list[tuple[Sequence[str], Listener]] = []
        self.planned: list[str] = []
        self.restoring: list[str] = []
        self.restored: list[str] = []
        self.last_mark = ""
        self.marks = 0

    async def plan(self, text: str, language: str, device_id: str | None) -> Plan | None:
        self.planned.append(text)
        things = COMMANDS.get(said(text))
        if things is None:
            return None
        return Plan(text, f"{text}, done", () if "door" in things else tuple(things), things)

    def mark(self) -> str:
        self.marks += 1
        return f"mark {self.marks}"

    def state(self, thing: str) -> Lamp | None:
        return None if self.reported[thing].effect else self.reported[thing]

    def watch(self, things: Sequence[str], changed: Listener) -> Callable[[], None]:
        entry = (things, changed)
        self.listeners.append(entry)
        return lambda: self.listeners.remove(entry)

    async def carry_out(self, plan: Plan, mark: str) -> None:
        self.last_mark = mark
        for thing in plan.action:
            self.arrived.set()
            await self.gate.wait()
            if thing == self.fails_at:
                raise CannotAct(f"{thing} does not answer")
            self.obey(thing, plan.action[thing], mark)

    async def restore(self, thing: str, state: Lamp, mark: str) -> None:
        self.restoring.append(thing)
        await asyncio.sleep(0)
        if thing in self.cannot_restore:
            raise CannotAct(f"{thing} does not answer")
        self.restored.append(thing)
        self.set(thing, state, mark)

    def obey(self, thing: str, wanted: Lamp | None, mark: str = "") -> None:
        now = self.things[thing]
        self.set(thing, now._replace(is_on=True if wanted is None else wanted.is_on), mark)

    def set(self, thing: str, state: Lamp, mark: str = "") -> None:
        self.things[thing] = state
        self.reports.append((thing, state, mark))
        if not self.late or not mark:
            self.report()

    def report(self) -> None:
        while self.reports:
            thing, state, mark = self.reports.pop(0)
            self.reported[thing] = state
            for things, changed in tuple(self.listeners):
                if thing in things:
                    changed(thing, self.state(thing), mark)

    def turn(self, text: str) -> None:
        """What the turn does with the final words."""
        for thing, wanted in COMMANDS.get(said(text), {}).items():
            self.obey(thing, wanted)


class Voice:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def ask_ahead(self, text: str, language: str) -> None:
        self.asked.append(text)


@dataclass
class Scene:
    home: Home
    voice: Voice
    speculator: Speculator[Lamp]

    def begin(self, *, may_act: bool = True) -> Speculation[Lamp]:
        return self.speculator.begin("en", None, may_act=may_act)

    async def acted(self, speculation: Speculation[Lamp], text: str = "turn on the lamp") -> None:
        """Words that are stable, until they have been acted on as far as the gate lets it come."""
        self.home.arrived.clear()
        stable(speculation, text)
        await self.home.arrived.wait()
        if self.home.gate.is_set():
            await asyncio.sleep(0)


@pytest.fixture
async def scene() -> Scene:
    home, voice = Home(), Voice()
    return Scene(home, voice, Speculator(home, voice))


def stable(speculation: Speculation[Lamp], text: str, silence_ms: float = 400, confidence: float | None = None) -> None:
    speculation.hear(text, stable=True, silence_ms=silence_ms, confidence=confidence)


async def test_a_whole_command_is_prepared_and_done_early_and_not_undone_when_it_is_right(scene: Scene) -> None:
    speculation = scene.begin()
    await scene.acted(speculation)
    assert scene.home.things["lamp"].is_on
    assert scene.voice.asked == ["turn on the lamp, done"]
    await speculation.settle("Turn on the lamp.")
    assert scene.home.things["lamp"].is_on
    assert scene.speculator.counts == {"prepared": 1, "acted": 1, "confirmed": 1, "undone": 0}
    assert scene.home.listeners == []


async def test_other_final_words_put_everything_back_before_they_are_acted_on(scene: Scene) -> None:
    scene.home.things["lamp"] = scene.home.reported["lamp"] = Lamp(True, 30)
    speculation = scene.begin()
    await scene.acted(speculation, "turn off everything")
    assert not scene.home.things["lamp"].is_on
    await speculation.settle("turn off everything tomorrow")
    assert scene.home.things["lamp"] == Lamp(True, 30)
    assert scene.speculator.counts["undone"] == 1
    assert scene.home.listeners == []


async def test_words_that_go_on_put_it_back_at_once_and_the_longer_command_is_done_after_that(scene: Scene) -> None:
    speculation = scene.begin()
    await scene.acted(speculation)
    speculation.hear("turn on the lamp str", stable=False, silence_ms=0)
    await scene.acted(speculation, "turn on the lamp strip")
    assert (scene.home.things["lamp"], scene.home.things["strip"]) == (Lamp(False), Lamp(True))
    await speculation.settle("turn on the lamp strip")
    assert scene.home.things["strip"].is_on


async def test_a_lock_is_prepared_and_never_opened_early(scene: Scene) -> None:
    speculation = scene.begin()
    stable(speculation, "unlock the door")
    await speculation.settle("unlock the door")
    assert scene.voice.asked == ["unlock the door, done"]
    assert scene.home.things["door"] == Lamp(False)
    assert scene.speculator.counts["acted"] == 0


async def test_where_another_agent_may_answer_nothing_is_done_early(scene: Scene) -> None:
    speculation = scene.begin(may_act=False)
    stable(speculation, "turn on the lamp")
    await speculation.settle("turn on the lamp")
    assert scene.home.things["lamp"] == Lamp(False)
    assert scene.speculator.counts == {"prepared": 1, "acted": 0, "confirmed": 0, "undone": 0}


async def test_what_cannot_be_put_back_exactly_now_is_not_touched(scene: Scene) -> None:
    scene.home.things["spot"] = scene.home.reported["spot"] = Lamp(True, effect=True)
    speculation = scene.begin()
    stable(speculation, "turn off everything")
    await speculation.settle("turn off everything")
    assert scene.home.things["spot"] == Lamp(True, effect=True)
    assert scene.speculator.counts["acted"] == 0


@pytest.mark.parametrize(
    ("is_stable", "confidence", "guessed"),
    [(True, None, True), (True, 0.95, True), (True, 0.949, False), (False, 1.0, False), (False, None, False)],
)
async def test_only_stable_and_confident_words_are_believed(
    scene: Scene, is_stable: bool, confidence: float | None, guessed: bool
) -> None:
    speculation = scene.begin()
    speculation.hear("turn on the lamp", stable=is_stable, silence_ms=400, confidence=confidence)
    await speculation.settle("turn on the lamp")
    assert scene.home.planned == ["turn on the lamp"] * guessed


async def test_a_short_pause_prepares_and_does_nothing_yet(scene: Scene) -> None:
    speculation = scene.begin()
    # A second more of silence would be needed.
    stable(speculation, "turn on the lamp", silence_ms=-800)
    stable(speculation, "turn on the lamp strip", silence_ms=-800)
    await speculation.settle("turn on the lamp")
    assert scene.speculator.counts["acted"] == 0
    assert scene.home.things["lamp"] == Lamp(False)


async def test_what_somebody_changed_meanwhile_is_left_alone_and_the_rest_put_back(scene: Scene) -> None:
    scene.home.things |= dict.fromkeys(LAMPS, Lamp(True, 80))
    scene.home.reported |= scene.home.things
    speculation = scene.begin()
    await scene.acted(speculation, "turn off everything")
    await asyncio.sleep(0)
    scene.home.set("strip", Lamp(True, 5))
    await speculation.settle("what time is it")
    assert scene.home.things["strip"] == Lamp(True, 5)
    assert scene.home.things["lamp"] == scene.home.things["spot"] == Lamp(True, 80)
    assert scene.home.restored == ["lamp", "spot"]


async def test_a_change_that_our_command_overtook_is_what_is_put_back(scene: Scene) -> None:
    scene.home.gate.clear()
    speculation = scene.begin()
    await scene.acted(speculation)
    scene.home.set("lamp", Lamp(False, 7))
    scene.home.gate.set()
    await speculation.settle("never mind")
    assert scene.home.things["lamp"] == Lamp(False, 7)


async def test_a_change_before_our_command_came_into_effect_is_put_back_although_that_is_not_reported_yet(
    scene: Scene,
) -> None:
    scene.home.gate.clear()
    speculation = scene.begin()
    await scene.acted(speculation)
    scene.home.set("lamp", Lamp(False, 7))
    scene.home.late = True
    scene.home.gate.set()
    await speculation.settle("never mind")
    scene.home.report()
    assert scene.home.things["lamp"] == Lamp(False, 7)


@pytest.mark.parametrize("is_late", [False, True])
async def test_a_switch_that_is_used_while_a_thing_is_put_back_has_the_last_word(scene: Scene, is_late: bool) -> None:
    speculation = scene.begin()
    await scene.acted(speculation)
    scene.home.late = is_late
    settling = asyncio.create_task(speculation.settle(None))
    while not scene.home.restoring:
        await asyncio.sleep(0)
    scene.home.set("lamp", Lamp(False, 7))
    await settling
    scene.home.report()
    assert scene.home.things["lamp"] == Lamp(False, 7)


async def test_our_command_may_come_into_effect_after_somebody_elses_change(scene: Scene) -> None:
    speculation = scene.begin()
    await scene.acted(speculation)
    scene.home.set("lamp", Lamp(False, 7))
    scene.home.set("lamp", Lamp(True, 7), scene.home.last_mark)
    await speculation.settle("never mind")
    assert scene.home.things["lamp"] == Lamp(False, 7)


async def test_what_is_reported_late_is_put_back_all_the_same(scene: Scene) -> None:
    scene.home.late = True
    speculation = scene.begin()
    await scene.acted(speculation)
    await speculation.settle("never mind")
    scene.home.report()
    assert scene.home.things["lamp"] == Lamp(False)


async def test_a_command_that_fails_half_way_is_put_back_half_way(scene: Scene) -> None:
    scene.home.things |= dict.fromkeys(LAMPS, Lamp(True))
    scene.home.reported |= scene.home.things
    scene.home.fails_at = "strip"
    speculation = scene.begin()
    await scene.acted(speculation, "turn off everything")
    await speculation.settle(None)
    assert [scene.home.things[lamp] for lamp in LAMPS] == [Lamp(True)] * 3


async def test_what_cannot_be_put_back_is_told_and_the_rest_is(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.home.things |= dict.fromkeys(LAMPS, Lamp(True))
    scene.home.reported |= scene.home.things
    scene.home.cannot_restore = frozenset({"lamp"})
    speculation = scene.begin()
    await scene.acted(speculation, "turn off everything")
    with caplog.at_level(logging.WARNING):
        await speculation.settle(None)
    assert scene.home.things["spot"] == Lamp(True)
    assert "Could not put back lamp: lamp does not answer" in caplog.text


async def test_a_home_that_fails_altogether_harms_no_turn(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.home.plan = None  # type: ignore[assignment, method-assign]
    speculation = scene.begin()
    stable(speculation, "turn on the lamp")
    with caplog.at_level(logging.ERROR):
        await speculation.settle("turn on the lamp")
    assert "Could not get ready for a command" in caplog.text


async def test_a_light_that_does_not_answer_keeps_no_turn_waiting_and_is_put_back_later(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("custom_components.barnabeenet.dialog.speculate.UNDO_MAX_S", 0.0)
    scene.home.gate.clear()
    speculation = scene.begin()
    await scene.acted(speculation)
    await speculation.settle("never mind")
    assert "takes long to be put back" in caplog.text
    scene.home.gate.set()
    await scene.speculator.close()
    while scene.home.listeners:
        await asyncio.sleep(0)
    assert scene.home.things["lamp"] == Lamp(False)


async def test_shutting_down_puts_back_what_nobody_confirmed(scene: Scene) -> None:
    await scene.acted(scene.begin())
    await scene.acted(scene.begin(), "turn on the lamp strip")
    await scene.speculator.close()
    assert set(scene.home.things.values()) == {Lamp(False)}


async def test_a_cancelled_pipeline_leaves_nothing_behind(scene: Scene) -> None:
    speculation = scene.begin()
    scene.home.gate.clear()
    await scene.acted(speculation)
    settling = asyncio.create_task(speculation.settle(None))
    await asyncio.sleep(0)
    settling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await settling
    scene.home.gate.set()
    while scene.home.listeners:
        await asyncio.sleep(0)
    assert scene.home.things["lamp"] == Lamp(False)


async def test_after_the_final_words_nothing_is_heard_and_nothing_settled_twice(scene: Scene) -> None:
    speculation = scene.begin()
    await speculation.settle("turn on the lamp")
    stable(speculation, "turn on the lamp")
    await speculation.settle(None)
    assert scene.home.planned == []


TEXTS: Final = st.sampled_from([*COMMANDS, "turn on the", "what time is it", ""])
# Without effects, which nobody can put back: one that is begun while our command is on its way is lost.
STATES: Final = st.builds(Lamp, st.booleans(), st.sampled_from([1, 50, 100]), st.just(False))


class AnyUtterance(RuleBasedStateMachine):
    """Beside the home there is a twin that hears only final words."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.home, self.twin, self.speculator = self.run(self.furnish())
        self.speculation: Speculation[Lamp] | None = None

    def run(self, doing: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(doing)

    async def furnish(self) -> tuple[Home, Home, Speculator[Lamp]]:
        home = Home()
        return home, Home(), Speculator(home, Voice())

    @rule(text=TEXTS, is_stable=st.booleans(), short_pause=st.booleans(), steps=st.integers(0, 12))
    def words_are_heard(self, text: str, is_stable: bool, short_pause: bool, steps: int) -> None:
        self.run(self.hear(text, is_stable, -100_000 if short_pause else 1_000, steps))

    @rule(text=st.sampled_from([*COMMANDS]))
    def a_command_is_heard(self, text: str) -> None:
        self.run(self.hear(text, True, 1_000, 12))

    async def hear(self, text: str, is_stable: bool, silence_ms: float, steps: int) -> None:
        if self.speculation is None:
            self.speculation = self.speculator.begin("en", None, may_act=True)
        self.speculation.hear(text, stable=is_stable, silence_ms=silence_ms)
        for _ in range(steps):
            await asyncio.sleep(0)

    @rule(thing=st.sampled_from([*LAMPS, "door"]), state=STATES)
    def somebody_uses_a_switch(self, thing: str, state: Lamp) -> None:
        self.home.set(thing, state)
        self.twin.set(thing, state)

    @rule(fails_at=st.sampled_from([*LAMPS, None]))
    def something_breaks_or_is_mended(self, fails_at: str | None) -> None:
        self.home.fails_at = fails_at

    @rule(is_open=st.booleans(), late=st.booleans())
    def the_home_is_slow_or_quick(self, is_open: bool, late: bool) -> None:
        self.home.gate.set() if is_open else self.home.gate.clear()
        self.home.late = late

    @rule()
    def reports_arrive(self) -> None:
        self.home.report()

    @precondition(lambda self: self.speculation is not None)
    @rule(final=st.one_of(st.none(), TEXTS), shuts_down=st.booleans())
    def the_final_words_are_heard(self, final: str | None, shuts_down: bool) -> None:
        async def settle() -> None:
            assert self.speculation is not None
            settling = asyncio.create_task(
                self.speculator.close() if shuts_down and final is None else self.speculation.settle(final)
            )
            await asyncio.sleep(0)
            self.home.gate.set()
            await settling

        self.run(settle())
        self.speculation = None
        if final is not None:
            self.home.turn(final)
            self.twin.turn(final)
        self.home.report()
        assert self.home.things == self.twin.things
        assert self.home.listeners == []

    def teardown(self) -> None:
        self.home.gate.set()
        self.run(self.speculator.close())
        self.runner.close()


TestAnyUtterance = AnyUtterance.TestCase
TestAnyUtterance.settings = settings(max_examples=60, stateful_step_count=20)
