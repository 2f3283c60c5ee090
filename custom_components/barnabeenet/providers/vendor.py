"""What all vendors have in common: who it is, how an answer is given out, how long a check may take."""

from __future__ import annotations

from abc import ABC, abstractmethod
import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
import json
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from .answer import Piece, deltas
from .base import Delta, Meter, Prompt, Refused, Tier, TimedOut
from .http import CONNECT_S
from .settings import Settings

_COUNTED: Final = ("system", "messages", "tools")


class Vendor(ABC):
    """A Provider but for the vendor's own: the request, the pieces of its answer and a question about itself."""

    def __init__(self, settings: Settings) -> None:
        """Keeps the settings; the vendor's library is the subclass's."""
        self._settings = settings

    @property
    def name(self) -> str:
        """The name a person gave it."""
        return self._settings.name

    @property
    def kind(self) -> str:
        """Which vendor's manners it has."""
        return self._settings.kind

    @property
    def tier(self) -> Tier:
        """What it may be used for."""
        return self._settings.tier

    @property
    def model(self) -> str:
        """The vendor's name of the model; Azure's name of the deployment."""
        return self._settings.model

    def __repr__(self) -> str:
        """Without the key, which is in the library's client."""
        return f"<{type(self).__name__} {self._settings!r}>"

    async def stream(self, prompt: Prompt, *, trace_id: str, meter: Meter | None = None) -> AsyncGenerator[Delta, None]:
        """The answer as it comes; raises ProviderError."""
        meter = meter or Meter()
        request = self._request(prompt)
        counted = [request[part] for part in _COUNTED if part in request]
        meter.prompt_chars = len(json.dumps(counted, ensure_ascii=False, default=str))
        pieces = self._pieces(request, trace_id, meter)
        async with aclosing(deltas(pieces, prompt, self._settings.limits, meter)) as answer:
            async for delta in answer:
                yield delta

    async def check(self) -> None:
        """Whether address, key and model are right; raises ProviderError within the limit."""
        limit_s = self._settings.limits.check_s
        try:
            async with asyncio.timeout(limit_s):
                await self._check()
        except TimeoutError:
            raise TimedOut(f"It did not answer a question about itself within {limit_s:g} s") from None

    @abstractmethod
    def warm_up(self) -> None:
        """Loads what the library loads at its first use; blocks, for a thread."""

    @abstractmethod
    def _request(self, prompt: Prompt) -> dict[str, Any]:
        """The body to send."""

    @abstractmethod
    def _pieces(self, request: dict[str, Any], trace_id: str, meter: Meter) -> AsyncGenerator[Piece, None]:
        """Sends it and reads the answer; raises ProviderError."""

    @abstractmethod
    async def _check(self) -> None:
        """Asks, without a limit of its own; raises ProviderError."""


def address_of(settings: Settings, otherwise: str | None, *, needs_key: bool) -> str:
    """Where it is; raises Refused for settings that cannot work."""
    if needs_key and not settings.api_key:
        raise Refused("This provider needs a key")
    address = settings.base_url or otherwise or ""
    if urlsplit(address).scheme not in ("http", "https"):
        raise Refused("This provider needs an address that begins with http:// or https://")
    return address


def timeout_of(settings: Settings) -> httpx.Timeout:
    """How long each step on the wire may take; what the answer as a whole may take is `deltas`' to say."""
    limit_s = max(settings.limits.first_token_s, settings.limits.silence_s)
    return httpx.Timeout(limit_s, connect=min(CONNECT_S, limit_s))


def count_of(value: object, otherwise: int = 0) -> int:
    """A number of tokens that a vendor tells, `otherwise` for nonsense."""
    return value if isinstance(value, int) and 0 <= value < 1_000_000_000 else otherwise


def text_of(value: object) -> str:
    """A text that a vendor tells; raises TypeError for anything else."""
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value
