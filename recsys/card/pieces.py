"""Cuts a stream of tables so that no shopper's date is spread over two of them."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.clock import DAY


def whole_dates(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows; where a table ends within a shopper's date (UTC), that shopper's rows go to the next table.

    `tables` hold ascending dates, each date sorted by shopper; a large date may have several of them.
    """
    held: pa.Table | None = None
    for table in tables:
        if table.num_rows == 0:
            continue
        if held is not None:
            if _end(held, held.num_rows - 1) == _end(table, 0):
                held, rest = _split(held)
                table = pa.concat_tables([rest, table])
            if held.num_rows:
                yield held
        held = table
    if held is not None:
        yield held


def _end(table: pa.Table, row: int) -> tuple[str, int]:
    """Shopper and date of a row."""
    at = pc.cast(table["occurred_at"].slice(row, 1), pa.int64())[0].as_py()
    return table["shopper"][row].as_py(), at // DAY


def _split(table: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The table up to its last shopper's rows of the last date, and these."""
    shopper, day = _end(table, table.num_rows - 1)
    of_day = pc.cast(table["occurred_at"], pa.int64()).to_numpy() // DAY == day
    same = of_day & pc.equal(table["shopper"], shopper).to_numpy()
    begin = int(np.flatnonzero(same)[0])
    return table.slice(0, begin), table.slice(begin)
