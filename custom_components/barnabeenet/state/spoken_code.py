"""Codes that people speak as a second proof of who they are: kept as a salted slow hash alone."""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import Final

CODE_MIN_DIGITS: Final = 4
CODE_MAX_DIGITS: Final = 8

# 16 MiB and some 50 ms on a small computer.
_COST, _BLOCK, _PARALLEL = 2**14, 8, 1
_MEMORY_MAX_BYTES: Final = 64 * 1024 * 1024
_SALT_BYTES: Final = 16


def is_code(text: str) -> bool:
    """Whether this may be somebody's code: four to eight digits."""
    return text.isascii() and text.isdigit() and CODE_MIN_DIGITS <= len(text) <= CODE_MAX_DIGITS


def hash_code(code: str) -> str:
    """What is kept of a code; takes tens of milliseconds. Raises ValueError for what is none, without repeating it."""
    if not is_code(code):
        raise ValueError(f"A code has {CODE_MIN_DIGITS} to {CODE_MAX_DIGITS} digits")
    salt = os.urandom(_SALT_BYTES)
    digest = _digest(code, salt, _COST, _BLOCK, _PARALLEL)
    return f"scrypt${_COST}${_BLOCK}${_PARALLEL}${salt.hex()}${digest.hex()}"


def matches(code: str, kept: str) -> bool:
    """Whether a code is the one that is kept, as slow for a wrong one; false for what cannot be read."""
    try:
        name, cost, block, parallel, salt, digest = kept.split("$")
        if name != "scrypt":
            return False
        said = _digest(code, bytes.fromhex(salt), int(cost), int(block), int(parallel))
        return hmac.compare_digest(said, bytes.fromhex(digest))
    except ValueError:
        return False


def _digest(code: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    return hashlib.scrypt(code.encode(), salt=salt, n=cost, r=block, p=parallel, maxmem=_MEMORY_MAX_BYTES)
