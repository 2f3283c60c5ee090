"""The model store of a real sidecar process, changed from here and by the command line beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from custom_components.barnabeenet.client.errors import RequestFailed
from custom_components.barnabeenet.client.messages import ModelProgress
from custom_components.barnabeenet.client.sidecar import Address, Model, Sidecar

# Its files come with a Python package of the sidecar's environment: nothing is downloaded.
VOICE_PRINT = "resemblyzer"


@pytest.fixture
async def paired(sidecar_process: Any) -> AsyncIterator[Sidecar]:
    address = Address("127.0.0.1", sidecar_process.port)
    sidecar = Sidecar(address, await sidecar_process.token(), home="0123456789abcdef", software="a test")
    await sidecar.start()
    yield sidecar
    await sidecar.close()


def entry(models: tuple[Model, ...], name: str) -> Model:
    return next(model for model in models if model.name == name)


async def test_a_model_is_pulled_verified_and_removed_in_a_real_sidecar(paired: Sidecar) -> None:
    listed = await paired.models()
    assert listed.text == "0 versions are here"
    assert entry(listed.models, "kokoro-82m-v1.0").vram_mb == 3072
    assert entry(listed.models, VOICE_PRINT).status == "to_pull"

    heard: list[ModelProgress] = []
    pulled = await paired.models("pull", VOICE_PRINT, on_progress=heard.append)
    assert pulled.text == "resemblyzer 0.1.4 serves"
    here = entry(pulled.models, VOICE_PRINT)
    assert (here.status, here.deployed_by, here.size_bytes) == ("active", "Home Assistant 01234567", 17_090_379)
    assert heard[-1].done_bytes == heard[-1].total_bytes == 17_090_379

    assert (await paired.models("verify", VOICE_PRINT)).text == "every byte is right of resemblyzer 0.1.4"
    with pytest.raises(RequestFailed, match="has no earlier version to go back to"):
        await paired.models("rollback", VOICE_PRINT)
    assert (await paired.models("remove", VOICE_PRINT, "0.1.4")).text.startswith("resemblyzer 0.1.4 is removed")
    assert entry((await paired.models()).models, VOICE_PRINT).status == "to_pull"


async def test_a_sidecar_without_the_model_says_how_to_get_points(paired: Sidecar) -> None:
    with pytest.raises(RequestFailed, match="models pull minilm-l6-v2") as raised:
        await paired.embed(["lamp"])
    assert raised.value.code == "unsupported"


async def test_many_homes_may_look_at_once(paired: Sidecar) -> None:
    answers = await asyncio.gather(*(paired.models() for _ in range(10)))
    assert len({answer.text for answer in answers}) == 1
