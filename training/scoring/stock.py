"""What is on offer at the instant of the question: the items as the log tells them by then.

Items that came after the training find their place by their content, as they do online. One that the release does not
know came later where its row says so (`valid_from` or `created_at` after the release's data) or where somebody acted on
it; the others were there and never taken, and stay out. A row without a price keeps the release's. An item that the log
says nothing of stays on offer: what is no more has to be unavailable.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys.catalogue import UNKNOWN, Catalogue
from recsys.event import EVENT_SCHEMA, ITEM_SCHEMA, EventType
from recsys.log.reader import EventLog
from recsys.recommender import Recommender
from recsys.retrieval.assortment import Change

_ITEMS, _IN_HAND = "items.parquet", "in_hand.parquet"
_SAID = ("title", "category", "brand", "price", "currency", "available", "attributes", "text")
_EVENT = ("shopper", "occurred_at", "type", "item_id")
_HANDLED = (EventType.ADD_TO_CART, EventType.REMOVE_FROM_CART, EventType.PURCHASE)


@dataclass(frozen=True, slots=True)
class Stock:
    """Items as they are at the instant.

    Attributes:
        items: those that differ from the release's, and those that came later, by `ITEM_SCHEMA`.
        newcomers: how many came later.
        in_hand: columns `shopper` and `item_id`: who bought a later item or has it in the basket; the model cannot tell
            it from others, so it is not offered to them again before the model has learnt of it.
    """

    items: pa.Table
    newcomers: int
    in_hand: pa.Table

    @classmethod
    def of(cls, log: EventLog, recommender: Recommender, *, at: int) -> "Stock":
        """What the log tells strictly before `at`, in microseconds UTC."""
        catalogue, items = recommender.catalogue, log.items(before=at)
        index = catalogue.indices_of(items["item_id"])
        unknown = items.filter(pa.array(index == UNKNOWN))
        acts = _acts(log, unknown["item_id"].combine_chunks(), until=at)
        taken = pc.is_in(unknown["item_id"], value_set=acts["item_id"].combine_chunks())
        later = unknown.filter(pc.or_(taken, _dated(unknown, after=recommender.data_end, until=at)))
        changed = _changed(items.filter(pa.array(index > UNKNOWN)), catalogue)
        in_hand = acts.filter(pc.is_in(acts["item_id"], value_set=later["item_id"].combine_chunks()))
        return cls(pa.concat_tables([changed, later]), len(later), _in_hand(in_hand))

    def write(self, parent: Path) -> Path:
        """Write below `parent`; returns the folder, which is named after what is in it."""
        digest = hashlib.sha256()
        for table in (self.items, self.in_hand):
            digest.update(repr(table.to_pylist()).encode())
        folder = parent / f"stock-{digest.hexdigest()[:16]}"
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in ((_ITEMS, self.items), (_IN_HAND, self.in_hand)):
            partial = folder / f"{name}.partial"
            pq.write_table(table, partial, compression="zstd")
            partial.replace(folder / name)
        return folder


def stocked(recommender: Recommender, folder: Path) -> Recommender:
    """The recommender with the items on offer that `Stock.write` wrote."""
    live = recommender.on_offer()
    if live.offer is not None and (items := pq.read_table(folder / _ITEMS, schema=ITEM_SCHEMA)).num_rows:
        live.offer.change(Change(items=items))
    return live


def read_in_hand(folder: Path) -> Mapping[str, tuple[str, ...]]:
    """The later items that each shopper has in hand already."""
    found: dict[str, tuple[str, ...]] = {}
    for row in pq.read_table(folder / _IN_HAND).to_pylist():
        found[row["shopper"]] = (*found.get(row["shopper"], ()), row["item_id"])
    return found


def _dated(items: pa.Table, *, after: int, until: int) -> pa.Array:
    """Which of the items became known, or were created, after an instant and before another."""

    def between(column: str) -> np.ndarray:
        instant = pc.fill_null(pc.cast(items[column], pa.int64()), after).to_numpy()
        inside: np.ndarray = (instant > after) & (instant < until)
        return inside

    return pa.array(between("valid_from") | between("created_at"))


def _changed(items: pa.Table, catalogue: Catalogue) -> pa.Table:
    """Those of the known items whose row differs from the catalogue's, by `ITEM_SCHEMA`."""
    before = catalogue.items.take(pa.array(catalogue.indices_of(items["item_id"]) - 1))
    price = items.schema.get_field_index("price")
    items = items.set_column(price, ITEM_SCHEMA.field(price), pc.coalesce(items["price"], before["price"]))
    differs = np.zeros(len(items), bool)
    for name in _SAID:
        pairs = zip(items[name].to_pylist(), before[name].to_pylist(), strict=True)
        differs |= np.fromiter((now != then for now, then in pairs), bool, len(items))
    return items.cast(ITEM_SCHEMA).filter(pa.array(differs))


def _acts(log: EventLog, item_ids: pa.Array, *, until: int) -> pa.Table:
    """What shoppers did with the items before an instant, in order of dates."""

    none = pa.schema([("shopper", pa.string()), *(EVENT_SCHEMA.field(name) for name in _EVENT[1:])])
    days = log.days(_EVENT, until=until) if len(item_ids) else ()
    found = (day.filter(pc.is_in(day["item_id"], value_set=item_ids)).select(_EVENT).cast(none) for day in days)
    return pa.concat_tables([none.empty_table(), *found])


def _in_hand(acts: pa.Table) -> pa.Table:
    """Shopper and item of those that were bought, or put into the basket and not taken out again."""
    kept: dict[tuple[str, str], bool] = {}
    handled = acts.filter(pc.is_in(acts["type"], value_set=pa.array([kind.value for kind in _HANDLED])))
    for row in handled.sort_by("occurred_at").to_pylist():
        kept[row["shopper"], row["item_id"]] = row["type"] != EventType.REMOVE_FROM_CART.value
    pairs = sorted(pair for pair, still in kept.items() if still)
    shoppers, items = ([pair[side] for pair in pairs] for side in (0, 1))
    return pa.table({"shopper": pa.array(shoppers, pa.string()), "item_id": pa.array(items, pa.string())})
