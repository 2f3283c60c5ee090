"""Where the files of models come from; one Source per place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
import os
from pathlib import Path
import shutil
from typing import Protocol

import aiohttp

from .download import Download
from .errors import PullFailed
from .manifest import HuggingFace, Model, ModelFile, Package, Web

HUB_URL = "https://huggingface.co"
# Who does not answer by then, over the few addresses that a name may have, will not: a firewall drops what is sent.
_CONNECT_S = 10.0
# Called with the bytes of the file that are here; fewer than before when it begins anew.
Advance = Callable[[int], None]


class Source(Protocol):
    """A place that has the files of one model."""

    async def fetch(self, file: ModelFile, into: Path, advance: Advance) -> None:
        """Makes `into` the whole file, not yet verified, going on from what it holds; raises PullFailed."""


@asynccontextmanager
async def source_of(model: Model, hub_url: str = HUB_URL) -> AsyncIterator[Source]:
    """The source that a model's manifest names."""
    match model.source:
        case Package(package=package):
            yield PackageSource(package)
        case HuggingFace(repo=repo, revision=revision):
            async with WebSource(f"{hub_url}/{repo}/resolve/{revision}/") as source:
                yield source
        case Web(url=url):
            async with WebSource(url) as source:
                yield source


class PackageSource:
    """Files inside an installed Python package."""

    def __init__(self, package: str) -> None:
        self._package = package

    async def fetch(self, file: ModelFile, into: Path, advance: Advance) -> None:
        """Copies the file. The package is found but not imported: that could take seconds and gigabytes."""
        spec = find_spec(self._package)
        folders = (spec and spec.submodule_search_locations) or []
        found = next((path for folder in folders if (path := Path(folder) / file.path).is_file()), None)
        if found is None:
            raise PullFailed(f"the Python package {self._package} is not installed with {file.path}: install it")
        try:
            advance(await asyncio.to_thread(_copy, found, into))
        except OSError as err:
            raise PullFailed(f"{found} cannot be copied: {err.strerror}") from err


class WebSource:
    """Files under an address on the web, the hub's included."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __aenter__(self) -> WebSource:
        self._session = aiohttp.ClientSession(
            # Gigabytes may take hours; Download bounds the time without progress.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
            # A compressed answer would fit neither length nor range.
            headers={"Accept-Encoding": "identity"},
            auto_decompress=False,
            trust_env=True,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def fetch(self, file: ModelFile, into: Path, advance: Advance) -> None:
        """Downloads the file."""
        await Download(self._session, self._url + file.path, file, into, advance).run()


def _copy(source: Path, into: Path) -> int:
    """Copies a file to the disk itself; gives its size."""
    with source.open("rb") as original, into.open("wb") as copy:
        shutil.copyfileobj(original, copy)
        copy.flush()
        os.fsync(copy.fileno())
        return copy.tell()
