"""How a command went, for a person and for a program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
import sys
from typing import Any

from .judge import Verdict
from .model import Calls
from .player import Turn

_BAR_MS = 25  # one character
_BAR_CHARS = 48
_STAGES = (("hearing", "stt-end", "█"), ("acting", "intent-end", "▓"), ("speaking", "first-audio", "░"))


@dataclass(frozen=True)
class Asked:
    """A question to a language model: what the ears made of it, whether it was written for them, and what it took."""

    said: str
    heard: str | None
    typed: bool
    actions: Sequence[str]
    calls: Calls
    first_words_ms: float | None


@dataclass(frozen=True)
class Recognised:
    """Who said it and whom the voice was taken for; None is a guest. `confidence` is from 0 to 1."""

    by: str
    speaker: str | None
    confidence: float | None


def timings(turn: Turn) -> dict[str, float]:
    """Milliseconds per stage, from the end of speech to the first audio of the reply, and their sum."""
    found: dict[str, float] = {}
    last = 0.0
    for name, mark, _ in _STAGES:
        if mark in turn.times_ms:
            found[f"{name}_ms"] = round(turn.times_ms[mark] - last, 1)
            last = turn.times_ms[mark]
    if "first-audio" in turn.times_ms:
        found["end_of_speech_to_first_audio_ms"] = round(last, 1)
    return found


def as_dict(
    said: str, turn: Turn, verdict: Verdict, stages_ms: dict[str, float], *, voice: Recognised | None = None
) -> dict[str, Any]:
    """The turn as JSON-ready values."""
    who = {} if voice is None else {"by": voice.by, "speaker": voice.speaker, "confidence": voice.confidence}
    return who | {
        "said": said,
        "heard": turn.heard,
        "changed": {entity: {"before": before, "after": after} for entity, (before, after) in verdict.changed.items()},
        "reply": turn.reply,
        "done": verdict.done,
        "wrong": verdict.wrong,
        "timings": timings(turn),
        "stages_ms": stages_ms,
    }


def as_text(
    number: int,
    said: str,
    turn: Turn,
    verdict: Verdict,
    stages_ms: dict[str, float],
    *,
    voice: Recognised | None = None,
) -> str:
    """The turn as a few lines for a terminal."""
    lines = [f"{number:>2}  said   {said}", f"    heard  {turn.heard or '(nothing)'}"]
    if voice is not None:
        lines[0] += f" ({voice.by})"
        lines.append(f"    voice  {voice.speaker or 'a guest'}, {100 * (voice.confidence or 0):.0f} % sure")
    lines += [f"    home   {entity}: {before} -> {after}" for entity, (before, after) in verdict.changed.items()]
    lines.append(f"    reply  {turn.reply or '(none)'}")
    lines.append("    done   yes" if verdict.done else f"    done   NO: {'; '.join(verdict.wrong)}")
    lines.append(f"    time   {_bar(timings(turn))}")
    if stages_ms:
        lines.append(f"    inside {', '.join(f'{name} {spent_ms:.0f} ms' for name, spent_ms in stages_ms.items())}")
    return "\n".join(lines)


def asked_as_dict(asked: Asked, turn: Turn, verdict: Verdict) -> dict[str, Any]:
    """A question's turn as JSON-ready values."""
    told = as_dict(asked.said, turn, verdict, {})
    return told | {
        "heard": asked.heard,
        "typed": asked.typed,
        "reply_was_spoken": bool(turn.audio),
        "actions": list(asked.actions),
        "model": asdict(asked.calls) | {"first_words_ms": asked.first_words_ms},
    }


def asked_as_text(number: int, asked: Asked, turn: Turn, verdict: Verdict) -> str:
    """A question's turn as a few lines for a terminal."""
    heard = asked.heard or "(nothing)"
    lines = [f"{number:>2}  {'typed' if asked.typed else 'said '}  {asked.said}"]
    if asked.typed:
        lines.append(f"    heard  {heard}: such words are none that these ears know, so the question was typed")
    lines += [f"    did    {action}" for action in asked.actions]
    lines += [f"    home   {entity}: {before} -> {after}" for entity, (before, after) in verdict.changed.items()]
    lines.append(f"    reply  {turn.reply or '(none)'} ({'spoken' if turn.audio else 'NOT spoken'})")
    lines.append("    done   yes" if verdict.done else f"    done   NO: {'; '.join(verdict.wrong)}")
    lines.append(f"    time   {_bar(timings(turn))}")
    lines.append(f"    model  {_model(asked)}")
    return "\n".join(lines)


def _model(asked: Asked) -> str:
    calls = asked.calls
    if not calls.requests:
        return "was not asked"
    words = "no words" if asked.first_words_ms is None else f"first words after {asked.first_words_ms:.0f} ms"
    tokens = f"{calls.prompt_tokens} tokens read, {calls.completion_tokens} written"
    return f"{words}; {calls.requests} requests, {tokens}, {calls.usd:.6f} USD ({', '.join(calls.sources)})"


def _bar(found: dict[str, float]) -> str:
    stages = [(name, sign, found[f"{name}_ms"]) for name, _, sign in _STAGES if f"{name}_ms" in found]
    bar = "".join(sign * max(1, round(spent_ms / _BAR_MS)) for _, sign, spent_ms in stages)[:_BAR_CHARS]
    words = ", ".join(f"{name} {spent_ms:.0f} ms" for name, _, spent_ms in stages)
    total = found.get("end_of_speech_to_first_audio_ms")
    return f"{bar}  {words}" + (f"; {total:.0f} ms from the end of speech to the first sound" if total else "")


def note(text: str) -> None:
    """Tells a person at the terminal what goes on, apart from the results."""
    print(text, file=sys.stderr, flush=True)
