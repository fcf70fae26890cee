"""RetailRocket: four and a half months (May to September 2015) of a real shop, with what was known of its items when.

2,756,101 events of 1,407,580 visitors: https://www.kaggle.com/datasets/retailrocket/ecommerce-dataset (CC BY-NC-SA
4.0). Files: `events.csv` (`timestamp,visitorid,event,itemid,transactionid`, milliseconds UTC),
`item_properties_part1.csv` and `_part2.csv` (`timestamp,itemid,property,value`, 20.3M rows) and `category_tree.csv`
(`categoryid,parentid`).

Decisions:
- Visitors are anonymous, so `visitorid` is an anonymous id. There are no sessions in the data.
- `event_id` is visitor, millisecond, event, item and transaction: the rows that the log repeats count as duplicates.
  The transaction is kept there only; its lines share their instant, so they are one moment anyway.
- The shop's zone is not disclosed: hours are read in UTC, and mean little.
- Of the item properties, `categoryid` and `available` are published plainly and make up the item versions, with the
  category as its path in the tree. The others are hashed words that nobody can read, nine rows in ten, and are left
  out. A value counts from its own stamp on; before the first one nothing is known. (A value that never changed stands
  in the files only once and may have been true before, but they do not say since when.)
- No property is called the price. `790` is widely taken for it: a number for every item that moves with time, with
  1,199,999,999.88 standing for none. The publisher has never said so, therefore it is read only where
  `price_property` names it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from recsys.clock import DAY, Clock, SystemClock
from recsys.data.chunk import SourceChunk, SourcePart, chunks_of
from recsys.data.item_versions import changes, with_items_of
from recsys.data.raw_files import RawFiles, digest_of, items_part
from recsys.data.raw_rows import (
    chunk_of,
    described,
    joined_id,
    named_types,
    open_raw,
    part_name,
    raw_text,
    settings_digest,
    settle,
    usual_faults,
)
from recsys.data.tabular.block import Block
from recsys.data.tabular.convert import as_number
from recsys.data.tabular.instants import INSTANT, as_instant
from recsys.data.tabular.items import with_defaults
from recsys.event import EventType

ORIGIN = "https://www.kaggle.com/datasets/retailrocket/ecommerce-dataset"
EVENT_COLUMNS = ("timestamp", "visitorid", "event", "itemid", "transactionid")
PROPERTY_COLUMNS = ("timestamp", "itemid", "property", "value")
TREE_COLUMNS = ("categoryid", "parentid")
_PROPERTY_FILES = ("item_properties_part1.csv", "item_properties_part2.csv")
_TYPES = {
    "view": EventType.VIEW,
    "addtocart": EventType.ADD_TO_CART,
    "transaction": EventType.PURCHASE,
}
_NO_PRICE = 1e9
_SAID = pa.schema(
    [
        ("item_id", pa.string()),
        ("valid_from", INSTANT),
        ("category", pa.string()),
        ("available", pa.bool_()),
        ("price", pa.float64()),
    ]
)
_NOTHING = pa.scalar(None, pa.float64())
_VERSION = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetailRocket:
    """Reads `events.csv`, `item_properties_part1.csv`, `..._part2.csv` and `category_tree.csv` (also compressed).

    Args:
        cutoff: test begins here (ISO 8601); nothing at or after it is learnt from.
        folder: where the files lie.
        price_property: the property to take for the price, such as "790"; None gives no prices.
        time_zone: hours and weekdays are read in it.
        name, licence: shown in summaries and stored in the bundle.
        clock: stamps more than a day ahead of it are refused.
    """

    cutoff: int
    folder: Path = Path("data/retailrocket")
    price_property: str | None = None
    time_zone: str = "UTC"
    name: str = "retailrocket"
    licence: str = "CC BY-NC-SA 4.0"
    order_only: bool = False
    clock: Clock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        settle(self)

    def fingerprint(self) -> str:
        """Digest of the settings that shape the log."""
        return settings_digest(self.name, _VERSION, self.time_zone, self.price_property)

    def parts(self) -> list[SourcePart]:
        """`events.csv`, and a part for each file that describes items."""
        files = self._files()
        items = [items_part(files.path(name), name) for name in (*_PROPERTY_FILES, "category_tree.csv")]
        path = files.path("events.csv")
        open_raw(path, EVENT_COLUMNS)
        return [SourcePart(name=part_name(path), digest=digest_of(path), chunks=partial(self._read, path)), *items]

    def items(self) -> pa.Table:
        """Every item that is described or occurs in an event, one row for each change of category, stock or price."""
        said = pa.concat_tables(
            [_SAID.empty_table()]
            + [
                self._said(block)
                for name in _PROPERTY_FILES
                for block in described(open_raw(self._files().path(name), PROPERTY_COLUMNS), PROPERTY_COLUMNS)
            ]
        )
        versions = changes(said, ("category", "available", "price"))
        category = versions["category"].combine_chunks().dictionary_encode()
        parents = self._parents()
        paths = [_path(category_id, parents) for category_id in category.dictionary.to_pylist()]
        columns = {
            "category": pa.array(paths, pa.list_(pa.string())).take(category.indices),
            **{name: versions[name] for name in ("available", "price", "valid_from")},
        }
        return with_items_of(chunks_of(self), with_defaults(versions["item_id"].combine_chunks(), pa.table(columns)))

    def _files(self) -> RawFiles:
        return RawFiles(folder=self.folder, data_set="RetailRocket", origin=ORIGIN)

    def _read(self, path: Path) -> Iterator[SourceChunk]:
        for block in open_raw(path, EVENT_COLUMNS).blocks(EVENT_COLUMNS):
            stamp, visitor = raw_text(block, "timestamp"), raw_text(block, "visitorid")
            word, item = raw_text(block, "event"), raw_text(block, "itemid")
            fields = {
                "event_id": joined_id(visitor, stamp, word, item, raw_text(block, "transactionid")),
                "type": named_types(word, _TYPES),
                "occurred_at": as_instant(stamp, "epoch_ms", "UTC"),
                "anonymous_id": visitor,
                "item_id": item,
            }
            yield chunk_of(block, fields, usual_faults(fields, latest=self.clock.now() + DAY))

    def _said(self, block: Block) -> pa.Table:
        """The rows of a block about properties that are read, by what they say; unreadable ones say nothing."""
        item, word, value = (raw_text(block, name) for name in ("itemid", "property", "value"))
        at = as_instant(raw_text(block, "timestamp"), "epoch_ms", "UTC")
        price = as_number(pc.replace_substring_regex(_where(word, self.price_property, value), r"^n(\S+)$", r"\1"))
        price = pc.if_else(pc.and_(pc.greater(price, 0), pc.less(price, _NO_PRICE)), price, _NOTHING)
        available = pc.equal(_where(word, "available", value), "1")
        said = pa.table([item, at, _where(word, "categoryid", value), available, price], schema=_SAID)
        something = [pc.is_valid(said[name]) for name in ("category", "available", "price")]
        identified = pc.and_(pc.is_valid(item), pc.is_valid(at))
        return said.filter(pc.and_(identified, pc.or_(pc.or_(something[0], something[1]), something[2])))

    def _parents(self) -> dict[str, str | None]:
        tree = open_raw(self._files().path("category_tree.csv"), TREE_COLUMNS)
        rows: dict[str, str | None] = {}
        for block in described(tree, TREE_COLUMNS):
            rows |= zip(*(raw_text(block, name).to_pylist() for name in TREE_COLUMNS), strict=True)
        return rows


def _where(word: pa.Array, wanted: str | None, value: pa.Array) -> pa.Array:
    """The values of the rows about one property, null elsewhere."""
    return pc.if_else(pc.equal(word, pa.scalar(wanted, pa.string())), value, pa.scalar(None, pa.string()))


def _path(category_id: str | None, parents: dict[str, str | None]) -> list[str]:
    """From the root of the tree to the category; a tree that bites its own tail is cut there."""
    path: list[str] = []
    while category_id is not None and category_id not in path:
        path.append(category_id)
        category_id = parents.get(category_id)
    return path[::-1]
