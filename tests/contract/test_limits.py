"""contract/limits.json is what people read; the constants are what runs."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

WIRE = {
    "header_bytes": "HEADER_MAX_BYTES",
    "data_bytes": "DATA_MAX_BYTES",
    "payload_bytes": "PAYLOAD_MAX_BYTES",
    "hello_body_bytes": "HELLO_BODY_MAX_BYTES",
    "json_depth": "JSON_MAX_DEPTH",
    "hello_s": "HELLO_S",
    "header_s": "HEADER_S",
    "body_s": "BODY_S",
    "idle_s": "IDLE_S",
    "write_s": "WRITE_S",
}
MESSAGES = {
    "contract_version": "CONTRACT_VERSION",
    "text_chars": "TEXT_MAX_CHARS",
    "name_chars": "NAME_MAX_CHARS",
    "vocabulary_lists": "VOCABULARY_MAX_LISTS",
    "vocabulary_terms": "VOCABULARY_MAX_TERMS",
    "vocabulary_sentences": "VOCABULARY_MAX_SENTENCES",
    "quick_words": "QUICK_WORDS_MAX",
    "models": "MODELS_MAX",
    "embed_texts": "EMBED_MAX_TEXTS",
    "embedding_dimensions": "EMBEDDING_MAX_DIMENSIONS",
    "voice_dimensions": "VOICE_MAX_DIMENSIONS",
    "token_chars_min": "TOKEN_MIN_CHARS",
    "token_chars_max": "TOKEN_MAX_CHARS",
}
# Only the sidecar counts connections and listens.
SIDECAR = {
    "connections": ("server.py", "CONNECTIONS_MAX"),
    "connections_per_peer": ("server.py", "CONNECTIONS_PER_PEER_MAX"),
    "connections_without_hello": ("server.py", "CONNECTIONS_WITHOUT_HELLO_MAX"),
    "utterance_s": ("transcription.py", "UTTERANCE_S"),
    "wake_stream_s": ("detection.py", "WAKE_STREAM_S"),
}


def constant(file: Path, name: str) -> int:
    """A constant read, not imported: the sidecar is not installed where the integration's tests run."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
            assert isinstance(node.value, ast.Constant)
            assert isinstance(node.value.value, int)
            return node.value.value
    raise AssertionError(f"{file} has no constant {name}")


def test_the_framing_keeps_the_limits(side: Any, limits: dict[str, int]) -> None:
    assert {name: getattr(side.wire, constant) for name, constant in WIRE.items()} == {
        name: limits[name] for name in WIRE
    }


def test_the_messages_keep_the_limits(side: Any, limits: dict[str, int]) -> None:
    assert {name: getattr(side.messages, constant) for name, constant in MESSAGES.items()} == {
        name: limits[name] for name in MESSAGES
    }


def test_the_sidecar_keeps_the_limits(twins: dict[str, Path], limits: dict[str, int]) -> None:
    assert {name: constant(twins["sidecar"] / file, held) for name, (file, held) in SIDECAR.items()} == {
        name: limits[name] for name in SIDECAR
    }


def test_every_limit_is_held_somewhere(limits: dict[str, int]) -> None:
    assert set(limits) == set(WIRE) | set(MESSAGES) | set(SIDECAR)
