"""What can go wrong with a model; each text says what to do."""

from __future__ import annotations

from ..errors import SidecarError


class ModelError(SidecarError):
    """A model cannot be had, served or changed as asked."""


class ManifestError(ModelError):
    """A manifest is wrong; the text names the file, the model and the field."""


class UnknownModel(ModelError):
    """No manifest and no registry knows this model or this version of it."""


class NoUsableVersion(ModelError):
    """No version of the model that is here may serve."""


class RegistryError(ModelError):
    """The registry cannot be used, or refuses a change that would break its rules."""


class PullFailed(ModelError):
    """A version could not be brought here; what served before goes on serving."""


class Damaged(ModelError):
    """A file is not what its checksum says; the text names it."""
