"""Wyoming frames within bounds, read and written without trusting the other side.

This file stands on both sides as an identical twin; `contract/README.md` has the rules, `contract/limits.json` the
numbers. Wyoming's own reader trusts the lengths it is told and waits for ever, hence this one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from functools import lru_cache
import json
import math
import re
from typing import Any, Final, Literal, NoReturn, TypeAlias, TypeVar
import weakref

from wyoming.event import Event

HEADER_MAX_BYTES: Final = 65_536
DATA_MAX_BYTES: Final = 1_048_576
PAYLOAD_MAX_BYTES: Final = 1_048_576
HELLO_BODY_MAX_BYTES: Final = 16_384
JSON_MAX_DEPTH: Final = 32
HELLO_S: Final = 5.0
HEADER_S: Final = 10.0
BODY_S: Final = 10.0
IDLE_S: Final = 60.0
WRITE_S: Final = 10.0
FRAMES_IN_A_ROW_MAX: Final = 16
_USUAL_HEADER_BYTES: Final = 128

_ReadT = TypeVar("_ReadT")

WireErrorCode: TypeAlias = Literal["bad-frame", "too-large", "timeout"]


class WireError(ValueError):
    """A frame that breaks a bound; the connection cannot go on. `code` is the contract's error code."""

    def __init__(self, code: WireErrorCode, text: str) -> None:
        """Keeps the code beside the text."""
        super().__init__(text)
        self.code: WireErrorCode = code


async def read_event(
    reader: asyncio.StreamReader,
    *,
    idle_s: float = IDLE_S,
    header_s: float = HEADER_S,
    body_s: float = BODY_S,
    body_max_bytes: int = DATA_MAX_BYTES,
) -> Event | None:
    """Reads one frame; None when the stream ended between frames.

    The stream must have been opened with `limit=HEADER_MAX_BYTES`. Raises WireError when a rule is broken or a deadline
    passed, OSError when the connection broke. A read cancelled in mid-frame leaves the stream unusable.
    """
    # Frames that have all arrived are read without waiting: whoever floods must not keep the loop for itself.
    await asyncio.sleep(0)
    async with _deadline(idle_s, *_FRAME):
        first = await reader.read(1)
    if not first:
        return None
    line = await _read_header(reader, first, header_s)
    event_type, data, data_bytes, payload_bytes = _parse_header(line, body_max_bytes)
    if not data_bytes and not payload_bytes:
        return Event(event_type, data)
    async with _deadline(body_s, *_BODY):
        # readexactly collects what arrives, it does not set aside what was announced.
        raw_data = await reader.readexactly(data_bytes)
        payload = await reader.readexactly(payload_bytes)
    if raw_data:
        data |= _parse_object(raw_data, "the data")
    return Event(event_type, data, payload or None)


class FrameReader:
    """Reads frames as `read_event` does, but takes off the stream whatever has arrived: small frames cost less.

    Nobody else may read the stream meanwhile. A read that is cancelled loses nothing.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        *,
        idle_s: float = IDLE_S,
        header_s: float = HEADER_S,
        body_s: float = BODY_S,
        body_max_bytes: int = DATA_MAX_BYTES,
    ) -> None:
        """The stream must have been opened with `limit=HEADER_MAX_BYTES`."""
        self._reader = reader
        self._idle_s, self._header_s, self._body_s = idle_s, header_s, body_s
        self._body_max_bytes = body_max_bytes
        self._arrived = b""
        self._in_a_row = 0
        self._alarm = _Alarm()

    def close(self) -> None:
        """Nobody reads any more; safe to call twice."""
        self._alarm.close()

    async def read(self) -> Event | None:
        """The next frame, or None when the stream ended between frames; raises as `read_event`."""
        self._in_a_row += 1
        if self._in_a_row == FRAMES_IN_A_ROW_MAX:
            # Whoever floods must not keep the loop for itself.
            self._in_a_row = 0
            await asyncio.sleep(0)
        body = self._arrived.find(b"\n") + 1 or await self._until_body()
        if not body:
            return None
        line = self._arrived[:body]
        _refuse_other_than_frames(line)
        if body > HEADER_MAX_BYTES:
            raise _header_too_large()
        if body <= _USUAL_HEADER_BYTES and b'"data"' not in line and b"\\" not in line:
            event_type, data_bytes, payload_bytes = _parse_usual_header(line, self._body_max_bytes)
            data: dict[str, Any] = {}
        else:
            event_type, data, data_bytes, payload_bytes = _parse_header(line, self._body_max_bytes)
        payload, end = body + data_bytes, body + data_bytes + payload_bytes
        if (missing := end - len(self._arrived)) > 0:
            self._arrived += await self._within(self._body_s, _BODY, self._reader.readexactly(missing))
        arrived, self._arrived = self._arrived, self._arrived[end:]
        if data_bytes:
            data |= _parse_object(arrived[body:payload], "the data")
        return Event(event_type, data, arrived[payload:end] or None)

    async def _until_body(self) -> int:
        """Waits for the end of a header; where the body begins, 0 when the stream ended before a frame."""
        if not self._arrived:
            self._arrived = await self._within(self._idle_s, _FRAME, self._reader.read(HEADER_MAX_BYTES))
            if not self._arrived:
                return 0
        body = self._arrived.find(b"\n") + 1
        return body or await self._within(self._header_s, _HEADER, self._rest_of_header())

    async def _rest_of_header(self) -> int:
        while not (body := self._arrived.find(b"\n") + 1):
            _refuse_other_than_frames(self._arrived)
            if len(self._arrived) >= HEADER_MAX_BYTES:
                raise _header_too_large()
            more = await self._reader.read(HEADER_MAX_BYTES)
            if not more:
                raise WireError("bad-frame", _CUT_SHORT)
            self._arrived += more
        return body

    async def _within(self, seconds: float, awaited: tuple[str, str], reading: Awaitable[_ReadT]) -> _ReadT:
        try:
            self._alarm.set(seconds)
            return await reading
        except asyncio.CancelledError:
            if self._alarm.rang():
                raise _overdue(seconds, *awaited) from None
            raise
        except asyncio.IncompleteReadError:
            raise WireError("bad-frame", _CUT_SHORT) from None
        finally:
            self._alarm.stop()


class _Alarm:
    """Cancels the task that set it when its time has come, as `asyncio.timeout` does.

    Most are stopped long before: the loop's timer is left to run out and set again only then.
    """

    def __init__(self) -> None:
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = 0
        self._rang = False

    def set(self, seconds: float) -> None:
        """Begins to wait; for the task that runs now."""
        self._task = asyncio.current_task()
        assert self._task is not None
        loop = self._task.get_loop()
        self._cancelling, self._rang = self._task.cancelling(), False
        self._due = loop.time() + seconds
        if self._timer is not None and self._timer.when() > self._due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            # Held weakly: a connection that has ended need not be kept until then.
            self._timer = loop.call_at(self._due, _ring, weakref.ref(self))

    def stop(self) -> None:
        """Waits no longer."""
        self._due = self._task = None

    def close(self) -> None:
        """Waits no longer, and leaves no timer behind."""
        self.stop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def rang(self) -> bool:
        """Whether it was this alarm alone that cancelled the task; takes that back."""
        return self._rang and self._task is not None and self._task.uncancel() <= self._cancelling

    def look(self) -> None:
        """The timer has run out: rings when it is time, else waits on."""
        self._timer = None
        if self._due is None or self._task is None:
            return
        loop = self._task.get_loop()
        if loop.time() < self._due:
            self._timer = loop.call_at(self._due, _ring, weakref.ref(self))
            return
        self._rang = True
        self._task.cancel()


def _ring(alarm: weakref.ref[_Alarm]) -> None:
    if (it := alarm()) is not None:
        it.look()


def encode(event: Event) -> bytes:
    """The event as one frame; raises WireError when it breaks a bound or is not JSON."""
    data = _dump_object(event.data) if event.data else b""
    payload = event.payload or b""
    if len(data) > DATA_MAX_BYTES or len(payload) > PAYLOAD_MAX_BYTES:
        raise WireError("too-large", f"{event.type} has {len(data)} bytes of data and {len(payload)} of payload")
    header: dict[str, Any] = {"type": event.type}
    if data:
        header["data_length"] = len(data)
    if payload:
        header["payload_length"] = len(payload)
    line = _dump_object(header) + b"\n"
    if len(line) > HEADER_MAX_BYTES:
        raise WireError("too-large", f"the header has {len(line)} bytes, at most {HEADER_MAX_BYTES} are allowed")
    return b"".join((line, data, payload))


async def write_event(writer: asyncio.StreamWriter, event: Event, *, write_s: float = WRITE_S) -> None:
    """Writes one frame; raises WireError when it breaks a bound or nobody reads it, OSError when the connection broke."""
    writer.write(encode(event))
    try:
        async with asyncio.timeout(write_s):
            await writer.drain()
    except TimeoutError:
        raise WireError("timeout", f"the other side did not read within {write_s:g} s") from None


# What a deadline is for, and what to do about it.
_FRAME: Final = ("a frame", "send a ping from time to time")
_HEADER: Final = ("the whole header of a frame", "send a frame in one piece")
_BODY: Final = ("the whole body of a frame", "send a frame in one piece")
_CUT_SHORT: Final = "the connection ended in the middle of a frame"


@asynccontextmanager
async def _deadline(seconds: float, awaited: str, advice: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise _overdue(seconds, awaited, advice) from None
    except asyncio.IncompleteReadError:
        raise WireError("bad-frame", _CUT_SHORT) from None


def _overdue(seconds: float, awaited: str, advice: str) -> WireError:
    return WireError("timeout", f"{awaited} did not arrive within {seconds:g} s: {advice}")


async def _read_header(reader: asyncio.StreamReader, first: bytes, header_s: float) -> bytes:
    _refuse_other_than_frames(first)
    try:
        async with _deadline(header_s, *_HEADER):
            line = first + await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError:
        raise _header_too_large() from None
    if len(line) > HEADER_MAX_BYTES:
        raise _header_too_large()
    return line


def _refuse_other_than_frames(arrived: bytes) -> None:
    # A web browser or a TLS client is told at once, before it has sent a line.
    if not arrived.startswith(b"{"):
        raise WireError("bad-frame", "a frame starts with a JSON object: speak Wyoming, without TLS")


def _header_too_large() -> WireError:
    return WireError("too-large", f"the header has more than {HEADER_MAX_BYTES} bytes: move its data to the body")


def _parse_header(line: bytes, body_max_bytes: int) -> tuple[str, dict[str, Any], int, int]:
    """The event's type and data, and the lengths of further data and of the payload."""
    header = _parse_object(line, "the header")
    event_type, data = header.get("type"), header.get("data", {})
    if not isinstance(event_type, str) or not event_type:
        raise WireError("bad-frame", "the header's type must be text")
    if not isinstance(data, dict):
        raise WireError("bad-frame", "the header's data must be an object")
    data_bytes = _length(header, "data_length", min(DATA_MAX_BYTES, body_max_bytes))
    payload_bytes = _length(header, "payload_length", min(PAYLOAD_MAX_BYTES, body_max_bytes))
    return event_type, data, data_bytes, payload_bytes


@lru_cache(maxsize=256)
def _parse_usual_header(line: bytes, body_max_bytes: int) -> tuple[str, int, int]:
    """A header without data, as most are: those of a stream of audio differ by a digit or not at all."""
    event_type, _, data_bytes, payload_bytes = _parse_header(line, body_max_bytes)
    return event_type, data_bytes, payload_bytes


def _length(header: dict[str, Any], name: str, maximum: int) -> int:
    value = header.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise WireError("bad-frame", f"{name} must be a whole number from 0 to {maximum}")
    if value > maximum:
        raise WireError("too-large", f"{name} is more than the {maximum} bytes allowed here")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
# The closing quote is optional so that no text can make the expression step back and try again.
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_BRACKETS_TO_SQUARE: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


def _refuse_deep(raw: bytes, what: str) -> None:
    if raw.count(b"[") + raw.count(b"{") <= JSON_MAX_DEPTH:
        return
    # Brackets outside strings, each pass taking the innermost pairs away: JSON's own reader would recurse.
    brackets = _STRING.sub(b"", raw).translate(_BRACKETS_TO_SQUARE, _NO_BRACKETS)
    for _ in range(JSON_MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"")
    if brackets:
        raise WireError(
            "bad-frame", f"{what} is nested deeper than {JSON_MAX_DEPTH} levels or its brackets do not match"
        )


def _parse_object(raw: bytes, what: str) -> dict[str, Any]:
    _refuse_deep(raw, what)
    try:
        text = raw.decode()
        value = _DECODER.decode(text)
        if "\\" in text and _SURROGATE.search(text):
            # Half a surrogate pair parses, and then breaks whoever encodes the text again.
            json.dumps(value, ensure_ascii=False).encode()
    except ValueError as error:
        raise WireError("bad-frame", f"{what} is not JSON in UTF-8: {error}") from None
    if not isinstance(value, dict):
        raise WireError("bad-frame", f"{what} must be a JSON object")
    return value


def _dump_object(value: dict[str, Any]) -> bytes:
    try:
        raw = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise WireError("bad-frame", f"cannot be sent as JSON: {error}") from None
    _refuse_deep(raw, "the data")
    return raw
