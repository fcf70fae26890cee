"""Yoochoose: half a year (April to September 2014) of clicks and purchases of a European shop (RecSys Challenge 2015).

https://www.kaggle.com/datasets/chadgostopp/recsys-challenge-2015 (the challenge's own page:
https://2015.recsyschallenge.com/challenge.html); by YOOCHOOSE GmbH, CC BY-NC-ND 4.0. Two files without a header:
`yoochoose-clicks.dat` (33M rows: session, ISO time, item, category) and `yoochoose-buys.dat` (1.15M rows:
session, ISO time, item, price, quantity).

The clicks alone are also read as the public GRU4Rec script prepares them: tab-separated `SessionId ItemId Time` in
`rsc15_train_full.txt` and `rsc15_test.txt`. That script reads the times, which are in UTC, as local ones, so that its
Unix seconds are off by the zone of the machine it ran on: two hours in the copies that are passed around, which is
why `prepared_zone` says Budapest. (It also dropped short sessions and rare items.)

Decisions:
- Nobody is known: the session is the anonymous id as well as the session id. No shopper comes back.
- `event_id` is session, millisecond, kind and item.
- The category of a click is the context of the page: `S` a special offer, 0 nothing, 1 to 12 a category, a longer
  number a brand. An item's category and brand are the first ones it was clicked under; they count from the microsecond
  after that click, or they would give away at its instant which item was clicked. Offers are left out.
- Half of the purchases have price 0 and quantity 0, which stands for none: no price, one piece. Prices have no stated
  currency. Each change of a price that was paid is an item version, from the microsecond after the purchase.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from recsys.clock import DAY, Clock, SystemClock
from recsys.data.chunk import SourceChunk, SourcePart, chunks_of
from recsys.data.item_versions import changes, with_items_of
from recsys.data.raw_files import RawFiles, digest_of
from recsys.data.raw_rows import (
    Fault,
    RawTable,
    chunk_of,
    first_fault,
    joined_id,
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
from recsys.data.tabular.spelling import check_zone, names_of
from recsys.event import ITEM_SCHEMA, EventType

ORIGIN = "https://www.kaggle.com/datasets/chadgostopp/recsys-challenge-2015"
CLICK_COLUMNS = ("session", "time", "item", "category")
BUY_COLUMNS = ("session", "time", "item", "price", "quantity")
PREPARED_COLUMNS = ("SessionId", "ItemId", "Time")
_CLICKS, _BUYS = "yoochoose-clicks.dat", "yoochoose-buys.dat"
_PREPARED = ("rsc15_train_full.txt", "rsc15_test.txt")
_LONGEST_CATEGORY = 2
"""Digits: categories are 1 to 12, brands have eight to ten."""

_MILLISECOND = 1_000
_SEEN = pa.schema(
    [
        ("item_id", pa.string()),
        ("valid_from", INSTANT),
        ("category", pa.string()),
        ("brand", pa.string()),
        ("price", pa.float64()),
    ]
)
_VERSION = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Yoochoose:
    """Reads `yoochoose-clicks.dat` and `yoochoose-buys.dat`, or prepared clicks (also compressed).

    Args:
        cutoff: test begins here (ISO 8601); nothing at or after it is learnt from.
        folder: where the files lie; where both layouts lie, the original is read.
        file: the name of one file of prepared clicks in `folder`, or several, to read instead of those.
        time_zone: hours and weekdays are read in it.
        prepared_zone: the zone of the machine that prepared the clicks; UTC leaves their times as they are.
        name, licence: shown in summaries and stored in the bundle.
        clock: stamps more than a day ahead of it are refused.
    """

    cutoff: int
    folder: Path = Path("data/yoochoose")
    file: str | Sequence[str] | None = None
    time_zone: str = "Europe/Berlin"
    prepared_zone: str = "Europe/Budapest"
    name: str = "yoochoose"
    licence: str = "CC BY-NC-ND 4.0, YOOCHOOSE GmbH"
    order_only: bool = False
    clock: Clock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        settle(self)
        check_zone("data.prepared_zone", self.prepared_zone)

    def fingerprint(self) -> str:
        """Digest of the settings that shape the log."""
        return settings_digest(self.name, _VERSION, self.time_zone, self.prepared_zone)

    def parts(self) -> list[SourcePart]:
        """One part per file."""
        prepared = self._prepared_files()
        if prepared:
            return [_part(_open_prepared(path), self._prepared) for path in prepared]
        return [_part(self._clicks_file(), self._clicks), _part(self._buys_file(), self._buys)]

    def items(self) -> pa.Table:
        """Every item of an event; with the original files, a row for each change of category, brand or price."""
        described = ITEM_SCHEMA.empty_table()
        if not self._prepared_files():
            tables = [_SEEN.empty_table(), *_first_contexts(self._contexts()), *self._prices()]
            seen = pa.concat_tables(tables, promote_options="default")
            versions = changes(seen, ("category", "brand", "price"))
            columns = {name: versions[name] for name in ("brand", "price", "valid_from")}
            columns["category"] = pc.split_pattern(versions["category"], ",")
            described = with_defaults(versions["item_id"].combine_chunks(), pa.table(columns))
        return with_items_of(chunks_of(self), described)

    def _files(self) -> RawFiles:
        return RawFiles(folder=self.folder, data_set="Yoochoose", origin=ORIGIN)

    def _prepared_files(self) -> list[Path]:
        """The prepared clicks to read; none where the original is read."""
        files = self._files()
        if self.file is not None:
            return [files.path(name) for name in names_of(self.file)]
        if files.find(_CLICKS) is not None:
            return []
        return [path for name in _PREPARED if (path := files.find(name)) is not None]

    def _clicks_file(self) -> RawTable:
        return open_raw(self._files().path(_CLICKS), CLICK_COLUMNS, header=CLICK_COLUMNS)

    def _buys_file(self) -> RawTable:
        return open_raw(self._files().path(_BUYS), BUY_COLUMNS, header=BUY_COLUMNS)

    def _clicks(self, file: RawTable) -> Iterator[SourceChunk]:
        for block in file.blocks(CLICK_COLUMNS):
            fields = _visit(raw_text(block, "session"), _iso(block), raw_text(block, "item"), EventType.CLICK)
            yield chunk_of(block, fields, usual_faults(fields, latest=self._latest()))

    def _prepared(self, file: RawTable) -> Iterator[SourceChunk]:
        for block in file.blocks(PREPARED_COLUMNS):
            stamped = as_instant(raw_text(block, "Time"), "epoch_s", "UTC")
            wall = pc.local_timestamp(pc.cast(stamped, pa.timestamp("us", tz=self.prepared_zone)))
            at = pc.cast(pc.cast(wall, pa.int64()), INSTANT)  # what the clock showed there was the time in UTC
            fields = _visit(raw_text(block, "SessionId"), at, raw_text(block, "ItemId"), EventType.CLICK)
            yield chunk_of(block, fields, usual_faults(fields, latest=self._latest()))

    def _buys(self, file: RawTable) -> Iterator[SourceChunk]:
        for block in file.blocks(BUY_COLUMNS):
            yield chunk_of(block, *self._purchases(block))

    def _purchases(self, block: Block) -> tuple[dict[str, pa.Array], Iterator[Fault]]:
        price_text, quantity_text = raw_text(block, "price"), raw_text(block, "quantity")
        price, quantity = as_number(price_text), as_number(quantity_text)
        fields = _visit(raw_text(block, "session"), _iso(block), raw_text(block, "item"), EventType.PURCHASE)
        fields["price"] = unless_zero(price)
        fields["quantity"] = pc.cast(pc.fill_null(unless_zero(quantity), 1.0), pa.float32(), safe=False)

        def faults() -> Iterator[Fault]:
            yield from usual_faults(fields, latest=self._latest())
            yield from number_faults("price", price_text, price)
            yield from number_faults("quantity", quantity_text, quantity)

        return fields, faults()

    def _contexts(self) -> pa.Table:
        """When each item was first clicked under each category or brand: `item_id`, `context`, `at`."""
        known = pa.schema([("item_id", pa.string()), ("context", pa.string()), ("at", INSTANT)]).empty_table()
        for block in self._clicks_file().blocks(CLICK_COLUMNS):
            context = raw_text(block, "category")
            fields = _visit(raw_text(block, "session"), _iso(block), raw_text(block, "item"), EventType.CLICK)
            reason = first_fault(usual_faults(fields, latest=self._latest()), len(context))
            says = pc.and_(pc.is_null(reason), pc.match_substring_regex(context, r"^[1-9]\d*$"))
            rows = pa.table({"item_id": fields["item_id"], "context": context, "at": fields["occurred_at"]}).filter(
                says
            )
            both = pa.concat_tables([known, rows])
            first = both.group_by(["item_id", "context"], use_threads=False).aggregate([("at", "min")])
            known = first.rename_columns(["item_id", "context", "at"])
        return known

    def _prices(self) -> Iterator[pa.Table]:
        for block in self._buys_file().blocks(BUY_COLUMNS):
            fields, faults = self._purchases(block)
            says = pc.and_(pc.is_null(first_fault(faults, len(block.lines))), pc.is_valid(fields["price"]))
            rows = {"item_id": fields["item_id"], "valid_from": _after(fields["occurred_at"]), "price": fields["price"]}
            yield pa.table(rows).filter(says)

    def _latest(self) -> int:
        return self.clock.now() + DAY


def _part(file: RawTable, read: Callable[[RawTable], Iterator[SourceChunk]]) -> SourcePart:
    return SourcePart(name=part_name(file.path), digest=digest_of(file.path), chunks=partial(read, file))


def _open_prepared(path: Path) -> RawTable:
    return open_raw(path, PREPARED_COLUMNS, delimiter="\t")


def _iso(block: Block) -> pa.Array:
    return as_instant(raw_text(block, "time"), "iso", "UTC")


def _visit(session: pa.Array, occurred_at: pa.Array, item: pa.Array, event_type: EventType) -> dict[str, pa.Array]:
    """What clicks and purchases have in common."""
    return {
        "event_id": joined_id(session, ticks(occurred_at, _MILLISECOND), event_type.value, item),
        "type": pa.repeat(event_type.value, len(item)),
        "occurred_at": occurred_at,
        "anonymous_id": session,
        "session_id": session,
        "item_id": item,
    }


def _after(instants: pa.Array) -> pa.Array:
    """The microsecond after each."""
    return pc.cast(pc.add(pc.cast(instants, pa.int64()), 1), INSTANT)


def _first_contexts(contexts: pa.Table) -> Iterator[pa.Table]:
    """The first category of every item, and its first brand."""
    short = pc.less_equal(pc.utf8_length(contexts["context"]), _LONGEST_CATEGORY)
    ordered = pa.table({**{name: contexts[name] for name in contexts.column_names}, "short": short}).sort_by(
        [("item_id", "ascending"), ("at", "ascending"), ("context", "ascending")]
    )
    for name, chosen in (("category", ordered["short"]), ("brand", pc.invert(ordered["short"]))):
        rows = ordered.filter(chosen).group_by("item_id", use_threads=False)
        first = rows.aggregate([("at", "first"), ("context", "first")]).combine_chunks()
        columns = {"item_id": first["item_id"], "valid_from": _after(first["at_first"]), name: first["context_first"]}
        yield pa.table(columns)
