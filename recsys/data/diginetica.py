"""Diginetica: sessions of a shop's search engine, with the lists that were shown (CIKM Cup 2016, track 2).

https://competitions.codalab.org/competitions/11161 ("Learn the Details"); released for research, no licence is
stated. Files with `;` between values and `NA` for none, read as they are:

| file | columns | becomes |
|---|---|---|
| `train-item-views.csv` (1.2M rows) | `sessionId;userId;itemId;timeframe;eventdate` | view |
| `train-purchases.csv` (18k) | `sessionId;userId;timeframe;eventdate;ordernumber;itemId` | purchase |
| `train-queries.csv` (0.9M) | `queryId;sessionId;userId;timeframe;duration;eventdate;searchstring.tokens;categoryId;items;is.test` | search, and an impression for every item of `items` |
| `train-clicks.csv` (1.1M) | `queryId;timeframe;itemId` | click |
| `products.csv` (184k) | `itemId;pricelog2;product.name.tokens` | item |
| `product-categories.csv` | `itemId;categoryId` | category of the item |

Decisions:
- The instant is midnight UTC of `eventdate` plus `timeframe`, which is in milliseconds and counts from the same start
  in all files of a session. (Several preparations take it for seconds, or sort the items of a session by id.) What is
  real is the day and the order and distance within the session; hours mean nothing.
- The session is an anonymous id; where the shop knew the user, `userId` stands beside it and links them. Most rows
  have none.
- A query without search words is browsing in a category: a search with the filter `category:...`.
- Impressions and clicks carry the query as `recommendation_id`, so that a click finds its position in the list.
  `impressions: false` leaves the lists out, which are most of the log.
- Queries with `is.test` are like the others; only what was clicked after them was withheld.
- `event_id` comes from the content (10,309 clicks stand there twice, and count as duplicates).
- `pricelog2` is the logarithm of the price to base 2, in no stated currency; 0 stands for no price. Name tokens are
  hashed words: they make the text of an item, and no title.
"""  # noqa: E501

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from recsys.clock import DAY, Clock, SystemClock
from recsys.data.chunk import SourceChunk, SourcePart, chunks_of
from recsys.data.item_versions import with_items_of
from recsys.data.raw_files import RawFiles, digest_of, items_part
from recsys.data.raw_rows import (
    Fault,
    Fields,
    Listed,
    RawTable,
    Unfolding,
    as_count,
    chunk_of,
    described,
    event_table,
    first_fault,
    joined_id,
    listed,
    number_faults,
    open_raw,
    pieces,
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

ORIGIN = "https://competitions.codalab.org/competitions/11161 (Learn the Details, Data)"
COLUMNS = {
    "train-item-views.csv": ("sessionId", "userId", "itemId", "timeframe", "eventdate"),
    "train-purchases.csv": ("sessionId", "userId", "timeframe", "eventdate", "ordernumber", "itemId"),
    "train-queries.csv": (
        "queryId",
        "sessionId",
        "userId",
        "timeframe",
        "eventdate",
        "searchstring.tokens",
        "categoryId",
        "items",
    ),
    "train-clicks.csv": ("queryId", "timeframe", "itemId"),
    "products.csv": ("itemId", "pricelog2", "product.name.tokens"),
    "product-categories.csv": ("itemId", "categoryId"),
}
_LONGEST_SESSION_MS = 366 * DAY // 1_000
_QUERIES_AT_ONCE = 8_192
_NOTHING = pa.scalar(None, pa.string())
_NEVER = "\0"
"""Stands in no value: splitting by it gives a list of one."""

_VERSION = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diginetica:
    """Reads the six files of the training set (also compressed).

    Args:
        cutoff: test begins here (ISO 8601); nothing at or after it is learnt from.
        folder: where the files lie.
        impressions: also read the lists that were shown.
        time_zone: days are read in it.
        name, licence: shown in summaries and stored in the bundle.
        clock: stamps more than a day ahead of it are refused.
    """

    cutoff: int
    folder: Path = Path("data/diginetica")
    impressions: bool = True
    time_zone: str = "UTC"
    name: str = "diginetica"
    licence: str = "released by DIGINETICA for the CIKM Cup 2016 and for research; no licence stated"
    order_only: bool = False
    clock: Clock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        settle(self)

    def fingerprint(self) -> str:
        """Digest of the settings that shape the log."""
        return settings_digest(self.name, _VERSION, self.time_zone, self.impressions)

    def parts(self) -> list[SourcePart]:
        """One part each for views, purchases, queries and clicks, and for the two files that describe items.

        Clicks depend on the queries they belong to.
        """
        for name in COLUMNS:
            self._open(name)
        reading = {
            "train-item-views.csv": self._views,
            "train-purchases.csv": self._purchases,
            "train-queries.csv": self._queries,
            "train-clicks.csv": self._clicks,
        }
        needs = {"train-clicks.csv": ("train-clicks.csv", "train-queries.csv")}
        events = [
            SourcePart(
                name=name,
                digest=digest_of(*(self._open(needed).path for needed in needs.get(name, (name,)))),
                chunks=read,
            )
            for name, read in reading.items()
        ]
        return [*events, *(items_part(self._open(name).path, name) for name in COLUMNS if name not in reading)]

    def items(self) -> pa.Table:
        """Every product, and every item that only occurs in events."""
        products, categories = self._described("products.csv"), self._described("product-categories.csv")
        log_price = as_number(products["pricelog2"].combine_chunks())
        priced = pc.and_(pc.is_finite(log_price), pc.not_equal(log_price, 0))
        category = categories["categoryId"].take(pc.index_in(products["itemId"], categories["itemId"].combine_chunks()))
        columns = {
            "category": pc.split_pattern(category.combine_chunks(), _NEVER),
            "price": pc.if_else(priced, pc.power(2.0, log_price), pa.scalar(None, pa.float64())),
            "text": pc.replace_substring(products["product.name.tokens"].combine_chunks(), ",", " "),
        }
        described_items = with_defaults(products["itemId"].combine_chunks(), pa.table(columns))
        return with_items_of(chunks_of(self), described_items)

    def _described(self, name: str) -> pa.Table:
        """A file that describes items, with the last word on each."""
        blocks = described(self._open(name), COLUMNS[name])
        tables = [pa.table({column: _text(block, column) for column in COLUMNS[name]}) for block in blocks]
        rows = pa.concat_tables([_texts(COLUMNS[name]), *tables])
        rows = rows.filter(pc.is_valid(rows["itemId"]))
        last = rows.group_by("itemId", use_threads=False).aggregate([(name, "last") for name in COLUMNS[name][1:]])
        return last.rename_columns(list(COLUMNS[name])).combine_chunks()

    def _open(self, name: str) -> RawTable:
        files = RawFiles(folder=self.folder, data_set="Diginetica", origin=ORIGIN)
        return open_raw(files.path(name), COLUMNS[name], delimiter=";")

    def _views(self) -> Iterator[SourceChunk]:
        for block in self._open("train-item-views.csv").blocks(COLUMNS["train-item-views.csv"]):
            item, frame = _text(block, "itemId"), _text(block, "timeframe")
            fields = _session(block) | {
                "type": pa.repeat(EventType.VIEW.value, len(item)),
                "occurred_at": _instants(_text(block, "eventdate"), frame),
                "item_id": item,
            }
            fields["event_id"] = joined_id("view", fields["session_id"], frame, item)
            yield chunk_of(block, fields, self._faults(fields, frame))

    def _purchases(self) -> Iterator[SourceChunk]:
        for block in self._open("train-purchases.csv").blocks(COLUMNS["train-purchases.csv"]):
            item, frame = _text(block, "itemId"), _text(block, "timeframe")
            fields = _session(block) | {
                "type": pa.repeat(EventType.PURCHASE.value, len(item)),
                "occurred_at": _instants(_text(block, "eventdate"), frame),
                "item_id": item,
            }
            order = _text(block, "ordernumber")
            fields["event_id"] = joined_id("purchase", fields["session_id"], frame, order, item)
            yield chunk_of(block, fields, self._faults(fields, frame))

    def _queries(self) -> Iterator[SourceChunk]:
        for whole in self._open("train-queries.csv").blocks(COLUMNS["train-queries.csv"]):
            for block in pieces(whole, _QUERIES_AT_ONCE):
                fields = self._searches(block)
                shown = listed(_text(block, "items"), ",")
                yield chunk_of(
                    block,
                    fields,
                    self._query_faults(block, fields, shown),
                    _impressions(fields, shown) if self.impressions else None,
                )

    def _searches(self, block: Block) -> dict[str, pa.Array]:
        query, category = _text(block, "queryId"), _text(block, "categoryId")
        words = pc.replace_substring(_text(block, "searchstring.tokens"), ",", " ")
        browsed = pc.and_(pc.is_valid(category), pc.not_equal(category, "0"))
        filters = pc.if_else(browsed, pc.binary_join_element_wise("category", category, ":"), _NOTHING)
        return _session(block) | {
            "event_id": joined_id("query", query),
            "type": pa.repeat(EventType.SEARCH.value, len(query)),
            "occurred_at": _instants(_text(block, "eventdate"), _text(block, "timeframe")),
            "item_id": pa.nulls(len(query), pa.string()),
            "query": words,
            "filters": pc.split_pattern(filters, _NEVER),
            "placement": pc.if_else(pc.is_valid(words), "search", "category"),
            "recommendation_id": query,
        }

    def _query_faults(self, block: Block, fields: Fields, shown: Listed) -> Iterator[Fault]:
        yield from self._faults(fields, _text(block, "timeframe"))
        yield pc.is_null(fields["recommendation_id"]), "query is missing"
        yield shown.rows_with(pc.is_null(shown.value), len(block.lines)), "an item of the list is missing"

    def _clicks(self) -> Iterator[SourceChunk]:
        queries = self._queries_by_id()
        for block in self._open("train-clicks.csv").blocks(COLUMNS["train-clicks.csv"]):
            query, item, frame = (_text(block, name) for name in ("queryId", "itemId", "timeframe"))
            asked = queries.take(pc.index_in(query, queries["recommendation_id"].combine_chunks())).combine_chunks()
            fields = {name: asked[name].combine_chunks() for name in ("user_id", "anonymous_id", "session_id")} | {
                "event_id": joined_id("click", query, frame, item),
                "type": pa.repeat(EventType.CLICK.value, len(item)),
                "occurred_at": _instants(asked["day"].combine_chunks(), frame),
                "item_id": item,
                "placement": asked["placement"].combine_chunks(),
                "recommendation_id": query,
            }
            unknown = pc.is_null(asked["recommendation_id"].combine_chunks())
            yield chunk_of(block, fields, self._faults(fields, frame, (unknown, "query is unknown")))

    def _queries_by_id(self) -> pa.Table:
        """Day, session and shopper of every sound query: the one thing that is held in memory (80 MB)."""
        names = ("recommendation_id", "user_id", "anonymous_id", "session_id", "placement")
        found = [_texts(("day", *names))]
        for block in self._open("train-queries.csv").blocks(COLUMNS["train-queries.csv"]):
            fields = self._searches(block)
            rows = pa.table({"day": _text(block, "eventdate"), **{name: fields[name] for name in names}})
            faults = self._query_faults(block, fields, listed(_text(block, "items"), ","))
            found.append(rows.filter(pc.is_null(first_fault(faults, len(block.lines)))))
        return pa.concat_tables(found).combine_chunks()

    def _faults(self, fields: Fields, frame: pa.Array, *first: Fault) -> Iterator[Fault]:
        yield from first
        yield from number_faults("timeframe", frame, as_number(frame))
        yield from usual_faults(fields, latest=self.clock.now() + DAY)


def _text(block: Block, name: str) -> pa.Array:
    text = raw_text(block, name)
    return pc.if_else(pc.equal(text, "NA"), _NOTHING, text)


def _texts(names: Sequence[str]) -> pa.Table:
    """A table of texts without rows."""
    return pa.schema([(name, pa.string()) for name in names]).empty_table()


def _session(block: Block) -> dict[str, pa.Array]:
    """Who it was: the session is an anonymous id of its own."""
    session = _text(block, "sessionId")
    return {"user_id": _text(block, "userId"), "anonymous_id": session, "session_id": session}


def _instants(day: pa.Array, frame: pa.Array) -> pa.Array:
    """Midnight of the day plus milliseconds; null where either is unreadable."""
    after_ms = as_count(frame)
    within = pc.and_(pc.greater_equal(after_ms, 0), pc.less(after_ms, _LONGEST_SESSION_MS))
    after_us = pc.multiply(pc.if_else(within, after_ms, pa.scalar(None, pa.int64())), 1_000)
    return pc.cast(pc.add(pc.cast(as_instant(day, "iso", "UTC"), pa.int64()), after_us), INSTANT)


def _impressions(fields: Fields, shown: Listed) -> Unfolding:
    """One impression for every item of every list, at the instant of its query."""
    row = pa.array(shown.row)
    position = pa.array(shown.position)
    kept = ("occurred_at", "user_id", "anonymous_id", "session_id", "placement", "recommendation_id")
    columns = {name: fields[name].take(row) for name in kept} | {
        "event_id": joined_id("shown", fields["recommendation_id"].take(row), position),
        "type": pa.repeat(EventType.IMPRESSION.value, len(row)),
        "item_id": shown.value,
        "position": pc.cast(position, pa.int32()),
    }
    return Unfolding(shown.row, event_table(columns, len(row)))
