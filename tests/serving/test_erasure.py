"""An erased shopper is gone from every store, every file and every key, and stays out."""

import asyncio
import sqlite3
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from recsys.errors import StoreError
from recsys.event import Event, EventType
from recsys.log.erase import Named
from serving.exporter import export
from serving.store.protocol import ExposedItem, Exposure, Held, OnlineStore
from serving.store.sqlite import SqliteStore
from tests.serving.stores import Place
from tests.serving.test_store import ids, view

USER, VISITOR, TABLET = "ute-7319", "cookie-4402", "tablet-8850"
"""Erased with the user are the visitor, who is theirs alone, and the tablet, which they share with vera."""
UTE = Named("user", USER)


def link(event_id: str, at: int, user: str, visitor: str) -> Event:
    return Event(event_id=event_id, type=EventType.LINK, occurred_at=at, user_id=user, anonymous_id=visitor)


def slate(name: str, *, user: str | None = None, visitor: str | None = None, at: int = 5) -> Exposure:
    item = ExposedItem(item_id="i", position=0, propensity=1.0, score=1.0, source="s")
    return Exposure(
        recommendation_id=name,
        at=at,
        placement="home",
        policy="p",
        model_version="1",
        knowledge="cold",
        user_id=user,
        anonymous_id=visitor,
        session_id=f"session of {name}",
        items=(item,),
    )


async def filled(store: OnlineStore) -> None:
    """Nine events in this order, three slates and one that is somebody else's."""
    agreed = [replace(one, consent=("training",)) for one in (view("1", 1, user=USER), view("2", 2, anonymous=VISITOR))]
    await store.append([*agreed, view("3", 3, user="vera")])
    await store.append([link("4", 4, USER, VISITOR), view("5", 5, anonymous=VISITOR)])
    await store.append([view("6", 6, user=USER, anonymous=TABLET), view("7", 7, anonymous=TABLET)])
    await store.append([view("8", 8, user="vera", anonymous=TABLET), view("9", 9, user=USER)])
    await store.record_exposures([slate("a", user=USER), slate("b", visitor=VISITOR, at=6)])
    await store.record_exposures([slate("c", user="vera", visitor=TABLET), slate("d", user="vera")])


def traces(folder: Path) -> list[str]:
    """Files below a folder that hold one of the erased ids."""
    gone = [one.encode() for one in (USER, VISITOR, TABLET)]
    return [path.name for path in folder.rglob("*") if path.is_file() and any(one in path.read_bytes() for one in gone)]


async def test_what_goes_is_counted_and_what_others_did_stays(store: OnlineStore) -> None:
    await filled(store)
    receipt = await store.forget(UTE, at=100)
    told = (receipt.kind, receipt.at, receipt.visitors, receipt.events, receipt.events_blanked, receipt.links)
    assert told == ("user", 100, 2, 7, 1, 3)
    assert (receipt.exposures, receipt.exposures_blanked) == (2, 1)
    assert [await ids(store, user=USER), await ids(store, anonymous=VISITOR), await ids(store, anonymous=TABLET)] == [
        [],
        [],
        [],
    ]
    vera = await store.history(user_id="vera", anonymous_id=None, limit=9)
    assert [(one.event_id, one.anonymous_id) for one in vera] == [("3", None), ("8", None)]
    assert await store.exposure("a") is None
    assert await store.exposure("b") is None
    assert await store.exposure("c") == slate("c", user="vera")
    assert await store.exposure("d") == slate("d", user="vera")


async def test_erasing_again_gives_the_same_receipt_and_a_linked_visitor_is_known_to_be_gone(
    lasting_place: Place,
) -> None:
    async with lasting_place.opened("same") as store:
        await filled(store)
        first = await store.forget(UTE, at=100)
    async with lasting_place.opened("same") as store:
        assert await store.forget(UTE, at=200) == first
        visitor = await store.forget(Named("anonymous", VISITOR), at=300)
        assert (visitor.kind, visitor.at, visitor.events, visitor.exposures) == ("anonymous", 300, 0, 0)
        assert await store.forget(Named("anonymous", VISITOR), at=400) == visitor
        assert len((await store.erasures()).entries) == 3


async def test_somebody_nobody_ever_heard_of_is_erased_all_the_same(store: OnlineStore) -> None:
    receipt = await store.forget(Named("user", "nobody"), at=1)
    assert (receipt.visitors, receipt.events, receipt.links, receipt.exposures) == (0, 0, 0, 0)
    assert await store.append([view("a", 1, user="nobody"), view("b", 1, user="somebody")]) == [False, True]


async def test_late_events_and_slates_of_the_erased_are_not_kept_and_others_lose_the_visitor(
    store: OnlineStore,
) -> None:
    await filled(store)
    await store.forget(UTE, at=100)
    late = [
        view("late 1", 1, user=USER),
        view("late 2", 2, anonymous=VISITOR),
        link("late 3", 3, "vera", TABLET),
        view("late 4", 101, user="vera", anonymous=TABLET),
        view("5", 5, anonymous=VISITOR),
        view("fresh", 102, user="vera"),
    ]
    assert await store.append(late) == [False, False, False, True, False, True]
    assert await store.append([late[3]]) == [False]
    vera = await store.history(user_id="vera", anonymous_id=None, limit=9)
    assert [(one.event_id, one.anonymous_id) for one in vera][2:] == [("late 4", None), ("fresh", None)]
    await store.record_exposures([slate("x", user=USER, visitor=VISITOR), slate("y", visitor=VISITOR)])
    await store.record_exposures([slate("z", user="vera", visitor=TABLET)])
    for name in ("x", "y"):
        assert await store.exposure(name) == replace(slate(name), session_id=None)
    assert await store.exposure("z") == slate("z", user="vera")


async def test_numbers_go_on_where_they_were_also_after_the_last_and_the_first_event(store: OnlineStore) -> None:
    await filled(store)
    origin = await store.origin()
    await store.forget(UTE, at=100)
    arrivals = await store.arrived(after=0, limit=99)
    assert [(one.number, one.event.event_id, one.event.anonymous_id) for one in arrivals] == [
        (3, "3", None),
        (8, "8", None),
    ]
    assert (await store.last_number(), await store.origin()) == (9, origin)
    await store.append([view("next", 20, user="vera")])
    await store.forget(Named("user", "vera"), at=200)
    assert await store.arrived(after=0, limit=99) == []
    await store.append([view("last", 21, user="walter")])
    assert [one.number for one in await store.arrived(after=0, limit=99)] == [11]
    assert (await store.last_number(), await store.origin()) == (11, origin)


def exported(folder: Path) -> list[tuple[str, str | None]]:
    """Ids of the events in all files, each with its visitor."""
    tables = [pq.read_table(path) for path in sorted(folder.glob("*.parquet"))]
    return [
        pair
        for table in tables
        for pair in zip(table["event_id"].to_pylist(), table["anonymous_id"].to_pylist(), strict=True)
    ]


async def test_what_is_erased_before_the_export_is_never_exported(store: OnlineStore, tmp_path: Path) -> None:
    await filled(store)
    await store.forget(UTE, at=100)
    folder = tmp_path / "exports"
    assert (await export(store, folder)).events == 2
    assert exported(folder) == [("3", None), ("8", None)]
    assert (await export(store, folder)).events == 0
    await store.append([view("next", 20, user="vera")])
    assert (await export(store, folder)).events == 1
    assert traces(folder) == []


@pytest.mark.parametrize("rows", [100, 3, 1])
async def test_what_is_erased_after_the_export_leaves_the_files_with_the_next_and_nothing_comes_twice(
    store: OnlineStore, tmp_path: Path, rows: int
) -> None:
    await filled(store)
    folder = tmp_path / "exports"
    assert (await export(store, folder, rows=rows)).events == 9
    names = sorted(path.name for path in folder.glob("*.parquet"))
    assert traces(folder) != []
    await store.forget(UTE, at=100)
    again = await export(store, folder, rows=rows)
    assert (again.events, again.erased) == (0, 7)
    assert exported(folder) == [("3", None), ("8", None)]
    assert traces(folder) == []
    assert sorted(path.name for path in folder.glob("*.parquet")) == names, "names say what was exported"
    await store.append([view("next", 20, user="vera")])
    once_more = await export(store, folder, rows=rows)
    assert (once_more.events, once_more.erased) == (1, 0)
    assert exported(folder) == [("3", None), ("8", None), ("next", None)]


async def test_a_store_that_lost_events_is_told_from_one_in_which_they_were_erased(tmp_path: Path) -> None:
    for name, numbers in (("whole", range(5)), ("less", range(4)), ("other", [0, 1, 2, 3, 9])):
        store = SqliteStore(tmp_path / f"{name}.db")
        await store.open()
        await store.append([view(f"e{number}", number, user=f"u{number}") for number in numbers])
        if name == "whole":
            await export(store, tmp_path / "exports")
        else:
            await store.forget(Named("user", "u3"), at=9)
            with pytest.raises(StoreError, match="event 5 of the store is not the last one of"):
                await export(store, tmp_path / "exports")
        await store.close()


async def test_an_erasure_during_an_export_is_seen_by_it_or_by_the_next(store: OnlineStore, tmp_path: Path) -> None:
    await filled(store)
    await asyncio.gather(export(store, tmp_path, rows=2), store.forget(UTE, at=100))
    await export(store, tmp_path)
    assert traces(tmp_path / "exports") == []
    assert exported(tmp_path) == [("3", None), ("8", None)]


async def test_afterwards_no_byte_of_the_folder_holds_the_ids(tmp_path: Path) -> None:
    """Thousands of shoppers, so that pages were split and hold stale copies; a second replica has the file open."""
    folder = tmp_path / "store"
    one, other = SqliteStore(folder / "events.db"), SqliteStore(folder / "events.db")
    await one.open()
    await other.open()
    for number in range(40):
        crowd = [view(f"{number * 7919 % 100003}-{who}", number, user=f"u{who * 7907 % 10007}") for who in range(50)]
        await one.append([*crowd, view(f"{number}-ute", number, user=USER, anonymous=VISITOR)])
        await other.record_exposures([slate(f"{number}", user=USER), slate(f"crowd {number}", user=f"u{number}")])
    await filled(one)
    assert traces(folder) != []
    receipt = await other.forget(UTE, at=1)
    assert (receipt.events, receipt.exposures) == (47, 42)
    assert traces(folder) == []
    assert await one.append([view("after", 50, user="u1"), view("late", 50, user=USER)]) == [True, False]
    numbers = [arrival.number for arrival in await one.arrived(after=0, limit=10_000)]
    assert (len(numbers), numbers[-1]) == (2_003, 2_050)
    assert traces(folder) == []
    await one.close()
    await other.close()
    assert traces(folder) == []


async def test_an_erasure_that_could_not_clean_the_file_is_finished_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    store = SqliteStore(path)
    await store.open()
    await filled(store)
    reader = sqlite3.connect(path)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM events").fetchone()
    with pytest.raises(StoreError, match="others were reading; try again"):
        await store.forget(UTE, at=100)
    assert traces(tmp_path) != []
    reader.close()
    receipt = await store.forget(UTE, at=200)
    assert (receipt.at, receipt.events) == (100, 7)
    assert traces(tmp_path) == []
    await store.close()


async def test_what_is_held_is_what_an_erasure_would_take_page_by_page(store: OnlineStore) -> None:
    """Of the tablet, which vera used too, what vera did under her own name is hers."""
    await filled(store)
    first = await store.held(UTE, after=0, limit=4)
    assert first.visitors == (VISITOR, TABLET)
    assert [(one.number, one.event.event_id) for one in first.events] == [(1, "1"), (2, "2"), (4, "4"), (5, "5")]
    assert [one.recommendation_id for one in first.exposures] == ["a", "b"]
    assert first.exposures[0] == slate("a", user=USER)
    assert first.links == ((VISITOR, 4, USER), (TABLET, 6, USER), (TABLET, 8, None)), "who else it was is not told"
    second = await store.held(UTE, after=5, limit=4)
    assert [(one.number, one.event.event_id) for one in second.events] == [(6, "6"), (7, "7"), (9, "9")]
    assert (second.visitors, second.exposures, second.links) == (first.visitors, (), ())
    assert (await store.held(UTE, after=9, limit=4)).events == ()


async def test_of_a_visitor_only_what_they_did_as_nobody_is_held_under_their_own_name(store: OnlineStore) -> None:
    await filled(store)
    found = await store.held(Named("anonymous", TABLET), after=0, limit=9)
    assert (found.visitors, [one.event.event_id for one in found.events]) == ((TABLET,), ["7"])
    assert found.exposures == ()


async def test_of_a_stranger_and_of_the_erased_nothing_is_held(store: OnlineStore) -> None:
    await filled(store)
    assert await store.held(Named("user", "nobody"), after=0, limit=9) == Held((), ())
    await store.forget(UTE, at=100)
    assert await store.held(UTE, after=0, limit=9) == Held((), ())
    gone = await store.held(Named("anonymous", VISITOR), after=0, limit=9)
    assert (gone.events, gone.exposures, gone.links) == ((), (), ())
