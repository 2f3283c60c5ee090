"""Pages of what was said: in order, without gap or repetition, and nobody else's."""

from __future__ import annotations

import time

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest

from custom_components.barnabeenet.state.database import Database, Statement
from custom_components.barnabeenet.state.history import Item, NoSuchSession, history, sessions

SESSION = (
    "INSERT OR REPLACE INTO sessions (id, device_id, speaker, mode, thread, started_at, last_active)"
    " VALUES (?, 'd', ?, 'command', 't', 1, 1)"
)
TURN = "INSERT INTO turns (session_id, thread, at, said, replied, trace_id) VALUES (?, 't', ?, ?, 'yes', 'trace')"


def talk(session: str, speaker: str | None, turns: int) -> list[Statement]:
    return [
        (SESSION, (session, speaker)),
        *((TURN, (session, float(number), f"{session} {number}")) for number in range(turns)),
    ]


async def said(database: Database, session: str, speaker: str | None, limit: int) -> list[list[str]]:
    """All pages, from the newest back to the first."""
    pages, before = [], None
    while True:
        page = await history(database, session, speaker=speaker, before=before, limit=limit)
        pages.append([item.said for item in page.items])
        before = page.before
        if before is None:
            return pages


async def test_the_last_hundred_come_first_and_the_older_ones_on_demand(database: Database) -> None:
    await database.write(*talk("a", "anna", 250), *talk("b", "anna", 3))
    pages = await said(database, "a", "anna", 100)
    assert [len(page) for page in pages] == [100, 100, 50]
    assert pages[0][0] == "a 150"
    assert pages[0][-1] == "a 249"
    assert [text for page in reversed(pages) for text in page] == [f"a {number}" for number in range(250)]


async def test_an_item_is_all_that_is_known_of_a_turn(database: Database) -> None:
    await database.write(*talk("a", "anna", 1))
    page = await history(database, "a", speaker="anna")
    assert page.items == (Item(1, 0.0, "a 0", "yes", "trace"),)
    assert page.as_dict() == {
        "items": [{"id": 1, "at": 0.0, "said": "a 0", "replied": "yes", "trace_id": "trace"}],
        "before": None,
    }


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=st.integers(0, 30), others=st.integers(0, 5), limit=st.integers(1, 12))
async def test_no_item_is_missing_or_twice(database: Database, turns: int, others: int, limit: int) -> None:
    await database.write(("DELETE FROM sessions", ()))
    mixed = [*talk("a", "anna", turns), *talk("b", "ben", others), *talk("a2", "anna", others)]
    heads = [each for each in mixed if each[0] == SESSION]
    await database.write(*heads, *sorted((each for each in mixed if each[0] == TURN), key=lambda each: str(each[1][1])))
    pages = await said(database, "a", "anna", limit)
    assert sorted(text for page in pages for text in page) == sorted(f"a {number}" for number in range(turns))
    assert all(len(page) == limit for page in pages[:-1])


async def test_it_is_for_its_own_speaker_alone(database: Database) -> None:
    await database.write(*talk("annas", "anna", 2), *talk("guests", None, 2))
    for session, speaker in (
        *(("annas", "ben"), ("annas", None), ("annas", ""), ("annas", "ANNA"), ("annas", "%")),
        *(("guests", "anna"), ("nobodys", "anna"), ("nobodys", None)),
    ):
        with pytest.raises(NoSuchSession) as caught:
            await history(database, session, speaker=speaker)
        # The same words, whether another has one or nobody.
        assert str(caught.value) == "There is no such session of this speaker"
    assert len((await history(database, "guests", speaker=None)).items) == 2


@pytest.mark.parametrize("limit", [0, -1, 101, 10**9])
async def test_a_page_has_bounds(database: Database, limit: int) -> None:
    with pytest.raises(ValueError, match="1 to 100 items"):
        await history(database, "a", speaker="anna", limit=limit)


@pytest.mark.parametrize("before", [-(10**30), -1, 0, 1, 10**30])
async def test_an_odd_place_to_go_on_from_is_no_error(database: Database, before: int) -> None:
    await database.write(*talk("a", "anna", 2))
    page = await history(database, "a", speaker="anna", before=before)
    assert len(page.items) == (2 if before > 2 else 0)


async def test_a_page_is_read_off_the_index_whatever_the_size(database: Database) -> None:
    await database.write(*talk("a", "anna", 300), *talk("b", "ben", 20_000), *talk("c", "anna", 300))
    plan = await database.read(
        "EXPLAIN QUERY PLAN SELECT id, at, said, replied, trace_id FROM turns"
        " WHERE session_id = ? AND id < ? ORDER BY id DESC LIMIT ?",
        ("a", 10**9, 101),
    )
    assert [row["detail"] for row in plan] == ["SEARCH turns USING INDEX turns_of_session (session_id=? AND id<?)"]
    began_s = time.perf_counter()
    for _ in range(20):
        assert len((await history(database, "a", speaker="anna")).items) == 100
    print(f"a page takes {(time.perf_counter() - began_s) / 20 * 1000:.2f} ms")


async def test_sessions_are_a_speakers_own_and_none_is_missing_or_twice(database: Database) -> None:
    for number in range(7):
        await database.write(*talk(f"s{number}", "anna", 1), *talk(f"g{number}", None, 1))
    await database.write(*talk("silent", "anna", 0))
    seen, before = [], None
    while page := await sessions(database, speaker="anna", before=before, limit=3):
        seen += [each.id for each in page]
        before = page[-1].id
    assert seen == [f"s{number}" for number in reversed(range(7))]
    assert {each.id for each in await sessions(database, speaker=None)} == {f"g{number}" for number in range(7)}
    for limit in (0, 101):
        with pytest.raises(ValueError, match="100"):
            await sessions(database, speaker="anna", limit=limit)
    with pytest.raises(NoSuchSession):
        await sessions(database, speaker="anna", before="g1")
