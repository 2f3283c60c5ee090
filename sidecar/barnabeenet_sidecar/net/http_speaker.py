"""`POST /speaker/verify`: how alike two voices are. Nothing of what is sent is kept or logged."""

from __future__ import annotations

import asyncio
import io
import json
import time
from typing import Final

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError
import numpy as np
from numpy.typing import NDArray

from ..audio.pcm import resample, wav_read
from ..engines.base import SAMPLE_BYTES, SAMPLE_RATE_HZ, VoicePrint
from ..engines.voice_print import DIMENSIONS
from ..errors import BadRequest, SidecarError
from ..gpu.queue import Kind, Priority, WorkQueue
from ..telemetry.metrics import Metrics, RequestMeter
from .http_answers import HttpRefused, json_answer

BODY_MAX_BYTES: Final = 4 * 1024 * 1024
PRINT_MAX_BYTES: Final = 16 * 1024
_COORDINATE_MAX: Final = 1e6
NOTE: Final = "this tells who may be speaking, to personalise with; it must not authorise anything alone"
_PARTS: Final = ("audio", "reference", "voice_print")
_WHAT_TO_SEND: Final = (
    "send multipart/form-data with a part `audio` (WAV) and either a part `reference` (WAV) or a part `voice_print` "
    f"(a JSON list of {DIMENSIONS} numbers)"
)


async def verify(
    request: web.Request, engine: VoicePrint, metrics: Metrics, queue: WorkQueue, *, within_s: float
) -> web.Response:
    """Answers the similarity, from -1 to 1; raises SidecarError. Stages: `voice_print` of `audio`, and `reference`."""
    with metrics.request("verify") as meter:
        try:
            async with asyncio.timeout(within_s):
                parts = await _parts(request)
                similarity, audio_s = await _compare(parts, engine, queue, meter)
        except SidecarError as err:
            meter.outcome = err.told_code if isinstance(err, HttpRefused) else err.code
            raise
        except TimeoutError:
            meter.outcome = "timeout"
            text = f"the comparison did not end within {within_s:g} s: try again when there is less to do"
            raise HttpRefused(503, "timeout", text) from None
        except BaseException:
            meter.outcome = "stopped"
            raise
    engine_name = engine.info.name
    return json_answer(
        {"similarity": round(similarity, 4), "engine": engine_name, "audio_s": round(audio_s, 2), "note": NOTE}
    )


async def _compare(
    parts: dict[str, bytes], engine: VoicePrint, queue: WorkQueue, meter: RequestMeter
) -> tuple[float, float]:
    """The similarity, and how long the first part plays."""
    # Both are read before anything is worked on: a wrong one costs nothing.
    audio = await asyncio.to_thread(_pcm, parts["audio"], "audio")
    known = _voice_print(parts["voice_print"]) if "voice_print" in parts else None
    reference = b"" if known is not None else await asyncio.to_thread(_pcm, parts["reference"], "reference")
    voice = await _embed(audio, engine, queue, meter, "voice_print")
    if known is None:
        known = await _embed(reference, engine, queue, meter, "reference")
    return float(np.dot(voice, known)), len(audio) / SAMPLE_BYTES / SAMPLE_RATE_HZ


async def _embed(
    pcm: bytes, engine: VoicePrint, queue: WorkQueue, meter: RequestMeter, stage: str
) -> NDArray[np.float32]:
    async with queue.turn(Priority.NORMAL, Kind.RECOGNITION):
        started = time.perf_counter()
        voice = await engine.embed(pcm)
        meter.stages[stage] = (time.perf_counter() - started) * 1000
    return voice


async def _parts(request: web.Request) -> dict[str, bytes]:
    """The parts by name; raises BadRequest for others than are asked for."""
    _check_size(request)
    parts: dict[str, bytes] = {}
    try:
        async for part in await request.multipart():
            name = part.name if isinstance(part, BodyPartReader) else None
            if not isinstance(part, BodyPartReader) or name not in _PARTS or name in parts:
                raise BadRequest(f"the part {name!r} is unknown or there twice: {_WHAT_TO_SEND}")
            parts[name] = bytes(await part.read())
    except (ValueError, AssertionError, RuntimeError, HttpProcessingError) as err:
        # aiohttp raises all of these for bodies that are no multipart.
        raise BadRequest(f"the body cannot be read ({type(err).__name__}): {_WHAT_TO_SEND}") from err
    if "audio" not in parts or len(parts) != 2:
        raise BadRequest(f"there are the parts {', '.join(sorted(parts)) or '(none)'}: {_WHAT_TO_SEND}")
    return parts


def _check_size(request: web.Request) -> None:
    if not request.content_type.startswith("multipart/"):
        raise BadRequest(f"the body is {request.content_type}: {_WHAT_TO_SEND}")
    if request.content_length is None:
        raise HttpRefused(411, "bad-request", "the body's length is not announced: send Content-Length")
    if request.content_length > BODY_MAX_BYTES:
        text = f"the body has {request.content_length} bytes: send {BODY_MAX_BYTES} at most, such as WAV of 16 kHz"
        raise HttpRefused(413, "too-large", text)


def _pcm(wav: bytes, name: str) -> bytes:
    """The part's audio at 16 kHz."""
    try:
        recording = wav_read(io.BytesIO(wav))
    except BadRequest as err:
        raise BadRequest(f"{name}: {err}") from err
    return resample(recording.data, recording.rate_hz, SAMPLE_RATE_HZ)


def _voice_print(part: bytes) -> NDArray[np.float32]:
    """A unit vector from JSON."""
    if len(part) > PRINT_MAX_BYTES:
        raise BadRequest(f"the voice print has {len(part)} bytes: send {PRINT_MAX_BYTES} at most")
    try:
        numbers = json.loads(part)
    except (ValueError, RecursionError) as err:
        raise BadRequest(f"the voice print is not JSON: {_WHAT_TO_SEND}") from err
    if not isinstance(numbers, list) or len(numbers) != DIMENSIONS or not all(_is_coordinate(each) for each in numbers):
        raise BadRequest(f"the voice print is not a list of {DIMENSIONS} usable numbers: {_WHAT_TO_SEND}")
    vector = np.array(numbers, np.float64)
    length = float(np.linalg.norm(vector))
    if length == 0:
        raise BadRequest("the voice print has no direction: its numbers are all 0")
    unit: NDArray[np.float32] = (vector / length).astype(np.float32)
    return unit


def _is_coordinate(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _COORDINATE_MAX
