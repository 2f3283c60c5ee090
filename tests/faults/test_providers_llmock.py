"""The same failures as somebody else's mock of the vendors makes them, in the forms of three vendors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
import threading

import httpx
from llmock.pytest_plugin import LLMock
from llmock.testing import LLMockServer
import pytest

from custom_components.barnabeenet.providers.base import Call, Caller, Message, Prompt, TextDelta, Tool, ToolCallDelta
from custom_components.barnabeenet.providers.chain import AllProvidersFailed, Chain
from custom_components.barnabeenet.providers.factory import open_provider
from custom_components.barnabeenet.providers.http import open_http
from custom_components.barnabeenet.providers.settings import Kind, Limits, Settings
from tests.llm_server import PATIENT

pytestmark = pytest.mark.faults

HASTY = Limits(first_token_s=1.0, silence_s=0.4)
CALLER = Caller("t1", "interaction")
LIGHT = Tool("light_on", "Turns a light on", {"type": "object", "properties": {"name": {"type": "string"}}})
PROMPT = Prompt("You are Barnabee.", "", "It is Friday.", [Message("user", "How is the weather?")], [], 200)
VENDORS: dict[Kind, str] = {"openai": "openai", "anthropic": "anthropic", "groq": "groq"}


@pytest.fixture
def llmock(socket_enabled: None) -> Iterator[LLMock]:
    """A server of the test's own: the plugin's would begin while sockets are forbidden."""
    with LLMockServer() as server:
        yield LLMock(server)
    # The server has told its workers to end, and does not wait for them.
    for thread in threading.enumerate():
        if thread.name.startswith("AnyIO worker"):
            thread.join(30)


@pytest.fixture
async def http(socket_enabled: None) -> AsyncIterator[httpx.AsyncClient]:
    client = await open_http()
    yield client
    await client.aclose()


@pytest.fixture
def limits() -> Limits:
    """How long the provider is waited for."""
    return PATIENT


@pytest.fixture(params=list(VENDORS))
async def one(
    request: pytest.FixtureRequest, llmock: LLMock, http: httpx.AsyncClient, limits: Limits
) -> tuple[Chain, list[Call]]:
    """A chain of one provider, a vendor's; and the calls that it tells."""
    kind: Kind = request.param
    url = llmock.base_url(VENDORS[kind])
    provider = await open_provider(Settings("one", kind, "gpt-4o", "cloud_fast", "k", url, limits=limits), http)
    calls: list[Call] = []
    return Chain([provider], calls.append), calls


async def ask(chain: Chain, prompt: Prompt = PROMPT) -> tuple[str, list[str]]:
    """The words and the names of the tools."""
    words, tools = [], []
    async for delta in chain.stream(prompt, tiers=("cloud_fast",), caller=CALLER):
        if isinstance(delta, TextDelta):
            words.append(delta.text)
        if isinstance(delta, ToolCallDelta):
            tools.append(delta.call.name)
    return "".join(words), tools


async def test_an_answer_and_what_it_used(llmock: LLMock, one: tuple[Chain, list[Call]]) -> None:
    llmock.reply("It is sunny. Take a hat.")
    chain, calls = one

    assert await ask(chain) == ("It is sunny. Take a hat.", [])
    assert calls[0].usage.prompt_tokens > 0
    assert calls[0].usage.completion_tokens > 0
    assert not calls[0].usage.estimated


async def test_a_tool_call(llmock: LLMock, one: tuple[Chain, list[Call]]) -> None:
    llmock.call_tool("light_on", {"name": "lamp"})

    assert (await ask(one[0], Prompt("Rules", "", "", PROMPT.messages, [LIGHT], 50)))[1] == ["light_on"]


@pytest.mark.parametrize(
    ("fault", "limits", "outcome"),
    [
        (lambda mock: mock.rate_limit(times=None, retry_after=2), PATIENT, "rate_limited"),
        (lambda mock: mock.outage(status=500), PATIENT, "unreachable"),
        (lambda mock: mock.fail(401, times=None), PATIENT, "refused"),
        (lambda mock: mock.context_overflow(times=None), PATIENT, "rejected"),
        (lambda mock: mock.disconnect(after_chunks=2, times=None), PATIENT, "truncated"),
        (lambda mock: mock.truncate(after_chunks=2, times=None), PATIENT, "truncated"),
        (lambda mock: mock.corrupt(after_chunks=2, times=None), PATIENT, "bad_answer"),
        (lambda mock: mock.stall(after_chunks=2, seconds=2, times=None), HASTY, "timed_out"),
        (lambda mock: mock.slow_first_token(3, times=None), HASTY, "timed_out"),
    ],
)
async def test_a_fault_is_known_for_what_it_is(
    fault: Callable[[LLMock], LLMock], outcome: str, llmock: LLMock, one: tuple[Chain, list[Call]]
) -> None:
    fault(llmock)
    chain, calls = one

    with pytest.raises(AllProvidersFailed):
        await ask(chain)
    assert [call.outcome for call in calls] == [outcome]


@pytest.mark.parametrize("kind", ["malformed_arguments", "unknown_tool"])
async def test_a_broken_tool_call_is_not_given_out(kind: str, llmock: LLMock, one: tuple[Chain, list[Call]]) -> None:
    llmock.call_tool("light_on", {"name": "lamp"}).break_tool_call(kind)
    chain, calls = one

    with pytest.raises(AllProvidersFailed):
        await ask(chain, Prompt("Rules", "", "", PROMPT.messages, [LIGHT], 50))
    assert calls[0].outcome == "bad_answer"
