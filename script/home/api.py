"""Home Assistant's own HTTP and websocket API, as its frontend uses it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

import aiohttp

CLIENT_ID_PATH = "/"
ANSWER_S = 30
_SUBENTRY_FLOW = "/api/config/config_entries/subentries/flow"


class ApiError(Exception):
    """Home Assistant refused a request; the text is its own."""


@dataclass(frozen=True)
class Arrived:
    """One event of a subscription and when it came in (seconds of the event loop's clock)."""

    at: float
    event: dict[str, Any]


class Subscription:
    """The events of one websocket subscription, in order."""

    def __init__(self, ident: int) -> None:
        self.ident = ident
        self._queue: asyncio.Queue[Arrived | None] = asyncio.Queue()

    def put(self, arrived: Arrived | None) -> None:
        """Adds an event; None ends the iteration."""
        self._queue.put_nowait(arrived)

    def __aiter__(self) -> AsyncIterator[Arrived]:
        return self

    async def __anext__(self) -> Arrived:
        if (arrived := await self._queue.get()) is None:
            raise StopAsyncIteration
        return arrived


class HomeAssistant:
    """A signed-in client; use it as an async context manager."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._token = token
        self._ids = iter(range(1, 1 << 31))
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._subscriptions: dict[int, Subscription] = {}

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(self.url, headers={"Authorization": f"Bearer {self._token}"})
        try:
            self._socket = await self._sign_in()
        except BaseException:
            await self._http.close()
            raise
        self._reader = asyncio.create_task(self._read())
        return self

    async def _sign_in(self) -> aiohttp.ClientWebSocketResponse:
        # The state of a whole home comes as one message.
        socket = await self._http.ws_connect("/api/websocket", max_msg_size=0)
        await socket.receive_json()
        await socket.send_json({"type": "auth", "access_token": self._token})
        if (answer := await socket.receive_json())["type"] != "auth_ok":
            await socket.close()
            raise ApiError(f"sign-in refused: {answer.get('message')}")
        return socket

    async def __aexit__(self, *_: object) -> None:
        self._reader.cancel()
        with suppress(asyncio.CancelledError):
            await self._reader
        await self._socket.close()
        await self._http.close()

    async def _read(self) -> None:
        clock = asyncio.get_running_loop().time
        try:
            async for message in self._socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    break
                at, content = clock(), message.json()
                if content["type"] == "event" and (wanted := self._subscriptions.get(content["id"])):
                    wanted.put(Arrived(at, content["event"]))
                answer = self._answers.get(content["id"])
                if content["type"] == "result" and answer is not None and not answer.done():
                    answer.set_result(content)
        finally:
            for waiting in self._answers.values():
                if not waiting.done():
                    waiting.set_exception(ApiError("Home Assistant closed the connection"))
            for subscription in self._subscriptions.values():
                subscription.put(None)

    async def call(self, type_: str, **fields: Any) -> Any:
        """Sends a websocket command and returns its result; raises ApiError."""
        return await self._send(next(self._ids), type_, fields)

    async def _send(self, ident: int, type_: str, fields: Mapping[str, Any]) -> Any:
        answer = self._answers[ident] = asyncio.get_running_loop().create_future()
        try:
            await self._socket.send_json({"id": ident, "type": type_, **fields})
            async with asyncio.timeout(ANSWER_S):
                content = await answer
        except TimeoutError:
            raise ApiError(f"{type_}: no answer within {ANSWER_S} s") from None
        finally:
            del self._answers[ident]
        if not content["success"]:
            raise ApiError(f"{type_}: {content['error']['code']}: {content['error']['message']}")
        return content["result"]

    @asynccontextmanager
    async def subscribe(self, type_: str, **fields: Any) -> AsyncIterator[Subscription]:
        """Events of a subscribing command until the block is left."""
        ident = next(self._ids)
        subscription = self._subscriptions[ident] = Subscription(ident)
        try:
            await self._send(ident, type_, fields)
            yield subscription
        finally:
            del self._subscriptions[ident]
            if not self._socket.closed:
                # A command that has ended by itself has nothing left to unsubscribe from.
                with suppress(ApiError):
                    await self.call("unsubscribe_events", subscription=ident)

    async def send_audio(self, handler: int, pcm: bytes) -> None:
        """Sends audio to a pipeline run; no audio ends its stream."""
        await self._socket.send_bytes(bytes([handler]) + pcm)

    async def service(self, service: str, data: Mapping[str, Any]) -> None:
        """Calls an action such as `light.turn_on` and waits until it is done."""
        await self._act(service, data)

    async def action(self, service: str, data: Mapping[str, Any]) -> Any:
        """Calls an action that answers, such as `weather.get_forecasts`, and returns its answer; raises ApiError."""
        return (await self._act(service, data, return_response=True))["response"]

    async def _act(self, service: str, data: Mapping[str, Any], **more: Any) -> Any:
        domain, name = service.split(".", 1)
        return await self.call("call_service", domain=domain, service=name, service_data=dict(data), **more)

    async def entry_id(self, domain: str) -> str:
        """The id of an integration's first entry."""
        entries = await self.call("config_entries/get", domain=domain)
        ident: str = entries[0]["entry_id"]
        return ident

    async def states(self) -> dict[str, dict[str, Any]]:
        """Every entity's state object by entity id."""
        return {state["entity_id"]: state for state in await self.call("get_states")}

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Posts JSON to the REST API; raises ApiError with Home Assistant's answer."""
        async with self._http.post(path, json=dict(body)) as response:
            if not response.ok:
                raise ApiError(f"{path}: {response.status} {await response.text()}")
            return await response.json()

    @asynccontextmanager
    async def download(self, path: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """An open GET, such as for the audio of a reply; raises ApiError when refused."""
        async with self._http.get(path) as response:
            if not response.ok:
                raise ApiError(f"{path}: {response.status} {await response.text()}")
            yield response

    async def configure(self, domain: str, *steps: Mapping[str, Any]) -> dict[str, Any]:
        """Goes through an integration's config flow as the UI does, one answer per form; returns the entry's result."""
        flow = await self.post("/api/config/config_entries/flow", {"handler": domain, "show_advanced_options": False})
        for answer in steps:
            if flow["type"] != "form":
                break
            flow = await self.post(f"/api/config/config_entries/flow/{flow['flow_id']}", answer)
        if flow["type"] != "create_entry":
            raise ApiError(f"setting up {domain}: {flow.get('reason') or flow.get('errors') or flow['type']}")
        result: dict[str, Any] = flow["result"]
        return result

    async def begin_subentry(self, entry_id: str, kind: str) -> dict[str, Any]:
        """Opens the flow that adds a subentry to an entry, as the UI does; returns its first form."""
        flow: dict[str, Any] = await self.post(_SUBENTRY_FLOW, {"handler": [entry_id, kind]})
        return flow

    async def answer_subentry(self, flow: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
        """Fills in a subentry's form; returns the next one or what was made. Raises ApiError for what is refused."""
        result: dict[str, Any] = await self.post(f"{_SUBENTRY_FLOW}/{flow['flow_id']}", answer)
        if result.get("errors"):
            detail = (result.get("description_placeholders") or {}).get("error")
            raise ApiError(f"adding a {flow['handler'][1]}: {detail or result['errors']}")
        return result


async def onboard(url: str, *, name: str, username: str, password: str) -> str:
    """Makes the owner as the first page of a new Home Assistant does; returns an access token for half an hour."""
    client_id = url + CLIENT_ID_PATH
    async with aiohttp.ClientSession(url) as http:
        user = {"name": name, "username": username, "password": password, "client_id": client_id, "language": "en"}
        async with http.post("/api/onboarding/users", json=user) as response:
            if not response.ok:
                raise ApiError(f"onboarding: {response.status} {await response.text()}")
            code = (await response.json())["auth_code"]
        grant = {"grant_type": "authorization_code", "code": code, "client_id": client_id}
        async with http.post("/auth/token", data=grant) as response:
            if not response.ok:
                raise ApiError(f"sign-in: {response.status} {await response.text()}")
            token: str = (await response.json())["access_token"]
            return token
