"""What any online store promises, checked on the embedded one."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import StoreError
from recsys.event import Event, EventType
from serving.store.protocol import ExposedItem, Exposure
from serving.store.sqlite import SqliteStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "events.db")
    await store.open()
    yield store
    await store.close()


def view(event_id: str, at: int, *, user: str | None = None, anonymous: str | None = None) -> Event:
    return Event(
        event_id=event_id,
        type=EventType.VIEW,
        occurred_at=at,
        user_id=user,
        anonymous_id=anonymous,
        item_id=f"item-of-{event_id}",
    )


async def ids(
    store: SqliteStore, *, user: str | None = None, anonymous: str | None = None, limit: int = 10
) -> list[str]:
    return [event.event_id for event in await store.history(user_id=user, anonymous_id=anonymous, limit=limit)]


async def test_an_event_is_accepted_once_and_a_duplicate_ever_after(store: SqliteStore) -> None:
    assert await store.append([view("a", 1, user="u")]) == [True]
    assert await store.append([view("a", 1, user="u"), view("b", 2, user="u")]) == [False, True]
    assert await ids(store, user="u") == ["a", "b"]


async def test_the_same_event_twice_in_one_batch_counts_once(store: SqliteStore) -> None:
    assert await store.append([view("a", 1, user="u"), view("a", 1, user="u")]) == [True, False]


async def test_history_is_in_order_of_time_and_then_of_event_id(store: SqliteStore) -> None:
    await store.append([view("c", 5, user="u"), view("b", 5, user="u"), view("z", 1, user="u")])
    assert await ids(store, user="u") == ["z", "b", "c"]


async def test_of_a_long_history_the_latest_part_is_returned(store: SqliteStore) -> None:
    await store.append([view(str(number), number, user="u") for number in range(10)])
    assert await ids(store, user="u", limit=3) == ["7", "8", "9"]


async def test_nobody_has_no_history(store: SqliteStore) -> None:
    await store.append([view("a", 1, user="u")])
    assert await ids(store) == []
    assert await ids(store, user="somebody else") == []


async def test_an_anonymous_history_follows_once_the_shopper_is_known(store: SqliteStore) -> None:
    await store.append([view("before", 1, anonymous="a")])
    assert await ids(store, user="u") == []
    await store.append([view("login", 2, user="u", anonymous="a")])
    assert await ids(store, user="u") == ["before", "login"]
    await store.append([view("after", 3, anonymous="a")])
    assert await ids(store, user="u") == ["before", "login", "after"]
    assert await ids(store, user="u", limit=2) == ["login", "after"]


async def test_both_ids_in_the_question_bring_both_histories_without_repeating_any(store: SqliteStore) -> None:
    await store.append([view("known", 1, user="u"), view("unknown", 2, anonymous="a")])
    await store.append([view("both", 3, user="u", anonymous="a")])
    assert await ids(store, user="u", anonymous="a") == ["known", "unknown", "both"]


async def test_two_users_of_one_device_do_not_see_each_others_events(store: SqliteStore) -> None:
    await store.append(
        [view("first", 1, user="u", anonymous="tablet"), view("second", 2, user="v", anonymous="tablet")]
    )
    assert await ids(store, user="u", anonymous="tablet") == ["first"]
    assert await ids(store, user="v", anonymous="tablet") == ["second"]


async def test_an_event_comes_back_as_it_went_in(store: SqliteStore) -> None:
    event = Event(
        event_id="e",
        type=EventType.PURCHASE,
        occurred_at=1_512_495_000_123_456,
        user_id="u",
        anonymous_id="a",
        session_id="s",
        channel="web",
        device="phone",
        store="berlin",
        item_id="Käse \U0001f9c0",
        quantity=2.5,
        price=3.49,
        list_price=3.99,
        currency="EUR",
        query="'; DROP TABLE events; --",
        placement="home",
        recommendation_id="r",
        position=0,
        consent=("analytics", "marketing"),
        filters=("colour:red", "sort:price"),
        rating=4.5,
        offer_id="spring",
    )
    await store.append([event])
    assert await store.history(user_id="u", anonymous_id=None, limit=1) == [event]


@given(
    events=st.lists(
        st.builds(
            view,
            st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
            st.integers(0, 5),
            user=st.sampled_from(["u", None]),
            anonymous=st.just("a"),
        ),
        max_size=20,
    ),
    limit=st.integers(1, 25),
)
def test_history_equals_sorting_everything_by_hand(
    events: list[Event], limit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def check() -> None:
        store = SqliteStore(tmp_path_factory.mktemp("store") / "events.db")
        await store.open()
        fresh = await store.append(events)
        kept = [event for event, new in zip(events, fresh, strict=True) if new]
        by_hand = sorted(kept, key=lambda event: (event.occurred_at, event.event_id))[-limit:]
        assert await store.history(user_id=None, anonymous_id="a", limit=limit) == by_hand
        await store.close()

    asyncio.run(check())


async def test_a_slate_comes_back_as_it_was_handed_out(store: SqliteStore) -> None:
    exposure = Exposure(
        recommendation_id="r",
        at=7,
        placement="home",
        policy="top_k",
        model_version="1",
        knowledge="cold",
        anonymous_id="a",
        device="phone",
        channel="app",
        store="12",
        degraded="no encoder",
        items=(ExposedItem(item_id="i", position=0, propensity=0.25, score=1.5, source="popular"),),
    )
    await store.record_exposures([exposure, replace(exposure, placement="again")])
    assert await store.exposure("r") == exposure
    assert await store.exposure("unheard of") is None


async def test_events_are_there_after_closing_and_opening_again(tmp_path: Path) -> None:
    for event_id, fresh in (("a", True), ("a", False)):
        store = SqliteStore(tmp_path / "events.db")
        await store.open()
        assert await store.append([view(event_id, 1, user="u")]) == [fresh]
        await store.close()


async def test_one_event_that_cannot_be_kept_does_not_sink_what_is_written_with_it(store: SqliteStore) -> None:
    too_large = view("bad", 2**70, user="u")
    outcomes = await asyncio.gather(
        *(store.append([event]) for event in (view("a", 1, user="u"), too_large, view("b", 2, user="u"))),
        return_exceptions=True,
    )
    assert [outcomes[0], outcomes[2]] == [[True], [True]]
    assert isinstance(outcomes[1], StoreError)
    assert await ids(store, user="u") == ["a", "b"]


_WRITER = """
import asyncio, sys
from recsys.event import Event, EventType
from serving.store.sqlite import SqliteStore

async def write(path, prefix, count):
    store = SqliteStore(path)
    await store.open()
    for number in range(count):
        event = Event(event_id=f"{prefix}-{number}", type=EventType.VIEW, occurred_at=number, user_id="u", item_id="i")
        await store.append([event])
        print(event.event_id, flush=True)

asyncio.run(write(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def _writer(path: Path, prefix: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _WRITER, str(path), prefix, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


async def test_what_was_acknowledged_survives_the_sudden_death_of_the_writer(tmp_path: Path) -> None:
    child = _writer(tmp_path / "events.db", "e", 1_000_000)
    assert child.stdout is not None
    acknowledged = [child.stdout.readline().strip() for _ in range(200)]
    child.kill()
    acknowledged += child.stdout.read().split()
    child.wait()
    store = SqliteStore(tmp_path / "events.db")
    await store.open()
    kept = set(await ids(store, user="u", limit=10_000_000))
    await store.close()
    assert len(acknowledged) >= 200
    assert set(acknowledged) <= kept


async def test_two_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    children = [_writer(tmp_path / "events.db", prefix, 500) for prefix in ("left", "right")]
    for child in children:
        child.communicate()
        assert child.returncode == 0
    store = SqliteStore(tmp_path / "events.db")
    await store.open()
    assert len(await ids(store, user="u", limit=10_000)) == 1_000
    await store.close()


async def test_a_folder_that_cannot_be_written_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=rf"{tmp_path}/file/events.db.*choose another store.path"):
        await SqliteStore(tmp_path / "file" / "events.db").open()


@pytest.mark.parametrize("folder", ["/proc", "/sys"])
async def test_a_read_only_file_system_is_refused_by_name(folder: str) -> None:
    with pytest.raises(StoreError, match=rf"{folder}/attune.db.*writable"):
        await SqliteStore(f"{folder}/attune.db").open()


async def test_a_truncated_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    store = SqliteStore(path)
    await store.open()
    await store.append([view(str(number), number, user="u") for number in range(2_000)])
    await store.close()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(StoreError, match=r"events.db.*damaged"):
        await SqliteStore(path).open()


async def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("This is not a database. " * 100)
    with pytest.raises(StoreError, match=r"notes.txt.*not an event store"):
        await SqliteStore(path).open()


async def test_a_file_of_a_later_version_is_refused_with_both_versions(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match=r"schema version 99.*reads version 3"):
        await SqliteStore(path).open()


async def test_a_full_disk_refuses_new_events_and_still_reads_the_old_ones(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "events.db", max_mib=1)
    await store.open()
    await store.append([view("early", 0, user="early bird")])
    too_much = [view(f"{number:0200d}", number, user="u") for number in range(10_000)]
    with pytest.raises(StoreError, match="full"):
        await store.append(too_much)
    assert await ids(store, user="early bird") == ["early"]
    await store.close()


async def test_a_store_that_is_not_open_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not open"):
        await SqliteStore(tmp_path / "events.db").append([view("a", 1, user="u")])
    assert not (tmp_path / "events.db").exists()
