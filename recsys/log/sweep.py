"""Step that takes erased shoppers out of a file of a log: it is written anew if it holds any, else it stays."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys.log.erasures import Erasures
from recsys.log.event_files import FILE_SCHEMA, PART, pieces, write_events
from recsys.log.manifest import DataFile
from recsys.log.order import shopper_of
from recsys.log.quarantine import QUARANTINE_FILE_SCHEMA, QuarantineWriter

_SIGHT = ("user_id", "anonymous_id", "type")
"""Columns by which a row is known to be an erased shopper's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepTask:
    """One file to sweep.

    Attributes:
        log: the log's folder.
        file: the file.
        path: what it is called if it is written anew.
        erasures: whose rows go.
    """

    log: Path
    file: DataFile
    path: str
    erasures: Erasures


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What became of a file.

    Attributes:
        file: the file that stands for it, itself if nothing had to go; None if nothing is left.
        gone: rows that went, by number of their part.
        reasons: of refused rows that went.
        blanked: rows of others that lost an erased visitor's id.
    """

    file: DataFile | None
    gone: Counter[int] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    blanked: int = 0


def sweep_events(task: SweepTask) -> Swept:
    """Sweep a file of events."""
    path = task.log / task.file.path
    if not any(_touched(task.erasures, piece) for piece in pieces(path, _SIGHT)):
        return Swept(file=task.file)
    events = pa.concat_tables(pieces(path, FILE_SCHEMA.names))
    sifted = task.erasures.sift(events)
    before = pc.sum(pc.is_valid(events["anonymous_id"].filter(pa.array(sifted.kept)))).as_py() or 0
    after = pc.sum(pc.is_valid(sifted.events["anonymous_id"])).as_py() or 0
    left = sifted.events.cast(FILE_SCHEMA)
    return Swept(
        file=_rewritten(task, left) if left.num_rows else None,
        gone=_by_part(events, sifted.kept),
        blanked=before - after,
    )


def sweep_quarantine(task: SweepTask) -> Swept:
    """Sweep a file of refused rows: those go whose text holds an erased id."""
    gone: Counter[int] = Counter()
    reasons: Counter[str] = Counter()
    for piece in pieces(task.log / task.file.path, QUARANTINE_FILE_SCHEMA.names):
        kept = task.erasures.sift_texts(piece["raw"])
        gone += _by_part(piece, kept)
        reasons.update(piece["reason"].filter(pa.array(~kept)).to_pylist())
    if not gone:
        return Swept(file=task.file)
    fresh = task.log / task.path
    with QuarantineWriter(fresh) as out:
        for piece in pieces(task.log / task.file.path, QUARANTINE_FILE_SCHEMA.names):
            out.add_numbered(piece.filter(pa.array(task.erasures.sift_texts(piece["raw"]))))
    left = DataFile(path=task.path, rows=pq.read_metadata(fresh).num_rows) if fresh.exists() else None
    return Swept(file=left, gone=gone, reasons=reasons)


def _touched(erasures: Erasures, piece: pa.Table) -> bool:
    sifted = erasures.sift(piece)
    return not sifted.kept.all() or sifted.events["anonymous_id"].null_count != piece["anonymous_id"].null_count


def _rewritten(task: SweepTask, events: pa.Table) -> DataFile:
    instant = pc.cast(events["occurred_at"], pa.int64()).to_numpy()
    shopper = shopper_of(events).combine_chunks().dictionary_encode().indices.to_numpy()
    moments = 1 + int(((np.diff(instant) != 0) | (np.diff(shopper) != 0)).sum())
    return write_events(task.log, task.path, events, moments=moments)


def _by_part(rows: pa.Table, kept: np.ndarray) -> Counter[int]:
    counts = pc.value_counts(rows[PART].filter(pa.array(~kept))).to_pylist()
    return Counter({row["values"]: row["counts"] for row in counts})
