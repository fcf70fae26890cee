"""Rows -> events: gives columns their canonical meaning and says of every row that is no event why."""

import hashlib
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.clock import parse_instant
from recsys.data.chunk import SourceChunk
from recsys.data.tabular.block import Block, Refusal, quarantine
from recsys.data.tabular.convert import INSTANT, as_instant, as_number, as_text, as_whole
from recsys.event import EVENT_SCHEMA, EventType

EARLIEST = parse_instant("1990-01-01")
"""Older stamps are a unit mistaken (seconds read as milliseconds), not a visit."""

_WITHOUT_ITEM = (EventType.SEARCH.value,)
_CANONICAL_TYPES: Mapping[str, str | None] = {event_type.value: event_type.value for event_type in EventType}
_NUMBERS = ("quantity", "price", "list_price")

Columns = dict[str, pa.Array]
Fault = tuple[pa.Array, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventMapping:
    """Which column means what.

    Attributes:
        columns: canonical field -> column. Without "event_id" there, ids are derived from file, row and content.
        event_id: the columns that together identify an event; empty to derive ids.
        constants: canonical field -> the value all rows have.
        type_values: the file's word for a type -> canonical type, or None to leave such rows out.
        time_format, zone: see `as_instant`.
    """

    columns: Mapping[str, str]
    event_id: tuple[str, ...]
    constants: Mapping[str, str | float]
    type_values: Mapping[str, str | None]
    time_format: str
    zone: str

    def wanted(self) -> list[str]:
        """The columns to read."""
        return sorted({*self.columns.values(), *self.event_id})

    def read(self, block: Block, *, latest: int) -> SourceChunk:
        """One chunk; events later than `latest` (microseconds UTC) are refused."""
        raw = {field: block.columns[column].combine_chunks() for field, column in self.columns.items()}
        fields = {field.name: self._field(raw, field, len(block.lines)) for field in EVENT_SCHEMA}
        fields["event_id"] = self._event_ids(block)
        unwanted = self._unwanted(raw)
        reason = _first_fault(_faults(raw, fields, latest), len(block.lines))
        accepted = pc.is_null(reason)
        excluded: dict[str, int] = {}
        if unwanted is not None:
            excluded = dict(Counter(f"type {value}" for value in raw_types(raw).filter(unwanted).to_pylist()))
            accepted = pc.and_not(accepted, unwanted)
            reason = pc.if_else(unwanted, pa.scalar(None, pa.string()), reason)
        events = pa.table([fields[field.name] for field in EVENT_SCHEMA], schema=EVENT_SCHEMA)
        return SourceChunk(
            rows_in=block.rows_in,
            events=events if pc.all(accepted).as_py() is not False else events.filter(accepted),
            quarantine=quarantine(block.origin, _merge(block, reason)),
            excluded=excluded,
        )

    def _field(self, raw: Columns, field: pa.Field, rows: int) -> pa.Array:
        if field.name in self.constants:
            return pa.repeat(pa.scalar(self.constants[field.name], field.type), rows)
        column = raw.get(field.name)
        if field.name == "quantity":
            one = pa.scalar(1.0, pa.float64())
            number = pa.repeat(one, rows) if column is None else pc.if_else(_missing(column), one, as_number(column))
            return pc.cast(number, pa.float32(), safe=False)
        if column is None:
            return pa.nulls(rows, field.type)
        if field.name == "type":
            return self._types(column)
        if field.name == "occurred_at":
            return as_instant(column, self.time_format, self.zone)
        readers = {pa.float64(): as_number, pa.int32(): as_whole}
        return readers.get(field.type, as_text)(column)

    def _types(self, column: pa.Array) -> pa.Array:
        known = {**_CANONICAL_TYPES, **self.type_values}
        place = pc.index_in(as_text(column), pa.array(list(known), pa.string()))
        return pa.array(list(known.values()), pa.string()).take(place)

    def _unwanted(self, raw: Columns) -> pa.Array | None:
        """Rows whose type is mapped to nothing; None where there is no such type or no such row."""
        names = [name for name, canonical in self.type_values.items() if canonical is None]
        if not names or "type" not in raw:
            return None
        mask = pc.is_in(as_text(raw["type"]), pa.array(names, pa.string()))
        return mask if pc.any(mask).as_py() else None

    def _event_ids(self, block: Block) -> pa.Array:
        if self.event_id:
            parts = [as_text(block.columns[column].combine_chunks()) for column in self.event_id]
            return pc.binary_join_element_wise(*parts, "-")
        rows = len(block.lines)
        file = hashlib.blake2b(block.origin.encode(), digest_size=8).hexdigest()
        content = pa.array(np.fromiter(map(zlib.crc32, block.lines), np.uint32, rows))
        number = pa.array(block.row, pa.int64())
        return pc.binary_join_element_wise(file, pc.cast(number, pa.string()), pc.cast(content, pa.string()), "-")


def raw_types(raw: Columns) -> pa.Array:
    """The file's own words for the types."""
    return as_text(raw["type"])


def _missing(column: pa.Array) -> pa.Array:
    return pc.is_null(as_text(column) if pa.types.is_string(column.type) else column)


def _faults(raw: Columns, fields: Columns, latest: int) -> Iterator[Fault]:
    """Every reason to refuse a row, the gravest first, with the rows it applies to."""
    occurred_at = fields["occurred_at"]
    yield pc.is_null(occurred_at), "time is unreadable"
    yield pc.less(occurred_at, pa.scalar(EARLIEST, INSTANT)), "time is before 1990"
    yield pc.greater(occurred_at, pa.scalar(latest, INSTANT)), "time is in the future"
    yield pc.is_null(fields["type"]), "type is unknown"
    yield pc.and_(pc.is_null(fields["user_id"]), pc.is_null(fields["anonymous_id"])), "shopper is missing"
    needs_item = pc.invert(pc.is_in(fields["type"], pa.array(_WITHOUT_ITEM)))
    yield pc.and_(pc.is_null(fields["item_id"]), needs_item), "item is missing"
    for name in _NUMBERS:
        number = fields[name]
        if name in raw:
            yield pc.and_not(pc.is_null(number), _missing(raw[name])), f"{name} is not a number"
        yield pc.invert(pc.is_finite(number)), f"{name} is not a number"
    yield pc.less_equal(fields["quantity"], 0), "quantity is not positive"
    yield pc.less(fields["price"], 0), "price is negative"
    yield pc.less(fields["list_price"], 0), "list_price is negative"
    if "position" in raw:
        position = fields["position"]
        unreadable = pc.and_not(pc.is_null(position), _missing(raw["position"]))
        yield pc.or_kleene(unreadable, pc.less(position, 0)), "position is not a whole number from 0"
    yield pc.is_null(fields["event_id"]), "event id is missing"


def _first_fault(faults: Iterator[Fault], rows: int) -> pa.Array:
    """The first reason of every row; null where there is none."""
    reason = pa.nulls(rows, pa.string())
    for mask, text in faults:
        if pc.any(mask).as_py():
            reason = pc.if_else(pc.and_(pc.fill_null(mask, False), pc.is_null(reason)), text, reason)
    return reason


def _merge(block: Block, reason: pa.Array) -> list[Refusal]:
    """Rows refused while reading and rows refused here, in the file's order."""
    if reason.null_count == len(reason):
        return block.refused
    places = np.flatnonzero(np.asarray(pc.is_valid(reason)))
    texts = reason.take(pa.array(places)).to_pylist()
    here = [Refusal(int(block.row[p]), text, block.lines[p]) for p, text in zip(places, texts, strict=True)]
    return sorted([*block.refused, *here], key=lambda refusal: refusal.row)
