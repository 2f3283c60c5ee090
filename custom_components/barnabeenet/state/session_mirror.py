"""The live sessions as others may see them in Redis: who speaks where since when, never what was said.

`barnabeenet:session:ID` is a hash that outlives its session's idle time by a little, so that it is the owner who says
that it is over; `barnabeenet:sessions` is a hash of ID -> device and instance; every change is published on
`barnabeenet:sessions:changes` as JSON. All of this can be lost at any time: the truth is in the database.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
import json
from typing import Any, Final

from redis.asyncio import Redis

from .redis import REDIS_ERRORS
from .session_courier import Courier
from .session_types import Change, Clock, EndReason, Session, SessionEvent

INDEX: Final = "barnabeenet:sessions"
CHANGES: Final = "barnabeenet:sessions:changes"
KEY_PREFIX: Final = "barnabeenet:session:"
# A dead instance's session is still there this long after its time, a live one's owner has said so by then.
GRACE_S: Final = 60.0
# News that nobody could be told of for a while is old: the newest are enough.
NEWS_MAX: Final = 64
# What is not taken away by name goes by itself when its time is over.
GONE_MAX: Final = 256
CLOSE_S: Final = 3.0

# In one step, so that no session is called over while its owner is writing it.
_CLOSE_ORPHANS: Final = """
local closed = 0
for _, id in ipairs(redis.call('HKEYS', KEYS[1])) do
    if redis.call('EXISTS', ARGV[1] .. id) == 0 then
        local known = cjson.decode(redis.call('HGET', KEYS[1], id))
        redis.call('HDEL', KEYS[1], id)
        redis.call('PUBLISH', ARGV[2], cjson.encode({
            id = id, change = 'ended', reason = 'expired', device_id = known.device_id, instance = known.instance
        }))
        closed = closed + 1
    end
end
return closed
"""


class SessionMirror:
    """Writes all live sessions whenever one changes (there are a handful), so that a Redis that comes back is complete.

    `live` gives them; `instance` tells several Home Assistants on one Redis apart.
    """

    def __init__(
        self,
        redis: Redis,
        instance: str,
        *,
        live: Callable[[], Iterable[Session]],
        idle_s: float,
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self._redis = redis
        self._instance = instance
        self._live = live
        self._idle_s = idle_s
        self._clock = clock
        self._gone: deque[str] = deque(maxlen=GONE_MAX)
        self._news: deque[str] = deque(maxlen=NEWS_MAX)
        self._heartbeat = False
        self._close_orphans = redis.register_script(_CLOSE_ORPHANS)
        self._courier = Courier("Redis", self._write, REDIS_ERRORS, changed)

    @property
    def error(self) -> Exception | None:
        """Why Redis was not reached the last time; None while it is."""
        return self._courier.error

    def tell(self, event: SessionEvent) -> None:
        """Takes note of a change."""
        session = event.session
        if event.change in (Change.ENDED, Change.ASIDE):
            self._gone.append(session.id)
        self._news.append(self._news_of(event.change, session.end_reason, session))
        self._courier.wake()

    def beat(self) -> None:
        """Renews what is there, and closes what a dead instance has left behind once its time is over."""
        self._heartbeat = True
        self._courier.wake()

    async def settled(self) -> None:
        """Waits until everything is mirrored, or an attempt at it has failed."""
        await self._courier.settled()

    async def close(self) -> None:
        """Leaves the live sessions mirrored: they go on after a restart; safe to call twice."""
        await self._courier.close(CLOSE_S)
        with suppress(*REDIS_ERRORS):
            async with asyncio.timeout(CLOSE_S):
                await self._redis.aclose()

    async def _write(self) -> None:
        gone, news, heartbeat = tuple(self._gone), tuple(self._news), self._heartbeat
        pipeline = self._redis.pipeline(transaction=True)
        if gone:
            pipeline.delete(*(KEY_PREFIX + name for name in gone))
            pipeline.hdel(INDEX, *gone)
        # Afterwards: one that waited aside may be there again.
        for session in self._live():
            key = KEY_PREFIX + session.id
            left_s = self._idle_s - (self._clock.monotonic() - session.active_s)
            pipeline.hset(key, mapping=self._fields(session))
            pipeline.pexpire(key, max(1, round((left_s + GRACE_S) * 1000)))
            pipeline.hset(INDEX, session.id, json.dumps({"device_id": session.device_id, "instance": self._instance}))
        for message in news:
            pipeline.publish(CHANGES, message)
        await pipeline.execute()
        _drop_first(self._gone, gone)
        _drop_first(self._news, news)
        if heartbeat:
            await self._close_orphans(keys=[INDEX], args=[KEY_PREFIX, CHANGES])
            self._heartbeat = False

    def _fields(self, session: Session) -> dict[Any, Any]:
        return {
            "device_id": session.device_id,
            "speaker": session.speaker or "",
            "mode": session.mode,
            "conversation_id": session.conversation_id or "",
            "turns": len(session.thread.turns),
            "started_at": round(session.started_at, 3),
            "last_active": round(session.last_active, 3),
            "heartbeat": round(self._clock.wall(), 3),
            "instance": self._instance,
        }

    def _news_of(self, change: Change, reason: EndReason | None, session: Session) -> str:
        return json.dumps(
            {
                "id": session.id,
                "change": change,
                "reason": reason,
                "device_id": session.device_id,
                "instance": self._instance,
            }
        )


def _drop_first(queue: deque[str], done: Iterable[str]) -> None:
    """Takes off what is done; what has come since, also in the place of the oldest, stays."""
    for item in done:
        if queue and queue[0] == item:
            queue.popleft()
