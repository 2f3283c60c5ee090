"""A Home Assistant's limiter in a process of its own: `limiter_process.py URL PER_MINUTE PER_HOUR`.

For each number that it reads it asks so many times, ten at once, and answers with what was allowed and with its clock. At
`look` its monotonic clock goes on by half a minute and it looks after a Redis that is away.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from tests.faults import state_alone  # noqa: F401 - before the package itself

from custom_components.barnabeenet.state import redis_limit  # isort: skip
from custom_components.barnabeenet.state.rate_limit import Limits, LimitTable  # isort: skip
from custom_components.barnabeenet.state.redis import open_redis  # isort: skip
from custom_components.barnabeenet.state.redis_limit import LONGEST_RETRY_S, SharedLimiter  # isort: skip

AT_ONCE = 10
# A Redis that was killed refuses at once; one that only waits for its turn on a busy machine is not away.
redis_limit.ANSWER_S = 30  # type: ignore[misc]


async def main(url: str, per_minute: int, per_hour: int) -> None:
    table = LimitTable(Limits(per_minute=per_minute, per_hour=per_hour))
    skipped_s = 0.0
    limiter = SharedLimiter(open_redis(url), "home", table, clock=lambda: time.monotonic() + skipped_s)
    print("ready", flush=True)
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        if line == "look":
            skipped_s += LONGEST_RETRY_S
            await limiter.reserve("elsewhere", 0)
            await (limiter._probing or asyncio.sleep(0))
        times = int(line) if line.isdecimal() else 0
        allowed = 0
        for begun in range(0, times, AT_ONCE):
            asked = min(AT_ONCE, times - begun)
            verdicts = await asyncio.gather(*(limiter.admit("kitchen") for _ in range(asked)))
            allowed += sum(verdict.allowed for verdict in verdicts)
        print(json.dumps({"allowed": allowed, "clock": time.time(), "error": str(limiter.error or "")}), flush=True)
    await limiter.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
