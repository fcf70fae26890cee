"""REES46: the log of a large shop for all sorts of goods, "eCommerce behavior data from multi category store".

The owner, REES46 Marketing Platform (https://rees46.com), publishes one file a month, October 2019 to April 2020
(285M rows): https://www.kaggle.com/datasets/mkechinov/ecommerce-behavior-data-from-multi-category-store. Free to
use, with the source named. Other logs of the same owner (cosmetics, electronics) have the same layout:
`event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session`, in order of time.

Decisions:
- `event_id` is shopper, session, second, type and product: the rows that the log repeats count as duplicates.
- `event_time` is in UTC, as it says. Hours are read in UTC: the owner does not name the shop's zone.
- Prices have no currency, for the same reason. A price of 0 stands for none.
- The category is the code taken apart at its dots or, where a row has none, the bare category id. Products move to
  other codes from month to month, and brands and prices change: each change is an item version. It counts from the
  microsecond after the event that showed it, or a new version at an instant would give away what happened then.
- Titles are put together from category and brand, because the log has none.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from recsys.clock import DAY, SECOND, Clock, SystemClock
from recsys.data.chunk import SourceChunk, SourcePart
from recsys.data.item_versions import changes
from recsys.data.raw_files import RawFiles, digest_of
from recsys.data.raw_rows import (
    Fault,
    chunk_of,
    first_fault,
    joined_id,
    named_types,
    number_faults,
    open_raw,
    part_name,
    raw_text,
    settings_digest,
    settle,
    ticks,
    unless_zero,
    usual_faults,
)
from recsys.data.tabular.block import Block
from recsys.data.tabular.convert import as_number
from recsys.data.tabular.instants import INSTANT, as_instant
from recsys.data.tabular.items import with_defaults
from recsys.data.tabular.spelling import names_of
from recsys.event import EventType

ORIGIN = "https://www.kaggle.com/datasets/mkechinov/ecommerce-behavior-data-from-multi-category-store"
COLUMNS = (
    "event_time",
    "event_type",
    "product_id",
    "category_id",
    "category_code",
    "brand",
    "price",
    "user_id",
    "user_session",
)
_TYPES = {
    "view": EventType.VIEW,
    "cart": EventType.ADD_TO_CART,
    "remove_from_cart": EventType.REMOVE_FROM_CART,
    "purchase": EventType.PURCHASE,
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DESCRIBED = ("category", "brand", "price")
_SEEN = pa.schema(
    [
        ("item_id", pa.string()),
        ("valid_from", INSTANT),
        ("category", pa.string()),
        ("brand", pa.string()),
        ("price", pa.float64()),
    ]
)
_MANY = 2_000_000
_VERSION = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rees46:
    """Reads the monthly files `2019-Oct.csv`, `2019-Nov.csv`, ... (also compressed), or `file`.

    Args:
        cutoff: test begins here (ISO 8601); nothing at or after it is learnt from.
        folder: where the files lie; all that are named like a month are read.
        file: the name of one file in `folder`, or several in order of time, to read instead of the months.
        time_zone: hours and weekdays are read in it.
        name, licence: shown in summaries and stored in the bundle.
        clock: stamps more than a day ahead of it are refused.
    """

    cutoff: int
    folder: Path = Path("data/rees46")
    file: str | Sequence[str] | None = None
    time_zone: str = "UTC"
    name: str = "rees46"
    licence: str = "free to use with REES46 Marketing Platform named as the source"
    order_only: bool = False
    clock: Clock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        settle(self)

    def fingerprint(self) -> str:
        """Digest of the settings that shape the log."""
        return settings_digest(self.name, _VERSION, self.time_zone)

    def parts(self) -> list[SourcePart]:
        """One part per month, the earliest first; or one per given file."""
        months = self._months()
        for path in months:
            open_raw(path, COLUMNS)
        return [
            SourcePart(name=part_name(path), digest=digest_of(path), chunks=partial(self._read, path))
            for path in months
        ]

    def items(self) -> pa.Table:
        """Every product of an accepted event, with a row for each change of its category, brand or price."""
        known, fresh, rows = _SEEN.empty_table(), [], 0
        for path in self._months():
            for block in open_raw(path, COLUMNS).blocks(COLUMNS):
                fresh.append(changes(self._seen(block), _DESCRIBED))
                rows += fresh[-1].num_rows
                if rows > max(_MANY, known.num_rows):
                    # The files are in order of time, so what is no change now will not become one.
                    known, fresh, rows = changes(pa.concat_tables([known, *fresh]), _DESCRIBED), [], 0
        return _items(changes(pa.concat_tables([known, *fresh]), _DESCRIBED))

    def _months(self) -> list[Path]:
        files = RawFiles(folder=self.folder, data_set="REES46", origin=ORIGIN)
        if self.file is not None:
            return [files.path(name) for name in names_of(self.file)]
        months = {
            (*month, path.name.split(".")[0]) for path in self.folder.glob("*.csv*") if (month := _month_of(path))
        }
        found = [path for *_, stem in sorted(months) if (path := files.find(f"{stem}.csv")) is not None]
        return found or [files.path("2019-Oct.csv")]

    def _read(self, path: Path) -> Iterator[SourceChunk]:
        for block in open_raw(path, COLUMNS).blocks(COLUMNS):
            fields, faults = self._events(block)
            yield chunk_of(block, fields, faults)

    def _events(self, block: Block) -> tuple[dict[str, pa.Array], Iterator[Fault]]:
        price_text = raw_text(block, "price")
        price = as_number(price_text)
        fields = {
            "type": named_types(raw_text(block, "event_type"), _TYPES),
            # " UTC" would be understood too, but on the slow path for foreign spellings.
            "occurred_at": as_instant(pc.replace_substring(raw_text(block, "event_time"), " UTC", "Z"), "iso", "UTC"),
            "user_id": raw_text(block, "user_id"),
            "session_id": raw_text(block, "user_session"),
            "item_id": raw_text(block, "product_id"),
            "price": unless_zero(price),
        }
        fields["event_id"] = joined_id(
            fields["user_id"],
            fields["session_id"],
            ticks(fields["occurred_at"], SECOND),
            fields["type"],
            fields["item_id"],
        )
        return fields, self._faults(fields, price_text, price)

    def _faults(self, fields: dict[str, pa.Array], price_text: pa.Array, price: pa.Array) -> Iterator[Fault]:
        yield from usual_faults(fields, latest=self.clock.now() + DAY)
        yield from number_faults("price", price_text, price)

    def _seen(self, block: Block) -> pa.Table:
        """What the sound rows of a block say about items."""
        fields, faults = self._events(block)
        sound = pc.is_null(first_fault(faults, len(block.lines)))
        after = pc.add(pc.cast(fields["occurred_at"], pa.int64()), 1)
        category = pc.coalesce(raw_text(block, "category_code"), raw_text(block, "category_id"))
        columns = [fields["item_id"], pc.cast(after, INSTANT), category, raw_text(block, "brand"), fields["price"]]
        return pa.table(columns, schema=_SEEN).filter(sound)


def _month_of(path: Path) -> tuple[str, int] | None:
    """The year and month that a file is named after; None if it is none."""
    year, _, month = path.name.split(".")[0].partition("-")
    return (year, _MONTHS.index(month)) if year.isdecimal() and month in _MONTHS else None


def _items(versions: pa.Table) -> pa.Table:
    text = versions["category"].combine_chunks()
    brand = versions["brand"].combine_chunks()
    named = pc.match_substring_regex(text, "[^0-9]")  # a bare category id would make no title
    kind = pc.replace_substring(pc.replace_substring_regex(text, r"^.*\.", ""), "_", " ")
    kind = pc.if_else(named, kind, pa.scalar(None, pa.string()))
    both = pc.binary_join_element_wise(kind, brand, ", ")
    columns = {
        "title": pc.coalesce(both, kind, brand),
        "category": pc.split_pattern(text, "."),
        "brand": brand,
        "price": versions["price"].combine_chunks(),
        "valid_from": versions["valid_from"].combine_chunks(),
    }
    return with_defaults(versions["item_id"].combine_chunks(), pa.table(columns))
