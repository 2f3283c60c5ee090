"""A sidecar as the one that reads memories, over its real connection."""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wyoming.event import Event

from custom_components.barnabeenet.client.errors import SidecarError
from custom_components.barnabeenet.client.messages import Embed, Embeddings
from custom_components.barnabeenet.client.sidecar import Sidecar
from custom_components.barnabeenet.state import embedding as embedding_module
from custom_components.barnabeenet.state.database import Database
from custom_components.barnabeenet.state.memories import Memories
from custom_components.barnabeenet.state.sidecar_embedder import SidecarEmbedder

_TEETH = ("teeth", "dentist")


async def reads(peer: Any, event: Event) -> None:
    """Two directions: what is about teeth, and what is not."""
    texts = Embed.from_event(event).texts
    rows = [(3.0, 0.0) if any(word in text for word in _TEETH) else (0.0, 2.0) for text in texts]
    payload = array("f", [number for row in rows for number in row]).tobytes()
    await peer.send(Embeddings("minilm", 2, len(rows), payload).event())


async def test_its_model_is_known_from_its_first_answer(sidecar: Sidecar, script: Any) -> None:
    script.on[Embed.TYPE] = reads
    embedder = SidecarEmbedder(sidecar)
    assert (embedder.name, embedder.dimensions) == ("", 0)
    vectors = await embedder.embed(["teeth", "bins"])
    assert (embedder.name, embedder.dimensions) == ("minilm", 2)
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [[3, 0], [0, 2]]


async def test_memories_are_found_by_what_it_makes_of_them(
    sidecar: Sidecar, script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A question is looked up by its words alone when a busy machine makes it wait for longer.
    monkeypatch.setattr(embedding_module, "QUESTION_S", 30)
    script.on[Embed.TYPE] = reads
    database = await Database.open(tmp_path / "barnabeenet.db")
    memories = await Memories.open(database, SidecarEmbedder(sidecar))
    told = await memories.remember("teeth check-up at ten", speaker="anna")
    await memories.remember("The bins go out on Monday", speaker="anna")
    await memories.settled()
    (found,) = await memories.recall("dentist", speaker="anna")
    assert (found.memory, found.similarity, found.how) == (told, pytest.approx(1), {"vector"})
    await memories.close()
    await database.close()


async def test_a_sidecar_without_a_model_is_a_failure_of_its_own_kind(
    sidecar: Sidecar, script: Any, tmp_path: Path
) -> None:
    async def refuses(peer: Any, event: Event) -> None:
        await peer.connection.error("unsupported", "no text embedding here: run models pull minilm-l6-v2")

    script.on[Embed.TYPE] = refuses
    database = await Database.open(tmp_path / "barnabeenet.db")
    memories = await Memories.open(database, SidecarEmbedder(sidecar))
    told = await memories.remember("teeth check-up at ten", speaker="anna")
    await memories.settled()
    assert isinstance(memories.error, SidecarError)
    assert "models pull" in str(memories.error)
    assert [found.memory for found in await memories.recall("teeth", speaker="anna")] == [told]
    await memories.close()
    await database.close()
