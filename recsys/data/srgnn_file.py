"""The preparation of SR-GNN and its successors: training sessions, and test prefixes with the click that followed.

Code and data: https://github.com/CRIPAC-DIG/SR-GNN, https://github.com/CCIIPLab/GCE-GNN. The preparation is published
as pickles, which can run code when they are read and so are never read here. Two plain forms are:

- Parquet: training rows with a list `items`; test rows with a list `prefix` and a number `target`.
- Text: one session per line, ids with blanks between; in the test file the last id is the target.

Training sessions are whole: they have not been expanded into prefixes, which a model learns from anyway. Test rows are
expanded: [a, b] -> c and [a] -> b are two of them.

Literature mode, so the instants are made up (see `recsys.data.literature`). What can be relied on:

- Every row is a visitor of its own, `train-N` or `test-N`, with one session. Its events are a second apart, in order.
- A training session lies wholly before `CUTOFF`, a test row wholly at or after it. So the test is: of every shopper
  with events at or after the cut-off, the last event is the target and those before it are the prefix.
- Rows do not overlap: each file's rows come in its order, and each has a slot as many seconds long as the longest row
  of the file, the last training slot ending at `CUTOFF`, the first test slot beginning there. So an instant before the
  cut-off parts the training sessions, as a validation window does, and cuts at most one of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys.clock import SECOND
from recsys.data.chunk import SourceChunk, SourcePart
from recsys.data.literature import (
    CUTOFF,
    Rows,
    check_event_type,
    instants,
    lines_of_ids,
    literature_events,
    rows_of_ids,
)
from recsys.data.raw_files import RawFiles, digest_of
from recsys.data.raw_items import with_bare_items
from recsys.data.raw_rows import settings_digest, settle
from recsys.errors import SourceError
from recsys.event import ITEM_SCHEMA

_VERSION = "1"
_ORIGIN = (
    "https://github.com/CRIPAC-DIG/SR-GNN (its datasets/preprocess.py makes the sessions; write them as one session "
    "per line, or as Parquet)"
)
_BLOCK_ROWS = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class SRGNNFile:
    """Reads training sessions and test prefixes.

    Args:
        folder: where the files lie.
        train, test: the files' names; Parquet by the ending .parquet, else text, which may also be compressed (.gz).
        licence: of the data in the files; the format has none.
        event_type: what the visitors did.
        name: shown in summaries and stored in the bundle.
    """

    folder: Path
    train: str
    test: str
    licence: str
    event_type: str = "view"
    name: str = "srgnn_file"
    time_zone: str = "UTC"
    cutoff: int = field(default=CUTOFF, init=False)
    order_only: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        settle(self)
        check_event_type(self.event_type)

    def fingerprint(self) -> str:
        """Digest of the settings that shape the events."""
        return settings_digest(self.name, _VERSION, self.event_type)

    def parts(self) -> list[SourcePart]:
        """The training sessions and the test rows."""
        return [
            SourcePart(name=prepared.path.name, digest=digest_of(prepared.path), chunks=partial(self._chunks, prepared))
            for prepared in self._files()
        ]

    def items(self) -> pa.Table:
        """Every item of both files, sorted by id; nothing but the id is known."""
        taken = pa.array([], pa.string())
        for prepared in self._files():
            for rows in prepared.rows():
                taken = pc.unique(pa.concat_arrays([taken, rows.flat()]))
        return with_bare_items(ITEM_SCHEMA.empty_table(), taken)

    def _files(self) -> "tuple[_Prepared, _Prepared]":
        raw = RawFiles(self.folder, "SR-GNN file", _ORIGIN)
        return (
            _Prepared(path=raw.path(self.train), label="train", lists="items", single=None, least=1),
            _Prepared(path=raw.path(self.test), label="test", lists="prefix", single="target", least=2),
        )

    def _chunks(self, prepared: "_Prepared") -> Iterator[SourceChunk]:
        slot, begin = prepared.layout()
        number = 0
        for rows in prepared.rows():
            counts = rows.counts()
            first = np.cumsum(counts) - counts
            position = np.arange(int(counts.sum())) - np.repeat(first, counts)
            second = np.repeat(np.arange(number, number + len(counts)) * slot, counts) + position
            number += len(counts)
            yield rows.chunk(self._events(rows, prepared.label, position, instants(begin + second * SECOND)))

    def _events(self, rows: Rows, label: str, position: np.ndarray, occurred_at: pa.Array) -> pa.Table:
        """Events [E] of the visitors that `label` and their row's number name, at `position` [E] in their session."""
        names = pc.binary_join_element_wise(label, pc.cast(pa.array(rows.row), pa.string()), "-")
        visitor = names.take(pa.array(np.repeat(np.arange(len(names)), rows.counts())))
        return literature_events(
            {
                "event_id": pc.binary_join_element_wise(visitor, pc.cast(pa.array(position), pa.string()), "-"),
                "anonymous_id": visitor,
                "session_id": visitor,
                "item_id": rows.flat(),
                "occurred_at": occurred_at,
            },
            self.event_type,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """One of the two files; in Parquet the ids stand in the column `lists` and, the last one, in `single`."""

    path: Path
    label: str
    lists: str
    single: str | None
    least: int

    def layout(self) -> tuple[int, int]:
        """The seconds of a row's slot, and the instant at which the first row begins."""
        longest, rows = 1, 0
        for block in self.rows():
            longest = max(longest, int(block.counts().max(initial=0)))
            rows += len(block.row)
        return longest, CUTOFF - (rows * longest * SECOND if self.single is None else 0)

    def rows(self) -> Iterator[Rows]:
        """The rows, piece by piece; those of Parquet are numbered from 0."""
        otherwise = "is no session" if self.single is None else "is not a prefix and a target"
        if self.path.suffix != ".parquet":
            yield from lines_of_ids(self.path, least=self.least, otherwise=otherwise)
            return
        number = 0
        for batch in self._batches():
            yield rows_of_ids(
                _ids(batch),
                origin=self.path.name,
                row=np.arange(number, number + batch.num_rows),
                raw=partial(_row_text, batch),
                refused=[],
                least=self.least,
                otherwise=otherwise,
            )
            number += batch.num_rows

    def _batches(self) -> Iterator[pa.RecordBatch]:
        wanted = [self.lists] if self.single is None else [self.lists, self.single]
        try:
            file = pq.ParquetFile(self.path)
            schema = file.schema_arrow
            if any(name not in schema.names for name in wanted) or not pa.types.is_list(schema.field(self.lists).type):
                has = ", ".join(f"{field.name}: {field.type}" for field in schema)
                raise SourceError(f"{self.path} needs the columns {', '.join(wanted)}, the first a list; it has: {has}")
            yield from file.iter_batches(batch_size=_BLOCK_ROWS, columns=wanted)
        except (OSError, pa.ArrowInvalid) as error:
            raise SourceError(f"{self.path} cannot be read to its end: {error}; download it again") from error


def _ids(batch: pa.RecordBatch) -> pa.Array:
    """The ids of every row as text: its list, and behind it the single one where there is one."""
    lists = batch.column(0)
    if batch.num_columns == 1:
        return pc.cast(lists, pa.list_(pa.string()))
    counts = np.asarray(pc.fill_null(pc.list_value_length(lists), 0)).astype(np.int64)
    ends = np.cumsum(counts)
    inner = pc.cast(pc.list_flatten(lists), pa.string())
    order = np.insert(np.arange(len(inner)), ends, len(inner) + np.arange(len(counts)))
    values = pa.concat_arrays([inner, pc.cast(batch.column(1), pa.string())]).take(pa.array(order))
    offsets = np.concatenate([[0], ends + np.arange(1, len(counts) + 1)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def _row_text(batch: pa.RecordBatch, place: int) -> bytes:
    return str(batch.slice(place, 1).to_pylist()[0]).encode()
