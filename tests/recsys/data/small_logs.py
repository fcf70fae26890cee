"""Small logs on disk, a source that reads them, and short ways to look at what it gives."""

from pathlib import Path

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


def single(table: TableSource) -> SourceChunk:
    (chunk,) = chunks_of(table)
    return chunk


def events(table: TableSource) -> list[dict[str, object]]:
    return [event for chunk in chunks_of(table) for event in chunk.events.to_pylist()]


def refused(table: TableSource) -> list[tuple[int, str, str]]:
    rows = [row for chunk in chunks_of(table) for row in chunk.quarantine.to_pylist()]
    return [(row["row"], row["reason"], row["raw"]) for row in rows]
