"""Who may use an endpoint that reveals or does something: whoever shows the HTTP token."""

from __future__ import annotations

import hashlib
import hmac
import math
from typing import Final

from .backoff import Backoff
from .http_answers import HttpRefused

_LABEL: Final = b"barnabeenet/1/http"
_SCHEME: Final = "bearer"


def http_token(pairing_token: str) -> str:
    """The token of the HTTP endpoints: it travels in clear text, so nobody can work the pairing token out from it."""
    return hmac.new(pairing_token.encode(), _LABEL, hashlib.sha256).hexdigest()


class HttpGuard:
    """Lets requests with the right token pass; an address that guesses is made to wait, see Backoff."""

    def __init__(self, pairing_token: str, backoff: Backoff | None = None) -> None:
        self._token = http_token(pairing_token).encode()
        self._backoff = Backoff() if backoff is None else backoff

    def check(self, authorization: str | None, address: str) -> None:
        """Takes the header's value; raises HttpRefused."""
        if (wait_s := self._backoff.remaining_s(address)) > 0:
            seconds = math.ceil(wait_s)
            raise HttpRefused(
                429,
                "back-off",
                f"too many wrong tokens from {address}: try again in {seconds} s",
                {"Retry-After": str(seconds)},
            )
        scheme, _, offered = (authorization or "").partition(" ")
        if scheme.lower() != _SCHEME:
            raise _unauthorized("this endpoint wants a token")
        if not hmac.compare_digest(offered.strip().encode("utf-8", "surrogateescape"), self._token):
            self._backoff.record_wrong_proof(address)
            raise _unauthorized("the token is not this sidecar's")
        self._backoff.clear(address)


def _unauthorized(reason: str) -> HttpRefused:
    return HttpRefused(
        401,
        "unauthorized",
        f"{reason}: send `Authorization: Bearer TOKEN` with what `barnabeenet-sidecar token --http` prints on the "
        "sidecar's machine",
        {"WWW-Authenticate": 'Bearer realm="barnabeenet-sidecar"'},
    )
