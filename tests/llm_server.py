"""A vendor of language models that does what a test wrote down: a real HTTP server on 127.0.0.1."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import json
from typing import Any, Final, Literal

from aiohttp import web

from custom_components.barnabeenet.providers.settings import Limits

MODEL: Final = "gpt-4o-mini"
# For answers that come: no stall of a busy machine is taken for a vendor's silence.
PATIENT: Final = Limits(first_token_s=30, silence_s=30, trailer_s=30, check_s=30)


@dataclass
class Answer:
    """One answer to one request. `events` are sent one by one, `each_s` apart; then it ends, is cut off or stalls."""

    events: Sequence[bytes] = ()
    then: Literal["end", "cut", "stall"] = "end"
    each_s: float = 0.0
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    # Sent again and again after the events, until nobody listens.
    endless: bytes = b""


def event(data: object) -> bytes:
    """One server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data)
    return f"data: {text}\n\n".encode()


def chunk(delta: Mapping[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    """One chunk of OpenAI's chat completions; without a delta it has no choice."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    return event({**head, "choices": choices, **more})


def tool_chunks(name: str, *arguments: str, index: int = 0) -> list[bytes]:
    """The chunks of one tool call."""
    call = {"index": index, "id": f"call_{name}_{index}", "type": "function", "function": {"name": name}}
    rest = [{"index": index, "function": {"arguments": part}} for part in arguments]
    return [chunk({"tool_calls": [part]}) for part in (call, *rest)]


USAGE: Final = {"prompt_tokens": 120, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 100}}


def said(*texts: str, finish: str | None = "stop", usage: object = USAGE, **options: Any) -> Answer:
    """A whole answer in OpenAI's form; without a finish it ends in the middle."""
    events = [chunk({"role": "assistant", "content": ""}), *(chunk({"content": text}) for text in texts)]
    if finish is not None:
        events.append(chunk({}, finish))
        events.extend([chunk(None, usage=usage)] if usage is not None else [])
        events.append(event("[DONE]"))
    return Answer(events, **options)


def called(*calls: list[bytes], text: str = "", finish: str = "tool_calls") -> Answer:
    """An answer that calls tools, in OpenAI's form."""
    texts = [chunk({"role": "assistant", "content": text})]
    chunks = [part for call in calls for part in call]
    return Answer([*texts, *chunks, chunk({}, finish), chunk(None, usage=USAGE), event("[DONE]")])


def refused(status: int, code: str = "", message: str = "no", **headers: str) -> Answer:
    """An error in OpenAI's form; underscores in header names stand for hyphens."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, headers=names, body={"error": {"message": message, "type": "error", "code": code}})


class LlmServer:
    """Answers requests in the order in which the answers were put down; the last one stays."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [said("Hello.")]
        self.requests: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.paths: list[str] = []
        self.connections: set[Any] = set()
        self.left = asyncio.Event()
        self.stalled = asyncio.Event()
        self.port = 0

    @property
    def url(self) -> str:
        """The address for a provider."""
        return f"http://127.0.0.1:{self.port}/v1"

    def will(self, *answers: Answer) -> None:
        """What the next requests get."""
        self.answers = list(answers)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.requests.append(json.loads(body) if body else {})
        self.headers.append(dict(request.headers))
        self.paths.append(request.path)
        assert request.transport is not None
        self.connections.add(request.transport.get_extra_info("peername"))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer.body is not None:
            return web.json_response(answer.body, status=answer.status, headers=answer.headers)
        return await self._stream(request, answer)

    async def _stream(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        response = web.StreamResponse(
            status=answer.status, headers={"Content-Type": "text/event-stream", **answer.headers}
        )
        await response.prepare(request)
        try:
            for part in answer.events:
                await response.write(part)
                await asyncio.sleep(answer.each_s)
            while answer.endless:
                await response.write(answer.endless)
                await asyncio.sleep(answer.each_s)
            if answer.then == "stall":
                self.stalled.set()
                await asyncio.Event().wait()
            if answer.then == "cut":
                assert request.transport is not None
                request.transport.abort()
        except (asyncio.CancelledError, ConnectionError):
            self.left.set()
            raise
        return response


@asynccontextmanager
async def llm_server() -> AsyncIterator[LlmServer]:
    """A server on a free port."""
    server = LlmServer()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(application, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()
