"""Parquet files, read in batches with the columns that are wanted; fields of objects and lists count as columns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys.data.tabular.block import Block, Refusal
from recsys.data.tabular.convert import piecewise
from recsys.data.tabular.path import as_lists, elements_of, lookup, root_of
from recsys.errors import SourceError

BLOCK_ROWS = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetTable:
    """One Parquet file."""

    path: Path
    origin: str

    @property
    def certain(self) -> bool:
        """The file's schema says all."""
        return True

    def schema(self) -> pa.Schema:
        """The file's columns and their types."""
        return self._open().schema_arrow

    def blocks(self, wanted: Sequence[str]) -> Iterator[Block]:
        """The rows, piece by piece, with the paths `wanted`; what stands for a row's text is their values."""
        number = 0
        file = self._open()
        names = set(file.schema_arrow.names)
        roots = sorted({text if text in names else root_of(text) for text in wanted} & names)
        try:
            for batch in file.iter_batches(batch_size=BLOCK_ROWS, columns=roots):
                table = pa.Table.from_batches([batch])
                columns = pa.table({text: lookup(table, text) for text in wanted})
                yield self._block(columns, np.arange(number, number + batch.num_rows))
                number += batch.num_rows
        except (OSError, pa.ArrowInvalid) as error:
            raise SourceError(f"{self.path} cannot be read to its end: {error}") from error

    def _block(self, columns: pa.Table, row: np.ndarray) -> Block:
        """Texts are checked, because Parquet promises UTF-8 and not every writer keeps it."""
        broken = np.zeros(columns.num_rows, bool)
        for name in columns.column_names:
            broken |= _not_text(columns[name].combine_chunks())
        lines = _lines(columns)
        bad = np.flatnonzero(broken)
        return Block(
            origin=self.origin,
            columns=columns.filter(pa.array(~broken)) if len(bad) else columns,
            row=row[~broken],
            lines=[line for line, wrong in zip(lines, broken, strict=True) if not wrong] if len(bad) else lines,
            refused=[Refusal(int(row[place]), "is not UTF-8", lines[place]) for place in bad],
        )

    def _open(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(self.path)
        except (OSError, pa.ArrowInvalid) as error:
            raise SourceError(f"{self.path} is not a readable Parquet file: {error}") from error


def _not_text(column: pa.Array) -> np.ndarray:
    """Rows [R] whose text, or a text in whose list, is not UTF-8."""
    try:
        column.validate(full=True)
        return np.zeros(len(column), bool)
    except pa.ArrowInvalid:
        pass
    if pa.types.is_list(column.type):
        lengths, elements = elements_of(column)
        broken = np.zeros(len(column), bool)
        broken[np.repeat(np.arange(len(column)), lengths)[_not_text(elements)]] = True
        return broken
    data = pc.cast(column, pa.binary())
    text = piecewise(lambda part: pc.cast(part, pa.string()), data, pa.string())
    return np.asarray(pc.and_(pc.is_null(text), pc.is_valid(column)))


def _lines(columns: pa.Table) -> list[bytes]:
    """A row's values with commas between, the elements of a list with bars."""
    texts = [_joined(column.combine_chunks()) for column in columns.columns]
    joined: list[bytes] = pc.binary_join_element_wise(*texts, pa.scalar(b",", pa.binary())).to_pylist()
    return joined


def _joined(column: pa.Array) -> pa.Array:
    if pa.types.is_list(column.type):
        lengths, elements = elements_of(column)
        column = pc.binary_join(as_lists(lengths, _joined(elements), np.zeros(len(column), bool)), b"|")
    text = (
        column if pa.types.is_string(column.type) or pa.types.is_binary(column.type) else pc.cast(column, pa.string())
    )
    return pc.fill_null(pc.cast(text, pa.binary()), b"")
