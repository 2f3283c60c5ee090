"""Shared by all tests: where the recordings lie, and the long fuzz behind a flag."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
import json
import os
from pathlib import Path
import random
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
import pytest

if TYPE_CHECKING:
    from script.home.sidecar import Sidecar as SidecarProcess

ROOT = Path(__file__).resolve().parent.parent

# How long an example takes says how busy the machine is; what hangs meets pytest's own limit.
settings.register_profile("barnabeenet", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("barnabeenet")


@dataclass(frozen=True)
class GoldenFrame:
    """A line of contract/frames: the bytes on the wire and what a reader must make of them."""

    name: str
    raw: bytes
    code: str | None = None
    event: str | None = None
    data: dict[str, Any] | None = None
    payload: bytes | None = None


def read_golden_frames(kind: str) -> list[GoldenFrame]:
    lines = (ROOT / "contract" / "frames" / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()
    return [_golden_frame(json.loads(line)) for line in lines]


def _golden_frame(line: dict[str, Any]) -> GoldenFrame:
    raw = b"".join(map(_frame_part, line["frame"]))
    payload = base64.b64decode(line["payload_base64"]) if "payload_base64" in line else None
    return GoldenFrame(line["name"], raw, line.get("code"), line.get("event"), line.get("data"), payload)


def _frame_part(part: str | dict[str, Any]) -> bytes:
    if isinstance(part, str):
        return part.encode()
    if "base64" in part:
        return base64.b64decode(part["base64"])
    return str(part["repeat"]).encode() * int(part["times"])


# What frames are broken with.
_SPLINTERS = [
    *(b"-1", b"0", b"1e999", b"NaN", b"true", b"null", b"4294967296", b"1" * 5000, b"[" * 40, b'{"a":' * 40, b"]]}}"),
    *(b'"', b"\\", b"\\ud800", b"\n", b"\0", b"\xff\xfe", b"\xf0\x9f\x8f\xa0", b" ", b",", b":", b"{}", b"[]"),
    *(b'"data_length":', b'"payload_length":', b'"type":', b'"data":', b'"contract":', b'"nonce":', b'"context":'),
]
_ODD_VALUES = [None, True, -1, 0, 0.5, 10**400, "", "x" * 257, "\0", "\x7f\n", [], [None], {}, {"name": 1}, [[[[]]]]]
_ODD_LENGTHS = [-1, 1, 2, 70_000, 1_048_576, 1_048_577, 4_294_967_296]
# Larger frames would spend the time on copying bytes that nobody looks at.
_MUTATED_MAX_BYTES = 4096


def twist_frame(random_: random.Random, frames: list[GoldenFrame]) -> bytes:
    """A good frame with odd values in its data, and now and then a wrong length."""
    frame = random_.choice([frame for frame in frames if frame.data])
    data = dict(frame.data or {})
    for _ in range(random_.randrange(3)):
        data[random_.choice([*data, "context", "text"])] = random_.choice(_ODD_VALUES)
    body = json.dumps(data).encode()
    payload = frame.payload or b"\0" * random_.choice([0, 0, 0, 1, 2])
    header = {"type": frame.event, "data_length": len(body), "payload_length": len(payload)}
    if random_.random() < 0.2:
        header[random_.choice(["data_length", "payload_length"])] = random_.choice(_ODD_LENGTHS)
    return json.dumps(header).encode() + b"\n" + body + payload


def break_frame(random_: random.Random, frames: list[GoldenFrame]) -> bytes:
    """A golden frame with one or two bytes or pieces changed."""
    raw = bytearray(random_.choice(frames).raw)
    for _ in range(random_.randint(1, 2)):
        at = random_.randrange(len(raw) + 1)
        until = min(len(raw), at + random_.randrange(1, 12))
        match random_.randrange(5):
            case 0:
                raw[at:until] = random_.choice(_SPLINTERS)
            case 1:
                del raw[at:until]
            case 2:
                raw[at:at] = raw[at:until]
            case 3:
                raw[at : at + 1] = random_.randbytes(1)
            case _:
                other = random_.choice(frames).raw
                raw[at:] = other[random_.randrange(len(other)) :]
    return bytes(raw)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz", action="store_true", help="run the long fuzzing tests too")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `good_frame` or `bad_frame` runs once for each golden frame of the contract."""
    for kind in ("good", "bad"):
        if f"{kind}_frame" in metafunc.fixturenames:
            metafunc.parametrize(f"{kind}_frame", read_golden_frames(kind), ids=lambda frame: frame.name)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--fuzz"):
        return
    skip = pytest.mark.skip(reason="long fuzzing runs with --fuzz")
    for item in items:
        if "fuzz" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def golden_frames() -> list[GoldenFrame]:
    """All golden frames, good and bad."""
    return read_golden_frames("good") + read_golden_frames("bad")


@pytest.fixture(scope="session")
def mutated_frames(golden_frames: list[GoldenFrame]) -> Callable[[int], Iterator[bytes]]:
    """Broken frames without end, the same for the same seed."""
    frames = [frame for frame in golden_frames if len(frame.raw) <= _MUTATED_MAX_BYTES]

    def make(seed: int) -> Iterator[bytes]:
        random_ = random.Random(seed)
        while True:
            yield twist_frame(random_, frames)
            yield break_frame(random_, frames)

    return make


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of real recordings with their `manifest.tsv`; not part of the repository."""
    folder = Path(os.environ.get("BARNABEENET_RECORDINGS", ROOT.parent / "shared" / "audio"))
    if not (folder / "manifest.tsv").is_file():
        pytest.skip(f"no recordings in {folder}: set BARNABEENET_RECORDINGS")
    return folder


@pytest.fixture
async def pass_time() -> Callable[[float], None]:
    """Puts the loop's clock forward: a deadline is over when the test says so, however slow the machine is."""
    loop = asyncio.get_running_loop()
    now, ahead_s = loop.time, 0.0

    def forward(seconds: float) -> None:
        nonlocal ahead_s
        ahead_s += seconds

    # For good: the loop is this test's own.
    loop.time = lambda: now() + ahead_s  # type: ignore[method-assign]
    return forward


@pytest.fixture
async def sidecar_process(tmp_path: Path, socket_enabled: None) -> AsyncIterator[SidecarProcess]:
    """A real sidecar as a process of its own, ready; `process.kill` and `start` make it crash and come back."""
    # Only where Home Assistant's environment is: its imports are not in the sidecar's.
    from script.home.sidecar import sidecar

    async with sidecar(tmp_path / "sidecar", plain=True) as started:
        await started.ready()
        yield started
