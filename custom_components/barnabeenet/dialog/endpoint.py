"""Whether the words so far are already a whole command, so that nobody has to wait out the silence after them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
import re
from typing import Final, Protocol

from .turn import TEXT_MAX_CHARS

# Cut short by mistake, one of these costs a second command at most. A lock, a cover, a script, a timer or an unknown
# intent waits for the real end of speech.
_HARMLESS: Final = frozenset(
    {
        "HassClimateGetTemperature",
        "HassClimateSetTemperature",
        "HassFanSetSpeed",
        "HassGetState",
        "HassGetWeather",
        "HassLightSet",
        "HassMediaNext",
        "HassMediaPause",
        "HassMediaPlayerMute",
        "HassMediaPlayerUnmute",
        "HassMediaPrevious",
        "HassMediaUnpause",
        "HassSetVolume",
        "HassTurnOff",
        "HassTurnOn",
    }
)
_NEEDS_NO_TARGET: Final = frozenset({"HassGetCurrentDate", "HassGetCurrentTime", "HassNevermind"})
# How HA answers when it has turned on or off what can be turned back with a word.
_HARMLESS_RESPONSES: Final = frozenset(
    {"default", "fans", "fans_area", "light", "light_all", "lights_area", "lights_floor"}
)
# Each costs a few milliseconds to try.
_LONGER_NAMES_MAX: Final = 4
_OPTIONAL: Final = re.compile(r"\[[^\[\]]*\]")


@dataclass(frozen=True)
class Recognition:
    """A sentence that was understood strictly; nothing has been done about it."""

    intent: str
    response: str | None
    template: str
    targets: tuple[str, ...]
    """The names, areas and floors as they were said; what the satellite's room adds is not among them."""
    open_ended: bool
    """Whether a part of it may be any words, such as an item for the shopping list."""
    slots: Mapping[str, str] = field(default_factory=dict)
    """What the slots hold, the satellite's room among them."""
    kind: tuple[str | None, str | None] = (None, None)
    """The domain and device class of what is spoken of, as far as the sentence tells."""

    @property
    def is_a_name_alone(self) -> bool:
        """Whether nothing but a name was said, as in "the bed light... off"."""
        return _OPTIONAL.sub("", _OPTIONAL.sub("", self.template)).strip() == "{name}"


class Recogniser(Protocol):
    """Understands a sentence without doing anything."""

    async def recognise(self, text: str, language: str, device_id: str | None) -> Recognition | None:
        """Strictly, in a few milliseconds; None when it is no whole sentence."""


class Endpoint:
    """Decides from the words alone; `names` gives every name and area that could still be going on."""

    def __init__(self, recogniser: Recogniser, names: Callable[[], Iterable[str]]) -> None:
        self._recogniser = recogniser
        self._names = names

    async def complete(self, text: str, language: str, device_id: str | None) -> bool:
        """Whether more words could neither be missing nor change what is meant; when in doubt, no."""
        words = text.split()
        if not words or len(text) > TEXT_MAX_CHARS or any(digit.isdigit() for digit in words[-1]):
            # "fifty" may become "fifty five" or "fifty percent".
            return False
        found = await self._recogniser.recognise(text, language, device_id)
        if found is None or found.open_ended:
            return False
        if found.intent in _NEEDS_NO_TARGET:
            return True
        if not _is_harmless(found) or not found.targets or found.is_a_name_alone:
            return False
        return not await self._may_become_longer(text.rstrip(" .!?"), found, language, device_id)

    async def _may_become_longer(self, text: str, found: Recognition, language: str, device_id: str | None) -> bool:
        """Whether the last name is the first part of a longer one that would be understood in its place."""
        for target in found.targets:
            if not text.casefold().endswith(target.casefold()):
                continue
            beginning = f"{target.casefold()} "
            longer = [name for name in self._names() if name.casefold().startswith(beginning)]
            if len(longer) > _LONGER_NAMES_MAX:
                return True
            before = text[: -len(target)]
            for name in longer:
                if await self._recogniser.recognise(before + name, language, device_id) is not None:
                    return True
        return False


def _is_harmless(found: Recognition) -> bool:
    if found.intent in {"HassTurnOn", "HassTurnOff"}:
        return found.response in _HARMLESS_RESPONSES
    return found.intent in _HARMLESS
