"""From what a vendor's library or the network raises to a ProviderError: in a person's words, without secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
import math
import re
import time
from typing import Any, Final

import httpx

from .base import (
    BadAnswer,
    ContentFiltered,
    ProviderError,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    Truncated,
    Unreachable,
)
from .http import TooMuch

RETRY_AFTER_MAX_S: Final = 3600.0

_SAID_MAX_CHARS: Final = 200
# Whatever looks like a key: vendors quote the one they do not like.
_SECRET: Final = re.compile(r"\b(?:sk|gsk|pk|key|Bearer)[-_ ][\w*.\-]{4,}|\b[\w\-]{32,}\b", re.IGNORECASE)

_NO_CREDIT: Final = (Refused, "The account has no credit left{said}")
_FILTERED: Final = (ContentFiltered, "The vendor's content filter kept the answer back")
_WRONG_CALL: Final = (BadAnswer, "The model called a tool wrongly{said}")
# The words about a refused key are not the vendor's: they may quote it.
_NO_ENTRY: Final = (Refused, "The key was refused ({status}); enter another one")

_CODES: Final[Mapping[str, tuple[type[ProviderError], str]]] = {
    "content_filter": _FILTERED,
    "content_policy_violation": _FILTERED,
    "tool_use_failed": _WRONG_CALL,
    "json_validate_failed": _WRONG_CALL,
    "insufficient_quota": _NO_CREDIT,
    "billing_hard_limit_reached": _NO_CREDIT,
    "billing_error": _NO_CREDIT,
}
_STATUSES: Final[Mapping[int, tuple[type[ProviderError], str]]] = {
    401: _NO_ENTRY,
    402: _NO_CREDIT,
    403: _NO_ENTRY,
    404: (Refused, "The model or the address is not known there (404){said}"),
    408: (TimedOut, "The vendor gave up waiting for its own model (408)"),
    429: (RateLimited, "Too many requests (429)"),
}
_OTHER_4XX: Final = (Rejected, "The request was not accepted ({status}){said}")
_OTHER_5XX: Final = (Unreachable, "The server has an error of its own ({status})")
_OTHER: Final = (Unreachable, "The address answers with {status} instead of an answer; check it")

# The first that fits.
_NETWORK: Final[Sequence[tuple[type[Exception], type[ProviderError], str]]] = (
    (TooMuch, BadAnswer, "{error}"),
    (httpx.ConnectTimeout, Unreachable, "Nobody answers at the address in time"),
    (httpx.TimeoutException, TimedOut, "It fell silent, and the connection was given up"),
    (httpx.InvalidURL, Refused, "The address is no HTTP address"),
    (httpx.UnsupportedProtocol, Refused, "The address is no HTTP address"),
    (httpx.ConnectError, Unreachable, "No connection to the address: {error}"),
    (httpx.ReadError, Truncated, "The connection was cut before the answer was whole"),
    (httpx.RemoteProtocolError, Truncated, "The connection was cut before the answer was whole"),
    (httpx.HTTPError, Unreachable, "The connection failed ({kind})"),
)
_STATUS_OF_CODE: Final = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "overloaded_error": 529,
    "api_error": 500,
    "server_error": 500,
    "timeout_error": 408,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "invalid_request_error": 400,
}


@dataclass(frozen=True)
class Library:
    """How a vendor's library names its errors; the libraries are made by one generator and alike."""

    status: type[Any]
    timeout: type[Exception]
    connection: type[Exception]
    api: type[Any]

    @contextmanager
    def translated(self) -> Iterator[None]:
        """What is raised inside comes out as a ProviderError, the four failures that the libraries let through too."""
        try:
            yield
        except self.status as error:
            failure = of_status(error.status_code, error.body, error.response.headers)
        except self.timeout as error:
            cause = error.__cause__
            failure = of_network(cause if isinstance(cause, httpx.TimeoutException) else httpx.ReadTimeout(""))
        except self.connection as error:
            failure = of_network(error.__cause__)
        except self.api as error:
            failure = of_event(error.body)
        except httpx.HTTPError as error:
            failure = of_network(error)
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
            failure = not_understood(error)
        else:
            return
        raise failure from None


def of_status(status: int, body: object, headers: httpx.Headers | None = None) -> ProviderError:
    """The error that an HTTP status stands for, with the vendor's own words where they help a person."""
    code, said = _read(body)
    by_range = _OTHER_4XX if 400 <= status < 500 else _OTHER_5XX if 500 <= status < 600 else _OTHER
    kind, text = _CODES.get(code) or _STATUSES.get(status) or by_range
    return kind(text.format(status=status, said=said), retry_after_s=retry_after_s(headers))


def of_event(body: object) -> ProviderError:
    """The error that an event in the middle of a stream stands for."""
    code, _ = _read(body)
    status = int(code) if code.isdigit() and len(code) == 3 else _STATUS_OF_CODE.get(code, 500)
    return of_status(status, body)


def of_network(error: BaseException | None) -> ProviderError:
    """The error that a failure below HTTP stands for."""
    for raised, kind, text in _NETWORK:
        if isinstance(error, raised):
            return kind(text.format(error=str(error)[:_SAID_MAX_CHARS], kind=type(error).__name__))
    return Unreachable(f"The connection failed ({type(error).__name__})")


def not_understood(error: Exception) -> ProviderError:
    """The error for bytes that are no answer in the vendor's form."""
    return BadAnswer(f"It sent what is no answer ({type(error).__name__})")


def retry_after_s(headers: httpx.Headers | None) -> float | None:
    """Seconds from a Retry-After header, in numbers or as a date, within RETRY_AFTER_MAX_S; None without a usable one."""
    value = headers.get("retry-after", "")[:64] if headers is not None else ""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return max(0.0, min(seconds, RETRY_AFTER_MAX_S)) if math.isfinite(seconds) else None


def _read(body: object) -> tuple[str, str]:
    """The vendor's code and its words as the end of a sentence."""
    error: Any = body.get("error", body) if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return "", ""
    code = str(error.get("code") or error.get("type") or "")[:64]
    said = _SECRET.sub("[hidden]", str(error.get("message") or "")[:_SAID_MAX_CHARS])
    return code, f": {said}" if said else ""
