"""Speech to text with PocketSphinx: embedded, English, and only for what is said in a home.

It knows the sentences and names of a home's vocabulary and rejects everything else; before a home has sent one, it
knows a few commands that any home understands (`builtin_vocabulary`). The acoustic model is in the package.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
import json
from pathlib import Path
import shutil
import tempfile
from typing import Final

from ..errors import BadRequest, EngineFailed, EngineUnavailable, Unsupported
from .base import SAMPLE_BYTES, SAMPLE_RATE_HZ, EngineInfo, Transcription, Vocabulary, VocabularyReport
from .builtin_vocabulary import BUILTIN
from .worker_pool import WorkerPool
from .worker_process import WorkerProcess
from .worker_protocol import AUDIO_MAX_BYTES, Kind

UTTERANCE_MAX_S: Final = 60
HOMES_MAX: Final = 16
_PACKAGE: Final = "pocketsphinx"
_LOAD_S: Final = 30.0
_COMPILE_S: Final = 60.0
_BEGIN_S: Final = 10.0
# Decoding takes a twentieth of the audio's length on an idle core; a worker is hung that takes this much longer.
_DECODE_S: Final = 5.0
_DECODE_S_PER_S: Final = 0.5
_BYTES_PER_S: Final = SAMPLE_RATE_HZ * SAMPLE_BYTES


@dataclass
class _Home:
    """A home's compiled vocabulary. A recognition that is just beginning may still load the one before."""

    revision: str
    folder: Path
    previous: Path | None = None


class PocketSphinxRecognition:
    """One utterance in a worker of its own."""

    def __init__(self, worker: WorkerProcess, pool: WorkerPool) -> None:
        self._worker = worker
        self._pool = pool
        self._fed = 0
        self._closed = False

    def feed(self, pcm: bytes) -> None:
        """Takes the next 16 kHz audio; raises BadRequest for half a sample or more than a minute in all."""
        if len(pcm) % SAMPLE_BYTES:
            raise BadRequest("audio must be whole 16-bit samples")
        if self._fed + len(pcm) > UTTERANCE_MAX_S * _BYTES_PER_S:
            raise BadRequest(f"an utterance may last {UTTERANCE_MAX_S} s: end it earlier")
        self._fed += len(pcm)
        if not self._closed:
            for start in range(0, len(pcm), AUDIO_MAX_BYTES):
                self._worker.send(Kind.AUDIO, pcm[start : start + AUDIO_MAX_BYTES])

    async def partial(self) -> Transcription:
        """The words so far, heard along with the audio; raises EngineFailed."""
        return await self._ask(Kind.PARTIAL)

    async def decode(self) -> Transcription:
        """The words of all audio fed so far, or none when they are no sentence of the vocabulary; raises EngineFailed."""
        return await self._ask(Kind.DECODE)

    async def close(self) -> None:
        """Gives the worker back; safe to call twice."""
        if not self._closed:
            self._closed = True
            self._pool.release(self._worker)

    async def _ask(self, kind: Kind) -> Transcription:
        if self._closed:
            raise EngineFailed("this recognition is closed: begin another")
        deadline_s = _DECODE_S + self._fed / _BYTES_PER_S * _DECODE_S_PER_S
        return Transcription(**json.loads(await self._worker.request(kind, deadline_s=deadline_s)))


class PocketSphinx:
    """Recognises in worker processes, each with one utterance at a time; more utterances wait for a free one."""

    def __init__(self, workers: int, data_dir: Path) -> None:
        """Compiled vocabularies are kept in a folder of `data_dir` while the engine runs, and nowhere else."""
        self._workers = workers
        self._folder = data_dir / "vocabularies"
        self._pool = WorkerPool(workers)
        self._homes: OrderedDict[str, _Home] = OrderedDict()  # the one set last comes last
        self._builtin: Path | None = None
        self._compiling = asyncio.Lock()

    @property
    def info(self) -> EngineInfo:
        """Who this engine is."""
        return EngineInfo(
            name="pocketsphinx",
            description="PocketSphinx: recognises this home's own commands, in English",
            version=_version(),
            languages=("en",),
            author="Carnegie Mellon University",
            url="https://github.com/cmusphinx/pocketsphinx",
            licence="BSD-2-Clause",
        )

    async def load(self) -> None:
        """Starts the workers and loads the built-in vocabulary into each; raises EngineUnavailable."""
        if _version() == "":
            raise EngineUnavailable(f"PocketSphinx is not installed: pip install {_PACKAGE}")
        try:
            await asyncio.to_thread(_empty, self._folder)
        except OSError as error:
            raise EngineUnavailable(f"{self._folder} cannot be written: {error}; choose another data folder") from error
        try:
            async with asyncio.timeout(_LOAD_S):
                self._builtin, _ = await self._compile(BUILTIN)
                self._pool.start()
                warm = [await self.recognise("en", None) for _ in range(self._workers)]
        except (EngineFailed, BadRequest, TimeoutError) as error:
            raise EngineUnavailable(f"PocketSphinx does not run here ({error or 'too slow'}): see the log") from error
        for recognition in warm:
            await recognition.close()

    async def close(self) -> None:
        """Ends the workers and removes the vocabularies; safe to call twice."""
        await self._pool.close()
        self._homes.clear()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def set_vocabulary(self, home: str, vocabulary: Vocabulary) -> VocabularyReport:
        """Compiles what is said in a home, in a process of its own; recognitions that run keep the old one.

        Raises Unsupported for another language than English, BadRequest for a vocabulary without usable sentences,
        EngineFailed.
        """
        _require_english(vocabulary.language)
        async with self._compiling:
            folder, report = await self._compile(vocabulary)
            old = self._homes.pop(home, None)
            self._homes[home] = _Home(vocabulary.revision, folder, old.folder if old else None)
            stale = [old.previous] if old else []
            if len(self._homes) > HOMES_MAX:
                forgotten = self._homes.pop(next(iter(self._homes)))
                stale += [forgotten.folder, forgotten.previous]
            await asyncio.to_thread(_remove, stale)
        return report

    def vocabulary_revision(self, home: str) -> str | None:
        """The revision of the vocabulary held for a home; the 16 homes that were set last are held."""
        held = self._homes.get(home)
        return held.revision if held else None

    async def recognise(
        self,
        language: str,
        home: str | None,
        bias: Sequence[str] = (),  # noqa: ARG002 - a name helps only in a sentence, and those come by set_vocabulary
    ) -> PocketSphinxRecognition:
        """Begins an utterance; waits for a free worker. Bias words are not used: names come with the vocabulary.

        Raises Unsupported for another language than English, EngineFailed.
        """
        _require_english(language)
        worker = await self._pool.acquire()
        try:
            await worker.request(Kind.BEGIN, str(self._model(home)).encode(), deadline_s=_BEGIN_S)
        except BaseException:
            self._pool.release(worker)
            raise
        return PocketSphinxRecognition(worker, self._pool)

    def _model(self, home: str | None) -> Path:
        if home is None and self._homes:
            home = next(reversed(self._homes))
        if home is not None and home in self._homes:
            return self._homes[home].folder
        if self._builtin is None:
            raise EngineFailed("PocketSphinx is not loaded")
        return self._builtin

    async def _compile(self, vocabulary: Vocabulary) -> tuple[Path, VocabularyReport]:
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self._folder))
        body = json.dumps({"vocabulary": asdict(vocabulary), "folder": str(folder)}).encode()
        try:
            worker = await WorkerProcess.start()
            try:
                report = json.loads(await worker.request(Kind.COMPILE, body, deadline_s=_COMPILE_S))
            finally:
                await worker.close()
        except BaseException:
            await asyncio.to_thread(_remove, [folder])
            raise
        return folder, VocabularyReport(**{**report, "unknown": tuple(report["unknown"])})


def _version() -> str:
    try:
        return version(_PACKAGE)
    except PackageNotFoundError:
        return ""


def _require_english(language: str) -> None:
    if language.replace("_", "-").partition("-")[0].lower() != "en":
        raise Unsupported(f"PocketSphinx understands English, not {language!r}: choose English for this pipeline")


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)


def _remove(folders: Sequence[Path | None]) -> None:
    for folder in folders:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
