"""The whole bench, short: a real sidecar, real engines, the integration's own client."""

from __future__ import annotations

import argparse
from pathlib import Path

from benches import bench_sidecar, speech
import pytest


@pytest.mark.timeout(400)
async def test_every_kind_is_measured_and_every_load_is_held(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(speech, "RECORDINGS", tmp_path)  # without recordings: `say` speaks the commands
    monkeypatch.setattr(speech, "COMMANDS", speech.COMMANDS[:2])
    asked = argparse.Namespace(rounds=2, pace=4.0, clients=(1, 26), seconds=0.1)
    found = await bench_sidecar.bench(asked)
    assert found["pairs"] == 2 * (len(speech.REPLIES) + 2)
    assert found["differing"] == 0
    kinds = ("first_audio", "synthesize", "synthesize_16k", "transcribe", "detect", "ping", "describe")
    for name in ("overhead_ms_median", *(f"overhead_ms_median_{kind}" for kind in kinds)):
        assert -1000 < found[name] < 1000
    assert found["engine_ms_median_transcribe"] > found["engine_ms_median_first_audio"] > 0
    assert found["share_ok_1"] == 1
    # More than one address may have: 26 people are two homes.
    assert found["requests_26"] >= 52
    assert found["p95_ms_26"] >= found["p50_ms_26"] > 0
    assert "2/2 turn the lights on" in capsys.readouterr().err
