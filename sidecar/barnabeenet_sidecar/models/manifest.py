"""The manifest: which models can be pulled, from where, and what their files must be.

The package brings one (manifest.toml); a home adds its own in a file of the same form, where a model of the same name
takes the place of the package's.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path, PurePosixPath
import re
import tomllib
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from .errors import ManifestError
from .manifest_errors import in_words

_MANIFEST_MAX_BYTES = 1_000_000
_FILE_MAX_BYTES = 64 * 10**9
_PATH_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
# What a file is called while it is being downloaded.
PART_SUFFIX = ".part"


def _stays_inside(path: str) -> str:
    if not all(_PATH_PART.fullmatch(part) for part in path.split("/")) or path.endswith(PART_SUFFIX):
        raise ValueError(
            f'a path is letters, digits, ".", "_", "-" and "/", stays inside its folder, '
            f'and does not end in "{PART_SUFFIX}"'
        )
    return path


def _lower(digits: object) -> object:
    """Some tools print checksums in capitals."""
    return digits.lower() if isinstance(digits, str) else digits


Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
VersionLabel = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
RelativePath = Annotated[str, Field(max_length=256), AfterValidator(_stays_inside)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class HuggingFace(_Strict):
    """A repository on the Hugging Face hub, at one commit: a branch would change under us."""

    type: Literal["huggingface"]
    repo: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")]
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]


class Web(_Strict):
    """A folder on a web server; file paths are appended to its address."""

    type: Literal["web"]
    url: Annotated[str, Field(pattern=r"^https?://[^\s?#]+/$", max_length=512)]


class Package(_Strict):
    """An installed Python package that carries the files; it is not imported."""

    type: Literal["package"]
    package: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]


class ModelFile(_Strict):
    """One file of a model. What is not known here is recorded on the first pull and must be the same ever after."""

    path: RelativePath
    size: Annotated[int, Field(gt=0, le=_FILE_MAX_BYTES)] | None = None
    sha256: Annotated[str, BeforeValidator(_lower), Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class Model(_Strict):
    """A model as it can be pulled; with `preload` it is loaded at start, else on first use; priority 1 goes first."""

    name: Name
    description: Annotated[str, Field(max_length=200)] = ""
    capability: Literal["stt", "tts", "embedding", "voice_print", "wake"]
    version: VersionLabel
    licence: Annotated[str, Field(min_length=1, max_length=64)]
    vram_mb: Annotated[int, Field(ge=0, le=1_000_000)]
    priority: Annotated[int, Field(ge=1, le=3)]
    preload: bool = False
    source: Annotated[HuggingFace | Web | Package, Field(discriminator="type")]
    files: Annotated[tuple[ModelFile, ...], Field(min_length=1, max_length=256, strict=False)]

    @model_validator(mode="after")
    def _paths_differ(self) -> Model:
        paths = [file.path for file in self.files]
        if doubled := next((path for path in paths if paths.count(path) > 1), None):
            raise ValueError(f"the file {doubled} is named twice")
        folders = {str(parent) for path in paths for parent in PurePosixPath(path).parents}
        if both := next((path for path in paths if path in folders), None):
            raise ValueError(f"{both} is named as a file and as a folder")
        return self

    @property
    def size(self) -> int | None:
        """Bytes of all files, when each is known."""
        sizes = [file.size for file in self.files if file.size is not None]
        return sum(sizes) if len(sizes) == len(self.files) else None


class _File(_Strict):
    model: Annotated[tuple[Model, ...], Field(max_length=256, strict=False)] = ()


def load(own: Path | None = None) -> Mapping[str, Model]:
    """All models by name: the package's, and those of the home's own file when there is one; raises ManifestError."""
    packaged = resources.files(__package__).joinpath("manifest.toml").read_bytes()
    models = _parse(packaged, "manifest.toml")
    if own is None or not own.exists():
        return models
    try:
        # One byte more than allowed tells a file that is too large without reading it all.
        with own.open("rb") as file:
            content = file.read(_MANIFEST_MAX_BYTES + 1)
    except OSError as err:
        raise ManifestError(f"{own} cannot be read: {err.strerror}") from err
    return models | _parse(content, str(own))


def _parse(content: bytes, where: str) -> dict[str, Model]:
    if len(content) > _MANIFEST_MAX_BYTES:
        raise ManifestError(f"{where} is larger than {_MANIFEST_MAX_BYTES} bytes: it is not a manifest")
    try:
        # Some editors put a mark before the first line.
        data = tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as err:
        raise ManifestError(f"{where} is not text in UTF-8 (byte {err.start}): save it as that") from err
    except (tomllib.TOMLDecodeError, RecursionError) as err:
        raise ManifestError(f"{where} is not valid TOML: {err}") from err
    try:
        models = _File.model_validate(data).model
    except ValidationError as err:
        raise ManifestError(in_words(where, data, err)) from None
    by_name = {model.name: model for model in models}
    if len(by_name) < len(models):
        doubled = next(name for name in by_name if [model.name for model in models].count(name) > 1)
        raise ManifestError(f"{where}: the model {doubled} is there twice")
    return by_name
