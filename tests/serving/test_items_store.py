"""What stores keep of items: changes in order, merged where they lie, read back by revision."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.store.item import (
    Body,
    DeleteItem,
    ItemChange,
    ItemOutcome,
    PatchItem,
    PutItem,
    StoredItem,
    Written,
    merged,
)
from serving.store.protocol import OnlineStore
from serving.store.sqlite import SqliteStore
from tests.serving.stores import Place

MILK = {"title": "Milk", "price": 1.2, "attributes": {"organic": True}}


async def changed(store: OnlineStore, *changes: ItemChange) -> list[str]:
    return [str(outcome) for outcome in await store.change_items(changes, at=1)]


async def test_items_are_created_replaced_patched_and_deleted(store: OnlineStore) -> None:
    put, patch = PutItem("milk", False, MILK), PatchItem("milk", False, {"price": 1.5, "attributes": {"litres": 1}})
    assert await changed(store, patch, put, put, patch) == ["unknown", "created", "replaced", "patched"]
    [stored] = await store.items_since(0, limit=10)
    whole = {"title": "Milk", "price": 1.5, "attributes": {"organic": True, "litres": 1}}
    assert stored == StoredItem("milk", 3, Written.WHOLE, whole)
    gone = DeleteItem("milk", False)
    assert await changed(store, gone, gone, patch, put) == ["deleted", "unknown", "unknown", "created"]


async def test_a_patch_of_an_item_of_the_bundle_is_kept_as_what_differs(store: OnlineStore) -> None:
    first, second = PatchItem("old", True, {"price": 2.0, "brand": None}), PatchItem("old", True, {"available": False})
    assert await changed(store, first, second) == ["patched", "patched"]
    [stored] = await store.items_since(0, limit=10)
    assert stored == StoredItem("old", 2, Written.PART, {"price": 2.0, "brand": None, "available": False})
    assert await changed(store, DeleteItem("old", True), first) == ["deleted", "unknown"]


async def test_whoever_remembers_a_revision_reads_what_came_after_it_each_item_once(lasting_place: Place) -> None:
    async with lasting_place.opened("same") as store:
        await changed(store, *(PutItem(name, False, MILK) for name in "abcd"))
        await changed(store, PatchItem("b", False, {"price": 9.0}))
        first = await store.items_since(0, limit=2)
        assert [item.item_id for item in first] == ["a", "c"]
        rest = await store.items_since(first[-1].revision, limit=10)
        assert [(item.item_id, item.body["price"]) for item in rest] == [("d", 1.2), ("b", 9.0)]
        assert await store.items_since(rest[-1].revision, limit=10) == []
    async with lasting_place.opened("same") as again:
        assert len(await again.items_since(0, limit=10)) == 4


async def test_patches_at_once_from_two_replicas_are_all_there_in_the_end(lasting_place: Place) -> None:
    async with lasting_place.opened("same") as one, lasting_place.opened("same") as other:
        await changed(one, PutItem("milk", False, {}))
        outcomes = await asyncio.gather(
            *(
                changed(store, PatchItem("milk", False, {name: number}))
                for number in range(10)
                for store, name in ((one, f"one {number}"), (other, f"other {number}"))
            )
        )
        assert outcomes == [["patched"]] * 20
        [stored] = await other.items_since(0, limit=10)
        assert stored.revision == 21
        assert len(stored.body) == 20


async def test_a_store_of_before_learns_of_items_and_keeps_its_events(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "events.db")
    await store.open()
    await store.close()
    connection = sqlite3.connect(tmp_path / "events.db")
    connection.executescript(
        "DROP TABLE items; DROP TABLE notes; DROP TABLE erased; DROP INDEX exposures_by_user; "
        "DROP INDEX exposures_by_visitor; PRAGMA user_version = 2;"
    )
    connection.close()
    again = SqliteStore(tmp_path / "events.db")
    await again.open()
    assert await changed(again, PutItem("a", False, MILK)) == ["created"]
    await again.close()


SCALARS = st.none() | st.integers(0, 3)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys("abc", SCALARS),
        **dict.fromkeys(("inner", "other"), st.dictionaries(st.sampled_from("xyz"), SCALARS, max_size=3)),
    },
)
"""As the API takes them: objects are never null themselves, their members may be."""


@settings(deadline=None)
@given(patches=st.lists(BODIES, max_size=4), base=BODIES)
def test_patches_kept_as_what_differs_do_in_the_end_what_they_did_one_by_one(patches: list[Body], base: Body) -> None:
    whole, part = merged({}, base), {}  # type: ignore[var-annotated]
    for patch in patches:
        whole = merged(whole, patch)
        part = merged(part, patch, nulls=True)
    assert merged(merged({}, base), part) == whole


@pytest.mark.parametrize("known", [False, True])
def test_what_was_never_there_cannot_be_patched_or_deleted(known: bool) -> None:
    for change in (PatchItem("x", known, {"price": 1.0}), DeleteItem("x", known)):
        outcome, stored = change.applied(None)
        assert (outcome is ItemOutcome.UNKNOWN) == (stored is None) == (not known)
