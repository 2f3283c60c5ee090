"""How a command went, for a person and for a program."""

from __future__ import annotations

import sys
from typing import Any

from .judge import Verdict
from .player import Turn

_BAR_MS = 25  # one character
_BAR_CHARS = 48
_STAGES = (("hearing", "stt-end", "█"), ("acting", "intent-end", "▓"), ("speaking", "first-audio", "░"))


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


def as_dict(said: str, turn: Turn, verdict: Verdict, stages_ms: dict[str, float]) -> dict[str, Any]:
    """The turn as JSON-ready values."""
    return {
        "said": said,
        "heard": turn.heard,
        "changed": {entity: {"before": before, "after": after} for entity, (before, after) in verdict.changed.items()},
        "reply": turn.reply,
        "done": verdict.done,
        "wrong": verdict.wrong,
        "timings": timings(turn),
        "stages_ms": stages_ms,
    }


def as_text(number: int, said: str, turn: Turn, verdict: Verdict, stages_ms: dict[str, float]) -> str:
    """The turn as a few lines for a terminal."""
    lines = [f"{number:>2}  said   {said}", f"    heard  {turn.heard or '(nothing)'}"]
    lines += [f"    home   {entity}: {before} -> {after}" for entity, (before, after) in verdict.changed.items()]
    lines.append(f"    reply  {turn.reply or '(none)'}")
    lines.append("    done   yes" if verdict.done else f"    done   NO: {'; '.join(verdict.wrong)}")
    lines.append(f"    time   {_bar(timings(turn))}")
    if stages_ms:
        lines.append(f"    inside {', '.join(f'{name} {spent_ms:.0f} ms' for name, spent_ms in stages_ms.items())}")
    return "\n".join(lines)


def _bar(found: dict[str, float]) -> str:
    stages = [(name, sign, found[f"{name}_ms"]) for name, _, sign in _STAGES if f"{name}_ms" in found]
    bar = "".join(sign * max(1, round(spent_ms / _BAR_MS)) for _, sign, spent_ms in stages)[:_BAR_CHARS]
    words = ", ".join(f"{name} {spent_ms:.0f} ms" for name, _, spent_ms in stages)
    total = found.get("end_of_speech_to_first_audio_ms")
    return f"{bar}  {words}" + (f"; {total:.0f} ms from the end of speech to the first sound" if total else "")


def note(text: str) -> None:
    """Tells a person at the terminal what goes on, apart from the results."""
    print(text, file=sys.stderr, flush=True)
