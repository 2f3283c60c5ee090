"""The manifest that is packaged, and what may stand in one that a person writes."""

from __future__ import annotations

from pathlib import Path
import re

import pytest

from barnabeenet_sidecar.models import manifest
from barnabeenet_sidecar.models.errors import ManifestError
from barnabeenet_sidecar.models.manifest import HuggingFace

GOOD = """
[[model]]
name = "my-ears"
version = "1"
capability = "stt"
licence = "MIT"
vram_mb = 100
priority = 3
source = { type = "web", url = "https://example.org/models/" }
files = [{ path = "net/model.onnx" }]
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "models.toml"


def refusal(own: Path, text: str) -> str:
    own.write_text(text)
    with pytest.raises(ManifestError) as raised:
        manifest.load(own)
    return str(raised.value)


def test_each_packaged_file_has_a_size_and_a_checksum() -> None:
    for model in manifest.load().values():
        for file in model.files:
            assert file.size, f"{model.name} {file.path}"
            assert file.sha256, f"{model.name} {file.path}"


def test_no_checksum_is_packaged_for_two_different_files() -> None:
    seen: dict[str, tuple[str, int | None]] = {}
    for model in manifest.load().values():
        for file in model.files:
            assert file.sha256
            assert seen.setdefault(file.sha256, (file.path, file.size)) == (file.path, file.size)


def test_there_is_a_packaged_model_for_each_thing_that_needs_weights() -> None:
    assert {model.capability for model in manifest.load().values()} >= {"stt", "tts", "embedding", "voice_print"}


def test_a_packaged_version_is_the_beginning_of_its_commit() -> None:
    for model in manifest.load().values():
        if isinstance(model.source, HuggingFace):
            assert model.source.revision.startswith(model.version)


def test_what_is_loaded_at_start_fits_a_card_of_16_gigabytes() -> None:
    models = manifest.load().values()
    assert sum(model.vram_mb for model in models if model.preload) <= 16384
    assert all(model.preload == (model.priority <= 2) for model in models)


def test_an_own_model_is_loaded_on_first_use_unless_it_says_otherwise(own: Path) -> None:
    own.write_text(GOOD)
    assert not manifest.load(own)["my-ears"].preload
    own.write_text(GOOD.replace("priority = 3", "priority = 3\npreload = true"))
    assert manifest.load(own)["my-ears"].preload


def test_an_own_model_stands_beside_the_packaged_ones(own: Path) -> None:
    own.write_text(GOOD)
    models = manifest.load(own)
    assert models["my-ears"].files[0].sha256 is None
    assert models.keys() > manifest.load().keys()


def test_an_own_model_takes_the_place_of_a_packaged_one_of_its_name(own: Path) -> None:
    own.write_text(GOOD.replace("my-ears", "whisper-small"))
    models = manifest.load(own)
    assert models["whisper-small"].version == "1"
    assert len(models) == len(manifest.load())


def test_a_file_that_is_not_there_changes_nothing(own: Path) -> None:
    assert manifest.load(own) == manifest.load()


def test_an_empty_file_changes_nothing(own: Path) -> None:
    own.write_text("")
    assert manifest.load(own) == manifest.load()


def test_the_size_of_a_model_is_unknown_when_that_of_a_file_is(own: Path) -> None:
    own.write_text(GOOD)
    assert manifest.load(own)["my-ears"].size is None
    own.write_text(GOOD.replace('{ path = "net/model.onnx" }', '{ path = "a", size = 2 }, { path = "b", size = 3 }'))
    assert manifest.load(own)["my-ears"].size == 5


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("vram_mb = 100", "vram_mb = -1", "model my-ears: vram_mb must be a whole number of megabytes"),
        ("vram_mb = 100", "", "model my-ears: vram_mb is missing: it must be a whole number"),
        ("priority = 3", "priority = 4", "model my-ears: priority must be 1, 2 or 3 without quotes"),
        ("priority = 3", 'priority = "3"', "model my-ears: priority must be 1, 2 or 3 without quotes"),
        ('capability = "stt"', 'capability = "STT"', "model my-ears: capability must be stt, tts,"),
        ('licence = "MIT"', 'licence = "MIT"\ncolour = "red"', "model my-ears: there is no field colour$"),
        ('licence = "MIT"', 'licence = "MIT"\ndescripton = "x"', "no field descripton: did you mean description"),
        ('name = "my-ears"', 'name = "../ears"', "name must be lower-case letters"),
        ('name = "my-ears"', 'name = "My Ears"', "model My Ears: name must be lower-case letters"),
        ('name = "my-ears"', "", "model number 1: name is missing"),
        ('version = "1"', 'version = ".."', "version must be letters, digits"),
        ('version = "1"', "version = 1", 'version must be .* in quotes, such as "1"'),
        ('type = "web"', 'type = "ftp"', 'source must be { type = "web", url ='),
        ('type = "web", ', "", 'source must be { type = "web", url ='),
        ("https://example.org/models/", "file:///etc/", "source: url must be the address of a folder"),
        ("https://example.org/models/", "https://example.org/models", 'source: url must be .* to a last "/"'),
        ("net/model.onnx", "../../token", "file ../../token: path: a path is"),
        ("net/model.onnx", "/etc/passwd", "file /etc/passwd: path: a path is"),
        ("net/model.onnx", "net//model.onnx", "path: a path is"),
        ("net/model.onnx", ".hidden", "path: a path is"),
        ("net/model.onnx", "model.part", "path: a path is"),
        ('"net/model.onnx"', '"a", sha256 = "ABC"', "file a: sha256 must be 64 digits"),
        ('"net/model.onnx"', '"a", size = 0', "file a: size must be a whole number of bytes"),
        ('"net/model.onnx"', '"a", size = "88 MB"', "file a: size must be .* without quotes"),
        ('{ path = "net/model.onnx" }', "", 'files must be a list of { path = "..." }'),
        ('{ path = "net/model.onnx" }', '"net/model.onnx"', 'file number 1: it must be { path = "..." }$'),
        ("net/model.onnx", 'net" }, { path = "net/model.onnx', "net is named as a file and as a folder"),
        ("net/model.onnx", 'net" }, { path = "net', "the file net is named twice"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_place_and_reason(own: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    text = refusal(own, GOOD.replace(old, new))
    assert text.startswith(f"{own}: model ")
    assert re.search(said, text), text


def test_a_branch_is_no_revision(own: Path) -> None:
    hub = '{ type = "huggingface", repo = "a/b", revision = "main" }'
    text = refusal(own, GOOD.replace('{ type = "web", url = "https://example.org/models/" }', hub))
    assert "source: revision must be a whole commit, 40 digits" in text


def test_all_wrong_fields_are_said_at_once(own: Path) -> None:
    text = refusal(own, GOOD.replace("vram_mb = 100", "vram_mb = -1").replace("priority = 3", "priority = 9"))
    assert len(text.splitlines()) == 2


def test_of_very_many_wrong_fields_the_first_are_said(own: Path) -> None:
    lines = refusal(own, '[[model]]\nname = "a"\n' * 200).splitlines()
    assert len(lines) == 21
    assert lines[-1].endswith("and 1380 more")


@pytest.mark.parametrize("text", ["[[model]", "model = 3", "models = []", "model = [3]", "model = [[]]", "= " * 9000])
def test_what_is_no_manifest_is_refused_with_the_name_of_the_file(own: Path, text: str) -> None:
    assert refusal(own, text).startswith(str(own))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("[[model]]", "[model]"), "each model begins with a line [[model]]"),
        (GOOD.replace("[[model]]", "[[models]]"), "a line [[model]]; outside of one there is models"),
        (GOOD.replace("[[model]]", ""), "a line [[model]]; outside of one there is name, "),
        (GOOD * 257, "there may be 256 models at most"),
    ],
)
def test_a_wrong_beginning_is_told_in_one_line(own: Path, text: str, said: str) -> None:
    assert said in refusal(own, text)
    assert "\n" not in refusal(own, text)


def test_capitals_in_checksums_and_a_mark_before_the_text_are_taken(own: Path) -> None:
    text = GOOD.replace('"net/model.onnx"', f'"net/model.onnx", sha256 = "{"AB" * 32}"')
    own.write_text("\ufeff" + text)
    assert manifest.load(own)["my-ears"].files[0].sha256 == "ab" * 32


def test_a_model_that_is_there_twice_is_refused(own: Path) -> None:
    assert "the model my-ears is there twice" in refusal(own, GOOD + GOOD)


def test_bytes_that_are_no_text_are_refused(own: Path) -> None:
    own.write_bytes(b"\xff\xfe")
    with pytest.raises(ManifestError, match=r"is not text in UTF-8 \(byte 0\)"):
        manifest.load(own)


def test_a_file_without_end_is_not_read_to_its_end(own: Path) -> None:
    own.symlink_to("/dev/zero")
    with pytest.raises(ManifestError, match=r"larger than"):
        manifest.load(own)


def test_a_folder_in_its_place_is_refused(own: Path) -> None:
    own.mkdir()
    with pytest.raises(ManifestError, match=r"cannot be read: Is a directory"):
        manifest.load(own)


def test_the_documentation_names_each_packaged_model_with_its_licence(root: Path) -> None:
    text = (root / "docs" / "models.md").read_text()
    for model in manifest.load().values():
        row = next((line for line in text.splitlines() if line.startswith(f"| `{model.name}` |")), "")
        assert model.licence in row
        assert not model.vram_mb or f"{model.vram_mb} MB" in row


def test_the_example_in_the_documentation_is_a_manifest(root: Path, own: Path) -> None:
    text = (root / "docs" / "models.md").read_text()
    example = text.split("```toml\n")[1].split("```")[0]
    own.write_text(example.replace('"..."', f'"{"0" * 64}"'))
    assert manifest.load(own)["my-kokoro"].preload
