"""Where in some audio a person speaks, so that silence and clicks around it need not be recognised."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

# Speech is a run of frames over the lower probability with enough of them over the upper one.
_SPEECH_PROBABILITY: Final = 0.5
_SILENCE_PROBABILITY: Final = 0.2
# Shorter runs are clicks and knocks.
_MIN_SPEECH_MS: Final = 150
# Kept around speech: its soft beginnings and endings, and silence for a recogniser to measure the background by.
_MARGIN_MS: Final = 300
# A detector of speech may miss a hurried first word that is plainly louder than the room. Up to this much of it is
# looked for, and it may hold silences as long as those between syllables.
_LOUD_DB: Final = 8.0
_MISSED_MAX_MS: Final = 800
_SYLLABLE_GAP_MS: Final = 190
_ROOM_PERCENTILE: Final = 20
# Less than any microphone gives: silence that was put in, and tells nothing about the room.
_NOTHING_DB: Final = 3.0


def speech_span_ms(
    probabilities: Sequence[float], frame_ms: int, levels_db: Sequence[float] = ()
) -> tuple[int, int] | None:
    """The begin and end of what was said, margins included, by the speech probability of each frame; None if nothing.

    With the level of each frame as well, what is loud right before the speech is taken for its beginning, and no margin
    reaches into digital silence, which a recogniser would take for the sound of the room.
    """
    runs = list(_runs(probabilities, max(1, _MIN_SPEECH_MS // frame_ms)))
    if not runs:
        return None
    begin, end = runs[0][0], runs[-1][1]
    if not any(level > _NOTHING_DB for level in levels_db):
        return max(0, begin * frame_ms - _MARGIN_MS), min(len(probabilities), end) * frame_ms + _MARGIN_MS
    begin = _loud_beginning(levels_db, begin, frame_ms)
    first, last = _recorded(levels_db, begin, end)
    end_ms = end * frame_ms + _MARGIN_MS
    # The end of the audio is no end of the recording: half a frame may follow.
    is_cut = last < len(levels_db)
    return max(first * frame_ms, begin * frame_ms - _MARGIN_MS), min(last * frame_ms, end_ms) if is_cut else end_ms


def _loud_beginning(levels_db: Sequence[float], begin: int, frame_ms: int) -> int:
    """The first loud frame from which on it is never quiet for longer than between syllables."""
    room_db = np.percentile([level for level in levels_db if level > _NOTHING_DB], _ROOM_PERCENTILE)
    loud_db = float(room_db) + _LOUD_DB
    first = begin
    for frame in range(begin - 1, max(0, begin - _MISSED_MAX_MS // frame_ms) - 1, -1):
        if levels_db[frame] > loud_db:
            first = frame
        elif (first - frame) * frame_ms > _SYLLABLE_GAP_MS:
            break
    return first


def _recorded(levels_db: Sequence[float], begin: int, end: int) -> tuple[int, int]:
    """How far the recording around some speech goes before there is nothing at all."""
    while begin > 0 and levels_db[begin - 1] > _NOTHING_DB:
        begin -= 1
    while end < len(levels_db) and levels_db[end] > _NOTHING_DB:
        end += 1
    return begin, end


def _runs(probabilities: Sequence[float], min_frames: int) -> Iterator[tuple[int, int]]:
    """The first frame of each run of speech and the one after its last."""
    begin: int | None = None
    loud = 0
    for index, probability in enumerate([*probabilities, 0.0]):
        if probability >= _SILENCE_PROBABILITY:
            begin = index if begin is None else begin
            loud += probability >= _SPEECH_PROBABILITY
            continue
        if begin is not None and loud >= min_frames:
            yield begin, index
        begin, loud = None, 0
