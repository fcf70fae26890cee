"""From a log in order of dates to histories in order of shoppers, in bounded memory.

Two steps that hand on to each other through files, so that any engine can run them: the events of some dates are coded
and spilled into ranges of shoppers, each small enough for memory; then each range is sorted into sequences, which are
appended to mapped columns in the ranges' order.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.clock import DAY
from recsys.log.engine import Engine, LocalEngine
from recsys.log.identity import Identity
from recsys.log.reader import EventLog
from recsys.sequence.blocks import ADOPTION, READ, Block, coded, sequences
from recsys.sequence.coding import Coding
from recsys.sequence.histories import Adoption, Histories
from recsys.sequence.mapped import ColumnWriter, kept_folder, mapped_columns
from recsys.sequence.survey import Survey
from recsys.state import HISTORY_COLUMNS, History

RANGE_EVENTS = 2_000_000
"""About how many events a task of either step holds."""

_SHOPPERS = "shoppers.arrow"
_IDS = pa.schema([("shopper", pa.string())])


def gather(
    log: EventLog,
    survey: Survey,
    coding: Coding,
    folder: Path,
    *,
    lookback: int,
    engine: Engine | None = None,
    range_events: int = RANGE_EVENTS,
) -> Histories:
    """The histories of all shoppers of a log, kept in `folder` as mapped columns and read from there.

    Whoever asks about a moment reads at most the `lookback` latest acts before it. The engine's workers must reach
    the folder; threads of this process do the work if it is None.
    """

    def write(partial: Path) -> None:
        with (
            ColumnWriter(partial) as columns,
            pa.OSFile(str(partial / _SHOPPERS), "wb") as file,
            pa.ipc.new_file(file, _IDS) as ids,
        ):
            for path in _sorted_ranges(
                log, survey, coding, partial / "work", engine or LocalEngine(), lookback, range_events
            ):
                found = read_histories(path)
                ids.write_batch(pa.record_batch([found.shopper], schema=_IDS))
                columns.append(_columns(found))
                shutil.rmtree(path)
        shutil.rmtree(partial / "work")

    return read_histories(kept_folder(folder, write))


def read_histories(folder: Path) -> Histories:
    """What `gather` wrote; columns are read from the files as they are touched."""
    columns = mapped_columns(folder)
    with pa.memory_map(str(folder / _SHOPPERS)) as file:
        ids = pa.ipc.open_file(file).read_all()["shopper"]
    if not columns:
        return Histories(pa.array([], pa.string()), np.zeros(1, np.int64), History.empty())
    return Histories(
        ids.combine_chunks(),
        np.concatenate([[0], np.cumsum(columns["length"], dtype=np.int64)]),
        History(**{name: columns[name] for name in HISTORY_COLUMNS}),
        columns["asked_from"],
        Adoption(**{name: columns[name] for name in ADOPTION}),
    )


def _columns(found: Histories) -> dict[str, np.ndarray]:
    events = {name: getattr(found.events, name) for name in HISTORY_COLUMNS}
    adoption = {name: getattr(found.adoption, name) for name in ADOPTION}
    return events | adoption | {"asked_from": found.asked_from, "length": np.diff(found.start)}


def _sorted_ranges(
    log: EventLog, survey: Survey, coding: Coding, work: Path, engine: Engine, lookback: int, range_events: int
) -> Iterator[Path]:
    """Folders of the sequences of each range, in order of shoppers."""
    spill, ranges = work / "spill", work / "ranges"
    for folder in (spill, ranges):
        folder.mkdir(parents=True)
    borders = borders_of(survey, range_events)
    tasks = [
        DatesTask(
            log=log, since=since, until=until, number=number, borders=borders, spill=spill,
            identity=survey.identity, coding=coding,
        )
        for number, (since, until) in enumerate(_spans(survey, range_events))
    ]  # fmt: skip
    for _ in engine.run(spill_dates, tasks):
        pass
    filled = sorted({int(path.name.partition("-")[0]) for path in spill.iterdir()})
    yield from engine.run(
        sort_range, [RangeTask(spill=spill, number=n, folder=ranges / f"{n:08d}", lookback=lookback) for n in filled]
    )


def borders_of(survey: Survey, range_events: int) -> tuple[str, ...]:
    """The first shopper of each range but the first, for ranges of about so many events."""
    ranges = min(-(-survey.events // range_events), len(survey.sample))
    places = np.linspace(0, len(survey.sample), ranges + 1)[1:-1].astype(np.int64)
    return tuple(sorted(set(survey.sample.take(pa.array(places)).to_pylist())))


def _spans(survey: Survey, range_events: int) -> Iterator[tuple[int, int]]:
    """Spans of whole dates that hold about so many events each."""
    since, events = None, 0
    for date, rows in survey.dates:
        since = date if since is None else since
        events += rows
        if events >= range_events:
            yield since, date + DAY
            since, events = None, 0
    if since is not None:
        yield since, survey.dates[-1][0] + DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class DatesTask:
    """The events of the dates in [since, until), to be spilled below `spill` as RANGE-NUMBER.arrow."""

    log: EventLog
    since: int
    until: int
    number: int
    borders: tuple[str, ...]
    spill: Path
    identity: Identity
    coding: Coding


def spill_dates(task: DatesTask) -> None:
    """Code events and cut them at the borders of the ranges."""
    writers: dict[int, pa.ipc.RecordBatchStreamWriter] = {}
    try:
        pieces = task.log.days(READ, since=task.since, until=task.until)
        for block in coded(pieces, task.identity, task.coding):
            table, number = block.table(), _range_of(block.owner, task.borders)
            if (np.diff(number) < 0).any():
                order = np.argsort(number, kind="stable")
                table, number = table.take(pa.array(order)), number[order]
            cuts = np.searchsorted(number, np.arange(len(task.borders) + 2))
            for place in np.flatnonzero(np.diff(cuts)).tolist():
                if place not in writers:
                    path = task.spill / f"{place:08d}-{task.number:08d}.arrow"
                    writers[place] = pa.ipc.new_stream(str(path), table.schema)
                writers[place].write_table(table.slice(int(cuts[place]), int(cuts[place + 1] - cuts[place])))
    finally:
        for writer in writers.values():
            writer.close()


def _range_of(owner: pa.Array, borders: tuple[str, ...]) -> np.ndarray:
    """Number of the range of shoppers that each owner [E] falls into, [E] int64."""
    number = np.zeros(len(owner), np.int64)
    for border in borders:
        number += pc.greater_equal(owner, border).to_numpy(zero_copy_only=False)
    return number


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeTask:
    """A range of shoppers whose events were spilled, and the folder to write their sequences to."""

    spill: Path
    number: int
    folder: Path
    lookback: int


def sort_range(task: RangeTask) -> Path:
    """Sort a range into sequences; the folder, which `read_histories` reads."""
    paths = sorted(task.spill.glob(f"{task.number:08d}-*.arrow"))
    tables = []
    for path in paths:
        with pa.OSFile(str(path)) as file:
            tables.append(pa.ipc.open_stream(file).read_all())
    found = sequences(Block.of_table(pa.concat_tables(tables)), lookback=task.lookback)
    with (
        ColumnWriter(task.folder) as columns,
        pa.OSFile(str(task.folder / _SHOPPERS), "wb") as file,
        pa.ipc.new_file(file, _IDS) as ids,
    ):
        ids.write_batch(pa.record_batch([found.shopper], schema=_IDS))
        columns.append(_columns(found))
    for path in paths:
        path.unlink()
    return task.folder
