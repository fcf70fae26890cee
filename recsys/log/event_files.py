"""The Parquet files of events: how they are written, and read back."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys.clock import DAY, to_datetime
from recsys.event import EVENT_SCHEMA
from recsys.log.disk import sync, writing
from recsys.log.manifest import DataFile

EVENTS = "events"
PART = "part"
"""Column of the files besides `EVENT_SCHEMA`: the number of the part that a row came from, see `PartRecord`."""

FILE_SCHEMA = EVENT_SCHEMA.append(pa.field(PART, pa.int32(), nullable=False))
GROUP_ROWS = 1 << 17
"""Rows of a Parquet row group: readers hold at least one at a time."""

_TEXTS = [field.name for field in EVENT_SCHEMA if field.type == pa.string() and field.name != "event_id"]
_LISTS = [f"{field.name}.list.element" for field in EVENT_SCHEMA if pa.types.is_list(field.type)]
_SETTINGS: Mapping[str, object] = {
    "compression": "zstd",
    "compression_level": 1,
    "row_group_size": GROUP_ROWS,
    "use_dictionary": [*_TEXTS, *_LISTS],  # an event id occurs once: a dictionary would only be in the way
    "dictionary_pagesize_limit": 1 << 26,  # at 1 MiB, the default, ids of many shoppers fall back to plain text
    "column_encoding": {"occurred_at": "DELTA_BINARY_PACKED"},
    "write_statistics": ["occurred_at"],
}


def full(events: pa.Table) -> pa.Table:
    """The table by `FILE_SCHEMA`; columns that it does not have hold nothing."""
    rows = events.num_rows
    columns = [events[f.name] if f.name in events.column_names else pa.nulls(rows, f.type) for f in FILE_SCHEMA]
    return pa.table(columns, schema=FILE_SCHEMA)


def date_of(day: int) -> str:
    """YYYY-MM-DD of days since 1970."""
    return to_datetime(day * DAY).date().isoformat()


def path_of(day: int, name: str) -> str:
    """Where in the log a file of that name lies that holds events of that day."""
    return f"{EVENTS}/date={date_of(day)}/{name}.parquet"


def write_events(log: Path, path: str, events: pa.Table, *, moments: int) -> DataFile:
    """Write the events of one date, by `FILE_SCHEMA` and in order, to a new file; it is on the disk then."""
    with writing(log / path):
        (log / path).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(events, log / path, **_SETTINGS)
        sync(log / path)
    return described(path, events, moments=moments)


def described(path: str, events: pa.Table, *, moments: int) -> DataFile:
    """What the manifest says of a file with these events."""
    span = pc.min_max(pc.cast(events["occurred_at"], pa.int64())).as_py()
    types = {row["values"]: row["counts"] for row in pc.value_counts(events["type"]).to_pylist()}
    return DataFile(
        path=path,
        rows=events.num_rows,
        first=span["min"],
        last=span["max"],
        moments=moments,
        types=dict(sorted(types.items())),
    )


def pieces(path: Path, columns: Sequence[str], *, coded: bool = False) -> Iterator[pa.Table]:
    """A file's columns, row group by row group; `coded`: as dictionary arrays, every value of a dictionary in use."""
    with pq.ParquetFile(path, read_dictionary=list(columns) if coded else None) as file:
        for number in range(file.num_row_groups):
            yield file.read_row_group(number, list(columns))


def without(events: pa.Table, position: int, dropped: np.ndarray | None) -> pa.Table:
    """The table, whose first row has this position, without the rows whose position is marked in `dropped`."""
    if dropped is None:
        return events
    gone = dropped[position : position + events.num_rows]
    return events.filter(pa.array(~gone)) if gone.any() else events
