"""The proof of the token, and that both sides compute the same."""

from __future__ import annotations

from hypothesis import given, strategies as st
import pytest

from barnabeenet_sidecar.net import auth
from custom_components.barnabeenet.client.proof import Role, new_nonce, proof, proves

TOKEN = "correct horse battery staple, more or less"
OURS = "00" * 32
THEIRS = "ff" * 32

# Made with `printf 'barnabeenet/1/<role>/<ours><theirs>' | openssl dgst -sha256 -hmac '<token>'`.
VECTORS: list[tuple[str, Role, str, str, str]] = [
    (TOKEN, "integration", OURS, THEIRS, "dda478e9e844fd0212ea8a92d3fa2720a040c155af24b6777deddf3e294027f2"),
    (TOKEN, "sidecar", OURS, THEIRS, "2ec14e5f0439b695be5c60086a1b278d7bb9544bce132f509dd41b4796f049e7"),
    (
        "schlüssel mit umlauten, lang genug für alle",
        "integration",
        THEIRS,
        OURS,
        "9eac06a94a99519509fc6f2fce7a6eb6aefd5708bd2c3e245116b02f21126e93",
    ),
]

roles = st.sampled_from(["integration", "sidecar"])
nonces = st.binary(min_size=32, max_size=32).map(bytes.hex)


@pytest.mark.parametrize(("token", "role", "ours", "theirs", "expected"), VECTORS, ids=["ours", "theirs", "umlauts"])
def test_a_proof_is_the_hmac_of_the_contract(token: str, role: Role, ours: str, theirs: str, expected: str) -> None:
    assert proof(token, role, ours, theirs) == expected


@pytest.mark.parametrize(("token", "role", "ours", "theirs", "expected"), VECTORS, ids=["ours", "theirs", "umlauts"])
def test_the_sidecar_computes_the_same_vectors(token: str, role: Role, ours: str, theirs: str, expected: str) -> None:
    assert auth.proof(token, role, ours, theirs) == expected


@given(st.text(min_size=32, max_size=256, alphabet=st.characters(codec="utf-8")), roles, nonces, nonces)
def test_both_sides_agree_on_any_token_and_nonces(token: str, role: Role, ours: str, theirs: str) -> None:
    assert proof(token, role, ours, theirs) == auth.proof(token, role, ours, theirs)


def test_a_proof_is_recognised() -> None:
    assert proves(proof(TOKEN, "sidecar", OURS, THEIRS), TOKEN, "sidecar", OURS, THEIRS)


@pytest.mark.parametrize(
    ("token", "role", "ours", "theirs"),
    [
        (TOKEN + "!", "sidecar", OURS, THEIRS),
        (TOKEN, "integration", OURS, THEIRS),
        (TOKEN, "sidecar", "01" * 32, THEIRS),
        (TOKEN, "sidecar", OURS, "fe" * 32),
        (TOKEN, "sidecar", THEIRS, OURS),
    ],
    ids=["another token", "another role", "another nonce of ours", "another nonce of theirs", "nonces exchanged"],
)
def test_a_proof_for_anything_else_is_refused(token: str, role: Role, ours: str, theirs: str) -> None:
    assert not proves(proof(token, role, ours, theirs), TOKEN, "sidecar", OURS, THEIRS)


def test_nonces_are_32_bytes_in_hexadecimal_and_never_the_same() -> None:
    made = {new_nonce() for _ in range(100)}
    assert len(made) == 100
    assert all(len(bytes.fromhex(nonce)) == 32 for nonce in made)
