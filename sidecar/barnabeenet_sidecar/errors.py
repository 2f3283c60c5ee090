"""The sidecar's errors, all under one root; `code` is what a client is told (see contract/README.md)."""

from __future__ import annotations

from typing import ClassVar


class SidecarError(Exception):
    """Anything the sidecar refuses or fails at; the text says what was wrong and what to do."""

    code: ClassVar[str] = "engine-failed"


class BadRequest(SidecarError):
    """The request breaks the contract or makes no sense now; the connection stays usable."""

    code = "bad-request"


class Unsupported(SidecarError):
    """No engine here does what was asked (language, voice, wake word)."""

    code = "unsupported"


class EngineFailed(SidecarError):
    """An engine broke, hung or died on this request; the next request may succeed."""

    code = "engine-failed"


class EngineUnavailable(SidecarError):
    """An engine cannot be loaded on this machine; the text says what is missing and how to get it."""

    code = "unsupported"


class Busy(SidecarError):
    """Too many connections or requests at once."""

    code = "busy"


class Draining(SidecarError):
    """The sidecar is shutting down and takes no new work."""

    code = "draining"


class ConfigError(SidecarError):
    """A setting is wrong; the text names it and what it may be."""
