"""Rows -> what they say of items: properties one by one, put together into rows by `ITEM_SCHEMA` at the end."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.data.raw_items import with_defaults as with_defaults  # adapters look for it here
from recsys.data.tabular.convert import as_text, joined
from recsys.data.tabular.path import as_lists, elements_of
from recsys.data.tabular.reading import Fields, FromInputs, Inputs, NumberReading, Read, Reading
from recsys.data.tabular.records import Records
from recsys.data.tabular.spelling import Joining, Settings, Style, check_keys, each_of, names_of, reading_of
from recsys.errors import ConfigError
from recsys.event import ITEM_SCHEMA

_NO = ("false", "0", "no", "n", "f")
_LEVEL = "\x1f"
"""Stands between the levels of a category."""
_PARTS = {"title": ", ", "text": " ", "category": _LEVEL}
"""Fields that several columns may make up, each remembered on its own, and what is put between them."""
_BY_THEMSELVES = ("item_id", "valid_from")
_PREFIX = "item "
"""Keeps properties and the fields of events apart."""
_ATTRIBUTE = "item attribute "


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelsReading(FromInputs):
    """A category as text: one level, a whole path, or the elements of a list with a mark between."""

    def read(self, records: Records, fields: Fields) -> Read:
        """The text of every record."""
        texts = [self._text(records, name) for (name, *_) in self.inputs.choices]
        text = pc.coalesce(*texts)
        return Read(text, pc.is_valid(text))

    def _text(self, records: Records, name: str) -> pa.Array:
        lists = records.lists(name)
        lengths, elements = elements_of(lists)
        texts = pc.fill_null(as_text(elements), "")
        return pc.binary_join(as_lists(lengths, texts, np.asarray(pc.is_null(lists))), _LEVEL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemMapping:
    """Which column describes what.

    Attributes:
        readings: property -> its reading: "item brand", "item title 0", "item title 1", "item attribute size".
        item_id, valid_from: in files of items, whose the row is and since when it is true.
        separator: splits a category written as one text, "shoes > boots"; None where it is one level.
        currency: of prices, where no column says it.
    """

    readings: Mapping[str, Reading]
    item_id: Reading | None
    valid_from: Reading | None
    separator: str | None
    currency: str | None

    def all_readings(self) -> Iterator[Reading]:
        """The readings of all properties, of the id and of the instant."""
        yield from self.readings.values()
        yield from (reading for reading in (self.item_id, self.valid_from) if reading)

    def wanted(self) -> set[str]:
        """The columns to read."""
        return {name for reading in self.all_readings() for name in reading.wanted()}

    def properties(self, records: Records, fields: Fields) -> tuple[dict[str, pa.Array], frozenset[str]]:
        """What each record says [M] of its item, null where it says nothing; `fields` are those of the event.

        And which properties are spoken of without one value that could be read: a mapping that does not fit.
        """
        read = {name: reading.read(records, fields) for name, reading in self.readings.items()}
        silent = [name for name, one in read.items() if one.values.null_count == len(one.values)]
        unread = frozenset(name.removeprefix(_PREFIX) for name in silent if pc.any(read[name].given).as_py())
        return {name: one.values for name, one in read.items()}, unread

    def assembled(self, item_id: pa.Array, valid_from: pa.Array, properties: Mapping[str, pa.Array]) -> pa.Table:
        """Items by `ITEM_SCHEMA` [R]; what no property says is null, a missing title is the id."""
        rows = len(item_id)
        unsaid = {name: pa.nulls(rows, pa.string()) for name in self.readings if name not in properties}
        properties = {**unsaid, **properties}
        columns = {field.name: self._field(field, properties, rows) for field in ITEM_SCHEMA}
        columns["category"] = self._category(columns["category"])
        price = columns["price"]
        usable = pc.and_(pc.is_finite(price), pc.greater_equal(price, 0))
        columns["price"] = pc.if_else(usable, price, pa.scalar(None, pa.float64()))
        columns["currency"] = pc.fill_null(columns["currency"], pa.scalar(self.currency, pa.string()))
        columns["available"] = pc.invert(pc.is_in(pc.utf8_lower(columns["available"]), pa.array(_NO)))
        columns["attributes"] = self._attributes(properties, rows)
        columns |= {"item_id": item_id, "title": pc.coalesce(columns["title"], item_id), "valid_from": valid_from}
        return pa.table(columns, schema=ITEM_SCHEMA)

    def _field(self, field: pa.Field, properties: Mapping[str, pa.Array], rows: int) -> pa.Array:
        parts = [name for name in self.readings if name.startswith(f"{_PREFIX}{field.name} ")]
        if parts:
            return joined([properties[name] for name in parts], _PARTS[field.name])
        kind = field.type if field.name not in ("category", "available") else pa.string()
        found = properties.get(f"{_PREFIX}{field.name}")
        return pa.nulls(rows, kind) if found is None or found.null_count == rows else found

    def _category(self, text: pa.Array) -> pa.Array:
        """Paths from the widest level to the narrowest; a list of nothing where none is known."""
        alone = f"{_PREFIX}category 1" not in self.readings
        if self.separator and alone:
            text = pc.replace_substring(text, self.separator, _LEVEL)
        lengths, levels = elements_of(pc.split_pattern(pc.fill_null(text, ""), _LEVEL))
        levels = pc.utf8_trim_whitespace(levels)
        kept = np.asarray(pc.greater(pc.binary_length(levels), 0))
        owner = np.repeat(np.arange(len(text)), lengths)[kept]
        return as_lists(
            np.bincount(owner, minlength=len(text)), levels.filter(pa.array(kept)), np.zeros(len(text), bool)
        )

    def _attributes(self, properties: Mapping[str, pa.Array], rows: int) -> pa.Array:
        """A map of the attributes that are known; null where none is."""
        kind = ITEM_SCHEMA.field("attributes").type
        found = {
            name.removeprefix(_ATTRIBUTE): properties[name] for name in self.readings if name.startswith(_ATTRIBUTE)
        }
        if not found or not rows:
            return pa.nulls(rows, kind)
        by_row = np.arange(rows * len(found)).reshape(len(found), rows).T.ravel()
        values = pa.concat_arrays(list(found.values())).take(pa.array(by_row))
        given = np.asarray(pc.is_valid(values))
        names = pa.array(np.tile(np.array(list(found), object), rows)).filter(pa.array(given))
        counts = given.reshape(rows, len(found)).sum(axis=1)
        offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
        maps = pa.MapArray.from_arrays(offsets, names, values.filter(pa.array(given)))
        return pc.if_else(pa.array(counts > 0), maps, pa.scalar(None, kind))


def item_mapping_of(
    columns: Settings,
    attributes: Settings | str | Sequence[str],
    *,
    style: Style,
    separator: str | None,
    currency: str | None,
    own_files: bool,
) -> ItemMapping:
    """The mapping that `data.item_columns` and `data.item_attributes` spell; what is mapped to null is not mapped.

    Raises:
        ConfigError: no such field, or a spelling that cannot work.
    """
    key = "data.item_columns"
    check_keys(key, columns, frozenset(ITEM_SCHEMA.names) - {"attributes"})
    readings: dict[str, Reading] = {}
    for name, setting in columns.items():
        if setting is None or name in _BY_THEMSELVES:
            continue
        several = name in _PARTS and isinstance(setting, Sequence) and not isinstance(setting, str)
        for number, one in enumerate(each_of(setting) if several else [setting]):
            part = f"{_PREFIX}{name} {number}" if name in _PARTS else f"{_PREFIX}{name}"
            readings[part] = _reading(f"{key}.{name}", name, one, style)
    named = attributes if isinstance(attributes, Mapping) else {name: name for name in names_of(attributes)}
    for name, setting in named.items():
        if setting is not None:
            readings[f"{_ATTRIBUTE}{name}"] = _reading(f"data.item_attributes.{name}", "brand", setting, style)
    for name, reading in readings.items():
        if own_files and isinstance(reading, NumberReading) and reading.per:
            raise ConfigError(f"{key}.{name.removeprefix(_PREFIX)} has per, but data.item_files have no {reading.per}")
    alone = {name: columns.get(name) for name in _BY_THEMSELVES}
    made = {
        n: _reading(f"{key}.{n}", n, one, style) if one is not None and own_files else None for n, one in alone.items()
    }
    return ItemMapping(readings=readings, separator=separator, currency=currency, **made)


def _reading(key: str, field: str, setting: object, style: Style) -> Reading:
    if field == "category":
        text = reading_of(key, setting, pa.string(), style=style, joining=Joining(most=1))
        inputs: Inputs = text.inputs  # type: ignore[attr-defined]
        return LevelsReading(inputs=inputs)
    return reading_of(key, setting, ITEM_SCHEMA.field(field).type, style=style, joining=Joining(partly=True))
