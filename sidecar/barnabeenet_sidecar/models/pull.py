"""Brings a version of a model here: staged file by file, verified, shown in one rename, and only then registered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
import os
from pathlib import Path
import shutil

from .errors import Damaged, PullFailed, RegistryError
from .integrity import measure
from .layout import Layout
from .manifest import PART_SUFFIX, Model, ModelFile
from .registry import DeployedFile, Pin, Registry
from .sources import Source
from .space import require_space
from .threads import to_thread_whole


@dataclass(frozen=True)
class Progress:
    """How far a pull is; `total` in bytes is None while the size of a file is unknown."""

    model: str
    file: str
    done: int
    total: int | None


Report = Callable[[Progress], None]


class Pull:
    """One pull of one version; the caller holds the model's lock."""

    def __init__(self, model: Model, layout: Layout, registry: Registry, source: Source, report: Report) -> None:
        self._model = model
        self._registry = registry
        self._source = source
        self._report = report
        self._staging = layout.staging(model.name, model.version)
        self._home = layout.version(model.name, model.version)
        self._done = 0

    async def run(self, by: str) -> None:
        """Pulls and makes the version active; raises PullFailed or RegistryError and leaves what serves as it is."""
        try:
            files = await to_thread_whole(self._stage)
            deployed = [await self._bring(file) for file in files]
            await to_thread_whole(self._publish, deployed, by)
        except OSError as err:
            raise PullFailed(f"{err.filename or self._staging} cannot be written: {err.strerror}") from err

    def _stage(self) -> list[ModelFile]:
        """Gathers what an earlier pull or a damaged version left, drops what does not belong, and sees to the room."""
        files = expected_files(self._model, self._registry.pins(self._model.name, self._model.version))
        self._staging.parent.mkdir(parents=True, exist_ok=True)
        if self._home.exists() and not self._staging.exists():
            # Whatever lies there is not registered as fit to serve, or nobody would pull.
            self._home.rename(self._staging)
        self._staging.mkdir(exist_ok=True)
        wanted = {self._staging / file.path for file in files}
        wanted |= {_part(path) for path in wanted}
        for path in self._staging.rglob("*"):
            if path not in wanted and not path.is_dir():
                path.unlink()
        missing = 0
        for file in files:
            path = self._staging / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            missing += (file.size or 0) - max(_size(path), _size(_part(path)))
        require_space(self._staging, missing)
        return files

    async def _bring(self, file: ModelFile) -> DeployedFile:
        """A file of the staging folder, verified; fetched unless it is there already."""
        path = self._staging / file.path
        deployed = await asyncio.to_thread(_matching, path, file)
        if deployed is None:
            part = _part(path)
            await self._source.fetch(file, part, lambda here: self._tell(file, here))
            deployed = await asyncio.to_thread(measure, part, file.path)
            if not _fits(deployed.pin, file):
                part.unlink()
                raise PullFailed(
                    f"{file.path} is not the file it should be (SHA-256 {deployed.pin.sha256[:12]}..., "
                    f"expected {(file.sha256 or 'unknown')[:12]}...) and was thrown away: pull again"
                )
            part.rename(path)
        self._tell(file, deployed.pin.size)
        self._done += deployed.pin.size
        return deployed

    def _publish(self, deployed: list[DeployedFile], by: str) -> None:
        self._home.parent.mkdir(parents=True, exist_ok=True)
        if self._home.exists():
            shutil.rmtree(self._home)
        for folder in (self._staging, *(path for path in self._staging.rglob("*") if path.is_dir())):
            _sync_folder(folder)
        self._staging.rename(self._home)
        _sync_folder(self._home.parent)
        self._registry.deploy(self._model.name, self._model.version, deployed, by)

    def _tell(self, file: ModelFile, here: int) -> None:
        self._report(Progress(self._model.name, file.path, self._done + here, self._model.size))


def expected_files(model: Model, pins: Mapping[str, Pin]) -> list[ModelFile]:
    """The manifest's files, with what it does not know taken from earlier pulls of the same version.

    Raises RegistryError when the two differ.
    """
    files = []
    for file in model.files:
        pin = pins.get(file.path)
        if pin is None:
            files.append(file)
        elif _fits(pin, file):
            files.append(ModelFile(path=file.path, size=pin.size, sha256=pin.sha256))
        else:
            raise RegistryError(
                f"the manifest gives {file.path} of {model.name} {model.version} another size or checksum than it had "
                "when it was first pulled: if that is meant, give the model another version in the manifest"
            )
    return files


def _matching(path: Path, file: ModelFile) -> DeployedFile | None:
    """What lies at a path, when it is the file beyond doubt; anything else is removed."""
    if file.sha256 is not None:
        try:
            deployed = measure(path, file.path)
        except Damaged:
            pass
        else:
            if _fits(deployed.pin, file):
                return deployed
    path.unlink(missing_ok=True)
    return None


def _fits(pin: Pin, file: ModelFile) -> bool:
    return file.size in {None, pin.size} and file.sha256 in {None, pin.sha256}


def _part(path: Path) -> Path:
    return path.with_name(path.name + PART_SUFFIX)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _sync_folder(folder: Path) -> None:
    """Makes names last through a power cut; the files themselves were synchronised when they were written."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
