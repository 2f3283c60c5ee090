"""`script/demo --provider mock`: a language model is asked through the whole pipeline and does something in the home."""

from __future__ import annotations

from collections.abc import Sequence
import json
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer
import pytest

from script.home.demo import arguments
from script.home.mock_model import ANSWER, DONE, MockModel
from script.home.model import QUESTIONS
from tests.e2e.test_demo import demo

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def asked(root: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the demo told of its two questions."""
    shown = demo(root, "--provider", "mock", "--json", HOME=str(tmp_path_factory.mktemp("user")))
    assert shown.returncode == 0, shown.stdout + shown.stderr
    turns = [json.loads(line) for line in shown.stdout.splitlines()]
    found = [turn for turn in turns if "model" in turn]
    assert [turn["said"] for turn in found] == list(QUESTIONS)
    return found


def test_a_question_is_answered_by_the_model_and_its_words_are_spoken(asked: Sequence[dict[str, Any]]) -> None:
    question = asked[0]
    assert question["reply"] == ANSWER
    assert question["reply_was_spoken"]
    assert question["changed"] == {}
    assert question["actions"] == []


def test_a_wish_is_carried_out_by_the_tool_that_the_model_calls(asked: Sequence[dict[str, Any]]) -> None:
    wish = asked[1]
    assert [action.split()[0] for action in wish["actions"]] == ["light.turn_on"] * len(wish["actions"])
    assert wish["actions"]
    assert set(wish["changed"]) == {"light.kitchen_ceiling", "light.kitchen_counter"}
    assert all(change["after"] == "on, brightness 178" for change in wish["changed"].values())
    assert wish["reply"] == DONE
    assert wish["model"]["requests"] == 2


def test_time_and_cost_are_told_and_whether_a_question_was_spoken(asked: Sequence[dict[str, Any]]) -> None:
    for turn in asked:
        assert turn["typed"] is (turn["heard"] != turn["said"])
        assert 300 <= turn["model"]["first_words_ms"] < 5000
        assert turn["model"]["usd"] > 0
        assert turn["model"]["sources"] == ["provider"]


def test_a_provider_that_nobody_answers_at_is_told_before_anything_is_said(root: Path) -> None:
    failed = demo(root, "--provider", "http://127.0.0.1:9/v1", "--model", "any", "--json")
    assert failed.returncode == 2
    assert failed.stdout == ""
    assert "adding a provider" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_the_key_is_taken_from_the_environment_alone() -> None:
    assert arguments(["--provider", "http://127.0.0.1:9/v1"]).provider == "http://127.0.0.1:9/v1"
    with pytest.raises(SystemExit):
        arguments(["--provider", "mock", "--key", "secret"])


async def test_the_mock_calls_a_tool_only_when_it_is_offered(socket_enabled: None) -> None:
    async with TestClient(TestServer(MockModel(0, 0).app())) as client:
        body: dict[str, Any] = {"messages": [{"role": "user", "content": "Brighter, please"}]}
        async with client.post("/v1/chat/completions", json=body) as response:
            assert "tool_calls" not in await response.text()
        body["tools"] = [{"type": "function", "function": {"name": "light__HassLightSet"}}]
        async with client.post("/v1/chat/completions", json=body) as response:
            assert "light__HassLightSet" in await response.text()
        async with client.get("/requests") as response:
            told = await response.json()
        assert len(told) == 2
        assert all(request["arrived_s"] <= request["first_token_s"] for request in told)
