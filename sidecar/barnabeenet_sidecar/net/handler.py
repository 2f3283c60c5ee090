"""The conversation on a connection: one small method per event, one request at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
import logging
from typing import ClassVar, Final

from wyoming.error import Error
from wyoming.event import Event
from wyoming.ping import Ping, Pong

from ..audio.speech_cache import SpeechCache
from ..engines.catalogue import Engines
from ..errors import BadRequest, Busy, Draining, EngineFailed, SidecarError
from ..gpu.queue import Kind, Priority, WorkQueue
from ..models.keeper import Keeper
from ..telemetry.content import Content
from ..telemetry.metrics import Metrics
from ..telemetry.request_log import request_log, session_of
from .connection import Connection
from .detection import WakeWordDetection
from .embedding import Embedding
from .info import info
from .messages import (
    CANCEL,
    CANCELLED,
    TEXT_MAX_CHARS,
    DrainingNotice,
    Embed,
    Models,
    QuickWords,
    Vocabulary,
    trace_id_of,
)
from .models import ModelsRequest
from .quick_words import QuickWordSpeech
from .request import PeerGoneError, Request
from .synthesis import Synthesis
from .transcription import SpeechTranscription
from .turns import Turns
from .vocabulary import VocabularyUpdate

_LOGGER = logging.getLogger(__name__)

STOPPING: Final = "the sidecar is stopping or restarting: try again in a moment"
# How long a home that is told of it has to hang up, or to be told that its next request came too late.
_FAREWELL_S: Final = 1.0
# After these errors a connection is closed.
_LAST_CODES: Final = frozenset({Busy.code, Draining.code})
_TRACED: Final = frozenset({"transcribe", "synthesize", "synthesize-start", "detect"})


class Handler:
    """Called with each connection that may talk; holds the conversation until the connection ends."""

    def __init__(
        self,
        engines: Engines,
        metrics: Metrics,
        *,
        queue: WorkQueue,
        models: Keeper | None = None,
        speech: SpeechCache | None = None,
    ) -> None:
        self.engines = engines
        self.models = models
        self.metrics = metrics
        self.queue = queue
        self.speech = speech or SpeechCache(None)
        self.is_draining = False
        self._conversations: set[_Conversation] = set()
        metrics.observe_queue(lambda priority: queue.depth(Priority[priority.upper()]))

    async def __call__(self, connection: Connection) -> None:
        """Answers until the peer leaves; what still runs then is stopped."""
        listener = "plain" if connection.plain else "authenticated"
        with self.metrics.connections.labels(listener).track_inprogress():
            conversation = _Conversation(connection, self)
            self._conversations.add(conversation)
            try:
                await conversation.run()
            finally:
                self._conversations.discard(conversation)

    @property
    def working(self) -> int:
        """How many conversations are at a request that ends by itself."""
        return sum(conversation.is_working for conversation in self._conversations)

    async def drain(self) -> None:
        """From now on takes no request, and tells so; each conversation ends with the request that it is at."""
        self.is_draining = True
        await asyncio.gather(*(conversation.drain() for conversation in self._conversations))

    async def cut_off(self) -> None:
        """Ends every request with an error, and every conversation."""
        await asyncio.gather(*(conversation.cut_off() for conversation in self._conversations))


class _Conversation:
    """Reads on while a request is worked on in its own task, so that a cancel or a hang-up is noticed at once."""

    def __init__(self, connection: Connection, handler: Handler) -> None:
        self._connection = connection
        self._handler = handler
        self._engines = handler.engines
        self._request: Request | None = None
        self._trace_id: str | None = None
        self._task: asyncio.Task[None] | None = None
        # No limit, until it is time to part.
        self._limit = asyncio.timeout(None)
        self._is_parting = self._is_over = False
        # The text of a streamed reply goes on to its end even when nobody speaks it any more.
        self._text_is_coming = False

    async def run(self) -> None:
        try:
            async with self._limit:
                await self._converse()
        except PeerGoneError as err:
            _LOGGER.debug("%s left in the middle: %s", self._connection.peer, err)
        except TimeoutError:
            _LOGGER.debug("parted from %s", self._connection.peer)
        finally:
            self._is_over = True
            await self._stop()

    async def _converse(self) -> None:
        if self._handler.is_draining:
            await self.drain()
        while (event := await self._connection.read()) is not None:
            await self._dispatch(event)
            if self._handler.is_draining:
                self._part_when_idle()

    # Parting

    @property
    def is_working(self) -> bool:
        return self._task is not None and not self._task.done() and not (self._request and self._request.is_endless)

    async def drain(self) -> None:
        if self._is_over:
            return
        if not self._connection.plain:
            self._connection.post(DrainingNotice(STOPPING).event())
        if self._request is not None and self._request.is_endless:
            await self.cut_off()
        else:
            self._part_when_idle()

    async def cut_off(self) -> None:
        if self._task is not None and not self._task.done():
            await self._stop()
            self._connection.post(_error(Draining(STOPPING)))
        self._leave(0)

    def _part_when_idle(self) -> None:
        if not self._is_parting and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._part(), name=f"farewell to {self._connection.peer}")

    async def _part(self) -> None:
        """Sees to it that the last answer arrives and that whoever asks again is told why nothing more comes."""
        self._is_parting = True
        with suppress(OSError):
            await self._connection.flush()
        self._leave(_FAREWELL_S)

    def _leave(self, within_s: float) -> None:
        if not self._is_over and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time() + within_s)

    async def _dispatch(self, event: Event) -> None:
        self._log("asks", event)
        try:
            self._trace_id = trace_id_of(event) if event.type in _TRACED else None
            method = self._METHODS.get(event.type)
            if method is None:
                raise BadRequest(f"{event.type} is an answer, not a request")
            await method(self, event)
        except SidecarError as err:
            await self._write(_error(err))
            if err.code in _LAST_CODES:
                self._leave(0)

    # One method per event

    async def _describe(self, _event: Event) -> None:
        await self._write(info(self._engines, plain=self._connection.plain).event())

    async def _ping(self, event: Event) -> None:
        await self._write(Pong(text=Ping.from_event(event).text).event())

    async def _transcribe(self, event: Event) -> None:
        await self._begin(
            SpeechTranscription(
                event,
                self._engines,
                self._turns(Kind.RECOGNITION),
                self._connection,
                self._write,
                on_voice=self._handler.metrics.voice_print,
            )
        )

    async def _detect(self, event: Event) -> None:
        await self._begin(WakeWordDetection(event, self._engines.wake.get(), self._handler.metrics.wake_detected))

    async def _vocabulary(self, event: Event) -> None:
        home = self._connection.home or ""
        await self._begin(VocabularyUpdate(event, self._engines.stt.get(), home))

    async def _embed(self, event: Event) -> None:
        await self._begin(Embedding(event, self._engines.embedding.get(), self._turns(Kind.EMBEDDING)))

    async def _models(self, event: Event) -> None:
        await self._begin(ModelsRequest(event, self._handler.models, self._connection.home or "", self._write))

    async def _quick_words(self, event: Event) -> None:
        turns = self._turns(Kind.SYNTHESIS)
        engine, speech = self._engines.tts.get(), self._handler.speech
        await self._begin(QuickWordSpeech(event, engine, speech, lambda: turns.turn(Priority.LONG), self._write))

    async def _synthesize(self, event: Event) -> None:
        # Wyoming repeats the whole text inside a streamed reply, for servers that cannot stream.
        if not self._text_is_coming:
            await self._begin(self._synthesis(event))

    async def _synthesize_start(self, event: Event) -> None:
        self._text_is_coming = True
        await self._begin(self._synthesis(event))

    async def _synthesize_stop(self, event: Event) -> None:
        self._text_is_coming = False
        await self._feed(event)

    async def _feed(self, event: Event) -> None:
        # Nobody is listening when the answer came before the client had said everything.
        if self._request is None:
            return
        try:
            await self._request.feed(event)
        except SidecarError:
            await self._stop()
            raise

    async def _cancel(self, _event: Event) -> None:
        self._text_is_coming = False
        await self._stop()
        await self._write(Event(CANCELLED))

    _METHODS: ClassVar[Mapping[str, Callable[[_Conversation, Event], Awaitable[None]]]] = {
        "describe": _describe,
        "ping": _ping,
        "transcribe": _transcribe,
        "audio-start": _feed,
        "audio-chunk": _feed,
        "audio-stop": _feed,
        "synthesize": _synthesize,
        "synthesize-start": _synthesize_start,
        "synthesize-chunk": _feed,
        "synthesize-stop": _synthesize_stop,
        "detect": _detect,
        Vocabulary.TYPE: _vocabulary,
        Models.TYPE: _models,
        Embed.TYPE: _embed,
        QuickWords.TYPE: _quick_words,
        CANCEL: _cancel,
    }

    # The request being worked on

    def _synthesis(self, event: Event) -> Synthesis:
        return Synthesis(event, self._engines.tts.get(), self._turns(Kind.SYNTHESIS), self._write)

    def _turns(self, kind: Kind) -> Turns:
        return Turns(self._handler.queue, self._handler.metrics, kind)

    async def _begin(self, request: Request) -> None:
        if self._request is not None:
            raise BadRequest(f"{self._request.kind} is still being answered: wait for its end or cancel it")
        if self._task is not None:
            # Its last words are on their way; nothing of this request may overtake them.
            await asyncio.wait([self._task])
        if self._handler.is_draining:
            raise Draining(STOPPING)
        if not isinstance(request, Synthesis):
            self._text_is_coming = False
        self._request = request
        self._task = asyncio.create_task(
            self._work(request, self._trace_id), name=f"{request.kind} of {self._connection.peer}"
        )

    async def _work(self, request: Request, trace_id: str | None) -> None:
        """Runs the request; the next one may come as soon as the end of its answer goes out."""
        try:
            ending = await self._run_metered(request, trace_id)
            self._request = None
            for event in ending:
                await self._write(event)
            if any(Error.is_type(event.type) and event.data["code"] in _LAST_CODES for event in ending):
                self._leave(0)
            elif self._handler.is_draining:
                await self._part()
        except PeerGoneError as err:
            _LOGGER.debug("%s left in the middle of %s: %s", self._connection.peer, request.kind, err)

    async def _run_metered(self, request: Request, trace_id: str | None) -> Sequence[Event]:
        session = session_of(self._connection.home)
        with (
            self._handler.metrics.request(request.kind) as meter,
            request_log(request.kind, meter, session=session, trace_id=trace_id),
        ):
            meter.outcome = "stopped"
            try:
                ending = await request.run()
            except SidecarError as err:
                meter.outcome = err.code
                return [_error(err)]
            except PeerGoneError:
                raise
            except Exception:
                meter.outcome = EngineFailed.code
                _LOGGER.exception("%s of %s broke", request.kind, self._connection.peer)
                return [_error(EngineFailed("the sidecar failed at this request: its log says why"))]
            meter.outcome, meter.stages = "ok", request.stages
            return ending

    def _log(self, verb: str, event: Event) -> None:
        if event.type != "audio-chunk":
            _LOGGER.debug("%s %s %s %s", self._connection.peer, verb, event.type, Content(event.data))

    async def _stop(self) -> None:
        """Stops what runs; nothing of its answer is written afterwards."""
        task, self._task, self._request = self._task, None, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _write(self, event: Event) -> None:
        if self._connection.plain and event.type.startswith("barnabeenet-"):
            return
        self._log("is told", event)
        try:
            await self._connection.write(event)
        except OSError as err:
            # The reading side must hear of it too: a peer that does not read may hold its end open for ever.
            self._connection.abort()
            raise PeerGoneError(str(err)) from err


def _error(err: SidecarError) -> Event:
    return Error(text=str(err)[:TEXT_MAX_CHARS], code=err.code).event()
