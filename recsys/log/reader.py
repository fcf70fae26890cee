"""Reads an event log back: day by day in bounded pieces, or the whole of it as columns sorted by shopper and time."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys.consent import Rule
from recsys.errors import DataError
from recsys.event import EVENT_SCHEMA, ITEM_SCHEMA, EventType
from recsys.log.consent import Unwilling
from recsys.log.disk import CACHE
from recsys.log.event_files import PART, pieces
from recsys.log.manifest import DataFile, Manifest, read_manifest
from recsys.log.order import shopper_of, shopper_time_order
from recsys.log.quarantine import QUARANTINE_FILE_SCHEMA
from recsys.log.summary import LogSummary

__all__ = ["EventLog", "shopper_of", "shopper_time_order"]

SHOPPER = "shopper"
_IDS = ("user_id", "anonymous_id")


@dataclass(frozen=True, slots=True)
class EventLog:
    """A log folder written by `recsys.log.writer`, as it was when this was made; without rows of the `unwilling`.

    Raises:
        SourceError: there is no log in `folder`.
        DataError: it is of another schema version or cannot be read; the message says what to run.
    """

    folder: Path
    unwilling: Unwilling | None = field(default=None, repr=False, compare=False)
    _manifest: Manifest = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_manifest", read_manifest(self.folder))

    def of_the_willing(self, rule: Rule) -> "EventLog":
        """The same log without the events of shoppers who do not agree to what the rule is about."""
        unwilling = Unwilling.of(self, rule)
        return self if unwilling is None else EventLog(self.folder, unwilling)

    @property
    def summary(self) -> LogSummary:
        """What became of the raw rows, and what the log holds."""
        return self._manifest.summary

    @property
    def fingerprint(self) -> str:
        """Digest of what the content follows from: the source's settings, the parts taken in and the erasures."""
        return self.summary.fingerprint

    @property
    def order_only(self) -> bool:
        """Literature mode: the data holds an order but no times."""
        return self.summary.order_only

    @property
    def cache_folder(self) -> Path:
        """Where readers keep what they derive, each in a folder of its own; it vanishes when rows are erased."""
        return self.folder / CACHE

    def days(
        self,
        columns: Sequence[str] | None = None,
        types: Collection[EventType] = (),
        since: int | None = None,
        until: int | None = None,
    ) -> Iterator[pa.Table]:
        """The log in ascending dates (UTC), piece by piece; no piece spans two dates, a large date has several.

        Within a date, rows are sorted by shopper, instant and event id, through all its pieces.

        Args:
            columns: of `EVENT_SCHEMA`, and `shopper` (see `shopper_of`); None gives all of them.
            types: only events of these types; all if empty.
            since: only events at or after this instant, in microseconds UTC.
            until: only events strictly before this instant.
        """
        wanted = [*EVENT_SCHEMA.names, SHOPPER] if columns is None else list(columns)
        for file in self._manifest.events:
            if (since is not None and file.last < since) or (until is not None and file.first >= until):
                continue
            if types and not {event_type.value for event_type in types} & set(file.types):
                continue
            yield from self._pieces(file, wanted, types, since, until)

    def events(self, *types: EventType) -> pa.Table:
        """Events of the given types (all if none is named), by `EVENT_SCHEMA` plus `shopper`, in memory.

        They come sorted by shopper, instant and event id. For the shopper see `shopper_of`.
        """
        schema = EVENT_SCHEMA.append(pa.field(SHOPPER, pa.string()))
        table = pa.concat_tables([schema.empty_table(), *(day.cast(schema) for day in self.days(types=types))])
        return table.take(shopper_time_order(table[SHOPPER], table["occurred_at"]))

    def items(self, before: int | None = None) -> pa.Table:
        """The latest version of each item, by `ITEM_SCHEMA`, in the order of the source.

        Args:
            before: only versions known strictly before this instant (microseconds UTC) count, and those that were
                always known (no `valid_from`); an item without one is left out. None takes the last version.
        """
        versions = self.item_versions()
        known = pc.cast(versions["valid_from"], pa.int64()).combine_chunks()
        valid_from = pc.fill_null(known, np.iinfo(np.int64).min).to_numpy()
        rows = np.arange(len(valid_from)) if before is None else np.flatnonzero(valid_from < before)
        item = versions["item_id"].combine_chunks().dictionary_encode().indices.to_numpy()[rows]
        order = np.lexsort((rows, valid_from[rows], item))
        last = np.append(item[order][1:] != item[order][:-1], True)[: len(order)]
        return versions.take(np.sort(rows[order[last]]))

    def item_versions(self) -> pa.Table:
        """Everything that was ever known of the items, by `ITEM_SCHEMA`: one row for every change."""
        return self._read(self._manifest.items, ITEM_SCHEMA)

    def quarantine(self) -> pa.Table:
        """The refused rows, by `QUARANTINE_SCHEMA`, in the order of the source."""
        tables = [self._read(file, QUARANTINE_FILE_SCHEMA) for file in self._manifest.quarantine]
        table = pa.concat_tables([QUARANTINE_FILE_SCHEMA.empty_table(), *tables])
        numbers = pa.array([part.number for part in self._manifest.parts], pa.int32())
        rank = pc.index_in(table[PART], value_set=numbers).to_numpy()
        return table.take(pa.array(np.argsort(rank, kind="stable"))).drop_columns([PART])

    def _pieces(
        self,
        file: DataFile,
        wanted: list[str],
        types: Collection[EventType],
        since: int | None,
        until: int | None,
    ) -> Iterator[pa.Table]:
        needed = {name for name in wanted if name != SHOPPER}
        needed |= set(_IDS) if SHOPPER in wanted or self.unwilling is not None else set()
        names = {event_type.value for event_type in types}
        by_type = bool(names) and not set(file.types) <= names
        by_time = (since is not None and file.first < since) or (until is not None and file.last >= until)
        needed |= ({"type"} if by_type else set()) | ({"occurred_at"} if by_time else set())
        try:
            for piece in pieces(self.folder / file.path, [name for name in EVENT_SCHEMA.names if name in needed]):
                if self.unwilling is not None:
                    piece = piece.filter(self.unwilling.agree(piece))
                if by_type:
                    piece = piece.filter(pc.is_in(piece["type"], value_set=pa.array(sorted(names))))
                if by_time:
                    piece = piece.filter(_within(piece["occurred_at"], since, until))
                if SHOPPER in wanted:
                    piece = piece.append_column(SHOPPER, shopper_of(piece))
                if piece.num_rows:
                    yield piece.select(wanted)
        except FileNotFoundError as error:
            raise self._changed(file) from error

    def _read(self, file: DataFile, schema: pa.Schema) -> pa.Table:
        try:
            return pq.read_table(self.folder / file.path, schema=schema)
        except FileNotFoundError as error:
            raise self._changed(file) from error

    def _changed(self, file: DataFile) -> DataError:
        return DataError(
            f"{self.folder / file.path} is gone: the event log was written anew while it was being read; read it again"
        )


def _within(occurred_at: pa.ChunkedArray, since: int | None, until: int | None) -> pa.Array:
    instant = pc.cast(occurred_at, pa.int64()).to_numpy()
    inside = np.ones(len(instant), bool)
    if since is not None:
        inside &= instant >= since
    if until is not None:
        inside &= instant < until
    return pa.array(inside)
