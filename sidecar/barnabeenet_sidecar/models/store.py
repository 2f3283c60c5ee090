"""The model store: opens the version that may serve, and brings, checks, changes and removes versions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
import shutil

from . import manifest
from .errors import Damaged, ManifestError, ModelError, NoUsableVersion, PullFailed, RegistryError, UnknownModel
from .integrity import check
from .layout import Layout
from .lock import locked
from .manifest import Model
from .pull import Pull, Report, expected_files
from .registry import Deployment, Registry, Status
from .sources import HUB_URL, source_of


@dataclass(frozen=True)
class ModelFiles:
    """The verified files of a version, by their paths in the manifest.

    `notice` is one line to log when this is not the version that should serve.
    """

    model: str
    version: str
    folder: Path
    paths: Mapping[str, Path]
    notice: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What a thorough check found; no damage means that every byte is right."""

    model: str
    version: str
    damage: str | None


class Store:
    """The models under a data folder. All methods but `pull` block, `verify` for seconds: call them from a thread."""

    def __init__(self, data_dir: Path, *, hub_url: str = HUB_URL) -> None:
        """Reads the manifests and the registry, which it makes if need be; raises ModelError.

        What is wrong in the home's own manifest is in `problem`: its models cannot be pulled then, but whatever is here
        goes on.
        """
        self.problem: str | None = None
        try:
            self.manifest = manifest.load(data_dir / "models.toml")
        except ManifestError as err:
            self.manifest, self.problem = manifest.load(), str(err)
        self._layout = Layout(data_dir / "models")
        self._registry = Registry(self._layout.registry)
        self._hub_url = hub_url

    @property
    def bell(self) -> Path:
        """Where a sidecar that serves hears of changes; see `bell`."""
        return self._layout.bell

    def deployments(self, model: str | None = None) -> list[Deployment]:
        """What is here, of one model or of all."""
        return self._registry.deployments(model)

    def serving(self) -> dict[str, Deployment]:
        """The active version of each model that has one, unchecked."""
        return {item.model: item for item in self._registry.deployments() if item.status is Status.ACTIVE}

    def open(self, model: str) -> ModelFiles:
        """The files of the version that serves, checked; falls back to the version before a damaged one.

        Files are read only if they changed since they were last found right. Raises UnknownModel, NoUsableVersion.
        """
        refused: list[str] = []
        while active := self._registry.active(model):
            try:
                self._check(active, thoroughly=False)
            except Damaged as err:
                self._registry.mark_damaged(model, active.version, str(err))
                refused.append(f"{model} {active.version} is damaged ({err})")
                continue
            notice = f"{'; '.join(refused)}: {active.version} serves instead" if refused else None
            return self._files(active, notice)
        raise self._nothing_to_open(model)

    def verify(self, model: str | None = None) -> Iterator[Verdict]:
        """Reads every file of every version; a damaged one stops serving, a mended one may serve again."""
        for deployment in self._known(model):
            try:
                self._check(deployment, thoroughly=True)
            except Damaged as err:
                self._registry.mark_damaged(deployment.model, deployment.version, str(err))
                yield Verdict(deployment.model, deployment.version, str(err))
            else:
                yield Verdict(deployment.model, deployment.version, None)

    def activate(self, model: str, version: str, by: str) -> None:
        """Makes a version that is here serve; raises ModelError."""
        deployment = self._registry.find(model, version)
        if deployment is not None and deployment.damage is None:
            self._check_or_mark(deployment)
        self._registry.activate(model, version, by)

    def rollback(self, model: str, by: str) -> str:
        """Swaps the version that serves and the one before it; gives the one that serves now. Raises ModelError."""
        for deployment in self._known(model):
            if deployment.status is Status.ROLLBACK_AVAILABLE:
                self._check_or_mark(deployment)
        return self._registry.rollback(model, by)

    def set_aside(self, model: str, version: str, reason: str) -> str | None:
        """Has the version before serve instead of one that no engine can use; gives it, None (and no change) without.

        As with a damaged one, pulling it again is another try.
        """
        earlier = [item for item in self._registry.deployments(model) if item.status is Status.ROLLBACK_AVAILABLE]
        if not earlier:
            return None
        self._registry.mark_damaged(model, version, reason)
        return earlier[0].version

    def remove(self, model: str, version: str | None = None) -> list[str]:
        """Removes one version, or all, with what unfinished pulls left; gives what was removed. Raises ModelError."""
        # A name that nobody knows may not become a path.
        if model not in self.manifest and not self._registry.deployments(model):
            raise self._absent(model)
        with locked(self._layout.lock(model), model):
            # The active one last: it may not go while there is one to go back to.
            deployed = sorted(self._registry.deployments(model), key=lambda item: item.status is Status.ACTIVE)
            versions = [item.version for item in deployed if version in {None, item.version}]
            staged = [name for name in self._layout.staged(model) if version in {None, name}]
            if not versions and not staged:
                raise self._absent(model)
            for name in versions:
                self._registry.remove(model, name)
                shutil.rmtree(self._layout.version(model, name), ignore_errors=True)
            for name in staged:
                shutil.rmtree(self._layout.staging(model, name), ignore_errors=True)
        return list(dict.fromkeys([*versions, *staged]))

    def record_metrics(self, model: str, version: str, metrics: Mapping[str, float]) -> None:
        """Keeps measurements of a version, such as `load_ms`."""
        self._registry.record_metrics(model, version, metrics)

    async def pull(self, model: str, by: str, report: Report = lambda _: None) -> ModelFiles:
        """Brings the manifest's version here and makes it serve; goes on from an interrupted pull.

        Raises PullFailed, whose text says what goes on serving, or another ModelError.
        """
        if self.problem is not None:
            # The model may be one of the home's own, or meant to take the place of the packaged one.
            raise ManifestError(self.problem)
        entry = self.manifest.get(model)
        if entry is None:
            raise self._absent(model)
        try:
            with locked(self._layout.lock(model), model):
                if not await asyncio.to_thread(self._is_whole, entry):
                    async with source_of(entry, self._hub_url) as source:
                        await Pull(entry, self._layout, self._registry, source, report).run(by)
                return await asyncio.to_thread(self._open_pulled, entry, by)
        except PullFailed as err:
            raise PullFailed(f"{err}; {await asyncio.to_thread(self._what_goes_on, model)}") from err

    def _what_goes_on(self, model: str) -> str:
        try:
            serving = self._registry.active(model)
        except RegistryError:
            # What fails the pull may fail the registry too.
            return "what served before goes on serving"
        return f"{model} {serving.version} goes on serving" if serving else f"there is no other version of {model}"

    def _is_whole(self, entry: Model) -> bool:
        """Whether the manifest's version is here and right; raises RegistryError when the manifest now says otherwise."""
        deployment = self._registry.find(entry.name, entry.version)
        if deployment is None:
            return False
        expected = expected_files(entry, self._registry.pins(entry.name, entry.version))
        if {file.path for file in expected} != {file.pin.path for file in deployment.files}:
            raise RegistryError(
                f"the manifest names other files for {entry.name} {entry.version} than those that were pulled: "
                "give the model another version in the manifest"
            )
        if deployment.damage is not None:
            return False
        try:
            self._check(deployment, thoroughly=False)
        except Damaged as err:
            self._registry.mark_damaged(entry.name, entry.version, str(err))
            return False
        return True

    def _open_pulled(self, entry: Model, by: str) -> ModelFiles:
        active = self._registry.active(entry.name)
        if active is None or active.version != entry.version:
            self._registry.activate(entry.name, entry.version, by)
        return self.open(entry.name)

    def _check(self, deployment: Deployment, *, thoroughly: bool) -> None:
        folder = self._layout.version(deployment.model, deployment.version)
        mtimes_ns = {file.pin.path: check(folder, file, thoroughly=thoroughly) for file in deployment.files}
        known = {file.pin.path: file.verified_mtime_ns for file in deployment.files}
        if thoroughly or mtimes_ns != known:
            self._registry.mark_verified(deployment.model, deployment.version, mtimes_ns)

    def _check_or_mark(self, deployment: Deployment) -> None:
        try:
            self._check(deployment, thoroughly=False)
        except Damaged as err:
            self._registry.mark_damaged(deployment.model, deployment.version, str(err))
            raise Damaged(f"{deployment.model} {deployment.version} is damaged ({err}): pull it again") from err

    def _files(self, deployment: Deployment, notice: str | None) -> ModelFiles:
        folder = self._layout.version(deployment.model, deployment.version)
        paths = {file.pin.path: folder / file.pin.path for file in deployment.files}
        return ModelFiles(deployment.model, deployment.version, folder, paths, notice)

    def _known(self, model: str | None) -> list[Deployment]:
        """What is here; a model that was asked for by name must be."""
        found = self._registry.deployments(model)
        if model is not None and not found:
            raise self._absent(model)
        return found

    def _absent(self, model: str) -> ModelError:
        if self._registry.deployments(model):
            return UnknownModel(f"this version of {model} is not here: `models list` shows what is")
        if model in self.manifest:
            return NoUsableVersion(f"{model} is not here: {_pull_command(model)}")
        names = sorted({*self.manifest, *(item.model for item in self._registry.deployments())})
        nearest = _nearest(model, names)
        meant = f": did you mean {' or '.join(nearest)}?" if nearest else f"; there are: {', '.join(names)}"
        return UnknownModel(f"there is no model {model}{meant}")

    def _nothing_to_open(self, model: str) -> ModelError:
        deployments = self._registry.deployments(model)
        if not deployments:
            return self._absent(model)
        damaged = [f"{model} {item.version} is damaged ({item.damage})" for item in deployments if item.damage]
        reason = "; ".join(damaged) or f"no version of {model} is active"
        return NoUsableVersion(f"{reason}: {_pull_command(model)}, or activate another version")


def _nearest(typed: str, names: Sequence[str]) -> Sequence[str]:
    """The names that begin as the typed one, or else look like it."""
    typed = typed.casefold()
    return [name for name in names if name.startswith(typed)] or get_close_matches(typed, names, n=2)


def _pull_command(model: str) -> str:
    return f"run `barnabeenet-sidecar models pull {model}`"
