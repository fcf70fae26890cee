"""Rows of a raw file -> a chunk of events: the steps that the adapters of public data sets share.

A row that is no event is refused with the gravest of its faults and its original text; nothing is ever dropped.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys.clock import parse_instant
from recsys.data.chunk import SourceChunk
from recsys.data.tabular.block import Block, Refusal, quarantine
from recsys.data.tabular.convert import piecewise
from recsys.data.tabular.delimited import DelimitedFile
from recsys.data.tabular.instants import INSTANT
from recsys.data.tabular.parquet import ParquetTable
from recsys.data.tabular.spelling import check_zone
from recsys.errors import SourceError
from recsys.event import EVENT_SCHEMA, EventType

Fields = Mapping[str, pa.Array]
"""Canonical column -> its values [R]."""

Fault = tuple[pa.Array, str]
"""Which rows [R] have it, and its name."""

_log = logging.getLogger(__name__)
_NOTHING = pa.scalar(None, pa.string())
_EARLIEST = parse_instant("1990-01-01")
_WITHOUT_ITEM = pa.array([EventType.SEARCH.value])


class _Settings(Protocol):
    """What `settle` looks at."""

    @property
    def cutoff(self) -> int: ...

    @property
    def folder(self) -> Path | None: ...

    @property
    def time_zone(self) -> str: ...


def settle(source: _Settings) -> None:
    """Turn a cut-off and a folder that came as text into what they are; for `__post_init__` of frozen classes.

    Raises:
        ConfigError: the time zone is none.
    """
    if isinstance(source.cutoff, str):
        object.__setattr__(source, "cutoff", parse_instant(source.cutoff))
    if isinstance(source.folder, str):
        object.__setattr__(source, "folder", Path(source.folder))
    check_zone("data.time_zone", source.time_zone)


def settings_digest(*settings: object) -> str:
    """A short digest of the settings that shape a log."""
    return hashlib.sha256("/".join(map(str, settings)).encode()).hexdigest()[:16]


class RawTable(Protocol):
    """A file of rows and named columns."""

    @property
    def path(self) -> Path: ...

    @property
    def origin(self) -> str: ...

    def blocks(self, wanted: Sequence[str]) -> Iterator[Block]: ...


def open_raw(
    path: Path, columns: Sequence[str], *, delimiter: str = ",", header: tuple[str, ...] | None = None
) -> RawTable:
    """A text table (also compressed) or, by its ending, a Parquet file; SourceError unless it has all `columns`."""
    if path.suffix == ".parquet":
        parquet = ParquetTable(path=path, origin=path.name)
        _require(path, columns, _parquet_columns(path))
        return parquet
    file = DelimitedFile(path=path, origin=path.name, delimiter=delimiter, header=header)
    _require(path, columns, file.column_names())
    return file


def pieces(block: Block, rows: int) -> Iterator[Block]:
    """The block in pieces of at most `rows` rows, for rows that become many events each."""
    yield Block(
        origin=block.origin,
        columns=block.columns.slice(0, rows),
        row=block.row[:rows],
        lines=block.lines[:rows],
        refused=block.refused,
    )
    for first in range(rows, len(block.lines), rows):
        yield Block(
            origin=block.origin,
            columns=block.columns.slice(first, rows),
            row=block.row[first : first + rows],
            lines=block.lines[first : first + rows],
            refused=[],
        )


def part_name(path: Path) -> str:
    """The name of a file without its compression: packing it anew changes its digest, but makes no second part."""
    return path.name.removesuffix(path.suffix) if path.suffix in (".gz", ".zst", ".bz2") else path.name


def described(file: RawTable, columns: Sequence[str]) -> Iterator[Block]:
    """The blocks of a file that describes items; rows that cannot be taken apart are warned about and left out."""
    for block in file.blocks(columns):
        if block.refused:
            first = block.refused[0]
            _log.warning(
                "%d rows of %s describe no item; the first is row %d: %s",
                len(block.refused), block.origin, first.row, first.reason,
            )  # fmt: skip
        yield block


def raw_text(block: Block, name: str) -> pa.Array:
    """A column as text without surrounding blanks; empty is null."""
    return _trimmed(pc.cast(block.columns[name].combine_chunks(), pa.string()))


def named_types(words: pa.Array, meaning: Mapping[str, EventType]) -> pa.Array:
    """The canonical type of each word; null where it has none."""
    place = pc.index_in(words, pa.array(list(meaning), pa.string()))
    return pa.array([event_type.value for event_type in meaning.values()], pa.string()).take(place)


def joined_id(*parts: pa.Array | str) -> pa.Array:
    """An id out of the content that tells one event from another; equal content gives equal ids."""
    texts = [part if isinstance(part, str) else pc.fill_null(pc.cast(part, pa.string()), "") for part in parts]
    return pc.binary_join_element_wise(*texts, "-")


def ticks(occurred_at: pa.Array, unit: int) -> pa.Array:
    """Instants as whole numbers of `unit` microseconds, for ids."""
    return pc.divide(pc.cast(occurred_at, pa.int64()), unit)


def as_count(text: pa.Array) -> pa.Array:
    """int64 of digits; null where there is anything else."""
    return piecewise(lambda piece: pc.cast(piece, pa.int64()), text, pa.int64())


def event_table(fields: Fields, rows: int) -> pa.Table:
    """Events by `EVENT_SCHEMA`; a column that is not given is null, but the quantity is one."""
    filled = {"quantity": pa.repeat(pa.scalar(1.0, pa.float32()), rows), **fields}
    return pa.table([filled.get(field.name, pa.nulls(rows, field.type)) for field in EVENT_SCHEMA], schema=EVENT_SCHEMA)


def usual_faults(fields: Fields, *, latest: int) -> Iterator[Fault]:
    """What no event may be, the gravest first; `latest` is in microseconds UTC."""
    occurred_at, event_type = fields["occurred_at"], fields["type"]
    yield pc.is_null(occurred_at), "time is unreadable"
    yield pc.less(occurred_at, pa.scalar(_EARLIEST, INSTANT)), "time is before 1990"
    yield pc.greater(occurred_at, pa.scalar(latest, INSTANT)), "time is in the future"
    yield pc.is_null(event_type), "type is unknown"
    known, anonymous = fields.get("user_id"), fields.get("anonymous_id")
    ids = [pc.is_null(ids) for ids in (known, anonymous) if ids is not None]
    yield ids[0] if len(ids) == 1 else pc.and_(*ids), "shopper is missing"
    yield pc.and_not(pc.is_null(fields["item_id"]), pc.is_in(event_type, _WITHOUT_ITEM)), "item is missing"


def number_faults(name: str, text: pa.Array, number: pa.Array) -> Iterator[Fault]:
    """What a number may not be, where there is a text for it: unreadable, endless or negative."""
    yield pc.and_(pc.is_null(number), pc.is_valid(text)), f"{name} is not a number"
    yield pc.invert(pc.is_finite(number)), f"{name} is not a number"
    yield pc.less(number, 0), f"{name} is negative"


def unless_zero(number: pa.Array) -> pa.Array:
    """`number`, with null for zero: in these logs it stands for what nobody noted down."""
    return pc.if_else(pc.equal(number, 0), pa.scalar(None, number.type), number)


@dataclass(frozen=True, slots=True)
class Unfolding:
    """Further events of single rows: `events` [E] by `EVENT_SCHEMA`, each out of row number `row` [E] of the block."""

    row: np.ndarray
    events: pa.Table


def first_fault(faults: Iterator[Fault], rows: int) -> pa.Array:
    """The first fault of every row [R]; null where there is none."""
    reason = pa.nulls(rows, pa.string())
    for mask, name in faults:
        if pc.any(mask).as_py():
            reason = pc.if_else(pc.and_(pc.fill_null(mask, False), pc.is_null(reason)), name, reason)
    return reason


def chunk_of(block: Block, fields: Fields, faults: Iterator[Fault], unfolding: Unfolding | None = None) -> SourceChunk:
    """One chunk: the sound rows as events with what unfolds from them, the others as refused."""
    reason = first_fault(faults, len(block.lines))
    sound = np.asarray(pc.is_null(reason))
    events = event_table(fields, len(block.lines)).filter(pa.array(sound))
    more = EVENT_SCHEMA.empty_table() if unfolding is None else unfolding.events.filter(pa.array(sound[unfolding.row]))
    bad = np.flatnonzero(~sound)
    reasons = reason.take(pa.array(bad)).to_pylist()
    here = [Refusal(int(block.row[p]), why, block.lines[p]) for p, why in zip(bad, reasons, strict=True)]
    return SourceChunk(
        rows_in=block.rows_in,
        events=pa.concat_tables([events, more]),
        quarantine=quarantine(block.origin, sorted([*block.refused, *here], key=lambda refusal: refusal.row)),
        unfolded=more.num_rows,
    )


@dataclass(frozen=True, slots=True)
class Listed:
    """Lists taken apart: `value` [E] text, of row number `row` [E] int64, at `position` [E] int64 there, from 0."""

    value: pa.Array
    row: np.ndarray
    position: np.ndarray

    def rows_with(self, wrong: pa.Array, rows: int) -> pa.Array:
        """Which of `rows` rows has a value that is `wrong` [E]."""
        mask = np.zeros(rows, bool)
        mask[self.row[np.asarray(pc.fill_null(wrong, False))]] = True
        return pa.array(mask)


def listed(texts: pa.Array, separator: str) -> Listed:
    """Take apart `texts` [R], each a list with `separator` between its values; null is an empty list."""
    lists = pc.split_pattern(texts, separator)
    length = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    row = np.repeat(np.arange(len(texts)), length)
    first = np.cumsum(length) - length
    return Listed(_trimmed(pc.list_flatten(lists)), row, np.arange(len(row)) - first[row])


def _trimmed(text: pa.Array) -> pa.Array:
    trimmed = pc.utf8_trim_whitespace(text)
    return pc.if_else(pc.equal(pc.binary_length(trimmed), 0), _NOTHING, trimmed)


def _parquet_columns(path: Path) -> Sequence[str]:
    try:
        names: list[str] = pq.read_schema(path).names
    except (OSError, pa.ArrowInvalid) as error:
        raise SourceError(f"{path} is not a readable Parquet file: {error}; download it again") from error
    return names


def _require(path: Path, columns: Sequence[str], names: Sequence[str]) -> None:
    missing = sorted(set(columns) - set(names))
    if missing:
        raise SourceError(f"{path} has no column {', '.join(map(repr, missing))}; it has: {', '.join(names)}")
