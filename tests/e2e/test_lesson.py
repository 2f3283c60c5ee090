"""A voice is learnt in a talk through the built-in ears, and afterwards it is known and trusted with its own memories."""

from __future__ import annotations

import pytest

from custom_components.barnabeenet.dialog.enrolment_words import phrases_of
from script.home.commands import synthesised
from script.home.family import add_person
from script.home.player import Turn, play
from script.home.stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

CLEO, SOMEBODY_ELSE = 1.04, 0.85
# What is not understood is said again, as a person would.
TRIES_MAX = 5


async def say(on: Stage, text: str, pitch: float = CLEO) -> Turn:
    """One sentence in a voice; said again while nothing is understood."""
    clip = await synthesised(on.home, on.pipeline.voice, text, pitch=pitch)
    for _ in range(TRIES_MAX):
        turn = await play(on.home, on.pipeline.ident, clip, device_id=on.device_id)
        if turn.reply is not None:
            return turn
    raise AssertionError(f"{text!r} was never understood: {turn.error}")


async def test_learn_my_voice(on_stage: Stage) -> None:
    on = on_stage
    for name in ("Cleo", "Dan"):
        await add_person(on.home, name)
    await on.sidecar.knows_home()

    assert (await say(on, "learn my voice")).reply == "Gladly. Who are you?"
    asked = (await say(on, "i'm cleo")).reply or ""
    read = []
    while phrase := next((phrase for phrase in phrases_of("en") if phrase in asked), None):
        read.append(phrase)
        assert len(read) <= len(phrases_of("en")) * 2
        asked = (await say(on, phrase)).reply or ""
    assert asked == "Done. From now on I know your voice, Cleo."
    assert set(read) == set(phrases_of("en"))

    kept = await say(on, "remember that my locker code is 2 3 5 9")
    assert kept.reply == "I'll remember that. Your locker code is 2 3 5 9."
    assert (await say(on, "what is my locker code")).reply == "Your locker code is 2 3 5 9."
    assert "2" not in ((await say(on, "what is my locker code", SOMEBODY_ELSE)).reply or "")
