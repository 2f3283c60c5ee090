"""The registry's promises, one by one and together in a state machine."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
import sqlite3
import tempfile

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
import pytest

from barnabeenet_sidecar.models import schema
from barnabeenet_sidecar.models.errors import RegistryError, UnknownModel
from barnabeenet_sidecar.models.registry import DeployedFile, Pin, Registry, Status

ACTIVE, ROLLBACK, ARCHIVED = Status.ACTIVE, Status.ROLLBACK_AVAILABLE, Status.ARCHIVED


def file_of(version: str, path: str = "model.onnx") -> DeployedFile:
    return DeployedFile(Pin(path, 10, version.rjust(64, "0")), 5)


def statuses(registry: Registry, model: str = "ears") -> dict[str, Status]:
    return {item.version: item.status for item in registry.deployments(model)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "models" / "registry.sqlite"


@pytest.fixture
def registry(path: Path) -> Registry:
    return Registry(path)


@pytest.fixture
def deployed(registry: Registry) -> Callable[..., Registry]:
    def deploy(*versions: str) -> Registry:
        for version in versions:
            registry.deploy("ears", version, [file_of(version)], "somebody")
        return registry

    return deploy


def test_a_new_registry_is_empty(registry: Registry) -> None:
    assert registry.deployments() == []
    assert registry.active("ears") is None


def test_the_first_version_is_active_with_all_that_is_known_of_it(registry: Registry) -> None:
    files = [file_of("1", "a"), file_of("1", "b/c")]
    registry.deploy("ears", "1", files, "anna")
    active = registry.active("ears")
    assert active
    assert (active.version, active.deployed_by, active.files, active.size) == ("1", "anna", files, 20)
    assert timedelta() <= datetime.now(UTC) - active.deployed_at < timedelta(seconds=30)


def test_a_new_version_keeps_the_one_before_and_archives_older_ones(deployed: Callable[..., Registry]) -> None:
    assert statuses(deployed("1", "2", "3")) == {"1": ARCHIVED, "2": ROLLBACK, "3": ACTIVE}


def test_models_do_not_touch_each_other(deployed: Callable[..., Registry]) -> None:
    registry = deployed("1", "2")
    registry.deploy("voice", "1", [file_of("1")], "somebody")
    registry.rollback("ears", "somebody")
    assert statuses(registry, "voice") == {"1": ACTIVE}
    assert {item.model for item in registry.deployments()} == {"ears", "voice"}


def test_a_rollback_swaps_and_another_swaps_back(deployed: Callable[..., Registry]) -> None:
    registry = deployed("1", "2", "3")
    assert registry.rollback("ears", "ben") == "2"
    assert statuses(registry) == {"1": ARCHIVED, "2": ACTIVE, "3": ROLLBACK}
    active = registry.active("ears")
    assert active
    assert active.deployed_by == "ben"
    assert registry.rollback("ears", "ben") == "3"
    assert statuses(registry) == {"1": ARCHIVED, "2": ROLLBACK, "3": ACTIVE}


def test_an_archived_version_can_be_made_active(deployed: Callable[..., Registry]) -> None:
    registry = deployed("1", "2", "3")
    registry.activate("ears", "1", "somebody")
    assert statuses(registry) == {"1": ACTIVE, "2": ARCHIVED, "3": ROLLBACK}


def test_making_the_active_version_active_costs_no_way_back(deployed: Callable[..., Registry]) -> None:
    registry = deployed("1", "2")
    registry.activate("ears", "2", "somebody")
    registry.deploy("ears", "2", [file_of("2")], "somebody")
    assert statuses(registry) == {"1": ROLLBACK, "2": ACTIVE}


def test_without_an_earlier_version_there_is_no_rollback(deployed: Callable[..., Registry]) -> None:
    with pytest.raises(RegistryError, match=r"no earlier version"):
        deployed("1").rollback("ears", "somebody")


def test_what_is_not_here_can_be_neither_activated_nor_removed_nor_measured(deployed: Callable[..., Registry]) -> None:
    registry = deployed("1")
    for change in (
        lambda: registry.activate("ears", "9", "somebody"),
        lambda: registry.remove("ears", "9"),
        lambda: registry.record_metrics("ears", "9", {"load_ms": 1.0}),
    ):
        with pytest.raises(UnknownModel, match=r"ears 9 is not here"):
            change()
    assert statuses(registry) == {"1": ACTIVE}


def test_damage_to_the_active_version_brings_back_the_one_before(deployed: Callable[..., Registry]) -> None:
    registry = deployed("1", "2")
    registry.mark_damaged("ears", "2", "a bit flipped")
    assert statuses(registry) == {"1": ACTIVE, "2": ARCHIVED}
    damaged = registry.find("ears", "2")
    assert damaged
    assert damaged.damage == "a bit flipped"


def test_damage_to_the_only_version_leaves_none_active(deployed: Callable[..., Registry]) -> None:
    registry = deployed("1")
    registry.mark_damaged("ears", "1", "gone")
    assert registry.active("ears") is None


def test_damage_to_the_earlier_version_leaves_no_way_back(deployed: Callable[..., Registry]) -> None:
    registry = deployed("1", "2")
    registry.mark_damaged("ears", "1", "gone")
    assert statuses(registry) == {"1": ARCHIVED, "2": ACTIVE}


def test_a_damaged_version_serves_again_only_when_it_was_found_right(deployed: Callable[..., Registry]) -> None:
    registry = deployed("1", "2")
    registry.mark_damaged("ears", "2", "a bit flipped")
    with pytest.raises(RegistryError, match=r"a bit flipped"):
        registry.activate("ears", "2", "somebody")
    registry.mark_verified("ears", "2", {"model.onnx": 77})
    registry.activate("ears", "2", "somebody")
    active = registry.active("ears")
    assert active
    assert (active.version, active.damage, active.files[0].verified_mtime_ns) == ("2", None, 77)


def test_pulling_a_damaged_version_again_makes_it_active(deployed: Callable[..., Registry]) -> None:
    registry = deployed("1", "2")
    registry.mark_damaged("ears", "2", "a bit flipped")
    deployed("2")
    assert statuses(registry) == {"1": ROLLBACK, "2": ACTIVE}
    assert [item.damage for item in registry.deployments()] == [None, None]


def test_damage_to_what_was_removed_meanwhile_is_no_error(registry: Registry) -> None:
    registry.mark_damaged("ears", "1", "gone")
    assert registry.deployments() == []


def test_the_active_version_stays_while_there_is_one_to_go_back_to(deployed: Callable[..., Registry]) -> None:
    registry = deployed("1", "2")
    with pytest.raises(RegistryError, match=r"ears 2 serves: go back first"):
        registry.remove("ears", "2")
    registry.remove("ears", "1")
    registry.remove("ears", "2")
    assert registry.deployments() == []


def test_a_version_that_comes_back_must_be_what_it_was(deployed: Callable[..., Registry]) -> None:
    registry = deployed("1")
    registry.remove("ears", "1")
    assert registry.pins("ears", "1") == {"model.onnx": file_of("1").pin}
    with pytest.raises(RegistryError, match=r"model.onnx of ears 1 is not what it was"):
        registry.deploy("ears", "1", [file_of("other")], "somebody")
    assert registry.deployments() == []


def test_metrics_add_up_and_newer_ones_win(deployed: Callable[..., Registry]) -> None:
    registry = deployed("1")
    registry.record_metrics("ears", "1", {"load_ms": 900.0, "decode_ms": 30.5})
    registry.record_metrics("ears", "1", {"load_ms": 800.0})
    active = registry.active("ears")
    assert active
    assert active.metrics == {"load_ms": 800.0, "decode_ms": 30.5}


def test_metrics_are_finite_and_few(deployed: Callable[..., Registry]) -> None:
    registry = deployed("1")
    with pytest.raises(RegistryError, match=r"finite"):
        registry.record_metrics("ears", "1", {"load_ms": float("nan")})
    with pytest.raises(RegistryError, match=r"more than 64"):
        registry.record_metrics("ears", "1", {f"m{number}_ms": 1.0 for number in range(65)})
    active = registry.active("ears")
    assert active
    assert active.metrics == {}


def test_another_process_sees_the_same(deployed: Callable[..., Registry], path: Path) -> None:
    deployed("1", "2")
    assert statuses(Registry(path)) == {"1": ROLLBACK, "2": ACTIVE}


def test_many_changers_at_once_leave_exactly_one_active(deployed: Callable[..., Registry], path: Path) -> None:
    deployed("1", "2", "3", "4")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: Registry(path).activate("ears", str(number % 4 + 1), "somebody"), range(40)))
    assert sorted(statuses(Registry(path)).values()) == [ACTIVE, ARCHIVED, ARCHIVED, ROLLBACK]


def test_the_database_itself_refuses_two_active_versions(deployed: Callable[..., Registry], path: Path) -> None:
    deployed("1", "2")
    with sqlite3.connect(path) as db, pytest.raises(sqlite3.IntegrityError):
        db.execute("UPDATE deployment SET status = 'active'")
    db.close()


def test_an_older_registry_is_brought_up_to_date_with_its_rows(
    deployed: Callable[..., Registry], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed("1", "2")
    newer = (*schema.MIGRATIONS, ("ALTER TABLE deployment ADD COLUMN note TEXT", "UPDATE deployment SET note = 'old'"))
    monkeypatch.setattr(schema, "MIGRATIONS", newer)
    assert statuses(Registry(path)) == {"1": ROLLBACK, "2": ACTIVE}
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT DISTINCT note FROM deployment").fetchall() == [("old",)]
        assert db.execute("SELECT version FROM schema_version").fetchall() == [(2,)]
    db.close()


def test_a_migration_that_fails_changes_nothing(
    deployed: Callable[..., Registry], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed("1")
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, ("DELETE FROM deployment", "nonsense")))
        with pytest.raises(RegistryError, match=r"cannot be used"):
            Registry(path)
    assert statuses(Registry(path)) == {"1": ACTIVE}


def test_a_registry_of_a_newer_sidecar_is_left_alone(
    deployed: Callable[..., Registry], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed("1")
    monkeypatch.setattr(schema, "MIGRATIONS", ())
    with pytest.raises(RegistryError, match=r"newer sidecar .*update this sidecar"):
        Registry(path)


def test_a_file_that_is_no_database_is_said_to_be_one_line(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(RegistryError, match=r"file is not a database.*remove it and pull again") as raised:
        Registry(path)
    assert "\n" not in str(raised.value)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("in the way")
    with pytest.raises(RegistryError, match=r"cannot be made"):
        Registry(tmp_path / "models" / "registry.sqlite")


VERSIONS = st.sampled_from(["1", "2", "3", "4"])


class RegistryMachine(RuleBasedStateMachine):
    """Random changes, against a model of what they should leave."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.registry = Registry(Path(self.folder.name) / "registry.sqlite")
        self.here: set[str] = set()
        self.damaged: set[str] = set()
        self.active: str | None = None
        self.earlier: str | None = None

    def teardown(self) -> None:
        self.folder.cleanup()

    def make_active(self, version: str) -> None:
        if self.active != version:
            self.active, self.earlier = version, self.active

    @rule(version=VERSIONS)
    def deploy(self, version: str) -> None:
        self.registry.deploy("ears", version, [file_of(version)], "somebody")
        self.here.add(version)
        self.damaged.discard(version)
        self.make_active(version)

    @rule(version=VERSIONS)
    def activate(self, version: str) -> None:
        if version in self.here - self.damaged:
            self.registry.activate("ears", version, "somebody")
            self.make_active(version)
        else:
            with pytest.raises((UnknownModel, RegistryError)):
                self.registry.activate("ears", version, "somebody")

    @rule()
    def rollback(self) -> None:
        if self.earlier is None:
            with pytest.raises(RegistryError):
                self.registry.rollback("ears", "somebody")
        else:
            assert self.registry.rollback("ears", "somebody") == self.earlier
            self.make_active(self.earlier)

    @rule(version=VERSIONS)
    def damage(self, version: str) -> None:
        self.registry.mark_damaged("ears", version, "damaged")
        if version not in self.here:
            return
        self.damaged.add(version)
        if version == self.active:
            self.active, self.earlier = self.earlier, None
        elif version == self.earlier:
            self.earlier = None

    @precondition(lambda self: self.damaged)
    @rule(version=VERSIONS)
    def mend(self, version: str) -> None:
        self.registry.mark_verified("ears", version, {"model.onnx": 6})
        self.damaged.discard(version)

    @rule(version=VERSIONS)
    def remove(self, version: str) -> None:
        if version not in self.here or (version == self.active and self.earlier):
            with pytest.raises((UnknownModel, RegistryError)):
                self.registry.remove("ears", version)
            return
        self.registry.remove("ears", version)
        self.here.discard(version)
        self.damaged.discard(version)
        if version == self.active:
            self.active = None
        elif version == self.earlier:
            self.earlier = None

    @invariant()
    def is_what_it_should_be(self) -> None:
        expected = dict.fromkeys(self.here, ARCHIVED)
        expected |= {version: ROLLBACK for version in [self.earlier] if version}
        expected |= {version: ACTIVE for version in [self.active] if version}
        assert statuses(self.registry) == expected

    @invariant()
    def nothing_damaged_can_serve(self) -> None:
        damaged = {item.version for item in self.registry.deployments("ears") if item.damage}
        assert damaged == self.damaged
        assert not damaged & {self.active, self.earlier}

    @invariant()
    def there_is_a_way_back_only_from_something(self) -> None:
        assert self.active or not self.earlier


RegistryMachine.TestCase.settings = settings(max_examples=20, stateful_step_count=20)
test_any_sequence_of_changes_keeps_the_rules = RegistryMachine.TestCase
