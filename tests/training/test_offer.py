"""A really trained recommender with a live assortment: its answers are on offer, wanted, and as many as asked for."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.clock import DAY, MINUTE
from recsys.event import ITEM_SCHEMA, Event, EventType
from recsys.recommender import Recommender
from recsys.retrieval.assortment import Change
from recsys.retrieval.filter.parse import parse
from recsys.slate import Slate
from recsys.state import Context, Knowledge, ShopperState


@pytest.fixture(scope="module")
def plain(tiny_bundle: Path) -> Recommender:
    return Recommender.load(tiny_bundle)


@pytest.fixture
def live(plain: Recommender) -> Recommender:
    return plain.on_offer()


def states(recommender: Recommender, wanted: object = None) -> list[ShopperState]:
    """Somebody unknown, somebody in a first session, somebody with a past."""
    end, asked = recommender.data_end, None if wanted is None else parse(wanted)
    views = [(EventType.VIEW, 5 * MINUTE, "item-001"), (EventType.VIEW, 2 * MINUTE, "item-060")]
    bought = [(EventType.PURCHASE, days * DAY, f"item-{days:03d}") for days in (30, 20, 10, 3)]
    return [
        ShopperState(
            recommender.coding.of_events(
                [
                    Event(event_id=str(n), type=kind, occurred_at=end - ago, item_id=item)
                    for n, (kind, ago, item) in enumerate(events)
                ],
                before=end,
            ),
            Context(at=end),
            wanted=asked,
        )
        for events in ([], views, [*bought, *views])
    ]


def answered(recommender: Recommender, states: Sequence[ShopperState], count: int = 10) -> list[Slate]:
    return recommender.answer(states, counts=[count] * len(states), rng=np.random.default_rng(0))


def row(item_id: str, **more: object) -> dict[str, object]:
    plain = {"item_id": item_id, "title": item_id, "category": [], "available": True, **more}
    return {name: plain.get(name) for name in ITEM_SCHEMA.names}


def table(*rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), ITEM_SCHEMA)


def test_the_three_are_strangers_visitors_and_known(plain: Recommender) -> None:
    assert [state.knowledge for state in states(plain)] == list(Knowledge)


def test_while_nothing_changed_the_answer_is_that_of_the_bundle(plain: Recommender, live: Recommender) -> None:
    for one, other in zip(answered(plain, states(plain)), answered(live, states(live)), strict=True):
        assert [(i.item_id, i.source, i.reason) for i in one.items] == [
            (i.item_id, i.source, i.reason) for i in other.items
        ]
        assert [i.score for i in one.items] == pytest.approx([i.score for i in other.items], rel=1e-5)


FILTERS = st.sampled_from(
    [
        {"price": {"lt": 3}},
        {"price": {"gte": 4, "lt": 4.5}},
        {"category": "category-2"},
        {"item_id": [f"item-{n:03d}" for n in (7, 99, 150, 200)]},
        {"not": {"category": ["category-0", "category-1", "category-2", "category-3", "category-4"]}},
        {"item_id": []},
    ]
)


@settings(deadline=None, max_examples=20)
@given(wanted=FILTERS, count=st.sampled_from([1, 5, 30, 100]))
def test_as_many_come_back_as_match_and_nothing_else(plain: Recommender, wanted: object, count: int) -> None:
    live = plain.on_offer()
    assert live.offer is not None
    matching = set(live.offer.allowed(parse(wanted)).rows.tolist())
    for state, slate in zip(states(live, wanted), answered(live, states(live, wanted), count), strict=True):
        shown = [item.index for item in slate.items]
        assert set(shown) <= matching
        assert len(shown) == len(set(shown)) == min(count, len(matching - state.basket))


def test_what_is_gone_is_in_no_answer_whoever_proposed_it(live: Recommender) -> None:
    assert live.offer is not None
    for _ in range(4):
        shown = {item.item_id for slate in answered(live, states(live)) for item in slate.items}
        live.offer.change(Change(gone=sorted(shown)))
        again = {item.item_id for slate in answered(live, states(live)) for item in slate.items}
        assert not shown & again
        assert len(again) >= 10
        live.offer.compact()


def test_what_is_sold_out_in_one_store_is_not_shown_there(live: Recommender) -> None:
    assert live.offer is not None
    known = states(live)[2]
    first = answered(live, [known])[0].items[0]
    item = live.offer.item(first.index)
    rows = table(row(item.item_id, title=item.title, category=list(item.category), price=item.price))
    live.offer.change(Change(items=rows, available_in=[{"berlin": False}]))
    there = ShopperState(known.history, Context(at=known.context.at, store="berlin"))
    assert first.item_id not in [shown.item_id for shown in answered(live, [there])[0].items]
    assert first.item_id in [shown.item_id for shown in answered(live, [known])[0].items]


def test_a_new_item_is_answered_to_whoever_asks_for_its_kind_with_all_that_it_needs(live: Recommender) -> None:
    assert live.offer is not None
    like = live.offer.item(live.offer.index_of("item-001"))
    live.offer.change(Change(items=table(row("fresh", category=list(like.category), price=2.0, brand=like.brand))))
    wanted = {"item_id": ["fresh", "item-002"]}
    for slate in answered(live, states(live, wanted)):
        [fresh] = [item for item in slate.items if item.item_id == "fresh"]
        assert fresh.index == live.offer.known
        assert fresh.reason
        assert np.isfinite(fresh.score)
    live.offer.compact()
    everything = answered(live, states(live), count=300)
    assert any("fresh" in [item.item_id for item in slate.items] for slate in everything)
