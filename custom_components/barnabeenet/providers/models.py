"""Which models a provider has, as far as it tells."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from . import faults
from .base import Refused, TimedOut
from .settings import MANNERS, Settings

MODELS_MAX: Final = 1000
_NAME_MAX_CHARS: Final = 200
_ANTHROPIC: Final = "https://api.anthropic.com"
# What is listed beside models that talk.
_NO_TALKER: Final = re.compile(
    r"embed|whisper|transcri|(?:^|[-/])tts|moderation|dall-e|image|sora|realtime|audio|rerank|guard|davinci|babbage"
    r"|playai|computer-use",
    re.IGNORECASE,
)


class WrongKey(Refused):
    """The key is not accepted."""


async def list_models(settings: Settings, http: httpx.AsyncClient) -> list[str]:
    """The names of the models that can hold a conversation, sorted; none where the provider does not tell them.

    Raises ProviderError within the settings' `check_s` when the key or the address is wrong.
    """
    limit_s = settings.limits.check_s
    manners = MANNERS.get(settings.kind)
    if not settings.api_key and (manners is None or manners.needs_key):
        raise WrongKey("This provider needs a key")
    url, headers = _request(settings)
    try:
        async with asyncio.timeout(limit_s):
            if settings.kind == "openrouter":
                # Its list of models needs no key, so that it says nothing about ours.
                _check(await http.get(url.replace("/models", "/key"), headers=headers, timeout=limit_s))
            answer = await http.get(url, headers=headers, timeout=limit_s)
    except TimeoutError:
        raise TimedOut(f"It did not answer within {limit_s:g} s") from None
    except httpx.InvalidURL as error:
        raise Refused("The address is no HTTP address") from error
    except httpx.HTTPError as error:
        raise faults.of_network(error) from None
    return _names(settings.kind, answer)


def _request(settings: Settings) -> tuple[str, dict[str, str]]:
    manners = MANNERS.get(settings.kind)
    address = (settings.base_url or (manners.base_url if manners else _ANTHROPIC) or "").rstrip("/")
    if urlsplit(address).scheme not in ("http", "https"):
        raise Refused("This provider needs an address that begins with http:// or https://")
    if manners is None:
        headers = {"x-api-key": settings.api_key or "", "anthropic-version": "2023-06-01"}
        return f"{address}/v1/models?limit={MODELS_MAX}", headers
    if settings.kind == "azure_openai":
        # A deployment's name is in no list that its key may read, but the list says whether key and address are right.
        path = f"/openai/models?api-version={settings.api_version}" if settings.api_version else "/openai/v1/models"
        return address.removesuffix("/openai/v1") + path, {"api-key": settings.api_key or ""}
    return f"{address}/models", {"Authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}


def _names(kind: str, answer: httpx.Response) -> list[str]:
    if answer.status_code in (404, 405, 501):
        # A server without a list may still answer questions.
        return []
    _check(answer)
    try:
        listed = answer.json()
        names = {model["id"] for model in listed["data"][:MODELS_MAX] if _talks(model)}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return []
    return [] if kind == "azure_openai" else sorted(names)


def _talks(model: dict[str, Any]) -> bool:
    name, can = str(model["id"]), model.get("supported_parameters")
    if isinstance(can, list) and "tools" not in can:
        return False
    return 0 < len(name) <= _NAME_MAX_CHARS and not _NO_TALKER.search(name)


def _check(answer: httpx.Response) -> None:
    """Raises ProviderError for anything but a good answer."""
    if answer.status_code == 200:
        return
    if answer.status_code in (401, 403):
        raise WrongKey(f"The key was refused ({answer.status_code})")
    try:
        body: object = json.loads(answer.content)
    except (ValueError, RecursionError):
        body = None
    raise faults.of_status(answer.status_code, body, answer.headers)
