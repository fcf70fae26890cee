"""Whose events are whose, online as offline: the store against the plain definition that the log is held to."""

import asyncio
import random
import sqlite3
from itertools import pairwise, product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.event import ACTS, Event, EventType
from serving.store.identity import FAR_OFF, LONG_AGO, Change, joined, spans_of_user, spans_of_visitor
from serving.store.memory import MemoryStore
from serving.store.protocol import OnlineStore
from serving.store.sqlite import SqliteStore
from tests.recsys.sequence.test_gather import FACTS, Fact, plainly
from tests.serving.stores import Place

ANN, BOB, NOBODY = Change(4, "ann"), Change(6, "bob"), Change(8, None)


BY_HAND = pytest.mark.parametrize(
    ("changes", "of_ann", "of_visitor"),
    [
        ([], [], [(LONG_AGO, FAR_OFF)]),
        ([ANN], [(LONG_AGO, FAR_OFF)], []),
        ([ANN, BOB], [(LONG_AGO, 6)], []),
        ([ANN, NOBODY], [(4, 8)], [(LONG_AGO, 4), (8, FAR_OFF)]),
        ([ANN, NOBODY, Change(9, "ann")], [(4, FAR_OFF)], [(LONG_AGO, 4)]),
        ([Change(2, "bob"), ANN], [(4, FAR_OFF)], []),
        ([ANN, BOB, NOBODY], [(LONG_AGO, 6)], [(8, FAR_OFF)]),
    ],
)


@BY_HAND
def test_spans_of_a_visitors_events_by_hand(
    changes: list[Change], of_ann: list[tuple[int, int]], of_visitor: list[tuple[int, int]]
) -> None:
    assert spans_of_user(changes, "ann") == of_ann
    assert spans_of_visitor(changes) == of_visitor


@BY_HAND
async def test_stores_know_the_same_spans(
    store: OnlineStore, changes: list[Change], of_ann: list[tuple[int, int]], of_visitor: list[tuple[int, int]]
) -> None:
    signed_in = [Change(0, None), *changes]
    linked: list[Fact] = [
        (2 * to.at, to.user or was.user, "v", "link" if to.user else "unlink") for was, to in pairwise(signed_in)
    ]
    seen: list[Fact] = [(2 * at + 1, None, "v", "view") for at in range(11)]
    await store.append([event_of(number, fact) for number, fact in enumerate([*seen, *linked])])

    async def known(user: str | None, visitor: str | None) -> list[int]:
        found = await store.history(user_id=user, anonymous_id=visitor, limit=99)
        return [event.occurred_at // 2 for event in found]

    assert await known("ann", None) == [at for at in range(11) if any(a <= at < b for a, b in of_ann)]
    if not changes or changes[-1].user is None:
        assert await known(None, "v") == [at for at in range(11) if any(a <= at < b for a, b in of_visitor)]


def test_a_question_with_both_ids_adopts_what_the_visitor_did_as_nobody() -> None:
    assert spans_of_user([], "ann", signing_in=True) == [(LONG_AGO, FAR_OFF)]
    assert spans_of_user([BOB, NOBODY], "ann", signing_in=True) == [(8, FAR_OFF)]
    assert spans_of_user([BOB], "ann", signing_in=True) == [], "bob is signed in there"


def test_spans_that_touch_become_one() -> None:
    assert joined([(3, 5), (1, 2), (2, 3), (7, 7), (8, 9)]) == [(1, 5), (8, 9)]


def event_of(number: int, fact: Fact) -> Event:
    at, user, visitor, kind = fact
    item = "a" if number % 2 else "b"
    return Event(
        event_id=f"{number:03d}",
        type=EventType(kind),
        occurred_at=at,
        user_id=user,
        anonymous_id=visitor,
        item_id=item,
    )


async def online(place: Place, facts: list[Fact], order: list[int], batch: int) -> dict[tuple[str, int], list[int]]:
    """What is known at every question, of things the shopper did, after events arrived in some order."""
    found = {}
    async with place.opened() as store:
        for first in range(0, len(order), batch):
            await store.append([event_of(number, facts[number]) for number in order[first : first + batch]])
        for who, at in plainly(facts):
            visitor = who.removeprefix("anonymous:") if who.startswith("anonymous:") else None
            user = None if visitor else who
            history = await store.history(user_id=user, anonymous_id=visitor, limit=99, before=at)
            found[who, at] = [int(event.event_id) for event in history]
    return found


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(facts=FACTS, seed=st.integers(0, 999), in_order=st.booleans(), batch=st.sampled_from([1, 3, 50]))
def test_every_question_knows_online_what_it_knows_offline(
    facts: list[Fact], seed: int, in_order: bool, batch: int, place: Place
) -> None:
    order = sorted(range(len(facts)), key=lambda number: facts[number][0])
    if not in_order:
        random.Random(seed).shuffle(order)
    acts = {number for number, fact in enumerate(facts) if EventType(fact[3]) in ACTS}
    found = asyncio.run(online(place, facts, order, batch))
    ends = {(f"anonymous:{visitor}", at) for at, _, visitor, kind in facts if kind == "unlink"}
    expected = {asked: sorted(set(before) & acts) for asked, (_, before) in plainly(facts).items()}
    for asked in expected.keys() - ends:  # whoever asks at the very instant of the unlink is still the user
        assert sorted(found[asked]) == expected[asked]


async def test_a_linked_visitor_who_asks_is_the_user(store: OnlineStore) -> None:
    facts: list[Fact] = [(1, "ann", None, "view"), (2, "ann", "v", "link"), (3, None, "v", "view")]
    await store.append([event_of(number, fact) for number, fact in enumerate(facts)])
    known = {
        at: [e.event_id for e in await store.history(user_id=None, anonymous_id="v", limit=9, before=at)]
        for at in (2, 3, 4)
    }
    assert known == {2: [], 3: ["000"], 4: ["000", "002"]}, "the link itself is not known at its own instant"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(facts=FACTS, seed=st.integers(0, 999), batch=st.sampled_from([1, 3, 50]), limit=st.integers(1, 4))
def test_every_store_knows_the_same_whoever_asks_with_whatever_ids(
    facts: list[Fact], seed: int, batch: int, limit: int, lasting_place: Place
) -> None:
    """The stores against the one in memory, for questions that the log is never asked: both ids, and few events."""
    order = random.Random(seed).sample(range(len(facts)), len(facts))
    questions = list(product((None, "ann", "bob"), (None, "v", "w"), (None, 3, 7, 11)))

    async def known(place: Place) -> list[list[str]]:
        async with place.opened() as store:
            for first in range(0, len(order), batch):
                await store.append([event_of(number, facts[number]) for number in order[first : first + batch]])
            found = [
                await store.history(user_id=user, anonymous_id=visitor, limit=limit, before=before)
                for user, visitor, before in questions
            ]
        return [[event.event_id for event in history] for history in found]

    assert asyncio.run(known(lasting_place)) == asyncio.run(known(Place(lambda _: MemoryStore())))


async def test_of_a_user_with_very_many_devices_the_hundred_latest_count(store: OnlineStore) -> None:
    events = [
        event_of(2 * n + kind, (2 * n + kind, "ann" if kind else None, f"v{n}", "view"))
        for n in range(150)
        for kind in (0, 1)
    ]
    await store.append(events)
    found = await store.history(user_id="ann", anonymous_id=None, limit=999)
    assert [int(event.event_id) for event in found] == [n for n in range(300) if n % 2 or n >= 100]


VERSION_1 = """
CREATE TABLE events (
    event_id TEXT PRIMARY KEY, type TEXT NOT NULL, occurred_at INTEGER NOT NULL,
    user_id TEXT, anonymous_id TEXT, session_id TEXT, channel TEXT, device TEXT, store TEXT, item_id TEXT,
    quantity REAL NOT NULL, price REAL, list_price REAL, currency TEXT, query TEXT, placement TEXT,
    recommendation_id TEXT, position INTEGER, consent TEXT
);
CREATE INDEX events_by_user ON events (user_id, occurred_at, event_id) WHERE user_id IS NOT NULL;
CREATE INDEX events_by_anonymous ON events (anonymous_id, occurred_at, event_id) WHERE anonymous_id IS NOT NULL;
CREATE TABLE links (
    user_id TEXT NOT NULL, anonymous_id TEXT NOT NULL, PRIMARY KEY (user_id, anonymous_id)
) WITHOUT ROWID;
CREATE TABLE exposures (
    recommendation_id TEXT PRIMARY KEY, at INTEGER NOT NULL, placement TEXT NOT NULL, policy TEXT NOT NULL,
    model_version TEXT NOT NULL, knowledge TEXT NOT NULL, user_id TEXT, anonymous_id TEXT, session_id TEXT,
    device TEXT, channel TEXT, store TEXT, degraded TEXT, items TEXT NOT NULL
);
CREATE INDEX exposures_by_time ON exposures (at);
INSERT INTO events (event_id, type, occurred_at, user_id, anonymous_id, item_id, quantity, consent) VALUES
    ('1', 'view', 1, NULL, 'v', 'a', 1, '["analytics"]'), ('2', 'view', 2, 'ann', NULL, 'b', 1, NULL),
    ('3', 'purchase', 3, 'ann', 'v', 'b', 2, NULL), ('4', 'view', 4, NULL, 'v', 'c', 1, NULL),
    ('5', 'view', 1, NULL, 'w', 'd', 1, NULL);
INSERT INTO links VALUES ('ann', 'v'), ('bob', 'w');
INSERT INTO exposures VALUES ('r', 7, 'home', 'top_k', '1', 'cold', 'ann', NULL, NULL, NULL, NULL, NULL, NULL, '[]');
PRAGMA user_version = 1;
"""


async def test_a_file_of_version_1_is_brought_up_to_date_and_nothing_is_lost(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "events.db")
    connection.executescript(VERSION_1)
    connection.close()
    for _ in range(2):
        store = SqliteStore(tmp_path / "events.db")
        await store.open()

        async def known(user: str, before: int | None = None, store: SqliteStore = store) -> list[str]:
            found = await store.history(user_id=user, anonymous_id=None, limit=9, before=before)
            return [event.event_id for event in found]

        assert await known("ann") == ["1", "2", "3", "4"]
        assert await known("ann", 3) == ["2"], "since when the two are linked is told by the events"
        assert await known("bob") == ["5"], "a link without an event was always there"
        [first, *_] = await store.history(user_id="ann", anonymous_id=None, limit=9)
        assert (first.consent, first.filters, first.rating, first.offer_id) == (("analytics",), None, None, None)
        exposure = await store.exposure("r")
        assert exposure is not None
        assert exposure.user_id == "ann"
        await store.close()
    ours = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    tables = sqlite3.connect(tmp_path / "events.db").execute(ours)
    assert sorted(name for (name,) in tables) == ["erased", "events", "exposures", "items", "links", "notes"]


async def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "events.db")
    connection.executescript(VERSION_1 + "CREATE TABLE links_1 (in_the_way);")
    connection.close()
    with pytest.raises(Exception, match="links_1"):
        await SqliteStore(tmp_path / "events.db").open()
    connection = sqlite3.connect(tmp_path / "events.db")
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert connection.execute("SELECT count(*) FROM links").fetchone() == (2,)
    assert "rating" not in [row[1] for row in connection.execute("PRAGMA table_info(events)")]
