"""Small logs on disk, a source that reads them, and short ways to look at what it gives."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from recsys.clock import ManualClock, parse_instant
from recsys.data.chunk import SourceChunk, chunks_of
from recsys.data.table import TableSource

HEADER = "when,what,who,item,units,price,note"
COLUMNS = {
    "occurred_at": "when",
    "type": "what",
    "user_id": "who",
    "item_id": "item",
    "quantity": "units",
    "price": "price",
}
NOW = parse_instant("2024-06-01")


def source(files: Path | str | list[str], **settings: object) -> TableSource:
    defaults: dict[str, object] = {
        "columns": COLUMNS,
        "type_values": {"buy": "purchase"},
        "cutoff": "2024-03-01",
        "licence": "mine",
        "time_zone": "Europe/Berlin",
        "clock": ManualClock(NOW),
    }
    return TableSource(files=files if isinstance(files, list) else str(files), **{**defaults, **settings})


def write(path: Path, *rows: str, header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def write_json(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return path


def write_parquet(path: Path, **columns: Sequence[object] | pa.Array) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def single(table: TableSource) -> SourceChunk:
    (chunk,) = chunks_of(table)
    return chunk


def events(table: TableSource) -> list[dict[str, object]]:
    return [event for chunk in chunks_of(table) for event in chunk.events.to_pylist()]


def refused(table: TableSource) -> list[tuple[int, str, str]]:
    rows = [row for chunk in chunks_of(table) for row in chunk.quarantine.to_pylist()]
    return [(row["row"], row["reason"], row["raw"]) for row in rows]


def shown(table: TableSource, *fields: str) -> list[tuple[object, ...]]:
    """Some fields of every event; instants as hours and minutes of their day."""
    return [tuple(_short(event[field]) for field in fields) for event in events(table)]


def versions(table: TableSource, *fields: str) -> list[tuple[object, ...]]:
    """Some fields of every version of every item; `valid_from` as a day of the month."""
    rows = table.items().to_pylist()
    return [tuple(row[f].day if f == "valid_from" and row[f] else row[f] for f in fields) for row in rows]


def _short(value: object) -> object:
    return value.strftime("%H:%M") if isinstance(value, datetime) else value
