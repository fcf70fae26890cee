"""Random logs with every column filled, and a feature spec with every feature on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from recsys.catalogue import Catalogue
from recsys.clock import HOUR
from recsys.event import EventType
from recsys.feature.coding import Vocabulary
from recsys.feature.spec import FeatureSpec
from recsys.feature.statistics import Statistics
from recsys.feature.token import TOKEN_FEATURES
from recsys.sequence.histories import Histories
from recsys.state import Context, History
from tests.recsys.by_hand import items_table

ITEMS = 6
UNIT = 9 * HOUR
"""Instants are multiples of this, so that hours, days and gaps differ."""
CHANNELS, DEVICES = Vocabulary(("web", "store")), Vocabulary(("phone",))


@dataclass(frozen=True)
class Happening:
    """One event; `at` counts units of time."""

    at: int
    item: int
    kind: EventType
    quantity: float
    price: float
    list_price: float
    channel: int
    device: int
    position: int
    query: tuple[int, int]


KINDS = st.sampled_from([EventType.PURCHASE] * 3 + [EventType.VIEW, EventType.SEARCH, EventType.RETURN])
ANY_KIND = st.one_of(KINDS, st.sampled_from([EventType.IMPRESSION, EventType.OFFER, EventType.LINK]))
PRICES = st.sampled_from([float("nan"), 0.5, 1.0, 2.0, 3.0, 8.0])


def happenings(first: int, last: int, kinds: st.SearchStrategy[EventType] = ANY_KIND) -> st.SearchStrategy[Happening]:
    """Events at `first`..`last`."""
    return st.builds(
        Happening,
        at=st.integers(first, last),
        item=st.integers(0, ITEMS - 1),
        kind=kinds,
        quantity=st.sampled_from([1.0, 2.0]),
        price=PRICES,
        list_price=PRICES,
        channel=st.integers(0, CHANNELS.size - 1),
        device=st.integers(0, DEVICES.size - 1),
        position=st.integers(-1, 30),
        query=st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda q: q[0] > 0 or q[1] == 0),
    )


def history_of(events: Sequence[Happening]) -> History:
    """In order of time; of one instant in the given order."""
    ordered = sorted(events, key=lambda event: event.at)
    return History(
        item=np.array([e.item for e in ordered], np.int32),
        type=np.array([e.kind.code for e in ordered], np.int8),
        time=np.array([e.at * UNIT for e in ordered], np.int64),
        quantity=np.array([e.quantity for e in ordered], np.float32),
        price=np.array([e.price for e in ordered], np.float32),
        list_price=np.array([e.list_price for e in ordered], np.float32),
        channel=np.array([e.channel for e in ordered], np.int8),
        device=np.array([e.device for e in ordered], np.int8),
        position=np.array([e.position for e in ordered], np.int16),
        query=np.array([(*e.query, 0, 0) for e in ordered], np.int16).reshape(-1, 4),
    )


def histories_of(*shoppers: Sequence[Happening]) -> Histories:
    """One sequence for each shopper."""
    start = np.cumsum([0, *map(len, shoppers)]).astype(np.int64)
    events = History.joined([history_of(shopper) for shopper in shoppers])
    return Histories(pa.array([f"s{number}" for number in range(len(shoppers))], pa.string()), start, events)


def catalogue() -> Catalogue:
    """Five items in two categories, one of them without any."""
    paths = [["Food", "Coffee"], ["Food", "Coffee"], ["Food"], ["Home", "Cups", "Big"], []]
    return Catalogue(items_table([chr(ord("a") + number) for number in range(ITEMS - 1)], paths))


def statistics(events: History, *, until: int | None = None) -> Statistics:
    """What is learnt from a log."""
    known = catalogue()
    return Statistics.learn(events, catalogue=known, category=known.categories(3)[0], until=until)


def everything_on(**settings: object) -> FeatureSpec:
    """A spec with every feature; statistics are from a log of its own unless given."""
    usual = Happening(0, 1, EventType.PURCHASE, 1.0, 1.0, 2.0, 0, 0, -1, (0, 0))
    learnt = statistics(history_of([replace(usual, item=item, price=item / 2) for item in range(1, ITEMS)]))
    given = {
        "token": tuple(TOKEN_FEATURES),
        "time_zone": "America/New_York",
        "channels": CHANNELS,
        "devices": DEVICES,
        "known_types": ("purchase", "view", "search"),
        "statistics": learnt,
        **settings,
    }
    return FeatureSpec(**given)  # type: ignore[arg-type]


def context_of(spec: FeatureSpec, events: Sequence[Happening], at: int) -> Context:
    """The context of the question at `at`: channel and device of what is shown at that instant."""
    known = history_of([event for event in events if event.at == at])
    shown = known[spec.shown(known)]
    channel, device = int(shown.channel.max(initial=0)), int(shown.device.max(initial=0))
    return Context(at=at * UNIT, channel=name_of(CHANNELS, channel), device=name_of(DEVICES, device))


def name_of(vocabulary: Vocabulary, code: int) -> str | None:
    """A name that has this code."""
    return (None, "unheard of", *vocabulary.names)[code]
