"""A piece of a file: rows that could be taken apart, and rows that could not."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from recsys.event import QUARANTINE_SCHEMA


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that is no event: its number, why, and its original bytes."""

    row: int
    reason: str
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Neighbouring rows of one file; R of them are readable.

    Attributes:
        origin: the file, named so that the name does not depend on where the data folder stands.
        columns: the wanted columns [R], as text (delimited files) or as typed in the file (Parquet).
        row: row numbers [R] int64: the line an editor shows (the first is 1), or the Parquet row, from 0.
        lines: the original bytes of the R rows.
        refused: rows that could not be taken apart into columns.
    """

    origin: str
    columns: pa.Table
    row: np.ndarray
    lines: list[bytes]
    refused: list[Refusal]

    @property
    def rows_in(self) -> int:
        """Rows read, good and bad."""
        return len(self.lines) + len(self.refused)

    def pieces(self, rows: int) -> Iterator["Block"]:
        """The same in blocks of at most `rows` readable rows, for rows that give many records each."""
        for first in range(0, max(len(self.lines), 1), rows):
            yield Block(
                origin=self.origin,
                columns=self.columns.slice(first, rows),
                row=self.row[first : first + rows],
                lines=self.lines[first : first + rows],
                refused=self.refused if first == 0 else [],
            )


def quarantine(origin: str, refusals: list[Refusal]) -> pa.Table:
    """Refused rows by `QUARANTINE_SCHEMA`; bytes that are not UTF-8 appear as backslash escapes."""
    return pa.table(
        {
            "origin": pa.array([origin] * len(refusals), pa.string()),
            "row": pa.array([refusal.row for refusal in refusals], pa.int64()),
            "reason": pa.array([refusal.reason for refusal in refusals], pa.string()),
            "raw": pa.array([r.raw.decode("utf-8", "backslashreplace") for r in refusals], pa.string()),
        },
        schema=QUARANTINE_SCHEMA,
    )
