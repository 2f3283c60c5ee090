"""What can go wrong with a model; each text says what to do."""

from __future__ import annotations

from typing import ClassVar

from ..errors import SidecarError


class ModelError(SidecarError):
    """A model cannot be had, served or changed as asked."""


class ManifestError(ModelError):
    """A manifest is wrong; the text names the file, the model and the field."""


class UnknownModel(ModelError):
    """No manifest and no registry knows this model or this version of it."""

    code: ClassVar[str] = "bad-request"


class NoUsableVersion(ModelError):
    """No version of the model that is here may serve."""

    code: ClassVar[str] = "bad-request"


class ModelBusy(ModelError):
    """Somebody else changes the files of this model right now."""

    code: ClassVar[str] = "busy"


class RegistryError(ModelError):
    """The registry cannot be used, or what it knows contradicts the manifest."""


class ChangeRefused(RegistryError):
    """The change asked for would break the registry's rules."""

    code: ClassVar[str] = "bad-request"


class PullFailed(ModelError):
    """A version could not be brought here; what served before goes on serving."""


class Damaged(ModelError):
    """A file is not what its checksum says; the text names it."""
