"""Wake words over the wire, without ever taking audio away from what comes after them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from wyoming.event import Event
from wyoming.wake import Detection as DetectionEvent, NotDetected

from custom_components.barnabeenet.client.errors import ConnectionLost, ProtocolError, RequestFailed
from custom_components.barnabeenet.client.sidecar import Detection, Sidecar

FRAME = bytes(320)


class Microphone:
    """Frames that come when the test says so; the stream must survive the detection."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[tuple[bytes, int] | None] = asyncio.Queue()
        self.cancelled = False
        self.stream = self._stream()

    def say(self, *times_ms: int) -> None:
        for time_ms in times_ms:
            self.frames.put_nowait((FRAME, time_ms))

    def end(self) -> None:
        self.frames.put_nowait(None)

    async def hear_out(self, task: asyncio.Task, from_ms: int) -> list[int]:
        """Goes on talking until the task ends, as a satellite does; gives the times of what it said."""
        said: list[int] = []
        while not task.done():
            said.append(from_ms + 10 * len(said))
            self.say(said[-1])
            await asyncio.sleep(0)
        return said

    async def _stream(self) -> AsyncIterator[tuple[bytes, int]]:
        try:
            while (frame := await self.frames.get()) is not None:
                yield frame
        except asyncio.CancelledError:
            self.cancelled = True
            raise


@pytest.fixture
async def microphone() -> AsyncIterator[Microphone]:
    microphone = Microphone()
    yield microphone
    await microphone.stream.aclose()


def listening(sidecar: Sidecar, microphone: Microphone, names=None) -> asyncio.Task[Detection | None]:
    return asyncio.create_task(sidecar.detect(microphone.stream, names=names, trace_id="trace-1"))


async def hear_on_the_second_frame(peer, event) -> None:
    await peer.until("audio-chunk")
    chunk = (await peer.until("audio-chunk"))[-1]
    await peer.send(DetectionEvent(name="okay_nabu", timestamp=chunk.data["timestamp"]).event())


async def test_a_wake_word_is_heard_with_its_time(sidecar, script, microphone) -> None:
    script.on["detect"] = hear_on_the_second_frame
    task = listening(sidecar, microphone, ["okay_nabu"])
    await microphone.hear_out(task, 10)
    heard = await task
    assert heard is not None
    # Frames are sent twelve at a time, dated as the first of them.
    assert (heard.name, heard.timestamp_ms) == ("okay_nabu", 130)
    request = next(event for event in script.heard if event.type == "detect")
    assert request.data == {"names": ["okay_nabu"], "context": {"trace_id": "trace-1"}}


async def test_no_frame_is_lost_and_none_comes_twice_around_the_wake_word(sidecar, script, microphone) -> None:
    script.on["detect"] = hear_on_the_second_frame
    task = listening(sidecar, microphone)
    said = await microphone.hear_out(task, 10)
    heard = await task
    assert heard is not None
    microphone.end()
    queued = [time_ms for _, time_ms in heard.queued_audio]
    rest = [time_ms async for _, time_ms in microphone.stream]

    def sent() -> list[int]:
        chunks = [event for event in script.heard if event.type == "audio-chunk"]
        return [
            chunk.data["timestamp"] + at // len(FRAME) * 10
            for chunk in chunks
            for at in range(0, len(chunk.payload), len(FRAME))
        ]

    assert 1 <= len(queued) <= 12
    await script.until(lambda: len(sent() + queued + rest) >= len(said))
    assert sent() + queued + rest == said
    assert not microphone.cancelled


async def test_the_end_of_the_audio_is_no_detection(sidecar, script, microphone) -> None:
    async def listen(peer, event) -> None:
        await peer.until("audio-stop")
        await peer.send(NotDetected().event())

    script.on["detect"] = listen
    task = listening(sidecar, microphone)
    microphone.say(10)
    microphone.end()
    assert await task is None
    request = next(event for event in script.heard if event.type == "detect")
    assert request.data.get("names") is None


async def test_short_frames_are_gathered_and_the_last_of_them_sent_at_the_end(sidecar, script, microphone) -> None:
    async def listen(peer, event) -> None:
        await peer.until("audio-stop")
        await peer.send(NotDetected().event())

    script.on["detect"] = listen
    task = listening(sidecar, microphone)
    microphone.say(*range(1000, 1270, 10))
    microphone.end()
    await task
    chunks = [event for event in script.heard if event.type == "audio-chunk"]
    assert [(chunk.data["timestamp"], len(chunk.payload)) for chunk in chunks] == [
        (1000, 12 * 320),
        (1120, 12 * 320),
        (1240, 3 * 320),
    ]


async def test_a_long_frame_is_cut_and_dated(sidecar, script, microphone) -> None:
    async def listen(peer, event) -> None:
        await peer.until("audio-stop")
        await peer.send(NotDetected().event())

    script.on["detect"] = listen
    task = listening(sidecar, microphone)
    microphone.frames.put_nowait((bytes(3840 * 2 + 320), 1000))
    microphone.end()
    await task
    chunks = [event for event in script.heard if event.type == "audio-chunk"]
    assert [(chunk.data["timestamp"], len(chunk.payload)) for chunk in chunks] == [
        (1000, 3840),
        (1120, 3840),
        (1240, 320),
    ]


async def test_when_the_pipeline_is_stopped_nothing_waits_for_audio_that_may_never_come(
    sidecar, script, microphone
) -> None:
    task = listening(sidecar, microphone)
    microphone.say(*range(10, 130, 10))
    await script.until(lambda: script.count("audio-chunk") == 1)
    task.cancel()
    await asyncio.wait({task}, timeout=20)
    assert task.cancelled()
    assert microphone.cancelled
    await script.until(lambda: script.count("barnabeenet-cancel") == 1)
    assert script.gone == 0


async def test_when_the_sidecar_dies_the_read_that_has_begun_is_waited_for(sidecar, script, microphone) -> None:
    async def crash(peer, event) -> None:
        await peer.until("audio-chunk")
        peer.hang_up()

    script.on["detect"] = crash
    task = listening(sidecar, microphone)
    await microphone.hear_out(task, 10)
    with pytest.raises(ConnectionLost):
        await task
    assert not microphone.cancelled
    microphone.say(7)
    assert 7 in [(await anext(microphone.stream))[1] for _ in range(microphone.frames.qsize())]


async def test_what_the_audio_raises_comes_out(sidecar, script) -> None:
    async def aborted() -> AsyncIterator[tuple[bytes, int]]:
        yield FRAME, 10
        raise LookupError("the pipeline was aborted")

    with pytest.raises(LookupError, match="aborted"):
        await sidecar.detect(aborted(), names=None, trace_id="trace-1")


async def test_what_the_audio_raises_after_the_wake_word_comes_out(sidecar, script, monkeypatch) -> None:
    given_back = asyncio.Event()
    take_back = sidecar._pool._take_back

    def tell(connection, *, finished: bool) -> None:
        take_back(connection, finished=finished)
        given_back.set()

    async def aborted() -> AsyncIterator[tuple[bytes, int]]:
        for time_ms in range(10, 250, 10):
            yield FRAME, time_ms
        await given_back.wait()
        raise LookupError("the pipeline was aborted")

    monkeypatch.setattr(sidecar._pool, "_take_back", tell)
    script.on["detect"] = hear_on_the_second_frame
    with pytest.raises(LookupError, match="aborted"):
        await sidecar.detect(aborted(), names=None, trace_id="trace-1")


async def test_an_unknown_wake_word_is_a_failed_request(sidecar, script, microphone) -> None:
    async def refuse(peer, event) -> None:
        await peer.connection.error("unsupported", "no such wake word")

    script.on["detect"] = refuse
    microphone.say(10, 20)
    microphone.end()
    with pytest.raises(RequestFailed, match="no such wake word"):
        await listening(sidecar, microphone, ["nobody"])


async def test_an_answer_that_does_not_belong_here_ends_the_connection(sidecar, script, microphone) -> None:
    async def babble(peer, event) -> None:
        await peer.send(Event("voice-started", {}))

    script.on["detect"] = babble
    microphone.say(10)
    microphone.end()
    with pytest.raises(ProtocolError):
        await listening(sidecar, microphone)
    await script.until(lambda: script.gone == 1)
