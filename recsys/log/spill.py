"""Temporary storage for more rows than fit into memory, put in order of a whole-number key.

Rows are collected up to a bound, sorted by key and written as one run: an Arrow IPC file in batches, with an index of
how many rows each key has. The rows of a range of keys are then one slice of every run. So there are never more open
files than one for each thread, however many keys there are.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.ipc as ipc

from recsys.log.disk import writing

RUN_BYTES = 64 << 20
_BATCH_ROWS = 1 << 13
_COUNTABLE = 1 << 16
_INDEX = ".index.npy"


@dataclass(frozen=True, slots=True)
class Run:
    """One sorted file.

    Attributes:
        path: the Arrow IPC file.
        key: the keys it holds [K], ascending.
        start: the row at which each key's rows begin, and the end of the last [K + 1].
    """

    path: Path
    key: np.ndarray
    start: np.ndarray

    @classmethod
    def of(cls, path: Path) -> "Run":
        """A run that `Spill` wrote."""
        key, count = np.load(f"{path}{_INDEX}")
        return cls(path, key, np.concatenate([[0], np.cumsum(count)]))

    def counts(self) -> dict[int, int]:
        """How many rows each key has."""
        return dict(zip(self.key.tolist(), np.diff(self.start).tolist(), strict=True))

    def read(self, first: int, last: int, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows with keys from `first` to `last`, both included, in order of the key, batch by batch."""
        begin = int(self.start[np.searchsorted(self.key, first)])
        end = int(self.start[np.searchsorted(self.key, last, side="right")])
        if begin == end:
            return
        with pa.OSFile(str(self.path)) as raw:
            reader = ipc.open_file(raw)
            if columns is not None:
                fields = [place for name in columns if (place := reader.schema.get_field_index(name)) >= 0]
                reader = ipc.open_file(raw, options=ipc.IpcReadOptions(included_fields=fields))
            for number in range(begin // _BATCH_ROWS, (end - 1) // _BATCH_ROWS + 1):
                batch = reader.get_batch(number)
                offset = number * _BATCH_ROWS
                low, high = max(begin - offset, 0), min(end - offset, batch.num_rows)
                yield batch if high - low == batch.num_rows else batch.slice(low, high - low)


@dataclass(frozen=True, slots=True)
class Runs:
    """All runs of a spill, in the order in which they were written."""

    runs: tuple[Run, ...]

    @classmethod
    def below(cls, *folders: Path) -> "Runs":
        """What was spilled to `folders`, one folder after the other."""
        return cls(tuple(Run.of(path) for folder in folders for path in sorted(folder.glob("*.arrow"))))

    def counts(self) -> dict[int, int]:
        """How many rows each key has, by ascending key."""
        total: dict[int, int] = {}
        for run in self.runs:
            for key, count in run.counts().items():
                total[key] = total.get(key, 0) + count
        return dict(sorted(total.items()))

    def bytes_per_row(self) -> float:
        """Bytes of a row on average."""
        rows = sum(int(run.start[-1]) for run in self.runs)
        return sum(run.path.stat().st_size for run in self.runs) / rows if rows else 1.0

    def batches(self, first: int, last: int, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The rows with keys from `first` to `last`, run by run and within a run by key, in small pieces."""
        for run in self.runs:
            for batch in run.read(first, last, columns):
                yield pa.Table.from_batches([batch])

    def table(self, first: int, last: int, columns: Sequence[str] | None = None) -> pa.Table | None:
        """The same in one table; None if there is none."""
        pieces = list(self.batches(first, last, columns))
        return pa.concat_tables(pieces, promote_options="default") if pieces else None


class Spill:
    """Collects rows and writes runs in a thread of its own; a context manager, complete once left.

    Columns that hold nothing in a run are left out of it.

    Args:
        folder: where the runs go; made if missing.
        run_bytes: how much is collected before a run is written, `RUN_BYTES` if None; about four times as much is
            held in memory.
    """

    def __init__(self, folder: Path, *, run_bytes: int | None = None) -> None:
        self._folder = folder
        self._run_bytes = run_bytes or RUN_BYTES
        self._tables: list[pa.Table] = []
        self._keys: list[np.ndarray] = []
        self._bytes = 0
        self._runs = 0
        self._thread = ThreadPoolExecutor(1)
        self._pending: Future[None] | None = None
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> "Spill":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if error is None:
                self._flush()
                self._wait()
        finally:
            self._thread.shutdown(cancel_futures=True)

    def add(self, table: pa.Table, key: np.ndarray) -> None:
        """Take in `table` [N rows] with `key` [N]."""
        if not table.num_rows:
            return
        kept = table.select([name for name in table.column_names if table[name].null_count < table.num_rows])
        rows = max(int(kept.num_rows * self._run_bytes / max(kept.nbytes, 1)), 1)
        for begin in range(0, kept.num_rows, rows):
            piece = kept.slice(begin, rows)
            self._tables.append(piece)
            self._keys.append(key[begin : begin + rows])
            self._bytes += piece.nbytes
            if self._bytes >= self._run_bytes:
                self._flush()

    def _flush(self) -> None:
        if not self._tables:
            return
        self._wait()
        path = self._folder / f"{self._runs:06d}.arrow"
        self._pending = self._thread.submit(_write_run, path, self._tables, self._keys)
        self._tables, self._keys, self._bytes = [], [], 0
        self._runs += 1

    def _wait(self) -> None:
        if self._pending is not None:
            self._pending.result()
            self._pending = None


def grouped(counts: Mapping[int, int], limit: int) -> Iterator[list[int]]:
    """Neighbouring keys in groups of at most `limit` rows; a key that has more is a group of its own."""
    group: list[int] = []
    rows = 0
    for key, count in sorted(counts.items()):
        if group and rows + count > limit:
            yield group
            group, rows = [], 0
        group.append(key)
        rows += count
    if group:
        yield group


def _write_run(path: Path, tables: Iterable[pa.Table], keys: Sequence[np.ndarray]) -> None:
    table = pa.concat_tables(tables, promote_options="default").combine_chunks()
    key, count, order = _sorted_by(np.concatenate(keys))
    table = table.take(pa.array(order))
    with writing(path):
        with pa.OSFile(str(path), "wb") as raw, ipc.new_file(raw, table.schema) as out:
            out.write_table(table, max_chunksize=_BATCH_ROWS)
        with Path(f"{path}{_INDEX}").open("wb") as raw_index:
            np.save(raw_index, np.stack([key, count]))


def _sorted_by(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The different keys, ascending; how many rows each has; and the order of the rows by key, else as they are."""
    low = int(keys.min())
    if int(keys.max()) - low < _COUNTABLE:
        code = (keys - low).astype(np.uint16)  # 16 bits are sorted by counting
        count = np.bincount(code)
        present = np.flatnonzero(count)
        return present + low, count[present], np.argsort(code, kind="stable")
    key, count = np.unique(keys, return_counts=True)
    return key, count, np.argsort(keys, kind="stable")
