"""Canonical events -> the small numbers of a history: one table of codes for the log and for the online store."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.catalogue import Catalogue
from recsys.event import Event, EventColumns, EventType
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
        return self.of_columns(EventColumns.of(event for event in events if event.occurred_at < before), before=before)

    def of_columns(self, events: EventColumns, *, before: int) -> History:
        """Those of the events [E] that were strictly before `before`; columns that say nothing take no memory."""
        count = len(events)
        if not count:
            return History.empty()
        item = np.zeros(count, np.int32) if events.item_id is None else self.catalogue.indices(events.item_id)
        optional = {
            "quantity": None if events.quantity is None else np.array(events.quantity, np.float32),
            "price": _prices(events.price),
            "list_price": _prices(events.list_price),
            "channel": _codes(self.channels, events.channel),
            "device": _codes(self.devices, events.device),
            "position": _positions(events.position),
            "query": _tokens(events.query),
        }
        known = History(
            item=item,
            type=np.array(events.type, np.int8),
            time=np.array(events.occurred_at, np.int64),
            **{name: values for name, values in optional.items() if values is not None},
        )
        return known if events.occurred_at[-1] < before else known.before(before)


def _prices(prices: Sequence[float | None] | None) -> np.ndarray | None:
    return None if prices is None else np.array(prices, np.float64).astype(np.float32)


def _codes(names: Vocabulary, said: Sequence[str | None] | None) -> np.ndarray | None:
    """Codes [E] of names; each is looked up once."""
    if said is None:
        return None
    code = {name: names.code(name) for name in set(said)}
    return np.array([code[name] for name in said], np.int8)


def _positions(positions: Sequence[int | None] | None) -> np.ndarray | None:
    if positions is None:
        return None
    return np.array([-1 if place is None else min(place, _LAST_POSITION) for place in positions], np.int16)


def _tokens(texts: Sequence[str | None] | None) -> np.ndarray | None:
    """Tokens [E, Q] of search texts; each is cut once."""
    if texts is None:
        return None
    cut = {text: tokens(text) for text in set(texts)}
    return np.array([cut[text] for text in texts], np.int16)
