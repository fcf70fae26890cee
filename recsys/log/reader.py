"""Reads an event log back: day by day in bounded pieces, or the whole of it as columns sorted by shopper and time."""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from recsys.clock import DAY, parse_instant
from recsys.errors import SourceError
from recsys.event import EVENT_SCHEMA, EventType
from recsys.log.summary import LogSummary


def shopper_of(events: pa.Table) -> pa.ChunkedArray:
    """The shopper of every event: the user id or, for a visitor without one, `anonymous:` and the anonymous id."""
    visitor = pc.binary_join_element_wise("anonymous", events["anonymous_id"], ":")
    return pc.coalesce(events["user_id"], visitor)


def shopper_time_order(shopper: pa.ChunkedArray, occurred_at: pa.ChunkedArray) -> np.ndarray:
    """Row order [N] by shopper id, then instant; rows that tie keep their order."""
    coded = shopper.combine_chunks().dictionary_encode()
    rank = np.empty(len(coded.dictionary), np.int64)
    rank[pc.sort_indices(coded.dictionary).to_numpy()] = np.arange(len(coded.dictionary))
    return np.lexsort((pc.cast(occurred_at, pa.int64()).to_numpy(), rank[coded.indices.to_numpy()]))


@dataclass(frozen=True, slots=True)
class EventLog:
    """A log folder written by `recsys.log.writer`."""

    folder: Path

    def __post_init__(self) -> None:
        if not (self.folder / "summary.json").is_file():
            raise SourceError(f"{self.folder} holds no event log (summary.json is missing); run the ingest first")

    @property
    def summary(self) -> LogSummary:
        """What became of the raw rows, and what the log holds."""
        return LogSummary(**json.loads((self.folder / "summary.json").read_text()))

    @property
    def fingerprint(self) -> str:
        """Digest of the source's settings, the parts taken in and the erasures: what the log's content follows from."""
        return self.summary.fingerprint

    @property
    def order_only(self) -> bool:
        """Literature mode: the data holds an order but no times."""
        return self.summary.order_only

    @property
    def cache_folder(self) -> Path:
        """Where readers keep what they derive, each in a folder of its own; it vanishes when rows are erased."""
        return self.folder / "cache"

    def days(
        self,
        columns: Sequence[str] | None = None,
        types: Collection[EventType] = (),
        since: int | None = None,
        until: int | None = None,
    ) -> Iterator[pa.Table]:
        """The log in ascending dates (UTC), piece by piece; no piece spans two dates, a large date has several.

        Within a date, rows are sorted by shopper, instant and event id; no moment spans two pieces.

        Args:
            columns: of `EVENT_SCHEMA`, and `shopper` (see `shopper_of`); None gives all of them.
            types: only events of these types; all if empty.
            since: only events at or after this instant, in microseconds UTC.
            until: only events strictly before this instant.
        """
        wanted = [*EVENT_SCHEMA.names, "shopper"] if columns is None else list(columns)
        for folder in sorted((self.folder / "events").iterdir()):
            day = parse_instant(folder.name.partition("=")[2])
            if (since is not None and day + DAY <= since) or (until is not None and day >= until):
                continue
            table = ds.dataset(folder, schema=EVENT_SCHEMA, format="parquet").to_table()
            table = table.append_column("shopper", shopper_of(table))
            instant = pc.cast(table["occurred_at"], pa.int64())
            if types:
                table = table.filter(pc.is_in(table["type"], pa.array([t.value for t in types])))
                instant = pc.cast(table["occurred_at"], pa.int64())
            if since is not None:
                table = table.filter(pc.greater_equal(instant, since))
                instant = pc.cast(table["occurred_at"], pa.int64())
            if until is not None:
                table = table.filter(pc.less(instant, until))
            if table.num_rows:
                yield table.select(wanted)

    def events(self, *types: EventType) -> pa.Table:
        """Events of the given types (all if none is named), by `EVENT_SCHEMA` plus `shopper`.

        They come sorted by shopper, instant and event id: each date's file is written in that order, and no moment
        spans two dates. For the shopper see `shopper_of`.
        """
        dataset = ds.dataset(self.folder / "events", schema=EVENT_SCHEMA, format="parquet")
        table = dataset.to_table(filter=pc.field("type").isin([t.value for t in types]) if types else None)
        keyed = table.append_column("shopper", shopper_of(table))
        return keyed.take(shopper_time_order(keyed["shopper"], keyed["occurred_at"]))

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
        return pq.read_table(self.folder / "items.parquet")

    def quarantine(self) -> pa.Table:
        """The refused rows, by `QUARANTINE_SCHEMA`."""
        return pq.read_table(self.folder / "quarantine.parquet")
