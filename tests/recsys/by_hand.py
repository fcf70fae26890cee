"""Small catalogues, events and histories written by hand; instants are whole seconds unless said otherwise."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from recsys.catalogue import Catalogue
from recsys.clock import SECOND
from recsys.event import EVENT_SCHEMA, ITEM_SCHEMA, Event, EventType
from recsys.feature.spec import FeatureSpec
from recsys.retrieval.mixing import Mixed
from recsys.sequence.histories import Histories
from recsys.slate import Candidates
from recsys.state import Context, History, ShopperState

Row = tuple[int, int] | tuple[int, int, EventType]


def items_table(ids: Sequence[str], categories: Sequence[Sequence[str]] | None = None) -> pa.Table:
    """Items by `ITEM_SCHEMA`; each has a category of its own unless `categories` are given."""
    count = len(ids)
    columns: dict[str, list[object]] = {
        "item_id": list(ids),
        "title": [f"Title of {item_id}" for item_id in ids],
        "category": [list(path) for path in categories] if categories else [[item_id] for item_id in ids],
        "brand": [None] * count,
        "price": [1.5] * count,
        "currency": ["EUR"] * count,
        "available": [True] * count,
        "created_at": [None] * count,
        "attributes": [None] * count,
        "text": [None] * count,
        "valid_from": [None] * count,
    }
    return pa.table(columns, schema=ITEM_SCHEMA)


def catalogue_of(count: int) -> Catalogue:
    """Items "a", "b", ... at the indices 1, 2, ..."""
    return Catalogue(items_table([chr(ord("a") + number) for number in range(count)]))


def history(*rows: Row, unit: int = SECOND) -> History:
    """Events (item, time) or (item, time, type), in order of time; purchases unless said otherwise."""
    types = [row[2] if len(row) == 3 else EventType.PURCHASE for row in rows]
    return History(
        item=np.array([row[0] for row in rows], np.int64),
        type=np.array([t.code for t in types], np.int8),
        time=np.array([row[1] * unit for row in rows], np.int64),
    )


def histories(*shoppers: Sequence[Row], unit: int = SECOND) -> Histories:
    """One history for each shopper, "s0", "s1", ..."""
    start = np.cumsum([0, *(len(rows) for rows in shoppers)]).astype(np.int64)
    return Histories(
        pa.array([f"s{number}" for number in range(len(shoppers))], pa.string()),
        start,
        history(*(row for rows in shoppers for row in rows), unit=unit),
    )


def state(*rows: Row, at: int, unit: int = SECOND, exclude: frozenset[int] = frozenset()) -> ShopperState:
    """A shopper asked at `at`, in the same unit as the events."""
    return ShopperState(history(*rows, unit=unit), Context(at=at * unit), exclude)


def spec(**settings: object) -> FeatureSpec:
    """A feature spec that knows purchases and views."""
    token = ("gap", "hour", "weekday")
    return FeatureSpec(**{"known_types": ("purchase", "view"), "max_length": 50, "token": token, **settings})  # type: ignore[arg-type]


def event_table(rows: Sequence[dict[str, object]]) -> pa.Table:
    """Events by `EVENT_SCHEMA`; what a row leaves out is null, but `type`, which is a purchase."""
    full = [{"type": "purchase", **row} for row in rows]
    columns = [pa.array([row.get(field.name) for row in full], field.type) for field in EVENT_SCHEMA]
    return pa.table(columns, schema=EVENT_SCHEMA)


def event(name: str, at: int, item: str | None, kind: EventType = EventType.VIEW) -> Event:
    """An event in memory, `at` in seconds."""
    return Event(event_id=name, type=kind, occurred_at=at * SECOND, item_id=item)


def candidates_of_one(item: np.ndarray, gathered: Mapping[str, Candidates]) -> Mixed:
    """Exactly these items, ascending [N], with what the sources said of each; their scores are nothing."""
    said = np.zeros((len(item), len(gathered)), np.float32)
    for column, found in enumerate(gathered.values()):
        for number, score in zip(found.item.tolist(), found.score.tolist(), strict=True):
            said[item == number, column] = score
    nothing = np.zeros(len(item), np.float32)
    return Mixed(
        start=np.array([0, len(item)]),
        item=item.astype(np.int64),
        score=nothing,
        timed=nothing,
        source=np.zeros(len(item), np.int64),
        said=said,
        names=tuple(gathered),
    )
