"""Rows -> items: the last value a file gives for each property of an item."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from recsys.data.tabular.convert import as_instant, as_number, as_text
from recsys.data.tabular.files import TableFile
from recsys.event import ITEM_SCHEMA

_log = logging.getLogger(__name__)
_NO = ("false", "0", "no", "n", "f")


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemMapping:
    """Which column describes what; several columns may make up a title or a category path.

    Attributes:
        columns: canonical field -> columns; "item_id" is always there.
        attributes: columns kept as free attributes.
        separator: splits a category written as one text, "shoes > boots"; None where it is one level.
        currency: of prices, where no column says it.
        time_format, zone: of `created_at`, see `as_instant`.
        report: warn of unreadable rows, because nobody else reads these files.
    """

    columns: Mapping[str, tuple[str, ...]]
    attributes: tuple[str, ...]
    separator: str | None
    currency: str | None
    report: bool
    time_format: str
    zone: str

    def wanted(self) -> list[str]:
        """The columns to read."""
        return sorted({*self.attributes, *(name for names in self.columns.values() for name in names)})

    def read(self, files: Sequence[TableFile]) -> pa.Table:
        """One row per item, by `ITEM_SCHEMA`, sorted by id; rows that cannot be read are left out."""
        last: pa.Table | None = None
        for file in files:
            for block in file.blocks(self.wanted()):
                if block.refused and self.report:
                    first = block.refused[0]
                    _log.warning(
                        "%d rows of %s describe no item; the first is row %d: %s",
                        len(block.refused), block.origin, first.row, first.reason,
                    )  # fmt: skip
                rows = self._keyed(block.columns)
                last = _last_values(rows if last is None else pa.concat_tables([last, rows], promote_options="default"))
        return ITEM_SCHEMA.empty_table() if last is None else self._items(last.sort_by("item_id"))

    def _keyed(self, columns: pa.Table) -> pa.Table:
        item_id = as_text(columns[self.columns["item_id"][0]].combine_chunks())
        kept = {f"raw {name}": _blank_to_null(columns[name].combine_chunks()) for name in self.wanted()}
        return pa.table({"item_id": item_id, **kept}).filter(pc.is_valid(item_id))

    def _items(self, last: pa.Table) -> pa.Table:
        def raw(field: str) -> list[pa.Array]:
            return [last[f"raw {name}"].combine_chunks() for name in self.columns.get(field, ())]

        def text(field: str) -> pa.Array:
            return as_text(raw(field)[0]) if raw(field) else pa.nulls(last.num_rows, pa.string())

        created = raw("created_at")
        price = as_number(raw("price")[0]) if raw("price") else pa.nulls(last.num_rows, pa.float64())
        usable = pc.and_(pc.is_finite(price), pc.greater_equal(price, 0))
        described = pa.table(
            {
                "title": _joined([as_text(column) for column in raw("title")], last.num_rows),
                "category": self._categories(raw("category"), last.num_rows),
                "brand": text("brand"),
                "price": pc.if_else(usable, price, pa.scalar(None, pa.float64())),
                "currency": pc.fill_null(text("currency"), pa.scalar(self.currency, pa.string())),
                "available": pc.fill_null(pc.invert(pc.is_in(pc.utf8_lower(text("available")), pa.array(_NO))), True),
                "created_at": as_instant(created[0], self.time_format, self.zone)
                if created
                else pa.nulls(last.num_rows, ITEM_SCHEMA.field("created_at").type),
                "attributes": self._attributes(last),
            }
        )
        return with_defaults(last["item_id"].combine_chunks(), described)

    def _categories(self, columns: list[pa.Array], rows: int) -> pa.Array:
        if len(columns) == 1 and self.separator is not None:
            paths = [text.split(self.separator) if text else [] for text in as_text(columns[0]).to_pylist()]
        else:
            levels = [as_text(column).to_pylist() for column in columns]
            paths = [list(path) for path in zip(*levels, strict=True)] if levels else [[]] * rows
        kept = [[level.strip() for level in path if level and level.strip()] for path in paths]
        return pa.array(kept, pa.list_(pa.string()))

    def _attributes(self, last: pa.Table) -> pa.Array:
        columns = [as_text(last[f"raw {name}"].combine_chunks()).to_pylist() for name in self.attributes]
        kind = ITEM_SCHEMA.field("attributes").type
        if not columns:
            return pa.nulls(last.num_rows, kind)
        rows = zip(*columns, strict=True)
        return pa.array([[(n, v) for n, v in zip(self.attributes, row, strict=True) if v] for row in rows], kind)


def with_defaults(item_id: pa.Array, described: pa.Table) -> pa.Table:
    """Items by `ITEM_SCHEMA`: what `described` [R] does not say is null, a missing title is the id."""
    rows = len(item_id)
    columns = {field.name: pa.nulls(rows, field.type) for field in ITEM_SCHEMA}
    columns |= {name: described[name].combine_chunks() for name in described.column_names}
    columns["item_id"] = item_id
    columns["title"] = pc.coalesce(columns["title"], item_id)
    columns["category"] = pc.fill_null(columns["category"], pa.scalar([], pa.list_(pa.string())))
    columns["available"] = pc.fill_null(columns["available"], True)
    return pa.table(columns, schema=ITEM_SCHEMA)


def _blank_to_null(column: pa.Array) -> pa.Array:
    return as_text(column) if pa.types.is_string(column.type) else column


def _joined(texts: list[pa.Array], rows: int) -> pa.Array:
    """The texts of a row with commas between; null where there are none."""
    if not texts:
        return pa.nulls(rows, pa.string())
    parts = zip(*(text.to_pylist() for text in texts), strict=True)  # Arrow's own join drops rows that are all null
    return pa.array([", ".join(part for part in row if part) or None for row in parts], pa.string())


def _last_values(rows: pa.Table) -> pa.Table:
    """The last value of every column for every item; a missing value never hides an earlier one."""
    names = [name for name in rows.column_names if name != "item_id"]
    last = rows.group_by("item_id", use_threads=False).aggregate([(name, "last") for name in names])
    return last.rename_columns([name.removesuffix("_last") for name in last.column_names])
