"""Where things lie in the store's folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """Paths only; staging and versions share a file system, so that one rename shows a version whole."""

    root: Path

    @property
    def registry(self) -> Path:
        """The registry's database."""
        return self.root / "registry.sqlite"

    @property
    def bell(self) -> Path:
        """The pipe through which a sidecar that serves hears of changes."""
        return self.root / "bell"

    def version(self, model: str, version: str) -> Path:
        """The files of a version that is whole."""
        return self.root / "versions" / model / version

    def staging(self, model: str, version: str) -> Path:
        """The files of a version that is being pulled."""
        return self.root / "staging" / model / version

    def staged(self, model: str) -> list[str]:
        """The versions of which a pull began and did not end."""
        folder = self.root / "staging" / model
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def lock(self, model: str) -> Path:
        """Held by who changes the files of a model; never removed, since another may be about to lock it."""
        return self.root / "locks" / f"{model}.lock"
