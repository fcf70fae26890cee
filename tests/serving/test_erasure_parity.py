"""Whatever was told in whatever order: after an erasure, Redis and the embedded store hold the same."""

import asyncio
from dataclasses import replace
from itertools import product

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.event import Event, EventType
from recsys.log.erase import Named
from serving.store.memory import MemoryStore
from serving.store.protocol import Exposure, Forgotten, OnlineStore
from serving.store.redis import RedisStore
from tests.serving.redis_server import RedisServer
from tests.serving.test_erasure import slate

USERS, VISITORS = ("a", "b"), ("v", "w", "a")
"""One id is that of a user and that of a visitor."""
TYPES = (EventType.VIEW, EventType.PURCHASE, EventType.IMPRESSION, EventType.LINK, EventType.UNLINK)
user, visitor = st.sampled_from((None, *USERS)), st.sampled_from((None, *VISITORS))
shoppers = st.one_of(
    st.sampled_from(USERS).map(lambda one: Named("user", one)),
    st.sampled_from(VISITORS).map(lambda one: Named("anonymous", one)),
)


@st.composite
def events(draw: st.DrawFn) -> list[Event]:
    told = draw(st.lists(st.tuples(user, visitor, st.sampled_from(TYPES), st.integers(0, 4)), max_size=12))
    return [
        Event(event_id=f"e{number}", type=kind, occurred_at=at, user_id=who, anonymous_id=what, item_id="i")
        for number, (who, what, kind, at) in enumerate(told)
        if (who is not None or what is not None) and (kind in TYPES[:3] or None not in (who, what))
    ]


slates = st.lists(st.tuples(user, visitor), max_size=4).map(
    lambda pairs: [slate(f"s{number}", user=who, visitor=what) for number, (who, what) in enumerate(pairs)]
)


async def outcome(
    store: OnlineStore, told: list[Event], shown: list[Exposure], erased: list[Named], late: list[Event]
) -> list[object]:
    """Everything that can be seen of a store in which this happened."""
    seen: list[object] = [await store.append(told)]
    await store.record_exposures(shown)
    for one in erased:
        held = await store.held(one, after=0, limit=99)
        seen += [held, _nameless(await store.forget(one, at=9)), await store.held(one, after=0, limit=99)]
    seen.append(await store.append([replace(event, event_id=f"late {event.event_id}") for event in late]))
    seen += [await store.arrived(after=0, limit=99), await store.last_number(), await store.origin()]
    for who, what in product((None, *USERS), (None, *VISITORS)):
        seen.append(await store.history(user_id=who, anonymous_id=what, limit=99))
    seen += [await store.exposure(one.recommendation_id) for one in shown]
    seen.append([(entry.kind, entry.length) for entry in (await store.erasures()).entries])
    return seen


def _nameless(receipt: Forgotten) -> Forgotten:
    """Keys of HMACs are drawn by each store."""
    return replace(receipt, digest="")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=events(), shown=slates, erased=st.lists(shoppers, min_size=1, max_size=2), late=events())
def test_redis_and_the_embedded_schema_mean_the_same_by_an_erasure(
    redis_server: RedisServer, told: list[Event], shown: list[Exposure], erased: list[Named], late: list[Event]
) -> None:
    async def check() -> None:
        with redis_server.client() as client:
            client.flushall()
        found = []
        for store in (MemoryStore(), RedisStore(redis_server.url)):
            await store.open()
            found.append(await outcome(store, told, shown, erased, late))
            await store.close()
        assert found[0] == found[1]

    asyncio.run(check())
