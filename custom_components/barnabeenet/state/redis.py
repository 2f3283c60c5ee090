"""The optional Redis: one way to reach it for everybody who uses it."""

from __future__ import annotations

from typing import Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from .errors import StateError

CONNECT_S: Final = 2.0
ANSWER_S: Final = 2.0
CONNECTIONS_MAX: Final = 8

# What a call on it may raise: redis-py lets some of the system's own errors through.
REDIS_ERRORS: Final = (RedisError, OSError, TimeoutError)


def open_redis(url: str) -> Redis:
    """A client of `redis://`, `rediss://` or `unix://`, which connects at its first call; raises StateError.

    A connection that had gone since its last use is dialled again once, at once; nothing waits longer than a few
    seconds. The caller closes it with `aclose()`.
    """
    try:
        # Not `Redis.from_url`: its pool refuses what comes beyond its connections instead of letting it wait.
        pool = BlockingConnectionPool.from_url(
            url,
            decode_responses=True,
            socket_connect_timeout=CONNECT_S,
            socket_timeout=ANSWER_S,
            max_connections=CONNECTIONS_MAX,
            timeout=ANSWER_S,
            retry=Retry(NoBackoff(), 1),
        )
        return Redis.from_pool(pool)
    except ValueError as error:
        raise StateError(f"This is no address of a Redis: {error}; it looks like redis://host:6379/0") from error
