"""What people say, hear and call their things: kept out of the log unless the operator asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import traceback

_SHOWN_MAX_CHARS = 2000
_is_shown = False


def show(shown: bool) -> None:
    """Whether content is logged from now on (`log_content`)."""
    global _is_shown  # noqa: PLW0603 - one process has one log
    _is_shown = shown


def is_shown() -> bool:
    """Whether content is logged."""
    return _is_shown


class Content:
    """Something of a home's in a log line: `_LOGGER.debug("heard %s", Content(text))`.

    Wrap whatever may hold words of speech, names, file names or an error that quotes them. Unless content is asked for
    it reads as its size; of an error the class is told too. Text is only made when the line is really written.
    """

    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        self._value = value

    def __str__(self) -> str:
        value = self._value
        if _is_shown:
            shown = f"{type(value).__name__}: {value}" if isinstance(value, BaseException) else str(value)
            return shown[:_SHOWN_MAX_CHARS]
        if isinstance(value, BaseException):
            return f"{type(value).__name__} ({len(str(value))} characters)"
        if isinstance(value, Mapping):
            return f"({len(value)} fields)"
        if isinstance(value, bytes | bytearray | memoryview):
            return f"({len(value)} bytes)"
        if isinstance(value, list | tuple | set | frozenset):
            return f"({len(value)} entries)"
        return f"({len(str(value))} characters)"

    # The logging module prints a line that it cannot format with the representations of its arguments.
    __repr__ = __str__


def without_content(error: BaseException) -> str:
    """The traceback of an error, with the classes of it and its causes but not with their words."""
    return "\n".join(_told(error, set()))


def _told(error: BaseException, told: set[int]) -> Iterator[str]:
    told.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in told:
        yield from _told(before, told)
        yield "which led to:" if error.__cause__ else "and while that was handled:"
    yield from (line.rstrip("\n") for line in traceback.format_tb(error.__traceback__))
    yield f"{type(error).__module__}.{type(error).__qualname__} ({len(str(error))} characters)"
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            if id(part) not in told:
                yield "one of them:"
                yield from _told(part, told)
