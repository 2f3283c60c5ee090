"""What is understood before a home has said what it holds: what any home's assistant is asked."""

from __future__ import annotations

from typing import Final

from .base import Vocabulary

_NUMBERS: Final = tuple(str(number) for number in range(1, 61))

BUILTIN: Final = Vocabulary(
    language="en",
    revision="00000000",
    sentences=(
        "turn on the lights",
        "turn off the lights",
        "turn the lights on",
        "turn the lights off",
        "turn on the {area} lights",
        "turn off the {area} lights",
        "turn on the lights in the {area}",
        "turn off the lights in the {area}",
        "set the lights to {percent} percent",
        "what time is it",
        "what's the time",
        "what's the date",
        "what's the date today",
        "what's the weather",
        "what's the weather like",
        "what's the temperature",
        "what's the temperature in the {area}",
        "set a timer for {count} minute",
        "set a timer for {count} minutes",
        "set a timer for {count} seconds",
        "set a timer for {count} hour",
        "set a timer for {count} hours",
        "pause the timer",
        "resume the timer",
        "cancel the timer",
        "cancel all timers",
        "how much time is left on the timer",
        "play music",
        "pause",
        "stop",
        "next song",
        "turn the volume up",
        "turn the volume down",
        "add {item} to my shopping list",
        "good morning",
        "good night",
        "never mind",
    ),
    lists={
        "area": ("kitchen", "living room", "bedroom", "bathroom", "office", "hallway", "garage"),
        "percent": tuple(str(number) for number in range(0, 101, 5)),
        "count": _NUMBERS,
        "item": (
            "milk",
            "bread",
            "eggs",
            "butter",
            "cheese",
            "coffee",
            "apples",
            "bananas",
            "potatoes",
            "toilet paper",
        ),
    },
)
