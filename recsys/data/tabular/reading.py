"""How one canonical field is read from the columns of a record: texts, numbers, ranks, instants, lists.

`spelling.py` makes these from the settings; every reader says which columns it wants and what it read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.data.tabular.convert import as_number, as_text, as_whole, joined, listed, scaled, without
from recsys.data.tabular.instants import INSTANT, as_instant, by_row_zone
from recsys.data.tabular.path import as_lists, elements_of, list_of
from recsys.data.tabular.records import Records, places_in
from recsys.errors import SourceError

_YES = ("true", "1", "1.0", "yes", "y", "t", "on", "granted")
"""How files say yes; whatever else they say is no consent."""

Fields = Mapping[str, pa.Array]


@dataclass(frozen=True, slots=True)
class Read:
    """What was read [M]: the values, and where the file had something to read at all."""

    values: pa.Array
    given: pa.Array


class Reading(Protocol):
    """Reads one field."""

    def wanted(self) -> set[str]:
        """The columns to read."""
        ...

    def needs(self) -> tuple[tuple[str, ...], ...]:
        """Sets of columns; a file must have all of one of them. None where it may do without."""
        ...

    def read(self, records: Records, fields: Fields) -> Read:
        """The field of every record; `fields` are the ones read before."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Columns that hold a value: several that make it up together, and others to look at where those are empty.

    Attributes:
        choices: column names, or names to be joined; the first choice that has something is taken.
        between: what joined columns have between them.
        partly: joined columns may be missing; otherwise all of them must be there.
        optional: a file may lack all of them.
    """

    choices: tuple[tuple[str, ...], ...]
    between: str = " "
    partly: bool = False
    optional: bool = False

    def wanted(self) -> set[str]:
        """The columns to read."""
        return {name for names in self.choices for name in names}

    def needs(self) -> tuple[tuple[str, ...], ...]:
        """Sets of columns; a file must have all of one of them."""
        return () if self.optional else self.choices

    def of(self, records: Records) -> pa.Array:
        """The raw values [M]; as in the file where there is one column, else as text."""
        columns = [self._joined(records, names) for names in self.choices]
        if len(columns) == 1:
            return columns[0]
        given = [column for column in columns if column.null_count < len(column)]
        same = len({column.type for column in given}) <= 1
        return pc.coalesce(*(given if same else map(as_text, given))) if given else columns[0]

    def _joined(self, records: Records, names: Sequence[str]) -> pa.Array:
        if len(names) == 1:
            return records.single(names[0])
        texts = [as_text(records.single(name)) for name in names]
        return joined(texts, self.between) if self.partly else pc.binary_join_element_wise(*texts, self.between)


@dataclass(frozen=True, slots=True, kw_only=True)
class FromInputs:
    """A field that is read from one value."""

    inputs: Inputs

    def wanted(self) -> set[str]:
        """The columns to read."""
        return self.inputs.wanted()

    def needs(self) -> tuple[tuple[str, ...], ...]:
        """Sets of columns; a file must have all of one of them."""
        return self.inputs.needs()


@dataclass(frozen=True, slots=True, kw_only=True)
class TextReading(FromInputs):
    """A text; `strip` takes beginnings and ends off, `values` replaces whole texts."""

    strip: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)

    def read(self, records: Records, fields: Fields) -> Read:
        text = without(as_text(self.inputs.of(records)), self.strip)
        if self.values:
            place = pc.index_in(text, pa.array(list(self.values), pa.string()))
            text = pc.coalesce(pa.array(list(self.values.values()), pa.string()).take(place), text)
        return Read(text, pc.is_valid(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberReading(FromInputs):
    """A number; `per` names the field by which a total is divided to give one unit's share."""

    decimal: str = "."
    thousands: str = ""
    strip: tuple[str, ...] = ()
    scale: float = 1.0
    add: float = 0.0
    per: str | None = None

    def read(self, records: Records, fields: Fields) -> Read:
        raw = self.inputs.of(records)
        number = as_number(raw, decimal=self.decimal, thousands=self.thousands, strip=self.strip)
        number = number if self.scale == 1.0 else scaled(number, self.scale)
        number = pc.add(number, self.add) if self.add else number
        if self.per:  # rounded, or three times 6.49 would be another price than once
            number = pc.round(pc.divide(number, fields[self.per]), 6)
        return Read(number, pc.is_valid(raw))


@dataclass(frozen=True, slots=True, kw_only=True)
class RankReading:
    """The place of a record in a list, from 0: its element's where the list was taken apart, else its item's."""

    ranked: str

    def wanted(self) -> set[str]:
        return {self.ranked}

    def needs(self) -> tuple[tuple[str, ...], ...]:
        return ()  # whoever takes lists apart knows what it needs

    def read(self, records: Records, fields: Fields) -> Read:
        if list_of(self.ranked) in records.exploded:
            rank = pa.array(records.rank)
        else:
            lists = records.lists(self.ranked)
            lengths, elements = elements_of(lists)
            rank = places_in(as_lists(lengths, as_text(elements), np.zeros(len(lists), bool)), fields["item_id"])
        return Read(pc.cast(rank, pa.float64()), pa.array(np.zeros(len(records), bool)))


@dataclass(frozen=True, slots=True, kw_only=True)
class InstantReading(FromInputs):
    """An instant, written in `time_format` and in `zone`, or in the zone that a column says."""

    time_format: str
    zone: str
    zone_column: str | None = None

    def wanted(self) -> set[str]:
        return self.inputs.wanted() | ({self.zone_column} if self.zone_column else set())

    def needs(self) -> tuple[tuple[str, ...], ...]:
        beside = (self.zone_column,) if self.zone_column else ()
        return tuple((*names, *beside) for names in self.inputs.needs())

    def read(self, records: Records, fields: Fields) -> Read:
        raw = self.inputs.of(records)
        try:
            if self.zone_column is None:
                instants = as_instant(raw, self.time_format, self.zone)
            else:
                instants = by_row_zone(raw, self.time_format, records.single(self.zone_column))
        except SourceError:  # one block of numbers among texts; `fitting.py` has looked at the files
            instants = pa.nulls(len(records), INSTANT)
        return Read(instants, pc.is_valid(raw))


@dataclass(frozen=True, slots=True, kw_only=True)
class ListReading(FromInputs):
    """Texts: the elements of a list, or of a text with separators."""

    separator: str | None = None

    def read(self, records: Records, fields: Fields) -> Read:
        lists = self._lists(records, self.inputs.choices[0][0])
        for (name,) in self.inputs.choices[1:]:
            lists = pc.coalesce(lists, self._lists(records, name))
        return Read(lists, pc.is_valid(lists))

    def _lists(self, records: Records, name: str) -> pa.Array:
        lists = records.lists(name)
        missing = np.asarray(pc.is_null(lists))
        lengths, elements = elements_of(lists)
        if self.separator is not None:
            split = pc.split_pattern(as_text(elements), self.separator)
            counts, elements = elements_of(split)
            owner = np.repeat(np.arange(len(lists)), lengths)
            lengths = np.bincount(owner, weights=counts, minlength=len(lists)).astype(np.int64)
        text = pc.utf8_trim_whitespace(as_text(elements))
        kept = np.asarray(pc.fill_null(pc.greater(pc.binary_length(text), 0), False))
        owner = np.repeat(np.arange(len(lists)), lengths)[kept]
        return as_lists(np.bincount(owner, minlength=len(lists)), text.filter(pa.array(kept)), missing)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedReading:
    """Texts made of several columns with a name each: "name:value" for every value or, as `flags`, names with a yes.

    Null where no column says anything; as `flags`, an empty list where all say no.
    """

    columns: Mapping[str, str]
    flags: bool
    optional: bool = False

    def wanted(self) -> set[str]:
        return set(self.columns.values())

    def needs(self) -> tuple[tuple[str, ...], ...]:
        return () if self.optional else tuple((column,) for column in self.columns.values())

    def read(self, records: Records, fields: Fields) -> Read:
        values = [as_text(records.single(column)) for column in self.columns.values()]
        said = np.any([np.asarray(pc.is_valid(value)) for value in values], axis=0)
        shown = [self._shown(name, value) for name, value in zip(self.columns, values, strict=True)]
        return Read(listed(shown, ~said), pa.array(said))

    def _shown(self, name: str, value: pa.Array) -> pa.Array:
        if not self.flags:
            return pc.binary_join_element_wise(name, value, ":")
        agreed = pc.is_in(pc.utf8_lower(value), pa.array(_YES))
        return pc.if_else(agreed, pa.scalar(name), pa.scalar(None, pa.string()))


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeReading:
    """A whole number, such as a position; out of a number or a rank."""

    number: NumberReading | RankReading

    def wanted(self) -> set[str]:
        return self.number.wanted()

    def needs(self) -> tuple[tuple[str, ...], ...]:
        return self.number.needs()

    def read(self, records: Records, fields: Fields) -> Read:
        read = self.number.read(records, fields)
        return Read(as_whole(read.values), read.given)
