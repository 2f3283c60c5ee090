"""Getting ready for a command while it may still be going on.

When the words so far are a whole command, its reply is prepared. Where waiting for the last word would cost time and
everything can be put back exactly, the command is carried out early as well; the turn itself carries it out again, which
changes nothing. If the final words are others, all is put back before they are acted on. Afterwards the home is as if
only the final words had been heard, but for an effect that somebody begins on a light while our command is on its way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
import logging
from typing import Any, Final, Generic, Protocol, TypeVar

_LOGGER = logging.getLogger(__name__)

CONFIDENT: Final = 0.95
# By the sidecar's ear, which notices silence some 150 ms after it began: seldom does anybody pause for that long within a
# sentence. The end of speech is certain after 700 ms.
ACT_AFTER_SILENCE_MS: Final = 200.0
# The turn does not wait longer for a light that does not answer.
UNDO_MAX_S: Final = 2.0
# What was right is only ended before it is done again, so that the second time comes second.
CONFIRM_MAX_S: Final = 0.2
# Somebody who goes on using a switch has the last word anyway.
RESTORES_MAX: Final = 3

StateT = TypeVar("StateT")


class CannotAct(Exception):
    """Something in the home could not be changed; the text says what."""


@dataclass(frozen=True)
class Plan:
    """A whole command: the reply it will have, as far as that is known before, and how it is carried out.

    `undoable` are the ids of all that it changes, when each can be put back exactly and nothing else follows from it;
    otherwise it is empty.
    """

    text: str
    reply: str | None = None
    undoable: tuple[str, ...] = ()
    action: Any = None


class Home(Protocol[StateT]):
    """What can be commanded. A mark tells the changes that we make from those that others make."""

    async def plan(self, text: str, language: str, device_id: str | None) -> Plan | None:
        """What a sentence would do; None when it is no whole command. Changes nothing."""

    def mark(self) -> str:
        """A mark that was never used."""

    def state(self, thing: str) -> StateT | None:
        """Everything that is needed to put a thing back as it is now; None when that is not possible."""

    def watch(self, things: Sequence[str], changed: Callable[[str, StateT | None, str], None]) -> Callable[[], None]:
        """Tells of each change a thing's id, its new state as above and the mark, until the returned function is called."""

    async def carry_out(self, plan: Plan, mark: str) -> None:
        """Does it and returns when it is done; raises CannotAct, perhaps half way."""

    async def restore(self, thing: str, state: StateT, mark: str) -> None:
        """Puts one thing back; raises CannotAct."""


class Voice(Protocol):
    """What speaks the reply."""

    def ask_ahead(self, text: str, language: str) -> None:
        """Has a reply's audio made, in the background, in the hope that it will be spoken; never raises."""


class Speculator(Generic[StateT]):
    """Makes a speculation for each utterance and ends those that are open when the house shuts down."""

    def __init__(self, home: Home[StateT], voice: Voice) -> None:
        self._home = home
        self._voice = voice
        self._open: set[Speculation[StateT]] = set()
        self.counts: dict[str, int] = {"prepared": 0, "acted": 0, "confirmed": 0, "undone": 0}

    def begin(self, language: str, device_id: str | None, *, may_act: bool) -> Speculation[StateT]:
        """For one utterance, which must be settled; `may_act` says that our own agent will carry out its final words."""
        speculation = Speculation(self._home, self._voice, language, device_id, self.counts, may_act=may_act)
        self._open.add(speculation)
        speculation.on_settled = self._open.discard
        return speculation

    async def close(self) -> None:
        """Puts back what nobody has confirmed."""
        await asyncio.gather(*(speculation.settle(None) for speculation in tuple(self._open)))


class Speculation(Generic[StateT]):
    """One utterance: at most one guess at a time, and a new one begins when the old one has been put back."""

    def __init__(
        self,
        home: Home[StateT],
        voice: Voice,
        language: str,
        device_id: str | None,
        counts: dict[str, int],
        *,
        may_act: bool,
    ) -> None:
        self._home, self._voice = home, voice
        self._language, self._device_id = language, device_id
        self._counts = counts
        self._early = _Early(home) if may_act else None
        self._guess: _Guess[StateT] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._settled = False
        self.on_settled: Callable[[Speculation[StateT]], None] = lambda _: None

    def hear(self, text: str, *, stable: bool, silence_ms: float, confidence: float | None = None) -> None:
        """Takes the words so far and returns at once.

        A recogniser that states no confidence is believed when its words are stable: decoded as final after a pause.
        """
        if self._settled:
            return
        key = said(text)
        if self._guess is not None:
            if self._guess.key == key:
                return
            # The person goes on, or was misunderstood at first.
            self._withdraw()
        if stable and key and (confidence is None or confidence >= CONFIDENT):
            self._guess = _Guess(self, text, key, silence_ms, after=self._ending)

    async def settle(self, final: str | None) -> None:
        """Takes the final words, None when there are none; returns when the home is as it was before any others."""
        if self._settled:
            return
        self._settled = True
        guess = self._guess
        is_right = guess is not None and final is not None and guess.key == said(final)
        if guess is not None and is_right:
            self._guess, self._ending = None, asyncio.create_task(guess.confirm())
        else:
            self._withdraw()
        ending = self._ending
        if ending is None:
            self._end()
            return
        # It is shielded from a pipeline that is cancelled, and goes on when it takes too long.
        ending.add_done_callback(lambda _: self._end())
        try:
            async with asyncio.timeout(CONFIRM_MAX_S if is_right else UNDO_MAX_S):
                await asyncio.shield(ending)
        except TimeoutError:
            if not is_right:
                _LOGGER.warning("Something in the home takes long to be put back; the turn goes on")

    def _end(self) -> None:
        if self._early is not None:
            self._early.close()
        self.on_settled(self)

    def _withdraw(self) -> None:
        guess, self._guess = self._guess, None
        if guess is not None:
            self._ending = asyncio.create_task(guess.withdraw())

    async def prepare(self, text: str) -> Plan | None:
        """The plan of some words, with the reply's audio asked for."""
        plan = await self._home.plan(text, self._language, self._device_id)
        if plan is not None:
            self._counts["prepared"] += 1
            if plan.reply:
                self._voice.ask_ahead(plan.reply, self._language)
        return plan

    def early(self, plan: Plan) -> _Early[StateT] | None:
        """Means of carrying it out and of taking it back; None when it must wait for the final words."""
        return self._early if plan.undoable else None

    def count(self, what: str) -> None:
        """Counts for telemetry."""
        self._counts[what] += 1


class _Guess(Generic[StateT]):
    """Words that may be all, and what was done in that hope."""

    def __init__(
        self,
        speculation: Speculation[StateT],
        text: str,
        key: str,
        silence_ms: float,
        *,
        after: asyncio.Task[None] | None,
    ) -> None:
        self.key = key
        self._speculation = speculation
        self._wait_s = max(0.0, ACT_AFTER_SILENCE_MS - silence_ms) / 1000
        self._over = asyncio.Event()
        self._undo: Callable[[], Awaitable[None]] | None = None
        self._task = asyncio.create_task(self._run(text, after))

    async def _run(self, text: str, after: asyncio.Task[None] | None) -> None:
        try:
            if after is not None:
                await after
            plan = await self._speculation.prepare(text)
            if plan is None or (early := self._speculation.early(plan)) is None or await self._is_over_soon():
                return
            if early.begin(plan):
                self._undo = partial(early.undo, plan)
                self._speculation.count("acted")
                await early.carry_out(plan)
        except Exception:  # a guess that goes wrong must not harm the turn
            _LOGGER.exception("Could not get ready for a command")

    async def _is_over_soon(self) -> bool:
        try:
            async with asyncio.timeout(self._wait_s):
                await self._over.wait()
        except TimeoutError:
            return False
        return True

    async def confirm(self) -> None:
        """These were the final words: what is begun is ended, and nothing put back."""
        self._over.set()
        await self._task
        if self._undo is not None:
            self._speculation.count("confirmed")

    async def withdraw(self) -> None:
        """These were not the final words: what is begun is ended and put back."""
        self._over.set()
        await self._task
        if self._undo is not None:
            await self._undo()
            self._speculation.count("undone")


class _Early(Generic[StateT]):
    """What the guesses of an utterance carry out; knows for each thing what others last made of it.

    It is watched from the first guess to the end: what a light tells of itself may be late, so that a second guess
    would take what the first one did for somebody else's.
    """

    def __init__(self, home: Home[StateT]) -> None:
        self._home = home
        self._mark = home.mark()
        self._before: dict[str, StateT | None] = {}
        self._theirs: set[str] = set()
        self._is_at_work = False
        self._unwatch: list[Callable[[], None]] = []

    def begin(self, plan: Plan) -> bool:
        """Notes what is there; false when something could not be put back now."""
        new = {thing: self._home.state(thing) for thing in plan.undoable if thing not in self._before}
        known = self._before | new
        if any(known[thing] is None for thing in plan.undoable):
            return False
        self._before = known
        self._theirs -= set(plan.undoable)
        if new:
            self._unwatch.append(self._home.watch(tuple(new), self._changed))
        return True

    async def carry_out(self, plan: Plan) -> None:
        """Does it; a failure is left to the turn to tell."""
        self._is_at_work = True
        try:
            await self._home.carry_out(plan, self._mark)
        except CannotAct as error:
            _LOGGER.debug("Could not act early: %s", error)
        finally:
            self._is_at_work = False

    async def undo(self, plan: Plan) -> None:
        """Puts everything back to what others last made of it; what somebody has changed since is left alone."""
        for thing in plan.undoable:
            if thing in self._theirs:
                continue
            try:
                await self._restore(thing)
            except CannotAct as error:
                _LOGGER.warning("Could not put back %s: %s", thing, error)

    async def _restore(self, thing: str) -> None:
        """Puts one thing back, again if somebody used it just then and our own change came on top."""
        restored: StateT | None = None
        for _ in range(RESTORES_MAX):
            state = self._before[thing]
            if state is None or state == restored:
                return
            await self._home.restore(thing, state, self._mark)
            restored = state

    def close(self) -> None:
        """Ends the watching."""
        while self._unwatch:
            self._unwatch.pop()()

    def _changed(self, thing: str, state: StateT | None, mark: str) -> None:
        if mark == self._mark:
            self._theirs.discard(thing)
            return
        self._before[thing] = state
        if not self._is_at_work:
            # Otherwise our own command may still come after it.
            self._theirs.add(thing)


def said(text: str) -> str:
    """The words alone, as two decodes of the same speech have them in common."""
    return " ".join(
        "".join(letter if letter.isalnum() or letter in "'%" else " " for letter in text.casefold()).split()
    )
