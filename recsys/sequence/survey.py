"""One reading of a log before its sequences are built: vocabularies, links, and how the shoppers are spread."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.clock import DAY
from recsys.event import EventType
from recsys.feature.coding import Vocabulary
from recsys.log.identity import COLUMNS, Identity, changes_told, condensed
from recsys.log.reader import EventLog

_SAMPLE = 500
_MOST_TOLD = 2_000_000
"""So many rows about links are kept before what they repeat is dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What has to be known of a log before a single event can be coded.

    Attributes:
        items: ids of the items seen before the cut-off, ascending.
        types: event types seen before the cut-off.
        channels, devices: their names before the cut-off.
        identity: who visitors were; all of the log, because a link says nothing before its own instant.
        events: how many events there are.
        dates: the first instant of every date that has events, and how many, ascending.
        first, last: instants of the first and of the last event.
        sample: some shopper ids, ascending, spread like the events.
    """

    items: pa.Array
    types: tuple[EventType, ...]
    channels: Vocabulary
    devices: Vocabulary
    identity: Identity
    events: int
    dates: tuple[tuple[int, int], ...]
    first: int
    last: int
    sample: pa.Array

    @classmethod
    def of(cls, log: EventLog, *, until: int | None) -> "Survey":
        """Read the log once; vocabularies are from strictly before `until` (None: from all of it)."""
        items, types = pa.array([], pa.string()), pa.array([], pa.string())
        channels: Counter[str] = Counter()
        devices: Counter[str] = Counter()
        links: list[pa.Table] = []
        sample: list[str] = []
        dates: Counter[int] = Counter()
        first, last = np.iinfo(np.int64).max, np.iinfo(np.int64).min
        for piece in log.days((*COLUMNS, "item_id", "channel", "device", "shopper")):
            instant = pc.cast(piece["occurred_at"], pa.int64())
            span = pc.min_max(instant).as_py()
            first, last = min(first, span["min"]), max(last, span["max"])
            dates[span["min"] // DAY * DAY] += piece.num_rows
            sample += _spread(piece["shopper"])
            links.append(changes_told(piece))
            if sum(told.num_rows for told in links) > _MOST_TOLD + links[0].num_rows:
                links = [condensed(links)]
            early = piece if until is None or span["max"] < until else piece.filter(pc.less(instant, until))
            items = _merged(items, early["item_id"])
            types = _merged(types, early["type"])
            channels.update(_counted(early["channel"]))
            devices.update(_counted(early["device"]))
        return cls(
            items=items.take(pc.sort_indices(items)),
            types=tuple(sorted(EventType(name) for name in types.to_pylist())),
            channels=Vocabulary.of_counts(channels),
            devices=Vocabulary.of_counts(devices),
            identity=Identity.of(links),
            events=dates.total(),
            dates=tuple(sorted(dates.items())),
            first=first,
            last=last,
            sample=pa.array(sorted(sample), pa.string()),
        )


def _spread(shopper: pa.ChunkedArray) -> list[str]:
    """Some hundreds of a piece's shoppers, evenly spread."""
    rows = np.unique(np.linspace(0, len(shopper) - 1, min(_SAMPLE, len(shopper))).astype(np.int64))
    chosen: list[str] = shopper.take(pa.array(rows)).to_pylist()
    return chosen


def _merged(known: pa.Array, column: pa.ChunkedArray) -> pa.Array:
    """The distinct texts of both."""
    fresh = pc.drop_null(pc.unique(column)).cast(pa.string())
    return pc.unique(pa.concat_arrays([known, fresh.filter(pc.invert(pc.is_in(fresh, known)))]))


def _counted(column: pa.ChunkedArray) -> dict[str, int]:
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(column).to_pylist() if entry["values"]}
