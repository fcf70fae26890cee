"""What shoppers agreed to, in every store: against a plain reading of all events, whatever the order of arrival."""

import asyncio
import random
import sqlite3
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.consent import OfVisitor, Rule, Statement, merged
from recsys.errors import ConfigError
from recsys.event import Event, EventColumns, EventType
from recsys.log.erase import Named
from recsys.log.identity import becomes_of
from serving.store import consent
from serving.store.protocol import OnlineStore
from serving.store.redis import RedisStore
from serving.store.sqlite import SqliteStore
from tests.serving.redis_server import RedisServer
from tests.serving.stores import Place

YES, NO, BOTH = frozenset({"a"}), frozenset[str](), frozenset({"a", "b"})
Said = tuple[int, str | None, str | None, str, tuple[str, ...] | None]
"""Instant, user, visitor, type, what is agreed to."""


@pytest.mark.parametrize(
    ("user", "visitors", "agreed"),
    [
        (None, [], None),
        (Statement(1, YES), [], YES),
        (None, [OfVisitor(Statement(1, YES), 5, 99)], YES),
        (Statement(3, BOTH), [OfVisitor(Statement(1, YES), 5, 99)], YES),
        (Statement(5, BOTH), [OfVisitor(Statement(1, YES), 5, 99)], YES),
        (Statement(6, BOTH), [OfVisitor(Statement(1, YES), 5, 99)], BOTH),
        (Statement(6, NO), [OfVisitor(Statement(7, BOTH), 5, 99)], NO),
        (Statement(6, BOTH), [OfVisitor(Statement(7, NO), 5, 99)], NO),
        (Statement(3, BOTH), [OfVisitor(Statement(9, NO), 5, 9)], BOTH),
        (Statement(3, BOTH), [OfVisitor(Statement(1, YES), 5, 99), OfVisitor(Statement(2, NO), 4, 99)], NO),
    ],
    ids=[
        "nobody ever said anything",
        "the user alone",
        "the visitor alone",
        "the stricter wins where a visitor becomes a user",
        "at the instant of the sign-in it still does",
        "what the user says after the sign-in settles it",
        "a visitor cannot loosen what the user said",
        "and can be stricter at any time",
        "what they say as somebody else does not count",
        "the strictest of several devices",
    ],
)
def test_two_statements_become_one(
    user: Statement | None, visitors: list[OfVisitor], agreed: frozenset[str] | None
) -> None:
    assert merged(user, visitors) == agreed


def test_any_name_of_a_purpose_will_do_and_a_default_counts_where_nothing_was_said() -> None:
    rule = Rule(frozenset({"personalisation", "functional"}), "denied")
    assert rule.allows({"functional", "ads"})
    assert not rule.allows({"ads"})
    assert not rule.allows(set())
    assert not rule.allows(None)
    assert Rule(frozenset({"a"})).allows(None)
    with pytest.raises(ConfigError, match=r"consent\.default=perhaps"):
        Rule(frozenset({"a"}), "perhaps")  # type: ignore[arg-type]


def event_of(number: int, said: Said) -> Event:
    at, user, visitor, kind, consent = said
    return Event(
        event_id=f"{number:03d}",
        type=EventType(kind),
        occurred_at=at,
        user_id=user,
        anonymous_id=visitor,
        item_id="i",
        consent=consent,
    )


def plainly(facts: list[Said], user: str | None, visitor: str | None) -> frozenset[str] | None:
    """The rule of `recsys/consent.py`, read off all events."""

    def links(of: str) -> list[tuple[int, str | None]]:
        changes: list[tuple[int, str | None]] = []
        for at, who, whose, kind, _ in sorted(facts, key=lambda fact: (fact[0], fact[1] or "")):
            if who is not None and whose == of:
                current = changes[-1][1] if changes else None
                if (becomes := becomes_of(current, who, ends=kind == "unlink")) != current:
                    changes.append((at, becomes))
        return changes

    def said(place: int, who: str) -> Statement | None:
        mine = [(fact[0], frozenset(fact[4])) for fact in facts if fact[place] == who and fact[4] is not None]
        last = max((at for at, _ in mine), default=0)
        return Statement(last, frozenset.intersection(*(what for at, what in mine if at == last))) if mine else None

    if user is None and visitor is not None and (changes := links(visitor)):
        user = changes[-1][1]
    if user is None:
        found = None if visitor is None else said(2, visitor)
        return None if found is None else found.purposes
    told = []
    for one in {fact[2] for fact in facts} | {visitor}:
        if one is None or (statement := said(2, one)) is None:
            continue
        changes = links(one)
        theirs = [place for place, (_, who) in enumerate(changes) if who == user]
        if one == visitor and not (changes and changes[-1][1] == user):
            told.append(OfVisitor(statement, 10**9, 10**9))
        elif theirs:
            place = theirs[-1]
            ended_at = changes[place + 1][0] if place + 1 < len(changes) else 10**9
            told.append(OfVisitor(statement, changes[place][0], ended_at))
    return merged(said(1, user), told)


FACTS = st.lists(
    st.tuples(
        st.integers(1, 9),
        st.sampled_from([None, "ann", "bob"]),
        st.sampled_from([None, "v", "w"]),
        st.sampled_from(["view", "link", "unlink", "consent"]),
        st.sampled_from([None, (), ("a",), ("b", "a"), ("a", "a", "\u00fc\0")]),
    ).filter(lambda said: said[1] is not None or said[2] is not None),
    max_size=9,
    unique_by=lambda said: (said[0], said[2]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(facts=FACTS, seed=st.integers(0, 999), batch=st.sampled_from([1, 3, 50]))
def test_every_store_knows_what_shoppers_agree_to_whatever_the_order_of_arrival(
    facts: list[Said], seed: int, batch: int, place: Place
) -> None:
    order = random.Random(seed).sample(range(len(facts)), len(facts))

    async def check() -> None:
        async with place.opened() as store:
            for first in range(0, len(order), batch):
                await store.append([event_of(number, facts[number]) for number in order[first : first + batch]])
            for user in (None, "ann", "bob"):
                for visitor in (None, "v", "w"):
                    known = await store.known(user_id=user, anonymous_id=visitor, limit=99)
                    assert known.agreed == plainly(facts, user, visitor), (user, visitor)

    asyncio.run(check())


async def test_the_history_comes_with_what_was_agreed_to_whenever_it_is_asked_for(store: OnlineStore) -> None:
    view = event_of(1, (5, "ann", None, "view", None))
    await store.append([view, event_of(2, (8, "ann", None, "consent", ("a",)))])
    for before in (None, 6, 9):
        known = await store.known(user_id="ann", anonymous_id=None, limit=9, before=before)
        assert known.events == EventColumns.of([view]), "a statement is nothing that a shopper does"
        assert known.agreed == {"a"}, "what counts is what they say now"


async def test_what_was_agreed_to_outlives_the_process(lasting_place: Place) -> None:
    async with lasting_place.opened("same") as store:
        await store.append([event_of(1, (5, "ann", "v", "consent", ()))])
    async with lasting_place.opened("same") as store:
        for who in (("ann", None), (None, "v"), ("ann", "v")):
            assert (await store.known(user_id=who[0], anonymous_id=who[1], limit=1)).agreed == NO


async def test_what_a_file_of_version_4_holds_of_consent_counts_from_the_first_answer_on(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    store = SqliteStore(path)
    await store.open()
    await store.append([event_of(1, (5, "ann", "v", "view", ("a",)))])
    await store.close()
    connection = sqlite3.connect(path)
    connection.executescript("DROP INDEX consents_by_user; DROP INDEX consents_by_visitor; PRAGMA user_version = 4;")
    await store.open()
    assert (await store.known(user_id="ann", anonymous_id=None, limit=1)).agreed == YES
    await store.close()
    connection.close()


async def test_a_long_history_without_a_statement_is_not_searched_for_one(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "events.db")
    await store.open()
    await store.append([event_of(n, (n, "ann", "v", "view", None)) for n in range(20_000)])
    await store.close()
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    connection = sqlite3.connect(store.path)
    connection.set_progress_handler(step, 10)
    assert consent.of_user(connection, "ann") is consent.of_visitor(connection, "v") is None
    connection.close()
    assert steps < 50, "steps of SQLite's machine, in tens"


async def test_an_erasure_takes_what_was_agreed_to_with_it(store: OnlineStore) -> None:
    await store.append([event_of(1, (5, "ann", "v", "consent", ())), event_of(2, (6, None, "v", "consent", ("a",)))])
    await store.append([event_of(3, (7, "bob", "w", "consent", ("a",)))])
    await store.forget(Named("user", "ann"), at=9)
    for who in (("ann", None), (None, "v"), ("ann", "v")):
        assert (await store.known(user_id=who[0], anonymous_id=who[1], limit=1)).agreed is None
    assert (await store.known(user_id="bob", anonymous_id=None, limit=1)).agreed == YES
    if isinstance(store, RedisStore):
        with redis.Redis.from_pool(redis.ConnectionPool(**store._pool.connection_kwargs)) as client:
            assert not [key for key in client.keys(f"{store._prefix}consents-of-*") if b"ann" in key or b":v" in key]


async def test_what_redis_of_version_1_holds_of_consent_counts_from_the_first_answer_on(
    redis_server: RedisServer,
) -> None:
    store = RedisStore(redis_server.url, prefix="consents-1")
    await store.open()
    facts: list[Said] = [(5, "ann", "v", "view", ("a",)), (7, "ann", None, "view", ()), (6, None, "w", "view", None)]
    await store.append([event_of(*one) for one in enumerate(facts)])
    await store.close()
    with redis.Redis.from_url(redis_server.url) as client:
        client.delete("consents-1:consents-of-user:ann", "consents-1:consents-of-visitor:v")
        client.set("consents-1:schema", 1)
        await store.open()
        assert (await store.known(user_id="ann", anonymous_id=None, limit=1)).agreed == NO
        assert (await store.known(user_id=None, anonymous_id="w", limit=1)).agreed is None
        assert client.zrange("consents-1:consents-of-visitor:v", 0, -1, withscores=True) == [(b'["a"]', 5.0)]
        assert client.get("consents-1:schema") == b"2"
    await store.close()
