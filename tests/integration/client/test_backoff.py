"""How long the client waits before it dials again."""

from __future__ import annotations

import pytest

from custom_components.barnabeenet.client.backoff import FIRST_S, HOPELESS_S, LONGEST_S, Backoff
from custom_components.barnabeenet.client.errors import (
    BackingOff,
    Busy,
    CannotConnect,
    ContractMismatch,
    Impostor,
    NotASidecar,
    SidecarError,
    SidecarTimeout,
    Unauthorized,
)


@pytest.fixture(autouse=True)
def without_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda least, most: most)


@pytest.mark.parametrize("error", [CannotConnect, NotASidecar, SidecarTimeout, Busy, BackingOff])
def test_waits_double_up_to_the_longest(error: type[SidecarError]) -> None:
    backoff = Backoff()
    assert [backoff.wait_s(error("")) for _ in range(6)] == [FIRST_S, 1, 2, 4, LONGEST_S, LONGEST_S]


def test_a_success_begins_anew() -> None:
    backoff = Backoff()
    for _ in range(4):
        backoff.wait_s(CannotConnect(""))
    backoff.reset()
    assert backoff.wait_s(CannotConnect("")) == FIRST_S


@pytest.mark.parametrize("error", [Unauthorized, Impostor, ContractMismatch])
def test_what_a_person_must_mend_is_tried_rarely(error: type[SidecarError]) -> None:
    assert Backoff().wait_s(error("")) == HOPELESS_S


def test_clients_do_not_all_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    waits = {Backoff().wait_s(CannotConnect("")) for _ in range(50)}
    assert len(waits) > 40
    assert all(FIRST_S / 2 <= wait_s <= FIRST_S for wait_s in waits)


def test_the_longest_wait_and_a_dial_keep_recovery_within_ten_seconds() -> None:
    assert LONGEST_S + 4.5 < 10
