"""Parquet files, read in batches with the columns that are wanted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys.data.tabular.block import Block, Refusal
from recsys.data.tabular.convert import piecewise
from recsys.errors import SourceError

BLOCK_ROWS = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetTable:
    """One Parquet file."""

    path: Path
    origin: str

    def column_names(self) -> tuple[str, ...]:
        """The names of its columns."""
        return tuple(self._open().schema_arrow.names)

    def blocks(self, wanted: Sequence[str]) -> Iterator[Block]:
        """The rows, piece by piece, with the columns `wanted`; what stands for a row's text is those columns."""
        number = 0
        file = self._open()
        try:
            for batch in file.iter_batches(batch_size=BLOCK_ROWS, columns=list(wanted)):
                columns = pa.table({name: _plain(self.path, name, batch.column(name)) for name in wanted})
                yield self._block(columns, np.arange(number, number + batch.num_rows))
                number += batch.num_rows
        except (OSError, pa.ArrowInvalid) as error:
            raise SourceError(f"{self.path} cannot be read to its end: {error}") from error

    def _block(self, columns: pa.Table, row: np.ndarray) -> Block:
        """Texts are checked, because Parquet promises UTF-8 and not every writer keeps it."""
        lines = _lines(columns)
        broken = np.zeros(columns.num_rows, bool)
        for place, name in enumerate(columns.column_names):
            if pa.types.is_binary(columns[name].type):
                column = columns[name].combine_chunks()
                text = piecewise(lambda data: pc.cast(data, pa.string()), column, pa.string())
                broken |= np.asarray(pc.and_(pc.is_null(text), pc.is_valid(column)))
                columns = columns.set_column(place, name, text)
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


def _plain(path: Path, name: str, column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_nested(column.type):
        raise SourceError(f"column {name!r} of {path} is {column.type}; only columns of single values can be mapped")
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type):
        return pc.cast(column, pa.binary())
    return column


def _lines(columns: pa.Table) -> list[bytes]:
    texts = [column if pa.types.is_binary(column.type) else pc.cast(column, pa.string()) for column in columns.columns]
    texts = [pc.fill_null(pc.cast(text, pa.binary()), b"") for text in texts]
    joined: list[bytes] = pc.binary_join_element_wise(*texts, pa.scalar(b",", pa.binary())).to_pylist()
    return joined
