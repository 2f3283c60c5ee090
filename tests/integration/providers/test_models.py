"""Which models a provider has, as its server tells it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from custom_components.barnabeenet.providers.base import ProviderError, Refused, TimedOut, Truncated, Unreachable
from custom_components.barnabeenet.providers.http import ANSWER_MAX_BYTES
from custom_components.barnabeenet.providers.models import MODELS_MAX, WrongKey, list_models
from custom_components.barnabeenet.providers.settings import Limits, Settings
from tests.llm_server import Answer, LlmServer, refused

KEY = "sk-test-0123456789abcdef0123456789abcdef"


def settings(url: str | None, **changes: Any) -> Settings:
    known = {"name": "one", "kind": "openai_compatible", "model": "", "tier": "local", "api_key": KEY, "base_url": url}
    return Settings(**{**known, **changes})


async def test_models_that_do_not_talk_are_left_out(vendor: LlmServer, http: httpx.AsyncClient) -> None:
    names = ["gpt-6-luna", "text-embedding-3", "whisper-1", "gpt-4o-mini-tts", "tts-1", "o3", "gpt-image-1", "sora-2"]
    names += ["nomic-embed-text:latest", "llama-guard-4", "omni-moderation", "qwen3:8b", "battsy-7b"]
    vendor.will(Answer(body={"data": [{"id": name} for name in names]}))
    assert await list_models(settings(vendor.url), http) == ["battsy-7b", "gpt-6-luna", "o3", "qwen3:8b"]


async def test_models_that_cannot_call_tools_are_left_out_where_the_list_says_so(
    vendor: LlmServer, http: httpx.AsyncClient
) -> None:
    listed = [{"id": "a/one", "supported_parameters": ["tools"]}, {"id": "b/two", "supported_parameters": ["seed"]}]
    vendor.will(Answer(body={"data": listed}))
    assert await list_models(settings(vendor.url), http) == ["a/one"]


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"data": None},
        {"data": {}},
        {"data": [1]},
        {"data": [{"name": "x"}]},
        "models",
        {"data": [{"id": "x" * 201}]},
    ],
)
async def test_a_list_that_is_none_is_taken_as_empty(vendor: LlmServer, http: httpx.AsyncClient, body: Any) -> None:
    vendor.will(Answer(body=body))
    assert await list_models(settings(vendor.url), http) == []


async def test_a_long_list_is_cut(vendor: LlmServer, http: httpx.AsyncClient) -> None:
    vendor.will(Answer(body={"data": [{"id": f"m{number:05}"} for number in range(MODELS_MAX + 500)]}))
    assert len(await list_models(settings(vendor.url), http)) == MODELS_MAX


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refused(401), WrongKey),
        (refused(403), WrongKey),
        (refused(402), Refused),
        (refused(500), Unreachable),
        (Answer(then="stall"), TimedOut),
        (Answer(events=[b"{"], then="cut"), Truncated),
        (Answer(events=[b" " * 65536] * (ANSWER_MAX_BYTES // 65536 + 2)), ProviderError),
    ],
)
async def test_what_is_wrong_is_told_in_time(
    vendor: LlmServer, http: httpx.AsyncClient, answer: Answer, kind: type[ProviderError]
) -> None:
    vendor.will(answer)
    # Only of silence is it known by the time.
    limits = Limits(check_s=0.5 if answer.then == "stall" else 30)
    with pytest.raises(kind) as raised:
        await list_models(settings(vendor.url, limits=limits), http)
    assert KEY not in str(raised.value)


async def test_nothing_is_sent_without_a_key_where_one_is_needed(http: httpx.AsyncClient) -> None:
    for kind in ("openai", "anthropic", "openrouter", "groq", "azure_openai"):
        with pytest.raises(WrongKey, match="needs a key"):
            await list_models(settings(None, kind=kind, api_key=None), http)


async def test_what_is_no_address_is_told(http: httpx.AsyncClient) -> None:
    for url in (None, "", "ftp://x", "beast:11434"):
        with pytest.raises(Refused, match="address"):
            await list_models(settings(url), http)


async def test_a_redirection_is_not_followed_with_the_key(vendor: LlmServer, http: httpx.AsyncClient) -> None:
    vendor.will(Answer(status=302, headers={"Location": f"{vendor.url}/elsewhere"}, body={}))
    with pytest.raises(Unreachable, match="302"):
        await list_models(settings(vendor.url), http)
    assert vendor.paths == ["/v1/models"]
