"""Keeps the quick words of the voices in use in memory."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
import logging
import math
import time
from typing import Any, Final, NamedTuple, Protocol

from home_assistant_intents import get_intents, get_languages
from homeassistant.components.assist_pipeline import async_get_pipelines
from homeassistant.components.assist_pipeline.pipeline import async_setup_pipeline_store
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import EVENT_CORE_CONFIG_UPDATE, Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er, start
from homeassistant.util import language as language_util
from wyoming.info import Info

from .client.errors import SidecarError
from .client.messages import QUICK_WORDS_MAX
from .client.sidecar import SpokenWords
from .dialog.held_words import HeldWords, Manner, Word
from .dialog.quick_words import TEXT_MAX_CHARS, batches, quick_words

_LOGGER = logging.getLogger(__name__)

# Manners of speaking that are asked for because they were heard in use, beside those of the pipelines.
SEEN_MAX: Final = 4
# A voice may have become another behind the sidecar's unchanged face: what is used is asked for again after this time.
FRESH_S: Final = 600.0
# Of replies that were asked for because they will perhaps be spoken; then they are forgotten together.
AHEAD_MAX_BYTES: Final = 2 * 1024 * 1024


class Mouth(Protocol):
    """The part of a sidecar that speaks quick words."""

    @property
    def available(self) -> bool:
        """Whether it is within reach."""

    @property
    def info(self) -> Info | None:
        """What it can do; None while nobody has answered."""

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls the listener when the above change."""

    async def quick_words(
        self,
        texts: Sequence[str],
        *,
        language: str,
        voice: str | None,
        rate_hz: int | None,
        on_words: Callable[[SpokenWords], None],
    ) -> None:
        """Speaks short replies; raises SidecarError."""


class Wanted(NamedTuple):
    """Whose quick words, and in which language."""

    manner: Manner
    language: str


class QuickWordsKeeper:
    """Asks in the background for the quick words of the voices that pipelines name and of those that are heard in use.

    Everything is asked for again when the sidecar comes back; it has made most of it before.
    """

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry[Any], mouth: Mouth) -> None:
        self._hass = hass
        self._entry = entry
        self._mouth = mouth
        self._held = HeldWords()
        self._ahead = HeldWords()
        self._asking_ahead: asyncio.Task[None] | None = None
        self._unsubscribe: list[Callable[[], None]] = []
        self._has_started = False
        self._info: Info | None = None
        self._seen: OrderedDict[Wanted, None] = OrderedDict()
        self._asked_at: dict[Wanted, float] = {}
        self._due: dict[Wanted, None] = {}
        self._asking: asyncio.Task[None] | None = None

    async def async_start(self) -> None:
        """Begins to ask once Home Assistant has started; to be called when the entry's entities are registered."""
        store = (await async_setup_pipeline_store(self._hass)).pipeline_store
        self._unsubscribe += [
            store.async_add_listener(self._pipelines_changed),
            self._hass.bus.async_listen(EVENT_CORE_CONFIG_UPDATE, self._home_changed),
            self._mouth.subscribe(self._mouth_changed),
            start.async_at_started(self._hass, self._begin),
        ]

    async def async_close(self) -> None:
        """Stops asking; what is held may still be spoken."""
        while self._unsubscribe:
            self._unsubscribe.pop()()
        self._has_started = False
        asking = {task for task in (self._asking, self._asking_ahead) if task is not None}
        for task in asking:
            task.cancel()
        if asking:
            await asyncio.wait(asking)

    def manner(self, language: str, voice: str | None, rate_hz: int | None) -> Manner | None:
        """How something is to be spoken; None while no voice for it is known."""
        name = voice or next((known for known, spoken in self._voices() if language in spoken), None)
        return None if name is None else Manner(name, rate_hz)

    @callback
    def use(self, language: str, manner: Manner) -> None:
        """Notes that something is spoken so, and sees to it that the next quick word can be."""
        wanted = Wanted(manner, language)
        self._seen[wanted] = None
        self._seen.move_to_end(wanted)
        while len(self._seen) > SEEN_MAX:
            forgotten, _ = self._seen.popitem(last=False)
            self._asked_at.pop(forgotten, None)
            self._due.pop(forgotten, None)
        if time.monotonic() - self._asked_at.get(wanted, -math.inf) >= FRESH_S:
            self._want([wanted])

    def find(self, manner: Manner, text: str) -> Word | None:
        """The audio of a quick word; at another rate, which Home Assistant converts, when nobody else can speak."""
        at_any_rate = not self._mouth.available
        return self._held.find(manner, text, at_any_rate=at_any_rate) or self._ahead.find(manner, text)

    def could_become(self, manner: Manner, text: str) -> bool:
        """Whether a text that may go on is the beginning of a quick word that is held."""
        at_any_rate = not self._mouth.available
        return self._held.could_become(manner, text, at_any_rate=at_any_rate) or self._ahead.could_become(manner, text)

    @callback
    def ask_ahead(self, text: str, language: str) -> None:
        """Has a short reply made as this language was last spoken, one at a time, so that it is a quick word when it comes."""
        asking = self._asking_ahead is not None and not self._asking_ahead.done()
        wanted = next((seen for seen in reversed(self._seen) if _base(seen.language) == _base(language)), None)
        if asking or wanted is None or not self._mouth.available or not 0 < len(text) <= TEXT_MAX_CHARS:
            return
        if self.find(wanted.manner, text) is None:
            if self._ahead.size_bytes > AHEAD_MAX_BYTES:
                self._ahead = HeldWords()
            work = self._make_ahead(text, wanted)
            self._asking_ahead = self._hass.async_create_background_task(work, "barnabeenet reply ahead")

    def as_dict(self) -> dict[str, int]:
        """How much is held, as JSON-ready values."""
        return {"voices": self._held.voices, "words": self._held.words, "bytes": self._held.size_bytes}

    # What is wanted

    @callback
    def _begin(self, _: HomeAssistant) -> None:
        self._has_started = True
        self._info = self._mouth.info if self._mouth.available else None
        self._want_new()

    async def _pipelines_changed(self, _change: str, _item_id: str, _item: Any) -> None:
        self._want_new()

    @callback
    def _home_changed(self, _: Any) -> None:
        self._want_new()

    @callback
    def _mouth_changed(self) -> None:
        info = self._mouth.info if self._mouth.available else None
        if info is not None and info != self._info:
            # Back, or another than it was.
            self._asked_at.clear()
        self._info = info
        self._want_new()

    def _want_new(self) -> None:
        self._want(wanted for wanted in [*self._chosen(), *self._seen] if wanted not in self._asked_at)

    def _want(self, wanted: Iterable[Wanted]) -> None:
        if not self._mouth.available or not self._has_started:
            return
        self._due |= dict.fromkeys(wanted)
        if self._due and (self._asking is None or self._asking.done()):
            self._asking = self._hass.async_create_background_task(self._ask(), "barnabeenet quick words")

    def _chosen(self) -> Iterator[Wanted]:
        """The voices that the pipelines speak with through us, and the default of the home's language."""
        ours = er.async_entries_for_config_entry(er.async_get(self._hass), self._entry.entry_id)
        engines = {entry.entity_id for entry in ours if entry.domain == Platform.TTS}
        for pipeline in async_get_pipelines(self._hass):
            language = pipeline.tts_language
            if pipeline.tts_engine in engines and language is not None:
                manner = self.manner(language, pipeline.tts_voice, None)
                if manner is not None:
                    yield Wanted(manner, language)
        languages = {language for _, spoken in self._voices() for language in spoken}
        config = self._hass.config
        for language in language_util.matches(config.language, sorted(languages), country=config.country)[:1]:
            manner = self.manner(language, None, None)
            if manner is not None:
                yield Wanted(manner, language)

    def _voices(self) -> Iterator[tuple[str, Sequence[str]]]:
        info = self._mouth.info
        for program in info.tts if info is not None else ():
            yield from ((voice.name, voice.languages) for voice in program.voices if voice.installed)

    # Asking

    async def _ask(self) -> None:
        while self._due:
            wanted = next(iter(self._due))
            del self._due[wanted]
            # Also when it goes wrong: what cannot be had is not asked for with every sentence.
            self._asked_at[wanted] = time.monotonic()
            texts = await self._hass.async_add_executor_job(_quick_words, wanted.language)
            try:
                for batch in batches(texts, QUICK_WORDS_MAX):
                    await self._ask_for(batch, *wanted)
            except SidecarError as error:
                _LOGGER.debug("No quick words from %s: %s", wanted.manner.voice, error)

    async def _make_ahead(self, text: str, wanted: Wanted) -> None:
        try:
            await self._ask_for([text], *wanted, held=self._ahead)
        except SidecarError as error:
            _LOGGER.debug("No reply ahead from %s: %s", wanted.manner.voice, error)

    async def _ask_for(
        self, texts: Sequence[str], manner: Manner, language: str, *, held: HeldWords | None = None
    ) -> None:
        def keep(spoken: SpokenWords) -> None:
            (self._held if held is None else held).keep(
                manner, voice=spoken.voice, version=spoken.version, rate_hz=spoken.rate_hz, audio=spoken.audio
            )

        await self._mouth.quick_words(
            texts, language=language, voice=manner.voice, rate_hz=manner.rate_hz, on_words=keep
        )


def _base(language: str) -> str:
    return language.replace("_", "-").split("-", maxsplit=1)[0].lower()


def _quick_words(language: str) -> list[str]:
    """Those of a language and of Home Assistant's sentences in it; reads a file."""
    sentences = next(iter(language_util.matches(language, get_languages())), None)
    intents = get_intents(sentences) if sentences is not None else None
    return quick_words(language, (intents or {}).get("responses", {}))
