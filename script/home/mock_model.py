"""A language model that has learned its few answers by heart, behind OpenAI's interface; it speaks at a fixed speed."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
import json
import signal
import sys
import time
from typing import Any

from aiohttp import web

LOCAL = "127.0.0.1"
MODEL = "mock"
FIRST_TOKEN_S = 0.3
TOKEN_S = 0.02

ANSWER = "A goose is a bird. It can fly far and it has a good memory for people."
DONE = "It is brighter now."
# Words of a question, and the tool that is called for it.
CALLS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "brighter": ("HassLightSet", {"area": "Kitchen", "domain": ["light"], "brightness": 70})
}
# What the vendors that tell a price put into their usage, in USD for a token.
_PROMPT_USD, _COMPLETION_USD = 0.2e-6, 0.8e-6


class MockModel:
    """The server's answers; `requests` holds when each one arrived and when it was answered, on the system's monotonic clock."""

    def __init__(self, first_token_s: float, token_s: float) -> None:
        self._first_token_s, self._token_s = first_token_s, token_s
        self.requests: list[dict[str, float]] = []

    def app(self) -> web.Application:
        """As aiohttp serves it; GET /requests gives `requests` and forgets them, /broken answers with nothing but 500."""
        app = web.Application(client_max_size=4 * 2**20)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/requests", self._told)
        app.router.add_post("/broken/v1/chat/completions", self._broken)
        return app

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    async def _told(self, _: web.Request) -> web.Response:
        told, self.requests = self.requests, []
        return web.json_response(told)

    async def _broken(self, request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({"error": {"message": "Out of order"}}, status=500)

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        times = {"arrived_s": time.monotonic()}
        self.requests.append(times)
        asked = await request.json()
        deltas = list(_deltas(asked["messages"], {tool["function"]["name"] for tool in asked.get("tools", [])}))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await asyncio.sleep(self._first_token_s)
        times["first_token_s"] = time.monotonic()
        for delta in deltas:
            # The first sentence is whole for whoever reads once the next one has begun.
            if "first_sentence_s" not in times and delta.get("content", "").startswith(" It"):
                times["first_sentence_s"] = time.monotonic()
            await _send(response, {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
            await asyncio.sleep(self._token_s)
        reason = "tool_calls" if "tool_calls" in deltas[-1] else "stop"
        await _send(response, {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        await _send(response, {"choices": [], "usage": _usage(asked, deltas)})
        await response.write(b"data: [DONE]\n\n")
        return response


async def _send(response: web.StreamResponse, chunk: Mapping[str, Any]) -> None:
    whole = {"id": "mock", "object": "chat.completion.chunk", "created": 0, "model": MODEL, **chunk}
    await response.write(f"data: {json.dumps(whole)}\n\n".encode())


def _deltas(messages: Sequence[Mapping[str, Any]], tools: set[str]) -> Sequence[dict[str, Any]]:
    """A call of a tool for the words that ask for one, its outcome, or the one answer to everything else."""
    last = messages[-1]
    if last["role"] == "tool":
        return _words("That did not work." if "error" in last["content"] else DONE)
    for word, (named, arguments) in CALLS.items():
        # Home Assistant puts its integration's name before a tool's.
        name = next((tool for tool in tools if tool.endswith(named)), None)
        if name is not None and word in str(last["content"]).lower():
            function = {"name": name, "arguments": json.dumps(arguments)}
            call = {"index": 0, "id": f"call_{len(messages)}", "type": "function", "function": function}
            return [{"role": "assistant", "tool_calls": [call]}]
    return _words(ANSWER)


def _words(text: str) -> list[dict[str, Any]]:
    first, *others = text.split(" ")
    return [{"role": "assistant", "content": first}, *({"content": f" {word}"} for word in others)]


def _usage(asked: Mapping[str, Any], deltas: Sequence[object]) -> dict[str, float]:
    prompt, completion = len(json.dumps(asked)) // 4, len(deltas)
    cost = prompt * _PROMPT_USD + completion * _COMPLETION_USD
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, "cost": cost}


@asynccontextmanager
async def mock_model(
    *, first_token_s: float = FIRST_TOKEN_S, token_s: float = TOKEN_S, port: int = 0
) -> AsyncIterator[str]:
    """Serves on this machine alone until the block is left; gives the address."""
    runner = web.AppRunner(MockModel(first_token_s, token_s).app(), shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, LOCAL, port)
        await site.start()
        yield f"http://{LOCAL}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _serve(port: int, first_token_s: float, token_s: float) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with mock_model(first_token_s=first_token_s, token_s=token_s, port=port):
        await ended.wait()


def main() -> int:
    """Serves until it is told to end."""
    parser = argparse.ArgumentParser(prog="python -m home.mock_model", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--first-token-s", type=float, default=FIRST_TOKEN_S)
    parser.add_argument("--token-s", type=float, default=TOKEN_S)
    asked = parser.parse_args()
    asyncio.run(_serve(asked.port, asked.first_token_s, asked.token_s))
    return 0


if __name__ == "__main__":
    sys.exit(main())
