"""Writes a source into a Parquet event log; every raw row is accounted for.

Layout of a log folder: `events/date=YYYY-MM-DD/*.parquet` (sorted by shopper, instant, event id), `items.parquet`,
`quarantine.parquet`, `summary.json`. The folder appears whole or not at all.
"""

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from recsys.data.chunk import SourcePart
from recsys.errors import ConfigError, DataError
from recsys.event import EVENT_SCHEMA, QUARANTINE_SCHEMA, SCHEMA_VERSION
from recsys.log.reader import shopper_of, shopper_time_order
from recsys.log.summary import LogSummary
from recsys.protocols import Source


def log_folder(source: Source, outputs: Path) -> Path:
    """Where a source's log lies below `outputs`; other data or settings of the source have another folder."""
    return outputs / "log" / f"{source.name}-{source.fingerprint()}"


def write_log(source: Source, folder: Path) -> LogSummary:
    """Write `source` to `folder`; a folder that already holds the same source is left as it is.

    Raises:
        DataError: rows got lost on the way, or nothing was accepted.
        ConfigError: the folder cannot be written.
    """
    parts = source.parts()
    fingerprint = _content_of(source, parts)
    kept = _summary_of(folder)
    if kept and kept.fingerprint == fingerprint and kept.schema_version == SCHEMA_VERSION:
        return kept
    chunks = [chunk for part in parts for chunk in part.chunks()]
    accepted = pa.concat_tables([chunk.events for chunk in chunks]) if chunks else EVENT_SCHEMA.empty_table()
    quarantine = pa.concat_tables([c.quarantine for c in chunks]) if chunks else QUARANTINE_SCHEMA.empty_table()
    excluded: Counter[str] = Counter()
    for chunk in chunks:
        excluded.update(chunk.excluded)
    events = _sorted(_distinct(accepted))
    summary = _summarise(source, fingerprint, sum(c.rows_in for c in chunks), accepted, events, quarantine, excluded)
    _write_folder(folder, events, source.items(), quarantine, summary)
    return summary


def _content_of(source: Source, parts: Sequence[SourcePart]) -> str:
    """Digest of the settings and of all parts: two logs with the same one hold the same events."""
    named = [source.fingerprint(), *(f"{part.name} {part.digest}" for part in parts)]
    return hashlib.sha256("\n".join(named).encode()).hexdigest()[:16]


def _summary_of(folder: Path) -> LogSummary | None:
    """The summary of a log already written; None if there is none that this release can read."""
    try:
        return LogSummary(**json.loads((folder / "summary.json").read_text()))
    except (OSError, TypeError, ValueError):
        return None


def _distinct(events: pa.Table) -> pa.Table:
    """The first row of every event id."""
    numbered = events.select(["event_id"]).append_column("row", pa.array(range(events.num_rows), pa.int64()))
    first = numbered.group_by("event_id").aggregate([("row", "min")])["row_min"].combine_chunks()
    return events if len(first) == events.num_rows else events.take(first.take(pc.sort_indices(first)))


def _sorted(events: pa.Table) -> pa.Table:
    by_id = events.take(pc.sort_indices(events["event_id"]))
    shopper = shopper_of(by_id)
    return by_id.take(shopper_time_order(shopper, by_id["occurred_at"]))


def _summarise(
    source: Source,
    fingerprint: str,
    rows_in: int,
    accepted: pa.Table,
    events: pa.Table,
    quarantine: pa.Table,
    excluded: Counter[str],
) -> LogSummary:
    duplicates = accepted.num_rows - events.num_rows
    if rows_in != events.num_rows + duplicates + quarantine.num_rows + excluded.total():
        raise DataError(
            f"source {source.name!r} read {rows_in} rows but accounts for {accepted.num_rows} accepted + "
            f"{quarantine.num_rows} quarantined + {excluded.total()} excluded; its chunks() loses rows"
        )
    if not events.num_rows:
        reasons = _counts(quarantine["reason"])
        raise DataError(f"source {source.name!r} gave no usable event out of {rows_in} rows; quarantined: {reasons}")
    shopper = shopper_of(events)
    moments = pa.table({"s": shopper, "t": events["occurred_at"]}).group_by(["s", "t"]).aggregate([])
    span = pc.min_max(events["occurred_at"]).as_py()
    return LogSummary(
        source=source.name,
        licence=source.licence,
        fingerprint=fingerprint,
        schema_version=SCHEMA_VERSION,
        order_only=source.order_only,
        rows_in=rows_in,
        events=events.num_rows,
        duplicates=duplicates,
        quarantined=quarantine.num_rows,
        excluded=excluded.total(),
        shoppers=pc.count_distinct(shopper).as_py(),
        items=pc.count_distinct(events["item_id"]).as_py(),
        moments=moments.num_rows,
        first=span["min"].isoformat(),
        last=span["max"].isoformat(),
        quarantine_reasons=_counts(quarantine["reason"]),
        excluded_reasons=dict(excluded),
        types=_counts(events["type"]),
    )


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    return {row["values"]: row["counts"] for row in pc.value_counts(column).to_pylist()}


def _write_folder(folder: Path, events: pa.Table, items: pa.Table, quarantine: pa.Table, summary: LogSummary) -> None:
    partial = folder.with_name(f"{folder.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        day = pc.cast(events["occurred_at"], pa.date32())
        dated = events.append_column("date", pc.cast(day, pa.string()))
        dated = dated.take(np.argsort(pc.cast(day, pa.int32()).to_numpy(), kind="stable"))
        ds.write_dataset(
            dated,
            partial / "events",
            format="parquet",
            partitioning=ds.partitioning(pa.schema([("date", pa.string())]), flavor="hive"),
            file_options=ds.ParquetFileFormat().make_write_options(compression="zstd"),
            max_partitions=100_000,
            min_rows_per_group=1 << 16,
            max_rows_per_group=1 << 20,
            preserve_order=True,
        )
        pq.write_table(items, partial / "items.parquet", compression="zstd")
        pq.write_table(quarantine, partial / "quarantine.parquet", compression="zstd")
        (partial / "summary.json").write_text(json.dumps(asdict(summary), indent=2))
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    except OSError as error:
        raise ConfigError(
            f"the event log cannot be written to {folder} ({error.strerror or error}); set outputs=... to a folder "
            "that can be written and has room"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
