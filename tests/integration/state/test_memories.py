"""Memories on a real file: kept, found and forgotten by whom they belong to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from custom_components.barnabeenet.state.database import Database
from custom_components.barnabeenet.state.errors import Unavailable
from custom_components.barnabeenet.state.memories import Found, Memories, ranked
from custom_components.barnabeenet.state.memory_rows import RANKED_MAX

from .conftest import Reader


def texts(found: Sequence[Found]) -> list[str]:
    return [each.memory.text for each in found]


async def check_words(database: Database) -> None:
    """FTS5's own check that its index is that of the texts."""
    await database.write(("INSERT INTO memories_words (memories_words, rank) VALUES ('integrity-check', 1)", ()))


# Keeping


async def test_what_is_remembered_is_recalled_after_a_restart(tmp_path: Path, reader: Reader) -> None:
    path = tmp_path / "barnabeenet.db"
    database = await Database.open(path)
    memories = await Memories.open(database, reader, now=lambda: 1_800_000_000.0)
    told = await memories.remember(
        "  The spare key is under the blue pot. ", speaker="anna", kind="note", source="trace-1", language="en"
    )
    await memories.settled()
    await memories.close()
    await database.close()
    database = await Database.open(path)
    memories = await Memories.open(database, reader)
    await memories.settled()
    (found,) = await memories.recall("where is the spare key?", speaker="anna")
    assert found.memory == told
    assert (told.text, told.owner, told.visibility) == ("The spare key is under the blue pot.", "anna", "owner")
    assert (told.kind, told.source, told.at, told.language) == ("note", "trace-1", 1_800_000_000.0, "en")
    assert found.how == {"keyword", "vector"}
    assert 0 < found.similarity <= 1
    # It was read once, and the model is asked for the question alone now.
    assert [len(asked) for asked in reader.asked] == [1, 1]
    await memories.close()
    await database.close()


async def test_the_same_again_is_one_memory_as_it_was_told_last(memories: Memories, database: Database) -> None:
    first = await memories.remember("The bins go out on Monday", speaker="anna", source="trace-1", language="en")
    again = await memories.remember("The bins go out on Monday ", speaker="anna", visibility="family", kind="note")
    assert again.id == first.id
    assert (again.visibility, again.kind, again.source, again.language) == ("family", "note", "trace-1", "en")
    assert (await memories.remember("The bins go out on Monday", speaker="ben")).id != first.id
    assert await memories.count(speaker="anna") == 1
    await check_words(database)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"text": " \n "}, "nothing to remember"),
        ({"text": "x" * 10_001}, "10000 characters at most, not 10001: tell it in parts"),
        ({"text": "a\0b"}, "no Unicode text"),
        ({"text": "a\ud800b"}, "no Unicode text"),
        ({"speaker": ""}, "speaker's key has 1 to 255"),
        ({"visibility": "everybody"}, "by its owner or by the family, not by 'everybody'"),
        ({"kind": ""}, "kind of memory has 1 to 32"),
        ({"kind": "k" * 33}, "kind of memory has 1 to 32"),
        ({"source": "s" * 256}, "source has 1 to 255"),
    ],
)
async def test_what_cannot_be_kept_is_refused(memories: Memories, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        await memories.remember(**{"text": "a fact", "speaker": "anna"} | wrong)
    assert await memories.page(speaker="anna") == []


async def test_a_guest_has_no_memories_in_the_file_either(database: Database) -> None:
    from custom_components.barnabeenet.state.errors import Conflict

    row = "INSERT INTO memories (owner, visibility, kind, text, at, changed_at) VALUES (?, ?, 'fact', 'x', 1, 1)"
    for owner, visibility in ((None, "owner"), ("", "owner"), ("anna", "everybody")):
        with pytest.raises(Conflict):
            await database.write((row, (owner, visibility)))


async def test_a_write_that_fails_is_told_and_nothing_is_half_there(memories: Memories, database: Database) -> None:
    await database.close()
    with pytest.raises(Unavailable):
        await memories.remember("a fact", speaker="anna")
    with pytest.raises(Unavailable):
        await memories.recall("a fact", speaker="anna")


async def test_a_caller_who_goes_leaves_everything_in_step(
    memories: Memories, database: Database, reader: Reader
) -> None:
    """The write may have been made or not: the vectors know which."""
    for number in range(30):
        text = f"boiler {number}"
        await memories.remember(text, speaker="anna", visibility="family")
        await memories.settled()
        hiding = asyncio.create_task(memories.remember(text, speaker="anna"))
        for _ in range(number % 3):
            await asyncio.sleep(0)
        hiding.cancel()
        await asyncio.wait({hiding})
        # Comes after it in the writer's thread.
        await database.write()
        question = reader.vector(text)
        near = await memories._vectors.nearest("small", question, speaker="ben", limit=50, kinds=None)
        assert {each.id for each in near} == {each.id for each in await memories.page(speaker="ben")}


# Changing and forgetting


async def test_a_changed_text_is_found_by_its_new_words_and_meaning(memories: Memories, database: Database) -> None:
    told = await memories.remember("The alarm is 1234", speaker="anna", kind="note")
    await memories.settled()
    changed = await memories.change(told.id, "Dentist on Friday", speaker="anna")
    assert changed is not None
    assert (changed.id, changed.text, changed.kind, changed.at) == (told.id, "Dentist on Friday", "note", told.at)
    assert await memories.recall("alarm 1234", speaker="anna") == []
    await memories.settled()
    (found,) = await memories.recall("teeth", speaker="anna")
    assert (found.memory, found.how) == (changed, {"vector"})
    await check_words(database)


async def test_what_it_meant_before_is_forgotten_at_once(memories: Memories, reader: Reader) -> None:
    told = await memories.remember("teeth", speaker="anna")
    await memories.settled()
    reader.fails = OSError("away")
    await memories.change(told.id, "something else", speaker="anna")
    await memories.settled()
    reader.fails = None
    assert await memories.recall("dentist", speaker="anna") == []


async def test_a_text_that_stays_the_same_keeps_its_vector(memories: Memories) -> None:
    told = await memories.remember("teeth", speaker="anna")
    await memories.settled()
    assert await memories.change(told.id, "teeth ", speaker="anna") == told
    assert texts(await memories.recall("dentist", speaker="anna")) == ["teeth"]


async def test_two_that_become_the_same_become_one(memories: Memories, database: Database) -> None:
    one = await memories.remember("Anna likes tea", speaker="anna")
    other = await memories.remember("Anna likes green tea", speaker="anna", visibility="family")
    changed = await memories.change(other.id, "Anna likes tea", speaker="anna")
    assert changed is not None
    assert await memories.page(speaker="anna") == [changed]
    assert (changed.id, changed.visibility) == (other.id, "family")
    assert not await memories.forget(one.id, speaker="anna")
    await check_words(database)


async def test_only_the_owner_forgets_and_changes(memories: Memories, database: Database) -> None:
    told = await memories.remember("The wifi is called Hedgehog", speaker="anna", visibility="family")
    for speaker in ("ben", None, ""):
        assert not await memories.forget(told.id, speaker=speaker)
    assert await memories.change(told.id, "hacked", speaker="ben") is None
    assert await memories.page(speaker=None) == [told]
    assert await memories.forget(told.id, speaker="anna")
    assert not await memories.forget(told.id, speaker="anna")
    assert await memories.page(speaker="anna") == []
    assert await database.read("SELECT * FROM memory_vectors") == []
    await check_words(database)


async def test_a_number_is_never_given_twice(memories: Memories) -> None:
    """Who says "forget it" a moment later forgets nothing that came in its place."""
    told = await memories.remember("one", speaker="anna")
    assert await memories.forget(told.id, speaker="anna")
    other = await memories.remember("two", speaker="anna")
    assert not await memories.forget(told.id, speaker="anna")
    assert await memories.page(speaker="anna") == [other]


async def test_all_of_a_person_are_forgotten_and_nobody_elses(memories: Memories, database: Database) -> None:
    for number in range(5):
        await memories.remember(f"secret {number}", speaker="anna", visibility="family" if number % 2 else "owner")
    kept = await memories.remember("secret of Ben", speaker="ben")
    await memories.settled()
    assert await memories.forget_all_of("anna") == 5
    assert await memories.forget_all_of("anna") == 0
    assert texts(await memories.recall("secret", speaker="ben")) == [kept.text]
    assert await memories.recall("secret", speaker="anna") == []
    assert len(await database.read("SELECT * FROM memory_vectors")) == 1
    await check_words(database)


# Finding


async def test_what_is_handed_over_is_found_by_its_new_owner_alone(memories: Memories, database: Database) -> None:
    for text in ("The bike code is 4711", "The alarm code is 1234"):
        await memories.remember(text, speaker="user 1")
    own = await memories.remember("The bike code is 4711", speaker="anna", visibility="family")
    await memories.remember("The bike code is 4711", speaker="ben")
    await memories.settled()
    assert await memories.hand_over("user 1", "anna") == 1
    assert await memories.hand_over("user 1", "anna") == 0
    assert await memories.hand_over("anna", "anna") == 0
    assert [each.text for each in await memories.page(speaker="anna")] == [
        "The bike code is 4711",
        "The alarm code is 1234",
    ]
    assert (await memories.page(speaker="anna"))[0] == own
    (found,) = [each for each in await memories.recall("alarm", speaker="anna") if "alarm" in each.memory.text]
    assert found.how == {"keyword", "vector"}
    assert "The alarm code is 1234" not in texts(await memories.recall("alarm code", speaker="user 1"))
    assert "The alarm code is 1234" not in texts(await memories.recall("alarm code", speaker="ben"))
    await check_words(database)


async def test_everybody_sees_their_own_and_the_familys(memories: Memories) -> None:
    await memories.remember("Anna's surprise party is on Friday", speaker="ben")
    await memories.remember("party hats are in the attic", speaker="anna", visibility="family")
    await memories.remember("Anna does not like the party", speaker="anna")
    await memories.settled()
    seen = {speaker: texts(await memories.recall("party", speaker=speaker)) for speaker in ("anna", "ben", "eve", None)}
    assert sorted(seen["anna"]) == ["Anna does not like the party", "party hats are in the attic"]
    assert sorted(seen["ben"]) == ["Anna's surprise party is on Friday", "party hats are in the attic"]
    assert seen["eve"] == seen[None] == ["party hats are in the attic"]
    assert [await memories.count(speaker=speaker) for speaker in ("anna", "ben", "eve", None)] == [2, 2, 1, 1]


async def test_a_speaker_called_family_or_null_is_one_like_others(memories: Memories) -> None:
    await memories.remember("a secret", speaker="anna")
    await memories.remember("another secret", speaker="None")
    await memories.settled()
    for speaker in ("family", "owner", "NULL", "' OR 1=1 --", "%", "", "ANNA", "anna "):
        assert await memories.recall("secret", speaker=speaker) == []
        assert await memories.page(speaker=speaker) == []
    assert await memories.recall("secret", speaker=None) == []
    assert texts(await memories.recall("secret", speaker="None")) == ["another secret"]


async def test_what_means_the_same_is_found_without_a_word_in_common(memories: Memories) -> None:
    await memories.remember("teeth check-up at ten", speaker="anna")
    await memories.remember("automobile insurance is 88-17", speaker="anna")
    await memories.settled()
    (found,) = await memories.recall("dentist", speaker="anna")
    assert (found.memory.text, found.how) == ("teeth check-up at ten", {"vector"})
    assert found.similarity > 0.3


async def test_what_words_alone_find_is_measured_too(memories: Memories) -> None:
    await memories.remember("4711 " + " ".join(f"filler{number}" for number in range(60)), speaker="anna")
    await memories.settled()
    (found,) = await memories.recall("4711", speaker="anna")
    assert found.how == {"keyword"}
    assert 0 < found.similarity < 0.2


async def test_kinds_limit_and_nothing_found(memories: Memories) -> None:
    for number in range(8):
        await memories.remember(f"tea note {number}", speaker="anna", kind="note")
        await memories.remember(f"tea wish {number}", speaker="anna", kind="preference")
    await memories.settled()
    found = await memories.recall("tea", speaker="anna", kinds={"preference"}, limit=3)
    assert len(found) == 3
    assert {each.memory.kind for each in found} == {"preference"}
    assert len(await memories.recall("tea", speaker="anna", kinds=["note", "preference", "fact"], limit=50)) == 16
    assert await memories.recall("tea", speaker="anna", kinds=["journal"]) == []
    assert await memories.recall("tea", speaker="anna", kinds=()) == []
    assert await memories.recall("elephants", speaker="anna") == []


async def test_pages_go_back_from_the_newest(memories: Memories) -> None:
    told = [await memories.remember(f"note {number}", speaker="anna") for number in range(7)]
    await memories.remember("another's", speaker="ben")
    first = await memories.page(speaker="anna", limit=3)
    assert first == told[:3:-1]
    assert await memories.page(speaker="anna", limit=10, before=first[-1].id) == told[3::-1]
    assert await memories.page(speaker="anna", limit=10, before=told[0].id) == []


@pytest.mark.parametrize(
    "question",
    [
        '"',
        'key"',
        'key" OR text:"',
        "key AND",
        "NOT key",
        "NEAR(key pot, 2)",
        "key*",
        "*",
        "^key",
        "text : key",
        "{text} : key",
        "-key",
        "key + pot",
        "(key",
        "key)",
        "memories_words",
        "'; DROP TABLE memories; --",
        "key\0pot",
        "key \ud800",
        "🔑 key",
        "key " * 2000,
        "",
        "?",
    ],
)
async def test_a_question_is_never_syntax(wordy: Memories, question: str) -> None:
    """It finds what has its words, and nothing of anybody else."""
    await wordy.remember("The key is under the pot", speaker="anna")
    await wordy.remember("The key of Ben is in the shed", speaker="ben")
    expected = ["The key is under the pot"] if "key" in question else []
    assert texts(await wordy.recall(question, speaker="anna")) == expected


@pytest.mark.parametrize(
    ("told", "asked"),
    [
        ("Zoé est allergique aux noix", "zoe allergique"),
        ("Omas Geburtstagskuchen steht im Keller", "Geburtstag"),
        ("Der Schlüssel liegt in der Küche", "Wo ist der Schlussel?"),
        ("El cumpleaños de Iván es en abril", "¿Cuándo es el cumpleanos de Ivan?"),
        ("Onze wifi heet Egeltje", "EGELTJE"),
        ("Bergstraße 12", "bergstraße"),
    ],
)
async def test_accents_and_the_rest_of_a_compound_do_not_matter(wordy: Memories, told: str, asked: str) -> None:
    await wordy.remember(told, speaker="anna")
    assert texts(await wordy.recall(asked, speaker="anna")) == [told]


async def test_rare_words_lead_to_what_common_ones_would_bury(wordy: Memories, database: Database) -> None:
    told = await wordy.remember("school code is hedgehog", speaker="anna")
    row = (
        "INSERT INTO memories (owner, visibility, kind, text, at, changed_at) VALUES ('anna', 'owner', 'fact', ?, 1, 1)"
    )
    await database.write(*((row, (f"school day number {number}",)) for number in range(RANKED_MAX + 10)))
    (found,) = await wordy.recall("hedgehog at school", speaker="anna")
    assert found.memory == told
    # When all words are common, the newest are looked at.
    assert len(await wordy.recall("school", speaker="anna")) == 5


def test_a_name_decides_and_words_of_chance_do_not() -> None:
    assert ranked({1: 1.0, 2: 0.3}, {1: 0.3, 2: 0.3, 3: 0.5}) == [1, 3, 2]
    # Not read yet, so nobody knows how near it is.
    assert ranked({1: 1.0, 2: 0.2}, {3: 0.5}) == [1, 3, 2]
    assert ranked({}, {7: 0.5, 8: 0.5}) == [8, 7]
    assert ranked({7: 0.1, 8: 0.9}, {}) == [8, 7]
    assert ranked({}, {}) == []
