"""The bench of memories: its set, its arithmetic, and all of it, short."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from script.home.bench_memory import WAYS, bench, cases, growth
from script.home.crowd_of_memories import look_alikes
from script.home.process import ProcessFailed


def test_the_set_is_varied_and_nothing_is_told_twice() -> None:
    found = cases()
    assert len(found) >= 300
    assert len({case.told for case in found}) == len(found)
    asked = [case.asked for case in found if case.asked]
    assert len(asked) >= 300
    assert len(set(asked)) == len(asked)
    parts = {case.part for case in found if case.asked}
    assert {"paraphrase", "everyday", "other_languages", "names_and_codes"} <= parts


def test_look_alikes_are_different_and_the_same_in_every_run() -> None:
    made = look_alikes(5000)
    assert len(set(made)) == 5000
    assert made[:100] == look_alikes(100)
    assert not set(made) & {case.told for case in cases()}


def test_growth_is_of_medians() -> None:
    found = {f"{way}_{label}_p50_ms": time for way in WAYS for label, time in (("1k", 2.0), ("10k", 5.0))}
    assert growth(found, (1000, 10_000)) == {f"growth_{way}_1k_to_10k": 2.5 for way in WAYS}


async def test_the_whole_bench(tmp_path: Path, socket_enabled: None) -> None:
    try:
        found = await bench(tmp_path, argparse.Namespace(sizes=[50, 200], queries=20, crowd=60))
    except ProcessFailed as error:
        pytest.skip(str(error))
    for way in WAYS:
        assert found[f"{way}_200_p50_ms"] <= found[f"{way}_200_p95_ms"]
        assert found[f"growth_{way}_50_to_200"] > 0
    assert found["recall5_hybrid"] > found["recall5_vector"] > found["recall5_keyword"]
    assert found["recall5_hybrid_crowded"] >= found["recall5_vector_crowded"] > found["recall5_keyword_crowded"]
    assert found["recall5_hybrid_names_and_codes"] == found["recall5_keyword_names_and_codes"] == 1
    assert found["embed_query_p50_ms"] > 0
