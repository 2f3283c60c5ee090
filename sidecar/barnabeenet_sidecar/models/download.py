"""One file over HTTP: goes on where it stopped, never past what was promised, never long without progress."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
import os
from pathlib import Path
from typing import BinaryIO

import aiohttp
from yarl import URL

from .download_errors import Interrupted, in_words, is_hopeless
from .errors import PullFailed
from .manifest import ModelFile
from .space import require_space

# This much within this time, or the server has stalled: at 8 KiB/s gigabytes never end.
_PROGRESS_BYTES = 256 * 1024
_STALL_S = 30.0
_TRIES = 4
_BACK_OFF_S = 0.5


class Download:
    """`into` grows until it is the whole file; what it holds when a download fails is the beginning of the next."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, file: ModelFile, into: Path, advance: Callable[[int], None]
    ) -> None:
        self._session = session
        self._url = URL(url)
        self._file = file
        self._into = into
        self._advance = advance

    async def run(self) -> None:
        """Downloads, and tries again while each few tries bring progress. Raises PullFailed."""
        if self._file.sha256 is None:
            # Parts of two different files could not be told from one file.
            self._into.unlink(missing_ok=True)
        start, tries = self._here(), 0
        while True:
            before = self._here()
            try:
                with self._into.open("ab") as target:
                    await self._attempt(target)
            except (Interrupted, aiohttp.ClientError, TimeoutError) as err:
                now = self._here()
                # Who is silent takes the longest, and is the least likely to speak the next time.
                failed = 2 if isinstance(err, TimeoutError) else 1
                tries = 0 if now >= before + _PROGRESS_BYTES else tries + failed
                if tries >= _TRIES or is_hopeless(err, has_begun=now > start):
                    raise PullFailed(in_words(err, self._url, self._file.path)) from err
            except OSError as err:
                raise PullFailed(f"{self._into} cannot be written: {err.strerror}") from err
            else:
                return
            await asyncio.sleep(_BACK_OFF_S * 2**tries)

    async def _attempt(self, target: BinaryIO) -> None:
        here = self._here()
        if here == self._file.size:
            return
        headers = {"Range": f"bytes={here}-"} if here else {}
        async with asyncio.timeout(_STALL_S) as stall, self._session.get(self._url, headers=headers) as response:
            self._check_status(response, target)
            if not self._continues(response, here):
                target.truncate(0)
                here = 0
            await self._take(response, target, here, stall)
        await asyncio.to_thread(_sync, target)

    def _check_status(self, response: aiohttp.ClientResponse, target: BinaryIO) -> None:
        if response.status in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
            return
        said = f"{response.url.host} answers {response.status} ({response.reason}) for {self._url}"
        if response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            target.truncate(0)
            raise Interrupted(said)
        if response.status == HTTPStatus.TOO_MANY_REQUESTS or response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Interrupted(f"{said}: try again later")
        raise PullFailed(f"{said}: check the source in the manifest")

    def _continues(self, response: aiohttp.ClientResponse, here: int) -> bool:
        """Whether the answer goes on from `here`; a server may ignore the range and begin anew."""
        if response.status != HTTPStatus.PARTIAL_CONTENT:
            return False
        if not response.headers.get("Content-Range", "").startswith(f"bytes {here}-"):
            raise PullFailed(f"{response.url.host} sends another part of {self._file.path} than was asked for")
        return True

    async def _take(
        self, response: aiohttp.ClientResponse, target: BinaryIO, here: int, stall: asyncio.Timeout
    ) -> None:
        """Writes whatever comes at once, so that a cut costs little; puts the stall off with every bit of progress."""
        end = self._end(response, here)
        progress_at = here + _PROGRESS_BYTES
        async for chunk in response.content.iter_any():
            if here + len(chunk) > end:
                raise PullFailed(f"{response.url.host} sends more than the {end} bytes that {self._file.path} has")
            await asyncio.to_thread(target.write, chunk)
            here += len(chunk)
            self._advance(here)
            if here >= progress_at:
                progress_at = here + _PROGRESS_BYTES
                stall.reschedule(asyncio.get_running_loop().time() + _STALL_S)
        if here < end:
            raise Interrupted(f"{response.url.host} ended {self._file.path} after {here} of {end} bytes")

    def _end(self, response: aiohttp.ClientResponse, here: int) -> int:
        """The size that the whole file will have, from the manifest and the answer."""
        length = response.content_length
        if self._file.size is None:
            if length is None:
                raise PullFailed(
                    f"{response.url.host} does not say the size of {self._file.path}: put it in the manifest"
                )
            require_space(self._into.parent, length)
            return here + length
        if response.content_type == "text/html":
            raise PullFailed(
                f"{response.url.host} sends a web page instead of {self._file.path}: a network that wants a log-in "
                "first does so, and so does a wrong address"
            )
        if length is not None and here + length != self._file.size:
            raise PullFailed(
                f"{response.url.host} has {self._file.path} with {here + length} bytes instead of {self._file.size}: "
                "this is another file"
            )
        return self._file.size

    def _here(self) -> int:
        return self._into.stat().st_size if self._into.exists() else 0


def _sync(target: BinaryIO) -> None:
    target.flush()
    os.fsync(target.fileno())
