"""Learning and forgetting voices by action, from real WAV files."""

from __future__ import annotations

from collections.abc import AsyncIterable
from dataclasses import dataclass
import json
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any
import wave

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized
from homeassistant.helpers.translation import async_get_translations
import probatio
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser

from custom_components.barnabeenet import services_voice
from custom_components.barnabeenet.client.errors import CannotConnect
from custom_components.barnabeenet.const import DOMAIN

pytestmark = pytest.mark.usefixtures("starting")


@dataclass(frozen=True)
class Voice:
    vector: tuple[float, ...] = (1.0, 0.0)
    engine: str = "test"
    speech_ms: float = 2_500.0
    snr_db: float = 30.0


class Ears:
    """Stands where the sidecar would: a recording's first sample says whose voice it is."""

    def __init__(self, sidecar: Any) -> None:
        self.sidecar = sidecar
        self.heard: list[bytes] = []
        self.languages: list[str] = []
        self.voices: dict[int, Voice | None] = {1: Voice(), 2: Voice((0.0, 1.0)), 3: Voice(speech_ms=400), 4: None}
        self.failure: Exception | None = None

    async def transcribe(self, audio: AsyncIterable[bytes], *, language: str, trace_id: str, voice: bool) -> Any:
        assert voice
        if self.failure is not None:
            raise self.failure
        pcm = b"".join([chunk async for chunk in audio])
        self.heard.append(pcm)
        self.languages.append(language)
        return SimpleNamespace(text="", language=language, timings_ms={}, voice=self.voices[pcm[0]])


@pytest.fixture
def ears(loaded: MockConfigEntry, monkeypatch: pytest.MonkeyPatch) -> Ears:
    ears = Ears(loaded.runtime_data.sidecar)
    monkeypatch.setattr(loaded.runtime_data.sidecar, "transcribe", ears.transcribe)
    return ears


@pytest.fixture
def anna(home: HomeAssistant, loaded: MockConfigEntry) -> str:
    """The speaker's key of the only person."""
    data = MappingProxyType({"may": "no", "only_when_sure": False, "person_entity_id": "person.anna"})
    subentry = ConfigSubentry(data=data, subentry_type="person", title="Anna", unique_id=None)
    home.config_entries.async_add_subentry(loaded, subentry)
    return f"person {subentry.subentry_id}"


@pytest.fixture
def folder(home: HomeAssistant, tmp_path: Path) -> Path:
    """Where Home Assistant may read."""
    folder = tmp_path / "media"
    folder.mkdir()
    home.config.allowlist_external_dirs = {str(folder)}
    return folder


def record(folder: Path, name: str, whose: int = 1, *, rate_hz: int = 16_000, channels: int = 1, width: int = 2) -> str:
    path = folder / name
    with wave.open(str(path), "wb") as recording:
        recording.setframerate(rate_hz)
        recording.setnchannels(channels)
        recording.setsampwidth(width)
        recording.writeframes(bytes([whose, *[0] * (width * channels - 1)]) * rate_hz)
    return str(path)


async def enroll(hass: HomeAssistant, *files: str, context: Context | None = None, **data: Any) -> Any:
    return await hass.services.async_call(
        DOMAIN,
        "enroll_speaker",
        {"person": "Anna", "files": list(files), **data},
        blocking=True,
        return_response=True,
        context=context,
    )


def voices(entry: MockConfigEntry) -> Any:
    return entry.runtime_data.brain.household.voices


async def test_five_good_recordings_make_a_voice(
    home: HomeAssistant, loaded: MockConfigEntry, ears: Ears, anna: str, folder: Path
) -> None:
    files = [record(folder, f"{number}.wav") for number in range(5)]
    answer = await enroll(home, *files)
    assert answer == {
        "person": "Anna",
        "files": [{"file": file, "feedback": "accepted"} for file in files],
        "missing": 0,
        "samples": 5,
    }
    assert voices(loaded).speakers == {anna}
    assert [len(pcm) for pcm in ears.heard] == [32_000] * 5
    assert set(ears.languages) == {"en"}
    assert "0.0" not in json.dumps(answer), "a voice is in no answer"


async def test_recordings_may_come_one_by_one_and_each_is_told_its_worth(
    home: HomeAssistant, loaded: MockConfigEntry, ears: Ears, anna: str, folder: Path
) -> None:
    told = []
    for whose in (1, 2, 3, 4, 1):
        answer = await enroll(home, record(folder, "one.wav", whose), person=" anna ", language="de")
        told.append((answer["files"][0]["feedback"], answer["missing"], answer["samples"]))
    assert told == [
        ("accepted", 4, 0),
        ("too_different", 4, 0),
        ("too_short", 4, 0),
        ("not_available", 4, 0),
        ("accepted", 3, 0),
    ]
    assert set(ears.languages) == {"de"}
    assert voices(loaded).speakers == frozenset()


async def test_a_voice_is_learnt_anew_when_the_set_is_whole(
    home: HomeAssistant, loaded: MockConfigEntry, ears: Ears, anna: str, folder: Path
) -> None:
    mine, others = record(folder, "mine.wav"), record(folder, "others.wav", 2)
    await enroll(home, *[mine] * 5, person="person.anna")
    assert (await enroll(home, mine))["samples"] == 6
    assert (await enroll(home, *[others] * 4, replace=True))["samples"] == 6
    assert (await enroll(home, others, replace=True))["samples"] == 5
    assert {sample.vector for sample in voices(loaded).samples(anna)} == {(0.0, 1.0)}


async def test_a_voice_is_forgotten_for_good(
    home: HomeAssistant, loaded: MockConfigEntry, ears: Ears, anna: str, folder: Path
) -> None:
    await enroll(home, *[record(folder, "mine.wav")] * 5)
    forget = {"domain": DOMAIN, "service": "forget_voice", "service_data": {"person": anna.removeprefix("person ")}}
    await home.services.async_call(**forget, blocking=True)
    assert voices(loaded).speakers == frozenset()
    with pytest.raises(ServiceValidationError) as caught:
        await home.services.async_call(**forget, blocking=True)
    assert caught.value.translation_key == "no_voice"


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"rate_hz": 44_100}, "file_wrong"),
        ({"channels": 2}, "file_wrong"),
        ({"width": 1}, "file_wrong"),
    ],
)
async def test_recordings_of_another_kind_are_refused_before_any_is_heard(
    home: HomeAssistant, ears: Ears, anna: str, folder: Path, given: dict[str, int], key: str
) -> None:
    with pytest.raises(ServiceValidationError) as caught:
        await enroll(home, record(folder, "good.wav"), record(folder, "odd.wav", **given))
    assert caught.value.translation_key == key
    assert "16000 Hz" in str(caught.value.translation_placeholders)
    assert ears.heard == []


async def test_files_that_are_none_are_refused(home: HomeAssistant, ears: Ears, anna: str, folder: Path) -> None:
    good = record(folder, "good.wav")
    (folder / "text.wav").write_text("nothing to hear")
    (folder / "empty.wav").touch()
    (folder / "cut.wav").write_bytes(Path(good).read_bytes()[:20])
    (folder / "dir.wav").mkdir()
    for name, key in [
        ("text.wav", "file_wrong"),
        ("empty.wav", "file_wrong"),
        ("cut.wav", "file_wrong"),
        ("dir.wav", "file_wrong"),
        ("not there.wav", "file_missing"),
    ]:
        with pytest.raises(ServiceValidationError) as caught:
            await enroll(home, good, str(folder / name))
        assert caught.value.translation_key == key, name
    assert ears.heard == []


async def test_only_what_home_assistant_may_read_is_read(
    home: HomeAssistant, ears: Ears, anna: str, folder: Path, tmp_path: Path
) -> None:
    secret = record(tmp_path, "secret.wav")
    (folder / "link.wav").symlink_to(secret)
    for path in (secret, f"{folder}/../secret.wav", str(folder / "link.wav"), "/etc/passwd", "secret.wav"):
        with pytest.raises(ServiceValidationError) as caught:
            await enroll(home, path)
        assert caught.value.translation_key == "file_refused", path
    assert ears.heard == []


async def test_a_recording_without_end_is_refused(home: HomeAssistant, ears: Ears, anna: str, folder: Path) -> None:
    path = folder / "long.wav"
    with wave.open(str(path), "wb") as recording:
        recording.setframerate(16_000)
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.writeframes(bytes(61 * 32_000))
    with pytest.raises(ServiceValidationError):
        await enroll(home, str(path))


async def test_strangers_are_not_learnt(home: HomeAssistant, ears: Ears, anna: str, folder: Path) -> None:
    with pytest.raises(ServiceValidationError) as caught:
        await enroll(home, record(folder, "mine.wav"), person="Zoe")
    assert caught.value.translation_placeholders == {"person": "Zoe", "known": "Anna"}


async def test_a_sidecar_that_is_gone_leaves_nothing_half_done(
    home: HomeAssistant, loaded: MockConfigEntry, ears: Ears, anna: str, folder: Path
) -> None:
    ears.failure = CannotConnect("nobody answers")
    with pytest.raises(HomeAssistantError) as caught:
        await enroll(home, record(folder, "mine.wav"))
    assert caught.value.translation_key == "cannot_hear"
    ears.failure = None
    assert (await enroll(home, record(folder, "mine.wav")))["missing"] == 4


@pytest.mark.parametrize("data", [{"files": []}, {"files": ["a.wav"] * 21}, {"person": ""}, {"files": [""]}])
async def test_bounds_are_kept(home: HomeAssistant, ears: Ears, anna: str, data: dict[str, Any]) -> None:
    with pytest.raises(probatio.Invalid):
        await enroll(home, "a.wav", **data)


async def test_only_administrators_say_who_somebody_is(
    home: HomeAssistant, ears: Ears, anna: str, folder: Path, hass_read_only_user: MockUser
) -> None:
    context = Context(user_id=hass_read_only_user.id)
    with pytest.raises(Unauthorized):
        await enroll(home, record(folder, "mine.wav"), context=context)
    with pytest.raises(Unauthorized):
        await home.services.async_call(DOMAIN, "forget_voice", {"person": "Anna"}, blocking=True, context=context)


async def test_every_error_of_an_action_has_its_text(home: HomeAssistant) -> None:
    texts = await async_get_translations(home, "en", "exceptions", [DOMAIN])
    source = Path(services_voice.__file__).read_text()
    for key in ("file_refused", "file_missing", "file_wrong", "unknown_person", "cannot_hear", "no_voice"):
        assert f'"{key}"' in source
        assert texts[f"component.{DOMAIN}.exceptions.{key}.message"]
