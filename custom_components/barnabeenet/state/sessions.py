"""Who is talking with Barnabee where, and what each may see of what was said before.

The rule, in three sentences. A session belongs to one speaker at one device, and its context window holds turns of that
speaker at that device alone. A known speaker may also go on at another device, by naming a conversation of Home
Assistant's in which she herself already took part. Guests cannot be told apart, so their context ends as soon as
somebody known speaks at the device, or when Home Assistant begins another conversation there.

A device has one session at a time. When another known speaker talks to it, the session waits aside and is there again
when its own speaker comes back within the idle time: a voice that was taken for somebody else's once costs nobody the
thread. What waits aside is not among the live ones.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
import logging
from typing import Final, TypeVar

from .database import Database
from .errors import StateError, Unavailable
from .redis import open_redis
from .session_mirror import SessionMirror
from .session_store import SessionStore
from .session_types import (
    Change,
    Clock,
    Declined,
    EndReason,
    Mode,
    Options,
    Session,
    SessionEvent,
    Thread,
    Turn,
    check_name,
    clean,
)

_LOGGER = logging.getLogger(__name__)

SWEEP_S: Final = 30.0
# A family, taking turns at every device.
ASIDE_MAX: Final = 12

Listener = Callable[[SessionEvent], None]
ListenerT = TypeVar("ListenerT")


class Sessions:
    """In memory; the database is written behind and Redis, when there is one, mirrors it. Neither delays a turn.

    While the database fails, the sessions there are go on and new ones are declined.
    """

    def __init__(self, database: Database, options: Options, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._current: dict[str, Session] = {}
        self._aside: dict[tuple[str, str], Session] = {}
        self._listeners: list[Listener] = []
        self._health_listeners: list[Callable[[], None]] = []
        self._store = SessionStore(database, self._health_changed)
        self._mirror: SessionMirror | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._closed = False

    @classmethod
    async def open(
        cls,
        database: Database,
        *,
        redis_url: str | None = None,
        instance: str = "",
        options: Options | None = None,
        clock: Clock | None = None,
    ) -> Sessions:
        """Takes up the sessions that were live when the last one closed or died; raises StateError.

        `instance` tells this Home Assistant from others on the same Redis, which need not be there yet.
        """
        redis = open_redis(redis_url) if redis_url is not None else None
        sessions = cls(database, options or Options(), clock or Clock())
        if redis is not None:
            sessions._mirror = SessionMirror(
                redis,
                instance,
                live=lambda: sessions.live,
                idle_s=sessions._options.idle_s,
                clock=sessions._clock,
                changed=sessions._health_changed,
            )
        try:
            await sessions._restore()
        except BaseException:
            await sessions.close()
            raise
        sessions._sweeper = asyncio.create_task(sessions._sweep_regularly(), name="barnabeenet session sweep")
        return sessions

    @property
    def live(self) -> tuple[Session, ...]:
        """One for each device, least recently active first."""
        return tuple(sorted(self._current.values(), key=lambda session: session.active_s))

    @property
    def store_error(self) -> StateError | None:
        """Why new sessions are declined; None while they are not."""
        return Unavailable("The sessions are closed: Home Assistant is stopping") if self._closed else self._store.error

    @property
    def mirror_error(self) -> Exception | None:
        """Why Redis is not up to date; None while it is, or when there is none."""
        return self._mirror.error if self._mirror else None

    async def enter(
        self, device_id: str, *, speaker: str | None, conversation_id: str | None = None
    ) -> Session | Declined:
        """The session in which this speaker (None: a guest) talks at this device now; raises ValueError for bad names.

        Where Home Assistant has no device, the caller names what belongs to one person in its place.
        """
        check_name(device_id, "device id")
        check_name(speaker, "speaker")
        check_name(conversation_id, "conversation id")
        self._end_if_over(device_id)
        session = self._own(device_id, speaker, conversation_id)
        if session is None and self.store_error is not None:
            return Declined(self.store_error)
        change = Change.CHANGED if session else Change.STARTED
        session = session or self._new(device_id, speaker)
        self._give_device(session)
        self._join(session, conversation_id)
        self._touch(session, change)
        return session

    async def add_turn(self, session: Session, turn: Turn) -> None:
        """Adds to the context window and keeps the turn, also of a session that has ended meanwhile."""
        turn = replace(turn, said=clean(turn.said), replied=clean(turn.replied))
        session.thread.turns.append(turn)
        self._store.add(session, turn)
        if session.end_reason is None:
            self._touch(session, Change.CHANGED)

    def set_mode(self, session: Session, mode: Mode) -> None:
        """Takes the words of a session for something else from now on."""
        session.mode = mode
        if session.end_reason is None:
            self._touch(session, Change.CHANGED)

    async def end(self, session_id: str, reason: EndReason = EndReason.ASKED) -> bool:
        """Ends a session; False when there is no such one (any more)."""
        session = next((session for session in self._all() if session.id == session_id), None)
        if session is None:
            return False
        self._end(session, reason)
        return True

    def latest_conversation(self, speaker: str) -> str | None:
        """Home Assistant's id of the conversation in which this person spoke last, wherever: to go on there."""
        own = [session for session in self._all() if session.speaker == speaker and not self._is_over(session)]
        return max(own, key=lambda session: session.active_s).conversation_id if own else None

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Calls the listener at every change until the returned function is called."""
        self._listeners.append(listener)
        return partial(_forget, self._listeners, listener)

    def subscribe_health(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls the listener when `store_error` or `mirror_error` has come or gone."""
        self._health_listeners.append(listener)
        return partial(_forget, self._health_listeners, listener)

    def sweep(self) -> None:
        """Ends what has been idle for too long, and renews the rest in Redis."""
        for session in self._all():
            if self._is_over(session):
                self._end(session, EndReason.EXPIRED)
        if self._mirror:
            self._mirror.beat()

    async def settled(self) -> None:
        """Waits until all changes are written and mirrored, or an attempt at it has failed."""
        await self._store.settled()
        if self._mirror:
            await self._mirror.settled()

    async def close(self) -> None:
        """Writes what is left; live sessions stay so and go on after a restart. The database stays open."""
        self._closed = True
        if self._sweeper:
            self._sweeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._sweeper
        await asyncio.gather(self._store.close(), *([self._mirror.close()] if self._mirror else []))

    # Whose session it is

    def _own(self, device_id: str, speaker: str | None, conversation_id: str | None) -> Session | None:
        """The session that this speaker has at this device already."""
        current = self._current.get(device_id)
        if current is None or current.speaker != speaker:
            return self._aside.get((device_id, speaker)) if speaker is not None else None
        names = current.thread.conversation_ids
        if speaker is None and conversation_id is not None and names and conversation_id not in names:
            return None
        return current

    def _join(self, session: Session, conversation_id: str | None) -> None:
        """Lets a known speaker go on where she was under this name, and notes the name."""
        if conversation_id is None:
            return
        if session.speaker is not None and conversation_id not in session.thread.conversation_ids:
            session.thread = next(
                (
                    other.thread
                    for other in self._all()
                    if other.speaker == session.speaker
                    and conversation_id in other.thread.conversation_ids
                    and not self._is_over(other)
                ),
                session.thread,
            )
        session.thread.answers_to(conversation_id)
        session.conversation_id = conversation_id

    def _new(self, device_id: str, speaker: str | None) -> Session:
        now, now_s = self._clock.wall(), self._clock.monotonic()
        return Session(device_id, speaker, Thread(deque(maxlen=self._options.window_turns)), now, now, now_s)

    # Whose device it is

    def _give_device(self, session: Session) -> None:
        """Makes a session the one of its device."""
        current = self._current.get(session.device_id)
        if current is session:
            return
        if current is not None:
            self._displace(current, by=session)
        elif len(self._current) >= self._options.sessions_max:
            self._evict(self.live[0].device_id)
        if session.speaker is not None:
            self._aside.pop((session.device_id, session.speaker), None)
        self._current[session.device_id] = session

    def _displace(self, session: Session, *, by: Session) -> None:
        if session.speaker is None:
            self._end(session, EndReason.TAKEN_OVER if by.speaker is not None else EndReason.NEW_CONVERSATION)
            return
        del self._current[session.device_id]
        if len(self._aside) >= ASIDE_MAX:
            self._end(min(self._aside.values(), key=lambda other: other.active_s), EndReason.EVICTED)
        self._aside[session.device_id, session.speaker] = session
        self._tell(Change.ASIDE, session)

    def _evict(self, device_id: str) -> None:
        for session in self._all():
            if session.device_id == device_id:
                self._end(session, EndReason.EVICTED)

    # How long it lives

    def _is_over(self, session: Session) -> bool:
        return self._clock.monotonic() - session.active_s >= self._options.idle_s

    def _end_if_over(self, device_id: str) -> None:
        for session in self._all():
            if session.device_id == device_id and self._is_over(session):
                self._end(session, EndReason.EXPIRED)

    def _touch(self, session: Session, change: Change) -> None:
        session.active_s, session.last_active = self._clock.monotonic(), self._clock.wall()
        self._store.save(session)
        self._tell(change, session)

    def _end(self, session: Session, reason: EndReason) -> None:
        if self._current.get(session.device_id) is session:
            del self._current[session.device_id]
        elif session.speaker is not None:
            self._aside.pop((session.device_id, session.speaker), None)
        session.ended_at, session.end_reason = self._clock.wall(), reason
        self._store.save(session)
        self._tell(Change.ENDED, session)

    async def _restore(self) -> None:
        for session in await self._store.load(self._clock, self._options.window_turns):
            if self._is_over(session):
                self._end(session, EndReason.EXPIRED)
                continue
            self._give_device(session)
            self._tell(Change.CHANGED, session)

    async def _sweep_regularly(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self.sweep()

    # Who is told

    def _all(self) -> Iterator[Session]:
        yield from tuple(self._current.values())
        yield from tuple(self._aside.values())

    def _tell(self, change: Change, session: Session) -> None:
        event = SessionEvent(change, session)
        if self._mirror:
            self._mirror.tell(event)
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception:
                _LOGGER.exception("A subscriber failed on session %s", session.id)

    def _health_changed(self) -> None:
        for listener in tuple(self._health_listeners):
            try:
                listener()
            except Exception:
                _LOGGER.exception("A subscriber failed on the health of the sessions")


def _forget(listeners: list[ListenerT], listener: ListenerT) -> None:
    if listener in listeners:
        listeners.remove(listener)
