"""Last step of writing a log: brings the rows of some dates together, in order, and writes the files of those dates."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.clock import DAY
from recsys.log.distinct import note
from recsys.log.event_files import FILE_SCHEMA, PART, full, path_of, pieces, without, write_events
from recsys.log.event_ids import PART_BITS
from recsys.log.intake import ORDER
from recsys.log.manifest import DataFile
from recsys.log.order import log_order, ranked_shoppers
from recsys.log.ranges import Ranges
from recsys.log.spill import Runs, Spill

SHOPPERS, ITEMS = "shoppers.npy", "items.npy"
_ROW_IN_PART = (1 << PART_BITS) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Which rows stay, and how their parts are numbered.

    Attributes:
        dropped: file of which arriving rows repeat an id [rows] bool; None if none does.
        start: number of the first row of every part in it, by rank [P].
        number: the part's number in the log, by rank [P] int32.
        dropped_known: file of which rows of the log repeat the id of a row that comes before [rows] bool, or None.
    """

    dropped: Path | None
    start: np.ndarray
    number: np.ndarray
    dropped_known: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A date to write.

    Attributes:
        day: days since 1970.
        rows: at most so many.
        known: its files in the log so far, and the position of each one's first row.
    """

    day: int
    rows: int
    known: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatesTask:
    """Neighbouring dates that one process writes.

    Attributes:
        log: the log's folder.
        name: of the files, but for a number behind it.
        spills: where rows were put aside.
        verdict: which of them stay.
        days: the dates, ascending.
        limit_rows: what is held in memory at once; one date that has more is cut into ranges of shoppers.
        folder: for notes on which shoppers and items there are, and for temporary files.
    """

    log: Path
    name: str
    spills: tuple[Path, ...]
    verdict: Verdict
    days: tuple[Day, ...]
    limit_rows: int
    folder: Path


def write_dates(task: DatesTask) -> tuple[DataFile, ...]:
    """Write the task's dates; the files, by date and shopper."""
    rows = _Rows(task, Runs.below(*task.spills))
    if len(task.days) == 1 and task.days[0].rows > task.limit_rows:
        return _write_large(task, rows)
    table = rows.table()
    return _write(task, table, 0, task.folder) if table.num_rows else ()


def _write_large(task: DatesTask, rows: "_Rows") -> tuple[DataFile, ...]:
    """A date that does not fit into memory: cut by shopper and instant first."""
    ranges = Ranges.of(rows.pieces(["user_id", "anonymous_id", "occurred_at"]), task.days[0].rows, task.limit_rows)
    folder = task.folder / "ranges"
    with Spill(folder) as spill:
        for piece in rows.pieces(FILE_SCHEMA.names):
            spill.add(piece, ranges.number_of(piece))
    runs = Runs.below(folder)
    files: list[DataFile] = []
    for number in runs.counts():
        table = runs.table(number, number)
        assert table is not None
        files += _write(task, full(table), len(files), task.folder / f"{number}")
    return tuple(files)


def _write(task: DatesTask, table: pa.Table, first: int, notes: Path) -> tuple[DataFile, ...]:
    """Sort rows and write a file for each date of theirs; `first` is the number of the first."""
    table = table.combine_chunks()
    instant = pc.cast(table["occurred_at"], pa.int64()).to_numpy()
    day = instant // DAY
    rank, shoppers = ranked_shoppers(table)
    note(notes / SHOPPERS, shoppers)
    note(notes / ITEMS, pc.unique(table["item_id"]).drop_null())
    order, begins = log_order(day, rank, instant, table["event_id"])
    table = full(_holding(table).take(pa.array(order)))
    bounds = [0, *(np.flatnonzero(np.diff(day[order])) + 1).tolist(), len(order)]
    return tuple(
        write_events(
            task.log,
            path_of(int(day[order[begin]]), f"{task.name}-{first:04d}"),
            table.slice(begin, end - begin),
            moments=int(begins[begin:end].sum()),
        )
        for begin, end in pairwise(bounds)
    )


def _holding(table: pa.Table) -> pa.Table:
    """The columns that hold anything."""
    return table.select([name for name in table.column_names if table[name].null_count < table.num_rows])


class _Rows:
    """The rows of a task's dates, from where they were put aside and from the log, without those that were dropped."""

    def __init__(self, task: DatesTask, runs: Runs) -> None:
        self._task = task
        self._runs = runs
        verdict = task.verdict
        self._dropped = None if verdict.dropped is None else np.load(verdict.dropped, mmap_mode="r")
        self._dropped_known = None if verdict.dropped_known is None else np.load(verdict.dropped_known, mmap_mode="r")

    def table(self) -> pa.Table:
        """All of them, by `FILE_SCHEMA`."""
        raw = list(self._raw(FILE_SCHEMA.names))
        return full(pa.concat_tables(raw, promote_options="default")) if raw else FILE_SCHEMA.empty_table()

    def pieces(self, columns: list[str]) -> Iterator[pa.Table]:
        """The same piece by piece, with some of the columns."""
        return (full(piece).select(columns) for piece in self._raw(columns))

    def _raw(self, columns: list[str]) -> Iterator[pa.Table]:
        days = self._task.days
        wanted = [name for name in columns if name != PART]
        arriving = self._runs.batches(days[0].day, days[-1].day, [*wanted, ORDER])
        for piece in arriving:
            yield self._judged(piece)
        for day in days:
            for path, position in day.known:
                for piece in pieces(self._task.log / path, columns):
                    yield without(piece, position, self._dropped_known)
                    position += piece.num_rows

    def _judged(self, piece: pa.Table) -> pa.Table:
        verdict, order = self._task.verdict, piece[ORDER].to_numpy()
        rank = order >> PART_BITS
        if self._dropped is not None:
            gone = self._dropped[verdict.start[rank] + (order & _ROW_IN_PART)]
            if gone.any():
                piece, rank = piece.filter(pa.array(~gone)), rank[~gone]
        return piece.append_column(PART, pa.array(verdict.number[rank]))
