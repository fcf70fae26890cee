"""Reads an event log back: the whole of it for training, as columns sorted by shopper and time."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from recsys.errors import SourceError
from recsys.event import EVENT_SCHEMA, EventType


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

    def events(self, *types: EventType) -> pa.Table:
        """Events of the given types (all if none is named), by `EVENT_SCHEMA` plus `shopper`.

        They come sorted by shopper, instant and event id: each date's file is written in that order, and no moment
        spans two dates. For the shopper see `shopper_of`.
        """
        dataset = ds.dataset(self.folder / "events", schema=EVENT_SCHEMA, format="parquet")
        table = dataset.to_table(filter=pc.field("type").isin([t.value for t in types]) if types else None)
        keyed = table.append_column("shopper", shopper_of(table))
        return keyed.take(shopper_time_order(keyed["shopper"], keyed["occurred_at"]))

    def items(self) -> pa.Table:
        """All items, by `ITEM_SCHEMA`."""
        return pq.read_table(self.folder / "items.parquet")
