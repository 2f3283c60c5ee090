"""The proof that a side knows the token, without sending it (see "Hello" in contract/README.md)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final, Literal, TypeAlias

NONCE_BYTES: Final = 32

Role: TypeAlias = Literal["integration", "sidecar"]


def new_nonce() -> str:
    """A fresh nonce: 32 random bytes in hexadecimal."""
    return secrets.token_hex(NONCE_BYTES)


def proof(token: str, role: Role, integration_nonce: str, sidecar_nonce: str, *, certificate: str = "") -> str:
    """HMAC-SHA256 in hexadecimal over both nonces; the role keeps one side's proof from serving as the other's.

    `certificate` is the fingerprint of the one that the connection is encrypted with, if any: whoever sits in between
    has another.
    """
    message = f"barnabeenet/1/{role}/{integration_nonce}{sidecar_nonce}{certificate}"
    return hmac.new(token.encode(), message.encode(), hashlib.sha256).hexdigest()


def proves(
    claimed: str, token: str, role: Role, integration_nonce: str, sidecar_nonce: str, *, certificate: str = ""
) -> bool:
    """Whether a claimed proof is right, compared in constant time."""
    return hmac.compare_digest(claimed, proof(token, role, integration_nonce, sidecar_nonce, certificate=certificate))
