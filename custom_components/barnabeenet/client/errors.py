"""What can go wrong between here and a sidecar, under one root; the texts are for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self


class SidecarError(Exception):
    """Anything that went wrong with a sidecar; `code` is the sidecar's own where it sent one."""

    code: str | None = None

    def __init__(self, message: str, *, code: str | None = None) -> None:
        """Keeps the sidecar's error code beside the text."""
        super().__init__(message)
        self.code = code

    def again(self) -> Self:
        """The same error to raise once more, without the traceback of the first time."""
        return type(self)(str(self), code=self.code)


class CannotConnect(SidecarError):
    """Nobody answers at the address."""


class NotASidecar(SidecarError):
    """Somebody answers, but does not speak our hello (a plain Wyoming server, a web server...)."""


class TlsMismatch(CannotConnect):
    """One side encrypts and the other does not, or so it seems."""


class ContractMismatch(SidecarError):
    """The two sides are of different versions; the text says which to update."""


class Unauthorized(SidecarError):
    """The sidecar refused our proof: the token is wrong or was made anew."""


class Impostor(SidecarError):
    """The other side could not prove that it knows the token: it is not the paired sidecar."""


class BackingOff(SidecarError):
    """The sidecar refuses this address for a while after wrong tokens."""


class Busy(SidecarError):
    """The sidecar has no room for another connection or request."""


class ConnectionLost(SidecarError):
    """The connection ended in the middle of something."""


class SidecarTimeout(SidecarError):
    """The sidecar did not answer in time."""


class ProtocolError(SidecarError):
    """The other side sent what the contract does not allow."""


class RequestFailed(SidecarError):
    """The sidecar answered this request with an error; the next may succeed."""


_BY_CODE: Final[Mapping[str, type[SidecarError]]] = {
    "bad-frame": ProtocolError,
    "too-large": ProtocolError,
    "timeout": SidecarTimeout,
    "unauthorized": Unauthorized,
    "contract-mismatch": ContractMismatch,
    "back-off": BackingOff,
    "busy": Busy,
    "draining": Busy,
}

# After these the sidecar keeps the connection open; after any other it closes it.
REQUEST_CODES: Final = frozenset({"bad-request", "unsupported", "engine-failed"})

_TEXT_SHOWN_CHARS: Final = 300


def refusal(text: str, code: str | None) -> SidecarError:
    """The error that an `error` event stands for."""
    return _BY_CODE.get(code or "", RequestFailed)(text[:_TEXT_SHOWN_CHARS], code=code)
