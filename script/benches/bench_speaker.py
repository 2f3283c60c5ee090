"""How well people are known by their voice, how often a wrong name is said, and what it costs the words.

Six people of LibriSpeech's test-other are enrolled with four clips each; other clips of theirs are cut into utterances
of 0.5 to 3 s of speech, clean (as recorded: 13 to 60 dB) and in noise (a recorded room, white, pink, babble of six) at
20 and 10 dB. Each goes the sidecar's way (Silero, its speech and room, the encoder) and then the integration's
(`state.voice_match`). The bounds there were chosen on three of the six (`--chosen` shows those); the figures are of the
other three, among all six.

  top1_...              the right person is the nearest of six, whatever the bounds say
  accepted_...          said by their name; guest_: taken for a guest
  wrong_name_...        said by somebody else's name
  stranger_named_...    the same people while they are not enrolled, and others who never are (three people and two
                        made voices): said by anybody's name
  sure_..., stranger_sure  named with a confidence of 0.9 or more
  confidence_...        what the matches' confidence is on average, and how many of them are right
  snr_error_db_median   how far the sidecar's estimate is from the ratio that was mixed, from 20 dB down
  ms_per_audio_second   the print, on one core
  stt_added_ms_...      commands to a real sidecar in pairs, with the voice asked for and without: from the end of speech
                        to the words. `stop`: the client ends the audio where the speech does; `silence`: the sidecar
                        hears the end; `command`: the first stable words are taken for all. voice_missing_: words that
                        came without the voice that was asked for

Limits: six readers, each in one session with one microphone; a home's voices are heard by other microphones than on the
day they were learnt, and members of a family are more alike. The gallery's clips of the judged were there when the
bounds were chosen, as people to be confused with.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
import sys
from tempfile import TemporaryDirectory
from typing import Any, Final

from home.process import ProcessFailed
import numpy as np

from . import speaker_latency
from .figures import Figures, main, note
from .integration import part
from .process import serving
from .speaker_trials import CLEAN, NOISES, Clip, Ears, Noise, Trial, clips, trials
from .speech import RECORDINGS, commands

ENROLLED_CLIPS: Final = 4
CHOSEN_ON: Final = ("1688", "1998", "2033")
JUDGED_ON: Final = ("2414", "2609", "3005")
STRANGERS: Final = ("lj", "s2p_en_human", "s2p_fr_human", "s2p_en_gen", "s2p_nl_gen")
STRANGER_CLIPS: Final = 6
LENGTHS_MS: Final = (500, 1_000, 1_600, 3_000)
LEVELS_DB: Final = (20.0, 10.0)
KINDS: Final = ((CLEAN, 99.0), *((noise, snr_db) for snr_db in LEVELS_DB for noise in NOISES))
STRETCHES: Final = 2
ROUNDS: Final = 12
# From here on what is only for sure voices is done.
SURE: Final = 0.9

People = Mapping[str, Sequence[tuple[float, ...]]]


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--chosen", action="store_true", help="figures of the people that the bounds were chosen on")
    parser.add_argument("--stretches", type=int, default=STRETCHES, help="of each clip and length (%(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of pairs with and without (%(default)s)")
    parser.add_argument("--pace", type=float, default=1.0, help="of spoken audio in pairs, 1 being natural speed")


async def bench(asked: argparse.Namespace) -> Figures:
    """Holds the whole bench."""
    found = await voices(CHOSEN_ON if asked.chosen else JUDGED_ON, stretches=max(1, asked.stretches))
    spoken = await commands()
    with TemporaryDirectory(prefix="barnabeenet-bench-") as name:
        async with serving(Path(name) / "sidecar") as served:
            client = await served.client()
            pairs = await speaker_latency.measure(client, spoken, rounds=max(1, asked.rounds), pace=asked.pace)
            await client.close()
    return found | pairs.figures()


async def voices(judged: Sequence[str], *, stretches: int) -> Figures:
    """Who is known by their voice and who is not."""
    ears = Ears()
    await ears.load()
    known = clips(ears, _recordings())
    strangers = clips(ears, {name: sorted((RECORDINGS / name).glob("*.wav"))[:STRANGER_CLIPS] for name in STRANGERS})
    people = {name: await _enrolled(ears, of_person[:ENROLLED_CLIPS]) for name, of_person in known.items()}
    noise = Noise(RECORDINGS)

    async def tried(name: str, of_person: Sequence[Clip]) -> list[Trial]:
        note(f"{name} ...")
        return await trials(ears, noise, of_person, lengths_ms=LENGTHS_MS, kinds=KINDS, most=stretches)

    own = [trial for name in judged for trial in await tried(name, known[name][ENROLLED_CLIPS:])]
    others = [trial for name, of_person in strangers.items() for trial in await tried(name, of_person)]
    figures = judge(own, others, people)
    return figures | {"ms_per_audio_second": round(1000 * ears.print_s / ears.audio_s, 2)}


def judge(own: Sequence[Trial], others: Sequence[Trial], people: People) -> Figures:
    """The figures of trials of enrolled people and of strangers."""
    found: Figures = {}
    for length_ms in LENGTHS_MS:
        clean = [trial for trial in own if trial.noise == CLEAN and trial.speech_ms == length_ms]
        found[f"top1_{length_ms}ms_clean"] = _share(clean, lambda trial: nearest(trial, people) == trial.person)
        found[f"accepted_{length_ms}ms_clean"] = _share(clean, lambda trial: speaker(trial, people) == trial.person)
        found[f"sure_{length_ms}ms_clean"] = _share(clean, lambda trial: _is_sure(found_in(trial, people)))
    for name, chosen in _levels(own).items():
        found |= _named(name, chosen, people)
    strangers = _levels([*own, *others])
    for name, chosen in strangers.items():
        found[f"stranger_named_{name}"] = _share(
            chosen, lambda trial: speaker(trial, without(people, trial.person)) is not None
        )
    found["stranger_sure"] = _share(
        [*own, *others], lambda trial: _is_sure(found_in(trial, without(people, trial.person)))
    )
    noisy = [abs(trial.voice.snr_db - trial.snr_db) for trial in own if trial.noise in {"white", "pink"}]
    return (
        found
        | _confidence(own, people)
        | {
            "snr_error_db_median": round(median(noisy), 2),
            "trials": float(len(own)),
            "stranger_trials": float(len(own) + len(others)),
        }
    )


def speaker(trial: Trial, people: People) -> str | None:
    """Whom the integration takes it for."""
    return found_in(trial, people).speaker  # type: ignore[no-any-return]


def found_in(trial: Trial, people: People) -> Any:
    """What the integration finds."""
    return part("state.voice_match").match(trial.voice, people)


def _is_sure(found: Any) -> bool:
    return found.speaker is not None and found.confidence >= SURE


def nearest(trial: Trial, people: People) -> str | None:
    """Who is nearest whatever the bounds say; None for too little speech."""
    if not trial.voice.vector:
        return None
    middles = {name: np.sum(vectors, axis=0) for name, vectors in people.items()}
    vector = np.array(trial.voice.vector)
    return max(middles, key=lambda name: float(middles[name] @ vector / np.linalg.norm(middles[name])))


def without(people: People, person: str) -> People:
    """All but one."""
    return {name: vectors for name, vectors in people.items() if name != person}


def _named(level: str, chosen: Sequence[Trial], people: People) -> Figures:
    names = [(speaker(trial, people), trial.person) for trial in chosen]
    accepted, guests = sum(said == who for said, who in names), sum(said is None for said, _ in names)
    return {
        f"accepted_{level}": round(accepted / len(names), 4),
        f"guest_{level}": round(guests / len(names), 4),
        f"wrong_name_{level}": round((len(names) - accepted - guests) / len(names), 4),
    }


def _confidence(own: Sequence[Trial], people: People) -> Figures:
    matches = [(found_in(trial, people), trial.person) for trial in own]
    named = [(found.confidence, found.speaker == who) for found, who in matches if found.speaker]
    if not named:
        return {}
    return {
        "confidence_mean": round(float(np.mean([confidence for confidence, _ in named])), 4),
        "confidence_right": round(float(np.mean([right for _, right in named])), 4),
    }


def _levels(of: Sequence[Trial]) -> dict[str, list[Trial]]:
    levels = {"clean": [trial for trial in of if trial.noise == CLEAN]}
    for level_db in LEVELS_DB:
        levels[f"{level_db:g}db"] = [trial for trial in of if trial.noise != CLEAN and trial.snr_db == level_db]
    return levels


def _share(of: Sequence[Trial], is_so: Callable[[Trial], bool]) -> float:
    return round(sum(map(is_so, of)) / len(of), 4)


def _recordings() -> dict[str, Sequence[Path]]:
    people: dict[str, list[Path]] = {}
    for path in sorted((RECORDINGS / "ls_test-other").glob("*.wav")):
        people.setdefault(path.name.split("-")[0], []).append(path)
    if not {*CHOSEN_ON, *JUDGED_ON} <= set(people):
        raise ProcessFailed(f"the people are not in {RECORDINGS}: set BARNABEENET_RECORDINGS")
    return dict(people)


async def _enrolled(ears: Ears, of_person: Sequence[Clip]) -> list[tuple[float, ...]]:
    return [(await ears.voice(clip.heard)).vector for clip in of_person]


if __name__ == "__main__":
    sys.exit(main("speaker", __doc__, _options, bench))
