"""What became of what was shown: slates joined to the events that say which slate they came from.

An event counts for a shown item if it carries the slate's recommendation id and the item's id, and occurred less than
the window after the slate. Whoever acts on a slate has seen it, so an event that seems to come before its slate comes
from a clock that is behind: it counts, at the slate's own instant. Events without a recommendation id count for nothing
here, whatever they are of: nobody knows which slate they follow from.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.clock import HOUR
from recsys.errors import ConfigError
from recsys.event import EventType
from recsys.log.exposures import SHOWN_SCHEMA, shown

OUTCOMES: Mapping[str, tuple[EventType, ...]] = {
    "clicked_at": (EventType.CLICK, EventType.VIEW),
    "added_at": (EventType.ADD_TO_CART,),
    "bought_at": (EventType.PURCHASE,),
}
"""The columns that are added, and which events they are of: each the first one's instant, null for none."""
OUTCOME_SCHEMA = pa.schema([*SHOWN_SCHEMA, *(pa.field(name, pa.timestamp("us", tz="UTC")) for name in OUTCOMES)])
_NEVER = np.iinfo(np.int64).max


def outcomes(exposures: pa.Table, events: pa.Table, *, window_h: float = 24.0) -> pa.Table:
    """One row for each item of each slate (`EXPOSURE_SCHEMA`, each slate once), in the order shown, with what became of
    it among the events (`EVENT_SCHEMA`) in the `window_h` hours from the slate on; by `OUTCOME_SCHEMA`.

    Raises:
        ConfigError: a window that is no time at all.
    """
    if not window_h > 0:
        raise ConfigError(f"window_h={window_h} holds no event; give hours, such as 24")
    rows = shown(exposures)
    key = _key(rows["recommendation_id"], rows["item_id"])
    shown_at = _instants(rows["shown_at"])
    told = events.filter(pc.is_valid(events["recommendation_id"]))
    for name, types in OUTCOMES.items():
        first = _first(told.filter(pc.is_in(told["type"], value_set=pa.array(types))), key, shown_at, window_h=window_h)
        column = pa.array(first, mask=first == _NEVER).cast(pa.timestamp("us", tz="UTC"))
        rows = rows.append_column(name, column)
    return rows.cast(OUTCOME_SCHEMA)


def _first(events: pa.Table, key: pa.Array, shown_at: np.ndarray, *, window_h: float) -> np.ndarray:
    """The instant of the first of the events for each shown item [N], or never."""
    first = np.full(len(shown_at), _NEVER)
    events = events.filter(pc.is_valid(events["item_id"]))
    place = pc.index_in(_key(events["recommendation_id"], events["item_id"]), value_set=key)
    known = np.asarray(pc.is_valid(place))
    row = np.asarray(place.drop_null()).astype(np.int64)
    at = np.maximum(_instants(events["occurred_at"])[known], shown_at[row])
    counts = at - shown_at[row] < window_h * HOUR
    np.minimum.at(first, row[counts], at[counts])
    return first


def _key(recommendation: pa.ChunkedArray, item: pa.ChunkedArray) -> pa.Array:
    joined = pc.binary_join_element_wise(recommendation, item, "\0")
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


def _instants(column: pa.ChunkedArray) -> np.ndarray:
    """Microseconds UTC [N] int64."""
    return np.asarray(column.cast(pa.int64())).astype(np.int64)
