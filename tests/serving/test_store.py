"""What any online store promises, checked on each of them."""

import asyncio
import json
import math
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.errors import StoreError
from recsys.event import Event, EventColumns, EventType
from serving.exporter import export
from serving.store import exposures as slates
from serving.store import schema
from serving.store.protocol import ExposedItem, Exposure, Note, OnlineStore
from tests.serving.stores import Place


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
    store: OnlineStore, *, user: str | None = None, anonymous: str | None = None, limit: int = 10
) -> list[str]:
    return [event.event_id for event in await store.history(user_id=user, anonymous_id=anonymous, limit=limit)]


async def test_an_event_is_accepted_once_and_a_duplicate_ever_after(store: OnlineStore) -> None:
    assert await store.append([view("a", 1, user="u")]) == [True]
    assert await store.append([view("a", 1, user="u"), view("b", 2, user="u")]) == [False, True]
    assert await ids(store, user="u") == ["a", "b"]


async def test_the_same_event_twice_in_one_batch_counts_once(store: OnlineStore) -> None:
    assert await store.append([view("a", 1, user="u"), view("a", 1, user="u")]) == [True, False]


async def test_history_is_in_order_of_time_and_then_of_event_id(store: OnlineStore) -> None:
    await store.append([view("c", 5, user="u"), view("b", 5, user="u"), view("z", 1, user="u")])
    assert await ids(store, user="u") == ["z", "b", "c"]


async def test_of_a_long_history_the_latest_part_is_returned(store: OnlineStore) -> None:
    await store.append([view(str(number), number, user="u") for number in range(10)])
    assert await ids(store, user="u", limit=3) == ["7", "8", "9"]


async def test_nobody_has_no_history(store: OnlineStore) -> None:
    await store.append([view("a", 1, user="u")])
    assert await ids(store) == []
    assert await ids(store, user="somebody else") == []


async def test_an_anonymous_history_follows_once_the_shopper_is_known(store: OnlineStore) -> None:
    await store.append([view("before", 1, anonymous="a")])
    assert await ids(store, user="u") == []
    await store.append([view("login", 2, user="u", anonymous="a")])
    assert await ids(store, user="u") == ["before", "login"]
    await store.append([view("after", 3, anonymous="a")])
    assert await ids(store, user="u") == ["before", "login", "after"]
    assert await ids(store, user="u", limit=2) == ["login", "after"]


async def test_both_ids_in_the_question_bring_both_histories_without_repeating_any(store: OnlineStore) -> None:
    await store.append([view("known", 1, user="u"), view("unknown", 2, anonymous="a")])
    await store.append([view("both", 3, user="u", anonymous="a")])
    assert await ids(store, user="u", anonymous="a") == ["known", "unknown", "both"]


async def test_two_users_of_one_device_do_not_see_each_others_events(store: OnlineStore) -> None:
    await store.append(
        [view("first", 1, user="u", anonymous="tablet"), view("second", 2, user="v", anonymous="tablet")]
    )
    assert await ids(store, user="u", anonymous="tablet") == ["first"]
    assert await ids(store, user="v", anonymous="tablet") == ["second"]


async def test_an_event_comes_back_as_it_went_in(store: OnlineStore) -> None:
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


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
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
def test_history_equals_sorting_everything_by_hand(events: list[Event], limit: int, place: Place) -> None:
    async def check() -> None:
        async with place.opened() as store:
            fresh = await store.append(events)
            kept = [event for event, new in zip(events, fresh, strict=True) if new]
            by_hand = sorted(kept, key=lambda event: (event.occurred_at, event.event_id))[-limit:]
            assert await store.history(user_id=None, anonymous_id="a", limit=limit) == by_hand
            arrivals = await store.arrived(after=0, limit=100)
            assert [(one.number, one.event) for one in arrivals] == list(enumerate(kept, start=1))

    asyncio.run(check())


_TEXT = st.none() | st.text(st.characters(codec="utf-8"), max_size=3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    events=st.lists(
        st.builds(
            Event,
            event_id=st.text(st.sampled_from("ab\0\1\u00fc"), min_size=1, max_size=3),
            type=st.sampled_from([EventType.VIEW, EventType.SEARCH, EventType.PURCHASE, EventType.IMPRESSION]),
            occurred_at=st.integers(0, 5),
            user_id=st.sampled_from(["u", None]),
            anonymous_id=st.just("a"),
            channel=_TEXT,
            device=_TEXT,
            item_id=_TEXT,
            quantity=st.sampled_from([1.0, 1.0, 2.5, 0.1 + 0.2]),
            price=st.none() | st.floats(0, 1e9),
            list_price=st.none() | st.floats(0, 1e9),
            query=_TEXT,
            position=st.none() | st.integers(0, 2**31 - 1),
        ),
        max_size=12,
    ),
    who=st.sampled_from([("u", None), (None, "a"), ("u", "a"), (None, None)]),
    limit=st.integers(1, 13),
    before=st.sampled_from([None, 0, 3, 6]),
)
def test_the_columns_that_answers_need_are_those_of_the_history(
    events: list[Event], who: tuple[str | None, str | None], limit: int, before: int | None, place: Place
) -> None:
    async def check() -> None:
        async with place.opened() as store:
            await store.append(events)
            user, visitor = who
            history = await store.history(user_id=user, anonymous_id=visitor, limit=limit, before=before)
            known = await store.known(user_id=user, anonymous_id=visitor, limit=limit, before=before)
            assert known.events == EventColumns.of(history)

    asyncio.run(check())


async def test_a_slate_comes_back_as_it_was_handed_out(store: OnlineStore) -> None:
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
        rung="without_model",
        candidates="0123456789abcdef0123456789abcdef",
        experiments=(("ranker", "treatment"), ("other", "control")),
        items=(
            ExposedItem(item_id="i", position=0, propensity=0.25, score=1.5, source="popular"),
            ExposedItem(item_id='\u00fc"\\\n\0\U0001f9c0', position=1, propensity=1 / 3, score=1e-7, source="{}"),
            ExposedItem(item_id="", position=2, propensity=1.0, score=math.inf, source=""),
        ),
    )
    await store.record_exposures([exposure, replace(exposure, placement="again")])
    assert await store.exposure("r") == exposure
    assert await store.exposure("unheard of") is None


@given(
    st.lists(
        st.builds(
            ExposedItem,
            item_id=st.text(),
            position=st.integers(0, 99),
            propensity=st.floats(0, 1),
            score=st.floats(allow_nan=False) | st.integers(0, 9),
            source=st.text(),
        ),
        max_size=3,
    )
)
def test_items_of_a_slate_are_written_as_json_writes_them(items: list[ExposedItem]) -> None:
    exposure = Exposure(
        recommendation_id="r", at=0, placement="", policy="", model_version="", knowledge="", items=tuple(items)
    )
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema.prepare(connection)
        slates.write(connection, [exposure])
        [(text,)] = connection.execute("SELECT items FROM exposures").fetchall()
    assert text == json.dumps([item._asdict() for item in items])


async def test_events_are_there_after_closing_and_opening_again(lasting_place: Place) -> None:
    for event_id, fresh in (("a", True), ("a", False)):
        async with lasting_place.opened("same") as store:
            assert await store.append([view(event_id, 1, user="u")]) == [fresh]
            assert await ids(store, user="u") == ["a"]


async def test_one_event_that_cannot_be_kept_does_not_sink_what_is_written_with_it(store: OnlineStore) -> None:
    too_large = view("bad", 2**70, user="u")
    outcomes = await asyncio.gather(
        *(store.append([event]) for event in (view("a", 1, user="u"), too_large, view("b", 2, user="u"))),
        return_exceptions=True,
    )
    assert [outcomes[0], outcomes[2]] == [[True], [True]]
    assert isinstance(outcomes[1], StoreError)
    assert await ids(store, user="u") == ["a", "b"]


async def test_what_arrives_is_numbered_in_order_without_gaps_and_read_page_by_page(store: OnlineStore) -> None:
    assert await store.arrived(after=0, limit=10) == []
    impression = replace(view("shown", 1, user="u"), type=EventType.IMPRESSION)
    await store.append([view("late", 9, user="u"), impression, view("late", 9, user="u")])
    await store.append([view("early", 1, anonymous="a")])
    first = await store.arrived(after=0, limit=2)
    assert [(one.number, one.event.event_id) for one in first] == [(1, "late"), (2, "shown")]
    assert first[1].event == impression
    rest = await store.arrived(after=2, limit=2)
    assert [(one.number, one.event.event_id) for one in rest] == [(3, "early")]
    assert await store.arrived(after=3, limit=2) == []


async def test_writers_at_once_give_every_event_one_number_and_every_id_to_one_of_them(store: OnlineStore) -> None:
    accepted = await asyncio.gather(
        *(store.append([view(f"{number % 60}", number, user="u"), view("same", 1)]) for number in range(120))
    )
    assert sum(first for first, _ in accepted) == 60
    assert sum(second for _, second in accepted) == 1
    arrivals = await store.arrived(after=0, limit=1_000)
    assert [one.number for one in arrivals] == list(range(1, 62))
    assert {one.event.event_id for one in arrivals} == {"same", *map(str, range(60))}


async def test_more_events_than_travel_in_one_go_arrive_and_are_read_whole(store: OnlineStore) -> None:
    assert all(await store.append([view(f"{number:04d}", number, user="u") for number in range(2_345)]))
    assert [one.number for one in await store.arrived(after=1, limit=2_200)] == list(range(2, 2_202))
    assert await ids(store, user="u", limit=2_345) == [f"{number:04d}" for number in range(2_345)]


async def test_only_acts_before_the_instant_are_history(store: OnlineStore) -> None:
    shown = replace(view("shown", 2, user="u"), type=EventType.IMPRESSION)
    await store.append([view("a", 1, user="u"), shown, view("b", 3, user="u"), view("c", 4, user="u")])
    found = await store.history(user_id="u", anonymous_id=None, limit=10, before=4)
    assert [event.event_id for event in found] == ["a", "b"]


async def test_strange_ids_are_ids_like_others(store: OnlineStore) -> None:
    for user, visitor in (("", "="), ("a:b", "!1=x"), ("a\0", "\0"), ("ä€\U0001f9c0", "%d+"), ("{u}", "1:2")):
        events = [view(f"{user}/1", 1, anonymous=visitor), view(f"{user}/2", 2, user=user, anonymous=visitor)]
        late = view(f"{user}/0", 0, user=user, anonymous=visitor)
        await store.append([*events, late])
        assert await ids(store, user=user) == [f"{user}/0", f"{user}/1", f"{user}/2"]
        assert await ids(store, anonymous=visitor) == [f"{user}/0", f"{user}/1", f"{user}/2"]


async def test_events_are_exported_once_whichever_store_they_are_in(store: OnlineStore, tmp_path: Path) -> None:
    await store.append([view(f"{number}", number, user="u") for number in range(5)])
    assert (await export(store, tmp_path)).events == 5
    await store.append([view("later", 9, anonymous="a")])
    assert (await export(store, tmp_path)).events == 1
    assert (await export(store, tmp_path)).events == 0


async def test_the_latest_note_of_a_name_counts(lasting_place: Place) -> None:
    async with lasting_place.opened("same") as store:
        assert await store.note("release") is None
        await store.write_note("release", Note(value="one", told_at=1))
        await store.write_note("release", Note(value="zwölf", told_at=2))
        await store.write_note("other", Note(value="", told_at=3))
        assert await store.note("release") == Note(value="zwölf", told_at=2)
    async with lasting_place.opened("same") as store:
        assert await store.note("release") == Note(value="zwölf", told_at=2)


async def test_a_store_that_is_not_open_says_so(place: Place) -> None:
    store = place.make("never opened")
    for asked in (
        store.append([view("a", 1, user="u")]),
        store.history(user_id="u", anonymous_id=None, limit=1),
        store.arrived(after=0, limit=1),
        store.check(),
    ):
        with pytest.raises(StoreError, match="not open"):
            await asked
    await store.open()
    await store.open()
    await store.check()
    await store.close()
    await store.close()
    with pytest.raises(StoreError, match="not open"):
        await store.check()
