"""What arrives, put aside and counted, and which rows, arriving or in the log, repeat an id that came before."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recsys.log.dates import Verdict
from recsys.log.disk import WORK, writing
from recsys.log.engine import Engine
from recsys.log.erasures import Erasures
from recsys.log.event_ids import GROUP_ROWS, PART_BITS, sieve_of
from recsys.log.intake import ORDER, ArrivingPart, IntakeTask, PartCount, ids_folder, rows_folder, take_in
from recsys.log.known import KnownIdsTask, RepeatsTask, find_repeats, known_ids
from recsys.log.manifest import DataFile
from recsys.log.plan import Plan
from recsys.log.spill import Runs, grouped

_ROW_IN_PART = (1 << PART_BITS) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """The rows of the parts that were read.

    Attributes:
        folders: of the tasks that read them.
        counts: what became of the rows of each part, by rank.
        linked: anonymous ids that rows gave to erased users.
        verdict: which rows stay.
        duplicates: arriving rows that do not, by rank of the part [P].
        displaced: rows of the log that do not, by rank of the part [P].
        days: how many rows arrive for each day (days since 1970) and stay.
        disturbed: files of the log that lose rows.
    """

    folders: tuple[Path, ...]
    counts: dict[int, PartCount]
    linked: frozenset[str]
    verdict: Verdict
    duplicates: np.ndarray
    displaced: np.ndarray
    days: dict[int, int]
    disturbed: frozenset[str]

    @property
    def spills(self) -> tuple[Path, ...]:
        """Where the rows were put aside."""
        return tuple(rows_folder(folder) for folder in self.folders)


def receive(plan: Plan, log: Path, *, source: str, engine: Engine, erasures: Erasures) -> Arrivals:
    """Read the plan's fresh parts and find repeated ids.

    Raises:
        DataError: a part loses rows.
    """
    shares = engine.shares([ArrivingPart(plan.parts[rank], rank, plan.numbers[rank]) for rank in plan.fresh])
    tasks = [
        IntakeTask(folder=log / WORK / f"intake-{place:06d}", source=source, parts=tuple(share), erasures=erasures)
        for place, share in enumerate(shares)
    ]
    intakes = list(engine.run(take_in, tasks))
    counts = {count.rank: count for intake in intakes for count in intake.counts}
    folders = tuple(task.folder for task in tasks)
    known = _Known.of(plan, log)
    marks = _Marks.of(plan, log, counts, known.rows)
    for order, position, part_rank in _repeated(folders, known, engine):
        marks.mark(order, position, part_rank)
    verdict = marks.verdict(plan)
    return Arrivals(
        folders=folders,
        counts=counts,
        linked=frozenset[str]().union(*(intake.linked for intake in intakes)),
        verdict=verdict,
        duplicates=marks.duplicates,
        displaced=marks.displaced,
        days=_surviving(Runs.below(*(rows_folder(folder) for folder in folders)), verdict),
        disturbed=known.disturbed(marks.known),
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """The files of the log that is added to."""

    log: Path
    files: tuple[DataFile, ...]
    rank_of: np.ndarray

    @classmethod
    def of(cls, plan: Plan, log: Path) -> "_Known":
        rank_of = np.full(max(plan.numbers, default=0) + 1, -1)
        rank_of[list(plan.numbers)] = np.arange(len(plan.numbers))
        return cls(log, plan.base.events if plan.base else (), rank_of)

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    def tasks(self, sieve: Path) -> Iterator[KnownIdsTask]:
        """Tasks that look for arriving ids in all the files."""
        start = np.cumsum([0, *(file.rows for file in self.files)])
        rows = {place: file.rows for place, file in enumerate(self.files)}
        for group in grouped(rows, GROUP_ROWS):
            yield KnownIdsTask(
                log=self.log,
                files=tuple((self.files[place].path, int(start[place])) for place in group),
                rank_of=self.rank_of,
                sieve=sieve,
                folder=self.log / WORK / f"known-{group[0]:08d}",
            )

    def disturbed(self, dropped: np.ndarray | None) -> frozenset[str]:
        """The files with a row that is marked in `dropped`."""
        if dropped is None:
            return frozenset()
        start = np.cumsum([0, *(file.rows for file in self.files)])
        return frozenset(
            file.path
            for file, begin, end in zip(self.files, start, start[1:], strict=False)
            if dropped[begin:end].any()
        )


def _repeated(
    folders: Sequence[Path], known: _Known, engine: Engine
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Order of arriving rows, position and part rank of rows in the log, that repeat an id; group by group."""
    found = tuple(ids_folder(folder) for folder in folders)
    if known.files and Runs.below(*found).runs:
        path = known.log / WORK / "sieve.npy"
        with writing(path):
            np.save(path, sieve_of(Runs.below(*found)))
        tasks = list(known.tasks(path))
        for _ in engine.run(known_ids, tasks):
            pass
        found = (*found, *(task.folder for task in tasks))
    groups = grouped(Runs.below(*found).counts(), GROUP_ROWS)
    for result in engine.run(find_repeats, [RepeatsTask(folders=found, buckets=tuple(group)) for group in groups]):
        yield result.order, result.position, result.part_rank


class _Marks:
    """One mark for every row that goes, in files, made with the first mark."""

    def __init__(self, plan: Plan, log: Path, start: np.ndarray, rows: int, known_rows: int) -> None:
        self._paths = (log / WORK / "dropped.npy", log / WORK / "dropped-known.npy")
        self._sizes = (rows, known_rows)
        self._start = start
        self._arriving: np.ndarray | None = None
        self.known: np.ndarray | None = None
        self.duplicates = np.zeros(len(plan.parts), np.int64)
        self.displaced = np.zeros(len(plan.parts), np.int64)

    @classmethod
    def of(cls, plan: Plan, log: Path, counts: dict[int, PartCount], known_rows: int) -> "_Marks":
        rows = [counts[rank].events if rank in counts else 0 for rank in range(len(plan.parts))]
        start = np.cumsum([0, *rows])
        return cls(plan, log, start[:-1], int(start[-1]), known_rows)

    def mark(self, order: np.ndarray, position: np.ndarray, part_rank: np.ndarray) -> None:
        if len(order):
            if self._arriving is None:
                self._arriving = _marks(self._paths[0], self._sizes[0])
            rank = order >> PART_BITS
            self._arriving[self._start[rank] + (order & _ROW_IN_PART)] = True
            self.duplicates += np.bincount(rank, minlength=len(self.duplicates))
        if len(position):
            if self.known is None:
                self.known = _marks(self._paths[1], self._sizes[1])
            self.known[position] = True
            self.displaced += np.bincount(part_rank, minlength=len(self.displaced))

    def verdict(self, plan: Plan) -> Verdict:
        for marks in (self._arriving, self.known):
            if isinstance(marks, np.memmap):
                marks.flush()
        return Verdict(
            dropped=None if self._arriving is None else self._paths[0],
            start=self._start,
            number=np.array(plan.numbers, np.int32),
            dropped_known=None if self.known is None else self._paths[1],
        )


def _marks(path: Path, rows: int) -> np.ndarray:
    with writing(path):
        return np.lib.format.open_memmap(path, mode="w+", dtype=np.bool_, shape=(rows,))


def _surviving(runs: Runs, verdict: Verdict) -> dict[int, int]:
    """How many rows of each day are not dropped; days without any are left out."""
    if verdict.dropped is None:
        return runs.counts()
    dropped = np.load(verdict.dropped, mmap_mode="r")
    total: dict[int, int] = {}
    for run in runs.runs:
        begin = 0
        for batch in run.read(int(run.key[0]), int(run.key[-1]), [ORDER]):
            order = batch.column(0).to_numpy()
            stays = ~dropped[verdict.start[order >> PART_BITS] + (order & _ROW_IN_PART)]
            place = np.searchsorted(run.start, begin + np.arange(len(order)), side="right") - 1
            day, count = np.unique(run.key[place[stays]], return_counts=True)
            for key, rows in zip(day.tolist(), count.tolist(), strict=True):
                total[key] = total.get(key, 0) + rows
            begin += len(order)
    return dict(sorted(total.items()))
