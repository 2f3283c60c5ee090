"""A real web server that has models and can be told to fail, and a data folder with a manifest that names them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
import hashlib
import os
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer
import pytest

from barnabeenet_sidecar.models import download
from barnabeenet_sidecar.models.store import Store

Fault = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]


class Shelf:
    """The server's files by path, what fails next for a path, and the ranges that were asked for."""

    def __init__(self) -> None:
        self.url = ""
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.asked: list[tuple[str, str | None]] = []
        self.closing = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        self.asked.append((path, request.headers.get("Range")))
        content = self.files.get(path)
        if content is None:
            raise web.HTTPNotFound
        if self.faults[path]:
            return await self.faults[path].pop(0)(request, content)
        return self.range(request, content)

    def range(self, request: web.Request, content: bytes) -> web.Response:
        asked = request.http_range
        if asked.start is None:
            return web.Response(body=content)
        if asked.start >= len(content):
            raise web.HTTPRequestRangeNotSatisfiable
        headers = {"Content-Range": f"bytes {asked.start}-{len(content) - 1}/{len(content)}"}
        return web.Response(status=206, body=content[asked], headers=headers)

    def cut_after(self, count: int) -> Fault:
        """Sends some of what was asked for and resets the connection."""

        async def cut(request: web.Request, content: bytes) -> web.StreamResponse:
            response = await self.begin(request, content, count)
            assert request.transport
            request.transport.abort()
            return response

        return cut

    def stall_after(self, count: int) -> Fault:
        """Sends some of what was asked for and then nothing, with the connection open."""

        async def stall(request: web.Request, content: bytes) -> web.StreamResponse:
            response = await self.begin(request, content, count)
            await self.closing.wait()
            return response

        return stall

    def slowly(self, pieces: int, pause: Callable[[int], Awaitable[None]]) -> Fault:
        """Sends all that was asked for, in pieces; each waits for `pause`, which is told how much was sent before."""

        async def drip(request: web.Request, content: bytes) -> web.StreamResponse:
            response = await self.begin(request, content, 0)
            size = -(-len(content) // pieces)
            for start in range(0, len(content), size):
                await pause(start)
                await response.write(content[start : start + size])
            return response

        return drip

    async def begin(self, request: web.Request, content: bytes, count: int) -> web.StreamResponse:
        whole = self.range(request, content)
        response = web.StreamResponse(status=whole.status, headers=whole.headers)
        assert isinstance(whole.body, bytes)
        response.content_length = len(whole.body)
        await response.prepare(request)
        await response.write(whole.body[:count])
        return response


def status(code: int) -> Fault:
    async def fail(request: web.Request, content: bytes) -> web.StreamResponse:
        return web.Response(status=code)

    return fail


def other_content(content: bytes) -> Fault:
    async def lie(request: web.Request, _: bytes) -> web.StreamResponse:
        return web.Response(body=content)

    return lie


async def ignore_range(request: web.Request, content: bytes) -> web.StreamResponse:
    return web.Response(body=content)


async def another_range(request: web.Request, content: bytes) -> web.StreamResponse:
    return web.Response(status=206, body=content[1:], headers={"Content-Range": f"bytes 1-{len(content) - 1}/*"})


def unsized(content: bytes) -> Fault:
    """Sends content in chunks, so that its length is not said."""

    async def stream(request: web.Request, _: bytes) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(content)
        return response

    return stream


def redirect(to: str) -> Fault:
    async def move(request: web.Request, _: bytes) -> web.StreamResponse:
        raise web.HTTPFound(to)

    return move


class Faults:
    """The faults that need nothing but themselves, for tests to take by name."""

    status = staticmethod(status)
    other_content = staticmethod(other_content)
    ignore_range = staticmethod(ignore_range)
    another_range = staticmethod(another_range)
    unsized = staticmethod(unsized)
    redirect = staticmethod(redirect)


@pytest.fixture
def faults() -> type[Faults]:
    return Faults


@pytest.fixture
async def shelf(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shelf]:
    monkeypatch.setattr(download, "_BACK_OFF_S", 0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    shelf = Shelf()
    app = web.Application()
    app.router.add_get("/{path:.*}", shelf.answer)
    async with TestServer(app) as server:
        shelf.url = str(server.make_url("/")).rstrip("/")
        yield shelf
        shelf.closing.set()


class Home:
    """A data folder whose models.toml can be written anew, as a person or an update does."""

    def __init__(self, data_dir: Path, url: str) -> None:
        self.data_dir = data_dir
        self.url = url

    def offers(
        self,
        version: str,
        files: dict[str, bytes],
        *,
        model: str = "ears",
        unpinned: Sequence[str] = (),
        source: str | None = None,
    ) -> Store:
        """A store whose manifest has one model in this version; files that are not pinned have neither size nor checksum."""
        entries = [
            f'{{ path = "{path}" }}'
            if path in unpinned
            else f'{{ path = "{path}", size = {len(content)}, sha256 = "{hashlib.sha256(content).hexdigest()}" }}'
            for path, content in files.items()
        ]
        source = source or f'{{ type = "web", url = "{self.url}/{version}/" }}'
        (self.data_dir / "models.toml").write_text(
            f'[[model]]\nname = "{model}"\nversion = "{version}"\ncapability = "stt"\nlicence = "MIT"\n'
            f"vram_mb = 10\npriority = 1\nsource = {source}\nfiles = [{', '.join(entries)}]\n"
        )
        return Store(self.data_dir, hub_url=self.url)

    async def has(self, shelf: Shelf, version: str, files: dict[str, bytes], **options: object) -> Store:
        """Offers a version and pulls it."""
        shelf.files |= {f"{version}/{path}": content for path, content in files.items()}
        store = self.offers(version, files, **options)  # type: ignore[arg-type]
        await store.pull("ears", "somebody")
        return store


@pytest.fixture
def home(tmp_path: Path, shelf: Shelf) -> Home:
    return Home(tmp_path, shelf.url)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    before = path.stat()
    path.write_bytes(content)
    # Files of a test are written faster than the clock of some file systems ticks.
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


@pytest.fixture
def flip() -> Callable[[Path], None]:
    return flip_a_bit
