"""Sessions and their turns in the embedded database; nobody waits for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
import logging
from math import inf
import sqlite3
from typing import Final

from .database import Database, Statement
from .errors import Conflict, StateError
from .session_courier import Courier
from .session_types import Clock, Mode, Session, Thread, Turn

_LOGGER = logging.getLogger(__name__)

# What is said while the database does not take anything; the oldest is given up first.
TURNS_WAITING_MAX: Final = 1_000
# The database itself waits five seconds for somebody else's lock.
CLOSE_S: Final = 8.0

_SAVE: Final = """
INSERT INTO sessions (
    id, device_id, speaker, mode, thread, conversation_id, started_at, last_active, ended_at, end_reason
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    mode = excluded.mode, thread = excluded.thread, conversation_id = excluded.conversation_id,
    last_active = excluded.last_active, ended_at = excluded.ended_at, end_reason = excluded.end_reason
"""
_ADD: Final = """
INSERT INTO turns (session_id, thread, at, said, replied, trace_id, is_private) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_ALIVE: Final = "SELECT * FROM sessions WHERE ended_at IS NULL ORDER BY last_active"
_WINDOW: Final = """
SELECT said, replied, trace_id, at, is_private FROM turns WHERE thread = ? ORDER BY id DESC LIMIT ?
"""


class SessionStore:
    """Takes changes at once and writes them behind; while the database fails they wait, the newest state of each."""

    def __init__(self, database: Database, changed: Callable[[], None]) -> None:
        self._database = database
        self._sessions: dict[str, Session] = {}
        self._turns: deque[Statement] = deque()
        self._lost = 0
        self._courier = Courier("The database", self._write, (StateError,), changed)

    @property
    def error(self) -> StateError | None:
        """Why the last write failed; None while writing works."""
        error = self._courier.error
        assert error is None or isinstance(error, StateError)
        return error

    async def load(self, clock: Clock, window_turns: int) -> list[Session]:
        """The sessions that had not ended, least recently active first; raises StateError.

        Their age is by the wall clock; one from the future is older than any.
        """
        threads: dict[str, Thread] = {}
        sessions = []
        for row in await self._database.read(_ALIVE):
            if row["thread"] not in threads:
                turns = await self._database.read(_WINDOW, (row["thread"], window_turns))
                window = deque(map(_turn, reversed(turns)), maxlen=window_turns)
                threads[row["thread"]] = Thread(window, row["thread"])
            age_s = clock.wall() - row["last_active"]
            active_s = clock.monotonic() - age_s if age_s >= 0 else -inf
            sessions.append(_session(row, threads[row["thread"]], active_s))
        return sessions

    def save(self, session: Session) -> None:
        """Takes note that a session is new or has changed."""
        self._sessions[session.id] = session
        self._courier.wake()

    def add(self, session: Session, turn: Turn) -> None:
        """Takes note of a turn of a session, which is saved with it."""
        if len(self._turns) >= TURNS_WAITING_MAX:
            self._turns.popleft()
            self._lost += 1
        row = (turn.at, turn.said, turn.replied, turn.trace_id, turn.is_private)
        self._turns.append((_ADD, (session.id, session.thread.id, *row)))
        self.save(session)

    async def settled(self) -> None:
        """Waits until everything is written, or an attempt at it has failed."""
        await self._courier.settled()

    async def close(self) -> None:
        """Writes what is left if the database takes it; safe to call twice."""
        await self._courier.close(CLOSE_S)
        self._lost += len(self._turns)
        self._turns.clear()
        self._say_lost()

    async def _write(self) -> None:
        while self._sessions or self._turns:
            sessions, turns = self._sessions, self._turns
            self._sessions, self._turns = {}, deque()
            try:
                await self._write_batch([*map(_saved, sessions.values()), *turns])
            except (StateError, asyncio.CancelledError):
                # The newer state of a session wins, the turns keep their order.
                self._sessions = sessions | self._sessions
                self._turns = deque([*turns, *self._turns])
                raise
        self._say_lost()

    async def _write_batch(self, statements: Iterable[Statement]) -> None:
        try:
            await self._database.write(*statements)
        except Conflict:
            # Somebody has deleted what a turn belongs to: what else is in the batch must not suffer for it.
            for statement in statements:
                try:
                    await self._database.write(statement)
                except Conflict as error:
                    _LOGGER.warning("A row of a session was not kept: %s", error)

    def _say_lost(self) -> None:
        if self._lost:
            _LOGGER.warning("%d turns were not kept: the database failed for too long", self._lost)
            self._lost = 0


def _turn(row: sqlite3.Row) -> Turn:
    said, replied, trace_id, at, is_private = row
    return Turn(said, replied, trace_id, at, bool(is_private))


def _saved(session: Session) -> Statement:
    return _SAVE, (
        *(session.id, session.device_id, session.speaker, session.mode, session.thread.id, session.conversation_id),
        *(session.started_at, session.last_active, session.ended_at, session.end_reason),
    )


def _session(row: sqlite3.Row, thread: Thread, active_s: float) -> Session:
    # Home Assistant's own conversations do not survive its restart: a guest's next one has a new name.
    if row["speaker"] is not None:
        thread.answers_to(row["conversation_id"])
    return Session(
        row["device_id"],
        row["speaker"],
        thread,
        row["started_at"],
        row["last_active"],
        active_s,
        id=row["id"],
        mode=Mode(row["mode"]),
        conversation_id=row["conversation_id"],
    )
