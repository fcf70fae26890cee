"""Who is asked about, as a file that tasks read their part of."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys.errors import ConfigError
from recsys.sequence.histories import Histories

ASKED_SCHEMA = pa.schema([("shopper", pa.string()), ("first", pa.int64()), ("last", pa.int64())])
"""Who is asked about: their sequences are [first, last) of the histories, none where the log does not know them."""


def read_shoppers(path: Path) -> tuple[str, ...]:
    """Shopper ids of a file: the column `shopper` of a Parquet file, else one id on each line of a text."""
    try:
        if path.suffix == ".parquet":
            ids = pq.read_table(path, columns=["shopper"])["shopper"].drop_null().to_pylist()
        else:
            ids = [line.strip() for line in path.read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"shoppers={path} cannot be read ({error}); give a text file with one id on each line, or a Parquet file "
            "with a column shopper"
        ) from error
    if not (found := tuple(str(shopper) for shopper in ids if shopper != "")):
        raise ConfigError(f"shoppers={path} names nobody; leave it out to ask about all")
    return found


def write_asked(path: Path, histories: Histories, shoppers: Sequence[str] | None) -> int:
    """Write who is asked about, ascending: all of the histories, or these `shoppers`; how many they are."""
    number = histories.shopper_number()
    first = np.flatnonzero(np.diff(number, prepend=-1))
    last = np.append(first[1:], len(number)).astype(np.int64)
    known = histories.shopper.take(pa.array(first))
    if shoppers is None:
        table = pa.table([known, pa.array(first), pa.array(last)], schema=ASKED_SCHEMA)
    else:
        wanted = pa.array(sorted(set(shoppers), key=str.encode), pa.string())
        place = pc.index_in(wanted, known)
        there = place.is_valid().to_numpy(zero_copy_only=False)
        row = pc.fill_null(place, 0).to_numpy()
        ends = [np.where(there, edge[row], 0) if len(edge) else np.zeros(len(row), np.int64) for edge in (first, last)]
        table = pa.table([wanted, *map(pa.array, ends)], schema=ASKED_SCHEMA)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, ASKED_SCHEMA) as writer:
        writer.write_table(table)
    return int(table.num_rows)


def read_asked(path: Path, begin: int, end: int) -> list[tuple[str, int, int]]:
    """The entries [begin, end) of what `write_asked` wrote: a shopper, and the range of their sequences."""
    with pa.memory_map(str(path)) as file:
        table = pa.ipc.open_file(file).read_all().slice(begin, end - begin)
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))
