"""From the pieces of any vendor's stream to the deltas of an answer: within limits of time and size, whole or failed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
import json
import re
from typing import Any, Final

from .base import (
    BadAnswer,
    ContentFiltered,
    Delta,
    Done,
    Meter,
    Prompt,
    ProviderError,
    Reason,
    TextDelta,
    TimedOut,
    ToolCall,
    ToolCallDelta,
    Truncated,
    Usage,
)
from .patience import Patience
from .settings import Limits

# A model caught in a loop: the same 1 to 60 characters, eight times and more without a break.
_LOOP: Final = re.compile(r"(.{1,60}?)\1{7,}$", re.DOTALL)
_LOOP_TAIL_CHARS: Final = 500
_LOOP_EVERY_CHARS: Final = 200
# Not only a line of dashes.
_LOOP_MIN_CHARS: Final = 160

_REASONS: Final[dict[str, Reason]] = {
    "stop": "stop",
    "tool_calls": "tools",
    "function_call": "tools",
    "length": "length",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tools",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
}
_FILTERED: Final = frozenset({"content_filter", "refusal"})


@dataclass(frozen=True)
class ToolPart:
    """A fragment of a tool call; fragments with the same index belong together."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True)
class Piece:
    """What one event of a vendor's stream brought; `thought` counts but is not said, `ended` is the vendor's reason."""

    text: str = ""
    thought: str = ""
    tools: tuple[ToolPart, ...] = ()
    ended: str | None = None
    usage: Usage | None = None

    def chars(self) -> int:
        """What of it is answer."""
        return len(self.text) + sum(len(part.name) + len(part.arguments) for part in self.tools)


@dataclass
class _Draft:
    """A tool call under way."""

    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


async def deltas(
    pieces: AsyncGenerator[Piece, None], prompt: Prompt, limits: Limits, meter: Meter
) -> AsyncGenerator[Delta, None]:
    """The answer that `pieces` make up; raises ProviderError. Tool calls come last: only a whole answer has any."""
    answer = _Answer(prompt, limits, meter)
    async with aclosing(_paced(pieces, limits)) as paced:
        try:
            async for piece in paced:
                text = answer.take(piece)
                if text:
                    yield TextDelta(text)
                if answer.is_full:
                    break
        except ProviderError:
            # What comes after the last word is only what was used.
            if answer.ended is None:
                raise
    for delta in answer.end():
        yield delta


class _Answer:
    """An answer as it grows."""

    def __init__(self, prompt: Prompt, limits: Limits, meter: Meter) -> None:
        self._prompt = prompt
        self._limits = limits
        self._meter = meter
        self._drafts: dict[int, _Draft] = {}
        self._pieces = 0
        self._said_chars = 0
        self._argument_chars = 0
        self._has_words = False
        self._tail = ""
        self._unlooked_chars = 0
        self.ended: str | None = None
        self.is_full = False

    def take(self, piece: Piece) -> str:
        """The text of it that may be given out; raises BadAnswer."""
        self._meter.received_chars += piece.chars() + len(piece.thought)
        if piece.usage is not None:
            self._meter.told = piece.usage
        self.ended = piece.ended or self.ended
        self._pieces += 1
        if self._pieces > self._limits.pieces_max:
            raise BadAnswer(f"It sent over {self._limits.pieces_max} events for one answer")
        for part in piece.tools:
            self._take_tool(part)
        return self._take_text(piece.text)

    def _take_text(self, text: str) -> str:
        room = self._limits.output_max_chars - self._said_chars
        if len(text) > room:
            text = text[:room]
            self.ended, self.is_full = "length", True
        self._said_chars += len(text)
        self._has_words = self._has_words or bool(text.strip())
        self._look_for_loop(text)
        return text

    def _look_for_loop(self, text: str) -> None:
        self._tail = (self._tail + text)[-_LOOP_TAIL_CHARS:]
        self._unlooked_chars += len(text)
        if self._unlooked_chars >= _LOOP_EVERY_CHARS:
            self._unlooked_chars = 0
            loop = _LOOP.search(self._tail)
            if loop is not None and len(loop[0]) >= _LOOP_MIN_CHARS:
                raise BadAnswer("It says the same again and again")

    def _take_tool(self, part: ToolPart) -> None:
        if part.index not in self._drafts and len(self._drafts) >= self._limits.tool_calls_max:
            raise BadAnswer(f"It wants more than {self._limits.tool_calls_max} tools at once")
        draft = self._drafts.setdefault(part.index, _Draft())
        draft.id = draft.id or part.id
        draft.name = draft.name or part.name
        draft.arguments.append(part.arguments)
        self._argument_chars += len(part.arguments)
        if self._argument_chars > self._limits.arguments_max_chars:
            raise BadAnswer(f"The arguments of its tools have over {self._limits.arguments_max_chars} characters")

    def end(self) -> list[Delta]:
        """The tool calls and Done; raises ProviderError for what is no whole answer."""
        if self.ended is None:
            raise Truncated("The answer ended in the middle, without a reason")
        if self.ended in _FILTERED:
            raise ContentFiltered("The vendor's content filter kept the answer back")
        reason = _REASONS.get(self.ended)
        if reason is None:
            raise BadAnswer(f"The answer ended for an unknown reason: {self.ended[:40]}")
        if reason == "length" and self._drafts:
            raise BadAnswer("The answer was cut off in the middle of a tool call")
        if not self._drafts and not self._has_words:
            raise BadAnswer("The answer is empty")
        calls = [self._call(index, draft) for index, draft in sorted(self._drafts.items())]
        if reason != "length":
            reason = "tools" if calls else "stop"
        return [*(ToolCallDelta(call) for call in calls), Done(reason, self._meter.usage())]

    def _call(self, index: int, draft: _Draft) -> ToolCall:
        if draft.name not in {tool.name for tool in self._prompt.tools}:
            raise BadAnswer(f"It calls a tool that it was not offered: {draft.name[:64]!r}")
        text = "".join(draft.arguments)
        try:
            arguments: Any = json.loads(text) if text.strip() else {}
        except (ValueError, RecursionError):
            raise BadAnswer(f"The arguments for {draft.name} are not JSON") from None
        if not isinstance(arguments, dict):
            raise BadAnswer(f"The arguments for {draft.name} are not a JSON object")
        return ToolCall(draft.id or f"call_{index}", draft.name, arguments)


async def _paced(pieces: AsyncGenerator[Piece, None], limits: Limits) -> AsyncGenerator[Piece, None]:
    """The same pieces; raises TimedOut when they do not begin or go on in time."""
    patience, late = Patience(limits.first_token_s), f"Not a word came within {limits.first_token_s:g} s"
    progress_chars = limits.progress_chars
    async with aclosing(pieces):
        while True:
            try:
                piece = await patience.next(pieces)
            except TimeoutError:
                raise TimedOut(late) from None
            if piece is None:
                return
            progress_chars += piece.chars()
            if piece.ended is not None:
                patience = Patience(limits.trailer_s)
            elif piece.chars() and progress_chars >= limits.progress_chars:
                progress_chars = 0
                patience, late = Patience(limits.silence_s), f"It fell silent for {limits.silence_s:g} s"
            yield piece
