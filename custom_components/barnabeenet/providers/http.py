"""The one HTTP client of all providers: made off the event loop, and nothing is larger than ANSWER_MAX_BYTES."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
import ssl
from typing import Final, cast

import httpx

ANSWER_MAX_BYTES: Final = 16 * 1024 * 1024
CONNECT_S: Final = 5.0
# As long as a conversation's pauses: a new TLS connection costs more than all our own work.
KEEP_ALIVE_S: Final = 60.0
CONNECTIONS_MAX: Final = 20


class TooMuch(httpx.TransportError):
    """An answer has more bytes than anything we asked for."""


async def open_http(context: ssl.SSLContext | None = None) -> httpx.AsyncClient:
    """A client for `open_provider`; without a context one is made in a thread, because it reads all certificates.

    It follows no redirects, so that a key goes nowhere but to the configured address. Close it with `aclose`.
    """
    return await asyncio.to_thread(_make, context)


def _make(context: ssl.SSLContext | None) -> httpx.AsyncClient:
    limits = httpx.Limits(
        max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX, keepalive_expiry=KEEP_ALIVE_S
    )
    transport = httpx.AsyncHTTPTransport(verify=context or ssl.create_default_context(), limits=limits)
    # Compressed answers could unfold to any size.
    return httpx.AsyncClient(transport=_Bounded(transport), headers={"Accept-Encoding": "identity"})


class _Bounded(httpx.AsyncBaseTransport):
    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            await response.aclose()
            raise TooMuch("The answer is compressed although that was not allowed")
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=_BoundedStream(cast(httpx.AsyncByteStream, response.stream)),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


class _BoundedStream(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        received_bytes = 0
        async for part in self._inner:
            received_bytes += len(part)
            if received_bytes > ANSWER_MAX_BYTES:
                raise TooMuch(f"The answer is larger than {ANSWER_MAX_BYTES // 1024 // 1024} MiB")
            yield part

    async def aclose(self) -> None:
        await self._inner.aclose()
