"""Commands in pairs, with the speaker's voice and without: what it costs the words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from .client import Client
from .figures import Figures, note, percentile
from .speech import Clip

# How an utterance ends: the client says so in mid-speech, the sidecar hears it, or the words are a command at once.
ENDINGS: Final[Mapping[str, Mapping[str, Any]]] = {
    "stop": {},
    "silence": {"silence_s": 1.2},
    "command": {"silence_s": 1.2, "as_command": True},
}


@dataclass
class Pairs:
    """From the end of speech to the words, by ending; `missing` counts words that came without the voice asked for."""

    with_ms: dict[str, list[float]] = field(default_factory=dict)
    without_ms: dict[str, list[float]] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)

    def added_ms(self, ending: str) -> list[float]:
        """How much later the words came with the voice, for each pair."""
        both = zip(self.with_ms[ending], self.without_ms[ending], strict=True)
        return [with_ms - without_ms for with_ms, without_ms in both]

    def figures(self) -> Figures:
        """Over all pairs, then by ending."""
        every = [each for ending in ENDINGS for each in self.added_ms(ending)]
        found = {
            "stt_added_ms_median": round(median(every), 2),
            "stt_added_ms_p95": round(percentile(every, 95), 2),
            "stt_pairs": float(len(every)),
        }
        for ending in ENDINGS:
            found |= {
                f"stt_added_ms_median_{ending}": round(median(self.added_ms(ending)), 2),
                f"stt_ms_median_{ending}": round(median(self.with_ms[ending]), 2),
                f"voice_missing_{ending}": round(self.missing.get(ending, 0) / len(self.with_ms[ending]), 4),
            }
        return found


async def measure(client: Client, clips: Sequence[Clip], *, rounds: int, pace: float) -> Pairs:
    """Rounds of every ending, who goes first changing each time; one more round before them warms up."""
    await _round(client, clips[0], Pairs(), is_swapped=False, pace=pace)
    pairs = Pairs()
    for number in range(rounds):
        clip = clips[number % len(clips)]
        await _round(client, clip, pairs, is_swapped=number % 2 == 0, pace=pace)
        latest = ", ".join(f"{ending} {pairs.added_ms(ending)[-1]:+.1f} ms" for ending in ENDINGS)
        note(f"{number + 1}/{rounds} {clip.said}: {latest}")
    return pairs


async def _round(client: Client, clip: Clip, pairs: Pairs, *, is_swapped: bool, pace: float) -> None:
    for ending, how in ENDINGS.items():
        heard = {
            voice: await client.transcribe(clip.pcm, pace=pace, voice=voice, **how)
            for voice in ((True, False) if is_swapped else (False, True))
        }
        pairs.with_ms.setdefault(ending, []).append(heard[True].after_ms)
        pairs.without_ms.setdefault(ending, []).append(heard[False].after_ms)
        pairs.missing[ending] = pairs.missing.get(ending, 0) + (not heard[True].has_voice)
