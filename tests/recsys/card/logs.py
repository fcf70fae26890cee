"""Logs written by hand, as `EventLog.days` would give them, and their cards."""

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.card.card import DataCard, View, describe
from recsys.card.piece import Crowd, Piece
from recsys.clock import DAY, parse_instant
from recsys.log.reader import shopper_of, shopper_time_order
from tests.recsys.by_hand import event_table, items_table

Row = dict[str, object]
START = parse_instant("2024-01-01")
"""A Monday."""


def act(at: int, user: str | None = "ann", item: str | None = "a", **more: object) -> Row:
    """A view (unless `type` says otherwise) `at` microseconds after the start."""
    return {"type": "view", "occurred_at": START + at, "user_id": user, "item_id": item, **more}


def bought(at: int, user: str | None = "ann", item: str | None = "a", **more: object) -> Row:
    """A purchase."""
    return act(at, user, item, **{"type": "purchase", "quantity": 1.0, **more})


def table(rows: Sequence[Row]) -> pa.Table:
    """All rows in one table with `shopper`, sorted by shopper and instant."""
    events = event_table([{"event_id": f"{number:06d}", **row} for number, row in enumerate(rows)])
    keyed = events.append_column("shopper", shopper_of(events))
    return keyed.take(shopper_time_order(keyed["shopper"], keyed["occurred_at"])) if rows else keyed


def by_date(events: pa.Table) -> list[pa.Table]:
    """The same rows as one table for each UTC date."""
    day = pc.cast(events["occurred_at"], pa.int64()).to_numpy() // DAY
    return [events.filter(pa.array(day == value)) for value in np.unique(day)]


def pieces(rows: Sequence[Row], *, time_zone: str = "UTC") -> tuple[Crowd, list[Piece]]:
    """The rows as pieces, one for each date."""
    crowd = Crowd(time_zone=time_zone)
    return crowd, [crowd.piece(day) for day in by_date(table(rows))]


def card(
    rows: Sequence[Row] | Iterable[Row] = (),
    *,
    items: pa.Table | None = None,
    versions: pa.Table | None = None,
    tables: Iterable[pa.Table] | None = None,
    **view: object,
) -> DataCard:
    """The card of some rows; every item met is described unless `items` are given, the cut-off is after all."""
    rows = list(rows)
    if items is None:
        items = items_table(sorted({str(row["item_id"]) for row in rows if row.get("item_id") is not None}))
    settings = {"time_zone": "UTC", "cutoff": START + 10_000 * DAY, **view}
    days = by_date(table(rows)) if tables is None else tables
    return describe(days, items, items if versions is None else versions, view=View(**settings))  # type: ignore[arg-type]
