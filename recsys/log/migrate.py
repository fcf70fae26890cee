"""Brings the log of an earlier release up to the present schema: one function for each step to the next version.

A step writes new files beside the old ones and then the manifest; only then are the old files removed. If it is killed,
the log is still the old one, and migrating again does the whole step again.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys.clock import DAY
from recsys.errors import DataError
from recsys.event import ITEM_SCHEMA, QUARANTINE_SCHEMA, SCHEMA_VERSION
from recsys.log.build import names_of, write_table
from recsys.log.disk import locked
from recsys.log.engine import Engine, LocalEngine
from recsys.log.event_files import EVENTS, FILE_SCHEMA, PART, full, path_of, write_events
from recsys.log.manifest import MANIFEST, OLD_SUMMARY, DataFile, Manifest, PartRecord, commit, read_manifest, version_of
from recsys.log.order import log_order, ranked_shoppers
from recsys.log.quarantine import QUARANTINE, QuarantineWriter
from recsys.log.summary import LogSummary
from recsys.log.tidy import roll_back, tidy
from recsys.log.totals import added_up

MIGRATED = "(migrated)"
"""Name of the only part of a migrated log: what it was written from is not known any more."""


def migrate(folder: Path, *, engine: Engine | None = None) -> tuple[int, int]:
    """Migrate the log in `folder`; the versions before and after, equal if there was nothing to do.

    Raises:
        SourceError: there is no log.
        DataError: it was written by a later release, or cannot be read.
        ConfigError: it cannot be written, or another process is writing it.
    """
    before = _step_of(folder)
    if before == SCHEMA_VERSION:
        return before, before
    with locked(folder):
        while (version := _step_of(folder)) != SCHEMA_VERSION:
            _STEPS[version](folder, engine or LocalEngine())
    return before, SCHEMA_VERSION


def _step_of(folder: Path) -> int:
    """The version from which the next step leads on; the present one if there is none."""
    version = version_of(folder)
    if version is not None and version < SCHEMA_VERSION:
        return version
    if not (folder / MANIFEST).exists() and version == SCHEMA_VERSION:
        return 1  # its columns were there before its manifest was
    return read_manifest(folder).schema_version


def _from_1(folder: Path, engine: Engine) -> None:
    """To version 2: a manifest; events with filters, ratings, offers and parts; items with text and versions."""
    tidy(folder, None)
    try:
        summary = LogSummary(**json.loads((folder / OLD_SUMMARY).read_text()))
        manifest = _second(folder, summary, engine)
        commit(folder, manifest)
    except (OSError, TypeError, ValueError, KeyError) as error:
        roll_back(folder)
        raise DataError(f"the event log {folder} cannot be migrated ({error}); ingest its source again") from error
    except BaseException:
        roll_back(folder)
        raise
    tidy(folder, manifest)


def _second(folder: Path, summary: LogSummary, engine: Engine) -> Manifest:
    dates = sorted((folder / EVENTS).glob("date=*"))
    events = tuple(file for date in dates for file in _second_events(folder, date))
    part = PartRecord(
        number=0,
        name=MIGRATED,
        digest=summary.fingerprint,
        rows_in=summary.rows_in,
        unfolded=0,
        events=summary.events,
        duplicates=summary.duplicates,
        quarantined=summary.quarantined,
        excluded=summary.excluded,
        erased=0,
    )
    return Manifest(
        schema_version=2,
        generation=1,
        settings=MIGRATED,
        parts=(part,),
        events=events,
        items=write_table(folder, "items/00000001.parquet", _by(ITEM_SCHEMA, pq.read_table(folder / "items.parquet"))),
        quarantine=_second_quarantine(folder),
        erased=(),
        receipts=(),
        summary=added_up(
            replace(summary, schema_version=2),
            [part],
            events,
            names=names_of(folder, events, [], engine),
            reasons=(summary.quarantine_reasons, summary.excluded_reasons),
        ),
    )


def _second_events(folder: Path, date: Path) -> list[DataFile]:
    old = [pq.read_table(path, partitioning=None) for path in sorted(date.glob("*.parquet"))]
    if not old:
        return []
    table = pa.concat_tables(old)
    table = full(table.append_column(FILE_SCHEMA.field(PART), pa.repeat(pa.scalar(0, pa.int32()), table.num_rows)))
    instant = pc.cast(table["occurred_at"], pa.int64()).to_numpy()
    order, begins = log_order(instant // DAY, ranked_shoppers(table)[0], instant, table["event_id"])
    path = path_of(int(instant[0] // DAY), "00000001-0000")
    return [write_events(folder, path, table.take(pa.array(order)), moments=int(begins.sum()))]


def _second_quarantine(folder: Path) -> tuple[DataFile, ...]:
    rows = _by(QUARANTINE_SCHEMA, pq.read_table(folder / "quarantine.parquet"))
    if not rows.num_rows:
        return ()
    path = f"{QUARANTINE}/00000001-000000.parquet"
    with QuarantineWriter(folder / path) as out:
        out.add(rows, 0)
    return (DataFile(path=path, rows=rows.num_rows),)


def _by(schema: pa.Schema, table: pa.Table) -> pa.Table:
    """The table with the columns of `schema`; those that it does not have hold nothing."""
    rows = table.num_rows
    columns = [table[f.name] if f.name in table.column_names else pa.nulls(rows, f.type) for f in schema]
    return pa.table(columns, schema=schema)


_STEPS: Mapping[int, Callable[[Path, Engine], None]] = {1: _from_1}
