"""Home Assistant's own Wyoming integration is content with the sidecar's plain listener."""

from __future__ import annotations

import pytest

from script.home.audio import decode
from script.home.commands import synthesised
from script.home.player import play
from script.home.stage import Stage
from script.home.stock import stock_pipeline

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


async def test_it_is_set_up_hears_and_speaks(on_stage: Stage) -> None:
    sentence = "turn on the lights"
    pipeline = await stock_pipeline(on_stage.home, on_stage.sidecar)
    clip = await synthesised(on_stage.home, on_stage.pipeline.voice, sentence)
    turn = await play(on_stage.home, pipeline, clip, device_id=on_stage.device_id)
    assert turn.error is None
    assert turn.heard
    assert turn.reply
    assert len(decode(turn.audio)) / 16000 > 0.3
