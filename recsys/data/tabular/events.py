"""Rows -> events: gives columns their canonical meaning and says of every record that is no event why."""

import hashlib
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.data.chunk import SourceChunk
from recsys.data.tabular.block import Block, Refusal, quarantine
from recsys.data.tabular.convert import as_number
from recsys.data.tabular.faults import first_fault
from recsys.data.tabular.items import ItemMapping
from recsys.data.tabular.path import list_of
from recsys.data.tabular.reading import Read
from recsys.data.tabular.records import Records, records_of
from recsys.data.tabular.rule import Rule, Template
from recsys.data.tabular.spelling import Style
from recsys.event import EVENT_SCHEMA, EventType

ANY_OTHER = "*"
"""Stands for every word that `type_values` does not know."""

_CANONICAL_TYPES: Mapping[str, str | None] = {event_type.value: event_type.value for event_type in EventType}
_READ_FIRST = ("item_id", "quantity")
"""Fields that others are read by: a total by the quantity, a rank by the item."""
_POSITIVE_IN_RETURNS = ("quantity", "price", "list_price")
_ROWS, _ROWS_WITH_LISTS = 1 << 20, 1 << 13
_NO_TEXT = pa.scalar(None, pa.string())


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """A chunk, and what its accepted events say of their items.

    Attributes:
        chunk: events, refused and left out records.
        described: `item_id`, `time` (microseconds), `row` and the properties of `ItemMapping`, by accepted event.
        unread: properties that the rows speak of, but of which not one value could be read.
    """

    chunk: SourceChunk
    described: pa.Table
    unread: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventMapping:
    """Which column means what.

    Attributes:
        base: what a row gives that no rule fits.
        rules: tried from the top, the first that fits decides.
        type_values: the file's word for a type -> canonical type, or None to leave such rows out; "*" is any other.
        missing: texts that stand for nothing.
        style: how numbers are written where a rule looks at them.
        items: what events say of their items.
    """

    base: Template
    rules: tuple[Rule, ...]
    type_values: Mapping[str, str | None]
    missing: tuple[str, ...]
    style: Style
    items: ItemMapping

    def templates(self) -> Iterator[Template]:
        """All events that a row can give."""
        yield self.base
        for rule in self.rules:
            yield from rule.templates

    @property
    def block_rows(self) -> int:
        """So many rows at once are enough: a row may give a record for each element of a long list."""
        return _ROWS_WITH_LISTS if any(template.explode for template in self.templates()) else _ROWS

    def wanted(self) -> list[str]:
        """The columns to read."""
        texts = {name for template in self.templates() for name in template.wanted()} | self.items.wanted()
        texts |= {condition.column for rule in self.rules for condition in rule.conditions}
        return sorted({self.column_of(text) for text in texts})

    def column_of(self, text: str) -> str:
        """The column that holds a path's values: a list written as one text is a column of the list's name."""
        base = list_of(text)
        return base if base is not None and base in self._splits() else text

    def read(self, block: Block, *, latest: int) -> Mapped:
        """One chunk; events later than `latest` (microseconds UTC) are refused."""
        records = records_of(block, pa.array(self.missing, pa.string()), self._splits())
        if self.base.explode:
            records = records.unfolded(self.base.explode)
        typed = _together([self._typed(template, number, some, latest) for template, number, some in self._of(records)])
        fields = typed.fields | {"event_id": _event_ids(block, typed)}
        nameless = pc.and_(pc.is_null(typed.reason), pc.is_null(fields["event_id"]))
        reason = pc.if_else(nameless, "event id is missing", typed.reason)
        reason = pc.if_else(pc.is_valid(typed.left_out), _NO_TEXT, reason)
        accepted = pc.and_(pc.is_null(reason), pc.is_null(typed.left_out))
        table = pa.table(fields | {"row": pa.array(block.row[typed.place], pa.int64())})
        table = table if pc.all(accepted).as_py() is not False else table.filter(accepted)
        chunk = SourceChunk(
            rows_in=block.rows_in,
            unfolded=len(typed.place) - len(block.lines),
            events=pa.table([table[name] for name in EVENT_SCHEMA.names], schema=EVENT_SCHEMA),
            quarantine=quarantine(block.origin, _refusals(block, typed.place, reason)),
            excluded=dict(Counter(pc.drop_null(typed.left_out).to_pylist())),
        )
        return Mapped(chunk=chunk, described=_described(table, self.items), unread=typed.unread)

    def _splits(self) -> dict[str, str]:
        """Lists that are written as one text -> the separator."""
        explodes = [template.explode for template in self.templates() if template.explode]
        return {name: one.separator for one in explodes if one.separator for name in one.lists}

    def _of(self, records: Records) -> Iterator[tuple[Template, int, Records]]:
        """The records of every template, with its number among the events of its rule; none is left over."""
        left = np.ones(len(records), bool)
        style = self.style
        number = partial(as_number, decimal=style.decimal, thousands=style.thousands, strip=style.strip)
        for rule in self.rules:
            chosen = left.copy()
            for condition in rule.conditions:
                chosen &= np.asarray(condition.fits(records, number))
            left &= ~chosen
            if chosen.any():
                yield from _of_rule(rule, records.take(np.flatnonzero(chosen)))
        if left.any() or not len(records):
            yield self.base, 0, records.take(np.flatnonzero(left))

    def _typed(self, template: Template, number: int, records: Records, latest: int) -> "_Typed":
        """Gives the records of one template their meaning."""
        if template.explode and not records.exploded:
            records = records.unfolded(template.explode)
        count = len(records)
        fields: dict[str, pa.Array] = {}
        read: dict[str, Read] = {}
        for name in sorted(template.readings, key=lambda name: name not in _READ_FIRST):
            read[name] = template.readings[name].read(records, fields)
            fields[name] = read[name].values
            if name == "quantity":
                fields[name] = pc.if_else(read[name].given, fields[name], pa.scalar(1.0, pa.float64()))
        fields.setdefault("quantity", pa.repeat(pa.scalar(1.0, pa.float64()), count))
        properties, unread = self.items.properties(records, fields)
        types, left_out = self._types(template, fields.get("type"), count)
        fields |= {name: _constant(name, value, count) for name, value in template.constants.items()}
        fields = {f.name: _cast(fields.get(f.name), f, count) for f in EVENT_SCHEMA} | {"type": types}
        returned = pc.fill_null(pc.equal(types, EventType.RETURN.value), False)
        for name in _POSITIVE_IN_RETURNS:
            fields[name] = pc.if_else(returned, pc.abs(fields[name]), fields[name])
        reason = first_fault(fields, read, uneven=records.uneven, latest=latest)
        id_columns = template.readings["event_id"].wanted() if "event_id" in template.readings else set()
        return _Typed(
            fields=fields | properties,
            unread=unread,
            reason=reason,
            left_out=left_out,
            place=records.place,
            base_rank=records.rank if self.base.explode else np.zeros(count, np.int64),
            number=np.full(count, number),
            rank=records.rank,
            own_id=np.full(count, bool(id_columns)),
            names_element=np.full(count, any(list_of(text) in records.exploded for text in id_columns)),
        )

    def _types(self, template: Template, words: pa.Array | None, count: int) -> tuple[pa.Array, pa.Array]:
        """The canonical types [count], and the reasons why records are left out, null where they are not."""
        nothing = pa.nulls(count, pa.string())
        if template.left_out is not None:
            return nothing, pa.repeat(pa.scalar(template.left_out), count)
        fixed = template.type or template.constants.get("type")
        if fixed is not None or words is None:
            return pa.repeat(pa.scalar(fixed, pa.string()), count), nothing
        known = {**_CANONICAL_TYPES, **self.type_values}
        place = pc.index_in(words, pa.array(list(known), pa.string()))
        if ANY_OTHER in known:
            place = pc.if_else(pc.is_valid(words), pc.fill_null(place, list(known).index(ANY_OTHER)), place)
        unwanted = pc.is_in(place, pa.array([n for n, value in enumerate(known.values()) if value is None], pa.int32()))
        reason = pc.if_else(unwanted, pc.binary_join_element_wise("type", words, " "), _NO_TEXT)
        return pa.array(list(known.values()), pa.string()).take(place), reason


@dataclass(frozen=True, slots=True, kw_only=True)
class _Typed:
    """M records with their meaning, and what their order and their ids follow from."""

    fields: dict[str, pa.Array]
    unread: frozenset[str]
    reason: pa.Array
    left_out: pa.Array
    place: np.ndarray
    base_rank: np.ndarray
    number: np.ndarray
    rank: np.ndarray
    own_id: np.ndarray
    names_element: np.ndarray


def _of_rule(rule: Rule, records: Records) -> Iterator[tuple[Template, int, Records]]:
    """A list without elements gives no event where the rule has another one for the row; no row gives nothing."""
    exploding = [t.explode if not records.exploded else None for t in rule.templates]
    given = [records.sizes(one) > 0 if one else np.ones(len(records), bool) for one in exploding]
    given[0] = given[0] | ~np.any(given, axis=0)
    for number, (template, chosen) in enumerate(zip(rule.templates, given, strict=True)):
        if chosen.any():
            yield template, number, records.take(np.flatnonzero(chosen))


def _together(made: Sequence[_Typed]) -> _Typed:
    """Records of several templates in the order of the rows."""
    if len(made) == 1:
        return made[0]
    joined = {
        name: np.concatenate([getattr(one, name) for one in made])
        for name in ("place", "base_rank", "number", "rank", "own_id", "names_element")
    }
    order = np.lexsort((joined["rank"], joined["number"], joined["base_rank"], joined["place"]))
    taken = pa.array(order)
    return _Typed(
        fields={name: pa.concat_arrays([one.fields[name] for one in made]).take(taken) for name in made[0].fields},
        unread=frozenset[str]().union(*(one.unread for one in made)),
        reason=pa.concat_arrays([one.reason for one in made]).take(taken),
        left_out=pa.concat_arrays([one.left_out for one in made]).take(taken),
        **{name: values[order] for name, values in joined.items()},
    )


def _constant(name: str, value: object, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, EVENT_SCHEMA.field(name).type), count)


def _cast(column: pa.Array | None, field: pa.Field, count: int) -> pa.Array:
    if column is None:
        return pa.nulls(count, field.type)
    return column if column.type.equals(field.type) else pc.cast(column, field.type, safe=False)


def _event_ids(block: Block, typed: _Typed) -> pa.Array:
    """The shop's own ids, or ids derived from file, row and content; a row's further records have a number behind.

    The number is that of the record within its row. Own ids that name the element (an order's line) need none, only
    the events of one element are told apart.
    """
    place = typed.place
    own = typed.fields["event_id"]
    if not typed.own_id.all():
        file = hashlib.blake2b(block.origin.encode(), digest_size=8).hexdigest()
        content = pa.array(np.fromiter(map(zlib.crc32, block.lines), np.uint32, len(block.lines)))
        rows = pc.cast(pa.array(block.row, pa.int64()), pa.string())
        derived = pc.binary_join_element_wise(file, rows, pc.cast(content, pa.string()), "-")
        derived = derived if len(place) == len(derived) else derived.take(pa.array(place))
        own = pc.if_else(pa.array(typed.own_id), own, derived)
    if len(place) == len(block.lines):
        return own
    first = np.flatnonzero(np.diff(place, prepend=-1))
    within = np.arange(len(place)) - np.repeat(first, np.diff(np.append(first, len(place))))
    number = np.where(typed.names_element, typed.number, within)
    numbered = pc.binary_join_element_wise(
        own, pc.cast(pa.array(number), pa.string()), "#"
    )  # no shop's own ids have it
    return pc.if_else(pa.array(number > 0), numbered, own)


def _described(accepted: pa.Table, items: ItemMapping) -> pa.Table:
    time = pc.cast(accepted["occurred_at"], pa.int64())
    return accepted.select(["item_id", "row", *items.readings]).append_column("time", time)


def _refusals(block: Block, place: np.ndarray, reason: pa.Array) -> list[Refusal]:
    """Rows refused while reading and records refused here, in the file's order."""
    if reason.null_count == len(reason):
        return block.refused
    bad = np.flatnonzero(np.asarray(pc.is_valid(reason)))
    texts = reason.take(pa.array(bad)).to_pylist()
    here = [Refusal(int(block.row[p]), text, block.lines[p]) for p, text in zip(place[bad], texts, strict=True)]
    return sorted([*block.refused, *here], key=lambda refusal: refusal.row)
