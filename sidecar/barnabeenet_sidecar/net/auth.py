"""The hello that opens every connection: both sides prove the token, which never travels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
import hashlib
import hmac
import logging
import math
from pathlib import Path
import secrets
from typing import Final, Literal, TypeAlias

from wyoming.event import Event

from barnabeenet_sidecar.errors import ConfigError

from .backoff import Backoff
from .messages import (
    CONTRACT_VERSION,
    TOKEN_MAX_CHARS,
    TOKEN_MIN_CHARS,
    Challenge,
    Hello,
    MessageError,
    Proof,
    Welcome,
)
from .secret_file import ensure_secret
from .wire import HELLO_BODY_MAX_BYTES, HELLO_S, WireError, read_event, write_event

_LOGGER = logging.getLogger(__name__)

NONCE_BYTES: Final = 32
# Room for white space around a token; what is longer is none.
_TOKEN_FILE_MAX_BYTES: Final = 4096

Role: TypeAlias = Literal["integration", "sidecar"]


class HelloRefused(Exception):
    """A hello that did not end well; `code` and text are what the peer is told before the connection is closed."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def proof(token: str, role: Role, integration_nonce: str, sidecar_nonce: str, *, certificate: str = "") -> str:
    """HMAC-SHA256 in hexadecimal by which a role proves the token (formula: contract/README.md, "Hello").

    `certificate` is the fingerprint of the one that the connection is encrypted with, if any.
    """
    message = f"barnabeenet/1/{role}/{integration_nonce}{sidecar_nonce}{certificate}"
    return hmac.new(token.encode(), message.encode(), hashlib.sha256).hexdigest()


def load_or_create_token(path: Path | str) -> str:
    """Reads the pairing token, or makes one in a file that only its owner may read; raises ConfigError."""
    path = Path(path)
    try:
        ensure_secret(path, lambda: secrets.token_urlsafe(32) + "\n", "token")
    except OSError as error:
        raise ConfigError(f"the token file {path} cannot be used: {error}") from error
    return read_token(path, "remove it and a new one is made")


def read_token(path: Path, advice: str) -> str:
    """The token in a file; raises ConfigError with the advice, and without the token."""
    try:
        with path.open("rb") as file:
            content = file.read(_TOKEN_FILE_MAX_BYTES)
        return checked_token(content.decode().strip(), str(path), advice)
    except UnicodeDecodeError:
        raise ConfigError(f"the token file {path} cannot be used: it is not text, {advice}") from None
    except OSError as error:
        raise ConfigError(f"the token file {path} cannot be used: {error}") from error


def checked_token(token: str, where: str, advice: str) -> str:
    """The token, when it is one; raises ConfigError."""
    if not TOKEN_MIN_CHARS <= len(token) <= TOKEN_MAX_CHARS:
        raise ConfigError(
            f"the token in {where} has {len(token)} characters, {TOKEN_MIN_CHARS} to {TOKEN_MAX_CHARS} are allowed: {advice}"
        )
    return token


class Authenticator:
    """Answers hellos as the sidecar that holds `token`.

    `revision_of` maps a home to the revision of its vocabulary held here, or None; `voice_engine` names what voices are
    told apart with now, if anything; `certificate` is the fingerprint of the listener's own, if it speaks TLS. A peer
    address that guesses wrong is told `back-off` before its hello is read, see Backoff. Raises ConfigError when the token
    is too short or too long.
    """

    def __init__(
        self,
        token: str,
        *,
        sidecar_id: str,
        name: str,
        software: str,
        revision_of: Callable[[str], str | None],
        voice_engine: Callable[[], str | None] = lambda: None,
        certificate: str = "",
        backoff: Backoff | None = None,
        hello_s: float = HELLO_S,
    ) -> None:
        self._token = checked_token(token, "the settings", "give another")
        self._sidecar_id = sidecar_id
        self._name = name
        self._software = software
        self._revision_of = revision_of
        self._voice_engine = voice_engine
        self._certificate = certificate
        self._backoff = Backoff() if backoff is None else backoff
        self._hello_s = hello_s
        self._wrong_proofs = 0

    def rename(self, name: str) -> None:
        """Gives the sidecar another name from the next welcome on."""
        self._name = name

    @property
    def wrong_proofs(self) -> int:
        """How many wrong proofs were offered since the start."""
        return self._wrong_proofs

    async def hello(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str, *, is_known: bool = False
    ) -> str:
        """Runs the hello to its end and returns the home's name; raises HelloRefused, or OSError when the peer left.

        `is_known` says that the peer's address has a proved connection open: it is then spared the back-off.
        """
        try:
            async with asyncio.timeout(self._hello_s):
                return await self._hello(reader, writer, peer, is_known=is_known)
        except TimeoutError:
            raise HelloRefused("timeout", f"the hello was not complete within {self._hello_s:g} s") from None
        except WireError as error:
            raise HelloRefused(error.code, str(error)) from None
        except MessageError as error:
            raise HelloRefused("bad-request", str(error)) from None

    async def _hello(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str, *, is_known: bool
    ) -> str:
        if not is_known:
            self._refuse_during_backoff(peer)
        hello = self._read_hello(await self._next_event(reader))
        sidecar_nonce = secrets.token_hex(NONCE_BYTES)
        await write_event(writer, Challenge(CONTRACT_VERSION, sidecar_nonce, self._software).event())
        offered = Proof.from_event(await self._next_event(reader)).proof
        if not hmac.compare_digest(offered, self._proof("integration", hello.nonce, sidecar_nonce)):
            self._wrong_proofs += 1
            self._backoff.record_wrong_proof(peer)
            raise HelloRefused("unauthorized", "the token is not this sidecar's: pair again with the token it shows")
        self._backoff.clear(peer)
        own_proof = self._proof("sidecar", hello.nonce, sidecar_nonce)
        revision = self._revision_of(hello.home)
        welcome = Welcome(own_proof, self._sidecar_id, self._name, self._software, revision, voice=self._voice_engine())
        await write_event(writer, welcome.event())
        return hello.home

    def _proof(self, role: Role, integration_nonce: str, sidecar_nonce: str) -> str:
        return proof(self._token, role, integration_nonce, sidecar_nonce, certificate=self._certificate)

    def _refuse_during_backoff(self, peer: str) -> None:
        if (wait_s := self._backoff.remaining_s(peer)) > 0:
            raise HelloRefused("back-off", f"too many wrong tokens from {peer}: try again in {math.ceil(wait_s)} s")

    async def _next_event(self, reader: asyncio.StreamReader) -> Event:
        event = await read_event(reader, idle_s=self._hello_s, body_max_bytes=HELLO_BODY_MAX_BYTES)
        if event is None:
            raise ConnectionResetError("the peer left during the hello")
        return event

    @staticmethod
    def _read_hello(event: Event) -> Hello:
        if event.type != Hello.TYPE:
            raise HelloRefused(
                "unauthorized",
                "this listener wants barnabeenet-hello first: other Wyoming clients use the plain listener",
            )
        # Before the other fields, which another version may have changed.
        theirs = event.data.get("contract")
        if type(theirs) is int and 0 <= theirs < 2**31 and theirs != CONTRACT_VERSION:
            older = "the integration" if theirs < CONTRACT_VERSION else "the sidecar"
            raise HelloRefused(
                "contract-mismatch",
                f"the integration speaks contract {theirs}, the sidecar contract {CONTRACT_VERSION}: update {older}",
            )
        return Hello.from_event(event)
