"""Writes what a source has to offer beyond what a log holds: reads, drops repeated ids, sorts, and lists the files.

The steps are functions of a task that hand on to each other through files, so that any engine can run them. Nothing is
part of the log before the manifest that this returns is committed.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys.clock import DAY
from recsys.errors import DataError
from recsys.event import ITEM_SCHEMA, SCHEMA_VERSION
from recsys.log.arrivals import Arrivals, receive
from recsys.log.dates import ITEMS, SHOPPERS, DatesTask, Day, write_dates
from recsys.log.disk import WORK, sync, writing
from recsys.log.distinct import count
from recsys.log.engine import Engine
from recsys.log.erasures import Erasures
from recsys.log.intake import quarantine_file
from recsys.log.known import NotesTask, note_names
from recsys.log.manifest import DataFile, Manifest, PartRecord, content_digest
from recsys.log.order import ranked
from recsys.log.plan import Plan
from recsys.log.quarantine import QUARANTINE
from recsys.log.spill import grouped
from recsys.log.summary import LogSummary
from recsys.log.totals import added_up, blank_summary, part_records, reasons
from recsys.protocols import Source

DATES_ROWS = 1 << 18
"""So many rows are sorted at once: they stay near the processor, and few dates have more."""
FILE_ROWS = 1 << 20
"""A date with more rows than this is cut into several files."""
NOTES_ROWS = 1 << 20


def build(
    source: Source, plan: Plan, log: Path, *, engine: Engine, erasures: Erasures
) -> tuple[Manifest, frozenset[str]]:
    """Read the plan's fresh parts and write the files of the dates they touch.

    Returns the manifest to commit, and anonymous ids that arriving rows link to erased users, whose rows are still in
    it.

    Raises:
        DataError: a part loses rows, or there is no usable event.
    """
    generation = plan.old.generation + 1 if plan.old else 1
    arrivals = receive(plan, log, source=source.name, engine=engine, erasures=erasures)
    known = plan.base.events if plan.base else ()
    kept, days = _divided(known, arrivals)
    tasks = list(_dates_tasks(log, f"{generation:08d}", arrivals, days))
    fresh = [file for files in engine.run(write_dates, tasks) for file in files]
    events = tuple(sorted([*kept, *fresh], key=lambda file: file.date))
    parts = part_records(plan, arrivals)
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        generation=generation,
        settings=source.fingerprint(),
        parts=parts,
        events=events,
        items=_write_items(log, generation, source.items(), plan),
        quarantine=(*(plan.base.quarantine if plan.base else ()), *_keep_quarantine(log, generation, arrivals)),
        erased=erasures.entries,
        receipts=plan.old.receipts if plan.old else (),
        summary=added_up(
            _blank_summary(source, parts, erasures),
            parts,
            events,
            names=names_of(log, kept, [task.folder for task in tasks], engine),
            reasons=reasons(plan, arrivals),
        ),
    )
    if not events and not erasures:
        raise DataError(
            f"source {source.name!r} gave no usable event out of {manifest.summary.rows_in} rows; quarantined: "
            f"{manifest.summary.quarantine_reasons}"
        )
    return manifest, arrivals.linked


def _blank_summary(source: Source, parts: Sequence[PartRecord], erasures: Erasures) -> LogSummary:
    named = [(part.name, part.digest) for part in parts]
    return blank_summary(
        source=source.name,
        licence=source.licence,
        fingerprint=content_digest(source.fingerprint(), named, erasures.entries),
        order_only=source.order_only,
    )


def names_of(log: Path, files: Sequence[DataFile], noted: Iterable[Path], engine: Engine) -> tuple[int, int]:
    """How many different shoppers and items `files` name, together with what was noted already below some folders."""
    groups = grouped({place: file.rows for place, file in enumerate(files)}, NOTES_ROWS)
    tasks = [
        NotesTask(
            log=log,
            files=tuple(files[place].path for place in group),
            folder=log / WORK / f"names-{group[0]:08d}",
        )
        for group in groups
    ]
    for _ in engine.run(note_names, tasks):
        pass
    folders = [*noted, *(task.folder for task in tasks)]
    paths = {name: [path for folder in folders for path in folder.rglob(name)] for name in (SHOPPERS, ITEMS)}
    return count(paths[SHOPPERS]), count(paths[ITEMS])


def write_table(log: Path, path: str, table: pa.Table) -> DataFile:
    """Write a table to a new file of the log; it is on the disk then."""
    with writing(log / path):
        (log / path).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, log / path, compression="zstd")
        sync(log / path)
    return DataFile(path=path, rows=table.num_rows)


def _divided(known: Sequence[DataFile], arrivals: Arrivals) -> tuple[list[DataFile], list[Day]]:
    """The files that stay as they are, and the days to write with the files that they have so far."""
    touched = {file.date for file in known if file.path in arrivals.disturbed}
    days = dict(arrivals.days)
    days |= {file.first // DAY: days.get(file.first // DAY, 0) for file in known if file.date in touched}
    before: dict[int, list[tuple[str, int]]] = {day: [] for day in days}
    kept, position = [], 0
    for file in known:
        day = file.first // DAY
        if day in days:
            before[day].append((file.path, position))
            days[day] += file.rows
        else:
            kept.append(file)
        position += file.rows
    return kept, [Day(day=day, rows=rows, known=tuple(before[day])) for day, rows in sorted(days.items())]


def _dates_tasks(log: Path, name: str, arrivals: Arrivals, days: Sequence[Day]) -> Iterable[DatesTask]:
    by_day = {day.day: day for day in days}
    for group in grouped({day.day: day.rows for day in days}, DATES_ROWS):
        yield DatesTask(
            log=log,
            name=name,
            spills=arrivals.spills,
            verdict=arrivals.verdict,
            days=tuple(by_day[day] for day in group),
            limit_rows=FILE_ROWS,
            folder=log / WORK / f"dates-{group[0]:+09d}",
        )


def _write_items(log: Path, generation: int, items: pa.Table, plan: Plan) -> DataFile:
    table = items if items.schema.equals(ITEM_SCHEMA) else items.cast(ITEM_SCHEMA)
    if plan.base is not None:
        old = pq.read_table(log / plan.base.items.path, schema=ITEM_SCHEMA)
        if plan.kept:
            table = _with_former(table, old)
        if old.equals(table):
            return plan.base.items
    return write_table(log, f"items/{generation:08d}.parquet", table)


def _with_former(items: pa.Table, old: pa.Table) -> pa.Table:
    """The items, and what else is known of them or of others from parts that were not read now."""
    key, former = (
        pc.binary_join_element_wise(
            pc.cast(pc.cast(table["valid_from"], pa.int64()), pa.string()),
            table["item_id"],
            " ",
            null_handling="replace",
            null_replacement="ever",
        )
        for table in (items, old)
    )
    lacking = old.filter(pc.invert(pc.is_in(former, value_set=key.combine_chunks())))
    if not lacking.num_rows:
        return items
    both = pa.concat_tables([items, lacking])
    since = pc.fill_null(pc.cast(both["valid_from"], pa.int64()), np.iinfo(np.int64).min).to_numpy()
    return both.take(pa.array(np.lexsort((since, ranked(both["item_id"])[0]))))


def _keep_quarantine(log: Path, generation: int, arrivals: Arrivals) -> list[DataFile]:
    """Move the refused rows to where they stay."""
    files: list[DataFile] = []
    for folder in arrivals.folders:
        written = quarantine_file(folder)
        if not written.is_file():
            continue
        path = f"{QUARANTINE}/{generation:08d}-{len(files):06d}.parquet"
        with writing(log / path):
            (log / path).parent.mkdir(parents=True, exist_ok=True)
            written.replace(log / path)
            sync((log / path).parent)
        files.append(DataFile(path=path, rows=pq.read_metadata(log / path).num_rows))
    return files
