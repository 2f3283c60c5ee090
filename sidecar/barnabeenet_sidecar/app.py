"""The composition root: what the sidecar is made of and in which order it starts and stops."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
import logging
from pathlib import Path
from tempfile import TemporaryDirectory
import time

from . import __version__
from .audio.speech_cache import SpeechCache
from .config import Settings
from .engine_room import EngineRoom
from .engines.catalogue import Engines
from .errors import ConfigError
from .gpu.hosted import EngineName
from .gpu.queue import WorkQueue
from .identity import load_or_create_id
from .models.keeper import Keeper
from .models.store import Store
from .net.auth import Authenticator
from .net.discovery import Announcement, service_info
from .net.drain import Drain
from .net.handler import Handler
from .net.http import HttpServer
from .net.http_ready import Readiness, engine_process, gpu, model_store
from .net.server import Server
from .net.tls import load_or_create
from .net.voice import engine_name
from .pairing_token import pairing_token
from .roster import ALL, Roster, call_up
from .telemetry.metrics import Metrics

_LOGGER = logging.getLogger(__name__)


def token_path(settings: Settings) -> Path:
    """Where the pairing token is kept."""
    return settings.data_dir / "token"


@asynccontextmanager
async def engines_of_a_command(settings: Settings, among: Collection[EngineName] = ALL) -> AsyncIterator[Roster]:
    """Engines for the length of a command, not loaded yet; those of a sidecar that serves beside it are not disturbed."""
    with TemporaryDirectory(prefix="barnabeenet-") as folder:
        roster = await call_up(settings, Path(folder), among=among)
        try:
            yield roster
        finally:
            await roster.close()


@dataclass(frozen=True)
class Sidecar:
    """A sidecar that serves; the ports are those really listened on."""

    room: EngineRoom
    metrics: Metrics
    sidecar_id: str
    token: str
    port: int
    plain_port: int | None
    http_port: int
    drain: Drain
    readiness: Readiness
    queue: WorkQueue
    # Announces the name in the settings, and tells it to whoever says hello.
    rename: Callable[[Settings], Awaitable[None]]

    @property
    def engines(self) -> Engines:
        """The engines that serve."""
        return self.room.engines

    async def set_parallel(self, settings: Settings) -> None:
        """Allows as many pieces of work at a time as the settings say."""
        self.queue.set_parallel(settings.parallel)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Sidecar]:
    """Serves for the length of the block, with every engine loaded; raises ConfigError when it cannot start."""
    started = time.perf_counter()
    token = pairing_token(settings)
    sidecar_id = load_or_create_id(settings.data_dir / "sidecar_id")
    tls = load_or_create(settings.data_dir / "tls.pem") if settings.tls else None
    metrics = Metrics()
    queue = WorkQueue(settings.parallel)
    room = EngineRoom(settings, metrics)
    await room.open()
    engines = room.engines

    async with AsyncExitStack() as stack:
        http = HttpServer(engines, metrics, token=token, queue=queue)
        stack.push_async_callback(http.close)
        await _listen(http, settings.host, settings.http_port, "http_port")

        models = Keeper(partial(Store, settings.data_dir), room.model_changed)
        await models.start()
        stack.push_async_callback(room.close)
        await room.load()
        stack.push_async_callback(models.close)
        _observe(room, models, metrics, http.readiness)

        speech = SpeechCache(settings.data_dir / "speech")
        handler = Handler(engines, metrics, queue=queue, models=models, speech=speech)
        authenticator = Authenticator(
            token,
            sidecar_id=sidecar_id,
            name=settings.name,
            software=f"barnabeenet-sidecar {__version__}",
            revision_of=lambda home: engines.stt.get().vocabulary_revision(home) if engines.stt.ready else None,
            voice_engine=lambda: _voice_engine(engines),
            certificate=tls.fingerprint if tls else "",
        )
        server = Server(handler, authenticator=authenticator, tls=tls.context if tls else None)
        stack.push_async_callback(server.close)
        await _listen(server, settings.host, settings.port, "port")
        metrics.observe_hellos(lambda: authenticator.wrong_proofs, lambda: server.connections_without_hello)

        plain = None
        if settings.plain_port is not None:
            plain = Server(handler, authenticator=None)
            stack.push_async_callback(plain.close)
            await _listen(plain, settings.host, settings.plain_port, "plain_port")

        http.readiness.is_listening = True
        announced = partial(service_info, sidecar_id=sidecar_id, host=settings.host, port=server.port, tls=settings.tls)
        announcement = Announcement(announced(name=settings.name))
        stack.push_async_callback(announcement.close)
        announcement.start()

        async def rename(changed: Settings) -> None:
            authenticator.rename(changed.name)
            await announcement.change(announced(name=changed.name))

        state = "ready" if engines.can_serve else "started, but cannot serve (see above)"
        _LOGGER.info("%s after %.1f s", state, time.perf_counter() - started)
        yield Sidecar(
            room=room,
            metrics=metrics,
            sidecar_id=sidecar_id,
            token=token,
            port=server.port,
            plain_port=plain.port if plain else None,
            http_port=http.port,
            drain=Drain(handler, [server, plain] if plain else [server], announcement, http.readiness),
            readiness=http.readiness,
            queue=queue,
            rename=rename,
        )
        _LOGGER.info("stopping")


def _voice_engine(engines: Engines) -> str | None:
    # Without an ear for speech there is no telling which of the sound is the voice.
    return engine_name(engines.voice_print.get().info) if engines.voice_print.ready and engines.vad.ready else None


def _observe(room: EngineRoom, models: Keeper, metrics: Metrics, readiness: Readiness) -> None:
    metrics.observe_host(lambda: room.host)
    metrics.observe_models(lambda: models.versions)
    readiness.observe(lambda: engine_process(room.host))
    readiness.observe(lambda: gpu(room.host))
    readiness.observe(lambda: model_store(models.versions, None))


async def _listen(server: Server | HttpServer, host: str, port: int, setting: str) -> None:
    try:
        await server.start(host, port)
    except OSError as err:
        raise ConfigError(
            f"cannot listen on {host} port {port}: {err.strerror}; "
            f"`barnabeenet-sidecar doctor` says who does, {setting} chooses another"
        ) from err
    _LOGGER.info("listening on %s port %d (%s)", host, server.port, setting)
