"""Canonical events -> the small numbers of a history: one table of codes for the log and for the online store."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.catalogue import Catalogue
from recsys.event import Event, EventType
from recsys.feature.coding import Vocabulary
from recsys.feature.query import token_columns, tokens
from recsys.state import History

COLUMNS = (
    "type", "occurred_at", "item_id", "quantity", "price", "list_price", "channel", "device", "position", "query",
)  # fmt: skip
"""What `Coding.of_table` reads."""

_TYPES = pa.array([event_type.value for event_type in EventType])
_CODES = np.array([event_type.code for event_type in EventType], np.int8)
_LAST_POSITION = np.iinfo(np.int16).max


@dataclass(frozen=True, slots=True)
class Coding:
    """What was known before the cut-off: the catalogue, and the names of channels and devices."""

    catalogue: Catalogue
    channels: Vocabulary = field(default_factory=Vocabulary)
    devices: Vocabulary = field(default_factory=Vocabulary)

    def of_table(self, events: pa.Table) -> History:
        """The events [E] in the order they come; columns that a table lacks or leaves empty take no memory."""

        def column(name: str) -> pa.Array | None:
            if name not in events.column_names or events[name].null_count == events.num_rows:
                return None
            return events[name].combine_chunks()

        optional: dict[str, Callable[[pa.Array], np.ndarray]] = {
            "quantity": lambda c: pc.fill_null(c, 1.0).to_numpy(),
            "price": lambda c: pc.cast(c, pa.float32()).to_numpy(zero_copy_only=False),
            "list_price": lambda c: pc.cast(c, pa.float32()).to_numpy(zero_copy_only=False),
            "channel": self.channels.codes,
            "device": self.devices.codes,
            "position": lambda c: np.minimum(pc.fill_null(c, -1).to_numpy(), _LAST_POSITION).astype(np.int16),
            "query": token_columns,
        }
        given = {name: column(name) for name in optional}
        return History(
            item=self.catalogue.indices_of(events["item_id"]).astype(np.int32),
            type=_CODES[pc.index_in(events["type"], _TYPES).to_numpy()],
            time=pc.cast(events["occurred_at"], pa.int64()).to_numpy(),
            **{name: optional[name](values) for name, values in given.items() if values is not None},
        )

    def of_events(self, events: Iterable[Event], *, before: int) -> History:
        """The events strictly before `before`, in order of time; ties are stored by event id, which no feature sees."""
        kept = sorted((e for e in events if e.occurred_at < before), key=lambda e: (e.occurred_at, e.event_id))
        if not kept:
            return History.empty()
        return History(
            item=np.array([self.catalogue.index_of(e.item_id) for e in kept], np.int32),
            type=np.array([e.type.code for e in kept], np.int8),
            time=np.array([e.occurred_at for e in kept], np.int64),
            quantity=np.array([e.quantity for e in kept], np.float32),
            price=_prices(e.price for e in kept),
            list_price=_prices(e.list_price for e in kept),
            channel=np.array([self.channels.code(e.channel) for e in kept], np.int8),
            device=np.array([self.devices.code(e.device) for e in kept], np.int8),
            position=np.array([-1 if e.position is None else min(e.position, _LAST_POSITION) for e in kept], np.int16),
            query=np.array([tokens(e.query) for e in kept], np.int16),
        )


def _prices(prices: Iterable[float | None]) -> np.ndarray:
    return np.array([np.nan if price is None else price for price in prices], np.float32)
