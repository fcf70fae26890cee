"""Rows -> records: a list within a row gives one record per element, so that an order gives its lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.data.tabular.block import Block
from recsys.data.tabular.convert import cleaned
from recsys.data.tabular.path import as_lists, elements_of, list_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Explode:
    """Gives every element of a list a record of its own.

    Attributes:
        lists: the paths of the lists; several are walked in step and must be equally long.
        separator: splits lists that are written as one text, "a|b|c"; None where they are lists already.
    """

    lists: tuple[str, ...]
    separator: str | None = None

    def covers(self, text: str) -> bool:
        """Whether a path speaks of the elements of one of the lists."""
        return list_of(text) in self.lists


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """M records of one block.

    Attributes:
        columns: path -> single values [M], or lists of them where the path speaks of elements of a list that has not
            been taken apart.
        place: which row of the block each record came from [M] int64.
        rank: the place of each record's element in its list, from 0 [M] int64; 0 where nothing was taken apart.
        exploded: the lists that were taken apart.
        uneven: records of rows whose lists differ in length [M] bool.
    """

    columns: Mapping[str, pa.Array]
    place: np.ndarray
    rank: np.ndarray
    exploded: tuple[str, ...] = ()
    uneven: np.ndarray

    def __len__(self) -> int:
        return len(self.place)

    def single(self, text: str) -> pa.Array:
        """Single values [M] of a path; null where the file lacks it, or a list holds them that was not taken apart.

        Where the path speaks of no list and the file has one, a list of one is its element.
        """
        column = self.columns.get(text)
        if column is None or (pa.types.is_list(column.type) and list_of(text) is not None):
            return pa.nulls(len(self), pa.string())
        if not pa.types.is_list(column.type):
            return column
        lengths, elements = elements_of(column)
        return elements.take(pa.array(np.cumsum(lengths) - 1, mask=lengths != 1))

    def lists(self, text: str) -> pa.Array:
        """Lists [M] at a path; a single value is a list of one."""
        column = self.columns.get(text)
        if column is None:
            return pa.nulls(len(self), pa.list_(pa.string()))
        if pa.types.is_list(column.type):
            return column
        given = np.asarray(pc.is_valid(column))
        return as_lists(given.astype(np.int64), pc.drop_null(column), ~given)

    def take(self, places: np.ndarray) -> "Records":
        """The records at `places`."""
        if len(places) == len(self) and (places == np.arange(len(self))).all():
            return self
        return replace(
            self,
            columns={text: column.take(pa.array(places)) for text, column in self.columns.items()},
            place=self.place[places],
            rank=self.rank[places],
            uneven=self.uneven[places],
        )

    def unfolded(self, explode: Explode) -> "Records":
        """One record for every element; a record without elements stays one, with nothing in the elements' place."""
        walked = [text for text in self.columns if explode.covers(text)]
        lengths, elements = self._elements(walked)
        uneven = np.any([one != lengths[0] for one in lengths], axis=0)
        counts = np.where(uneven, 1, np.maximum(lengths[0], 1))
        source = np.repeat(np.arange(len(self)), counts)
        rank = np.arange(len(source)) - np.repeat(np.cumsum(counts) - counts, counts)
        taken = pa.array(source)
        columns = {t: c.take(taken) if len(source) != len(self) else c for t, c in self.columns.items()}
        for text, length, values in zip(walked, lengths, elements, strict=True):
            index = (np.cumsum(length) - length)[source] + rank
            absent = uneven[source] | (rank >= length[source])
            columns[text] = values.take(pa.array(index, mask=absent))
        return replace(
            self,
            columns=columns,
            place=self.place[source],
            rank=rank,
            exploded=(*self.exploded, *explode.lists),
            uneven=self.uneven[source] | uneven[source],
        )

    def sizes(self, explode: Explode) -> np.ndarray:
        """How many elements every record has [M]."""
        lengths, _ = self._elements([text for text in self.columns if explode.covers(text)])
        return lengths[0]

    def _elements(self, walked: Sequence[str]) -> tuple[list[np.ndarray], list[pa.Array]]:
        none = np.zeros(len(self), np.int64), pa.nulls(0, pa.string())
        lists = [self.columns[text] for text in walked]
        found = [elements_of(column) if pa.types.is_list(column.type) else none for column in lists] or [none]
        return [lengths for lengths, _ in found], [values for _, values in found]


def records_of(block: Block, missing: pa.Array, splits: Mapping[str, str]) -> Records:
    """One record per row of a block.

    Args:
        block: the rows.
        missing: texts that stand for nothing, such as "NULL".
        splits: columns that hold lists written as one text -> the separator; "shown" is found again as "shown[]".
    """
    columns = {name: cleaned(block.columns[name].combine_chunks(), missing) for name in block.columns.column_names}
    for name, separator in splits.items():
        if name in columns and pa.types.is_string(columns[name].type):
            columns[f"{name}[]"] = cleaned(_split(columns[name], separator), missing)
    rows = len(block.lines)
    return Records(columns=columns, place=np.arange(rows), rank=np.zeros(rows, np.int64), uneven=np.zeros(rows, bool))


def _split(text: pa.Array, separator: str) -> pa.Array:
    """Lists of texts; a separator at the end adds no element."""
    ended = pc.ends_with(text, separator)
    return pc.split_pattern(pc.if_else(ended, pc.utf8_slice_codeunits(text, 0, -len(separator)), text), separator)


def places_in(lists: pa.Array, value: pa.Array) -> pa.Array:
    """The place from 0 [M] of each record's `value` in its list; null where it does not occur."""
    lengths, elements = elements_of(lists)
    owner = np.repeat(np.arange(len(lists)), lengths)
    same = np.asarray(pc.fill_null(pc.equal(elements, value.take(pa.array(owner))), False))
    rows, first = np.unique(owner[same], return_index=True)
    starts = np.cumsum(lengths) - lengths
    places = np.full(len(lists), -1)
    places[rows] = np.flatnonzero(same)[first] - starts[rows]
    return pa.array(places, mask=places < 0)
