"""First step of writing a log: reads parts and puts their rows aside by date, their ids by hash, counting every row."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.clock import DAY, parse_instant
from recsys.data.chunk import SourceChunk, SourcePart
from recsys.errors import DataError
from recsys.event import EVENT_SCHEMA, QUARANTINE_SCHEMA
from recsys.log.erasures import Erasures
from recsys.log.event_ids import PART_BITS, IdSpill
from recsys.log.quarantine import QuarantineWriter
from recsys.log.spill import Spill

ORDER = "order"
"""Column of rows put aside: their place in the source, see `PART_BITS`."""

_NOBODY, _BEYOND = "neither user_id nor anonymous_id", "occurred_at is in no calendar"
_VISITOR = "user_id begins with 'anonymous:', which would make the user one with the visitor of that id"
_BEGIN, _END = parse_instant("0001-01-01"), parse_instant("9999-12-31") + DAY


@dataclass(frozen=True, slots=True)
class ArrivingPart:
    """A part to read.

    Attributes:
        part: the part.
        rank: its place among all parts of the source.
        number: how the log will name it, see `PartRecord`.
    """

    part: SourcePart
    rank: int
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeTask:
    """Parts that one process reads.

    Attributes:
        folder: where the rows are put aside.
        source: the source's name, for messages.
        parts: the parts, in the order of the source.
        erasures: whose rows are left out.
    """

    folder: Path
    source: str
    parts: tuple[ArrivingPart, ...]
    erasures: Erasures


@dataclass(slots=True, kw_only=True)
class PartCount:
    """What became of a part's rows so far; for the counts see `LogSummary`."""

    rank: int
    rows_in: int = 0
    unfolded: int = 0
    events: int = 0
    erased: int = 0
    excluded: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What `take_in` did.

    Attributes:
        counts: one for each part.
        linked: anonymous ids that the rows gave to erased users.
    """

    counts: tuple[PartCount, ...]
    linked: frozenset[str]


def rows_folder(task_folder: Path) -> Path:
    """Where the rows are put aside, by date (days since 1970)."""
    return task_folder / "rows"


def ids_folder(task_folder: Path) -> Path:
    """Where the ids are put aside, see `IdSpill`."""
    return task_folder / "ids"


def quarantine_file(task_folder: Path) -> Path:
    """The refused rows; not there if none were refused."""
    return task_folder / "quarantine.parquet"


def take_in(task: IntakeTask) -> Intake:
    """Read all chunks of all parts of the task.

    Raises:
        DataError: a part loses rows.
    """
    with ExitStack() as open_files:
        rows = open_files.enter_context(Spill(rows_folder(task.folder)))
        ids = open_files.enter_context(IdSpill(ids_folder(task.folder)))
        refused = open_files.enter_context(QuarantineWriter(quarantine_file(task.folder)))
        linked: set[str] = set()
        counts = []
        for arriving in task.parts:
            count = PartCount(rank=arriving.rank)
            for chunk in _fit_chunks(arriving.part):
                sifted = task.erasures.sift(chunk.events)
                texts = chunk.quarantine.filter(pa.array(task.erasures.sift_texts(chunk.quarantine["raw"])))
                linked |= sifted.linked
                order = (arriving.rank << PART_BITS) + count.events + np.arange(sifted.events.num_rows)
                _count(count, chunk, sifted.events.num_rows, texts)
                day = pc.cast(sifted.events["occurred_at"], pa.int64()).to_numpy() // DAY
                rows.add(sifted.events.append_column(ORDER, pa.array(order)), day)
                ids.add(sifted.events["event_id"], order)
                refused.add(texts, arriving.number)
            _check(task.source, arriving.part, count)
            counts.append(count)
    return Intake(counts=tuple(counts), linked=frozenset(linked))


def _fit_chunks(part: SourcePart) -> Iterator[SourceChunk]:
    """The chunks, with rows refused that no log can hold: a source should have done that."""
    for chunk in part.chunks():
        events = chunk.events if chunk.events.schema.equals(EVENT_SCHEMA) else chunk.events.cast(EVENT_SCHEMA)
        reason = _unfit(events)
        if reason is None:
            yield SourceChunk(
                rows_in=chunk.rows_in,
                events=events,
                quarantine=chunk.quarantine,
                excluded=chunk.excluded,
                unfolded=chunk.unfolded,
            )
            continue
        wrong = pc.is_valid(reason)
        yield SourceChunk(
            rows_in=chunk.rows_in,
            events=events.filter(pc.invert(wrong)),
            quarantine=pa.concat_tables([chunk.quarantine, _refused(part, events.filter(wrong), reason.filter(wrong))]),
            excluded=chunk.excluded,
            unfolded=chunk.unfolded,
        )


def _unfit(events: pa.Table) -> pa.ChunkedArray | None:
    """Why each row cannot be part of a log, null where it can; None if all can."""
    if not events.num_rows:
        return None
    without = [name for name in ("event_id", "type", "occurred_at") if events[name].null_count]
    nobody = events["user_id"].null_count and events["anonymous_id"].null_count
    instant = pc.cast(events["occurred_at"], pa.int64())
    span = pc.min_max(instant).as_py()
    visitor = pc.fill_null(pc.starts_with(events["user_id"], "anonymous:"), False)
    if not (without or nobody or pc.any(visitor).as_py()) and span["min"] >= _BEGIN and span["max"] < _END:
        return None
    absent = pc.and_(pc.is_null(events["user_id"]), pc.is_null(events["anonymous_id"]))
    beyond = pc.or_(pc.less(instant, _BEGIN), pc.greater_equal(instant, _END))
    cases = [pc.is_null(events[name]) for name in without] + [absent, pc.fill_null(beyond, False), visitor]
    reasons = [f"no {name}" for name in without] + [_NOBODY, _BEYOND, _VISITOR]
    masks = pa.StructArray.from_arrays([mask.combine_chunks() for mask in cases], names=reasons)
    reason = pa.chunked_array([pc.case_when(masks, *(pa.scalar(text) for text in reasons))])
    return reason if reason.null_count < len(reason) else None


def _refused(part: SourcePart, events: pa.Table, reason: pa.ChunkedArray) -> pa.Table:
    rows = events.set_column(2, "occurred_at", pc.cast(events["occurred_at"], pa.int64())).to_pylist()
    raw = [str({name: value for name, value in row.items() if value is not None}) for row in rows]
    return pa.table(
        {"origin": [part.name] * len(raw), "row": [-1] * len(raw), "reason": reason, "raw": raw},
        schema=QUARANTINE_SCHEMA,
    )


def _count(count: PartCount, chunk: SourceChunk, events: int, quarantine: pa.Table) -> None:
    count.rows_in += chunk.rows_in
    count.unfolded += chunk.unfolded
    count.events += events
    count.erased += chunk.events.num_rows - events + chunk.quarantine.num_rows - quarantine.num_rows
    count.excluded.update(chunk.excluded)
    reasons = pc.value_counts(quarantine["reason"]).to_pylist()
    count.quarantined.update({row["values"]: row["counts"] for row in reasons})


def _check(source: str, part: SourcePart, count: PartCount) -> None:
    quarantined, excluded = count.quarantined.total(), count.excluded.total()
    if count.rows_in + count.unfolded != count.events + quarantined + excluded + count.erased:
        unfolded = f" (+ {count.unfolded} unfolded)" if count.unfolded else ""
        erased = f" + {count.erased} erased" if count.erased else ""
        raise DataError(
            f"source {source!r} read {count.rows_in} rows{unfolded} of part {part.name!r} but accounts for "
            f"{count.events} accepted + {quarantined} quarantined + {excluded} excluded{erased}; "
            "its chunks() loses rows"
        )
