"""What is known about one shopper at one instant: the history before it, the basket, and where we are asked.

The same objects come from the log (training, evaluation) and from the online store (serving); everything after
them is shared code, so offline and online cannot drift apart.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from recsys.catalogue import UNKNOWN
from recsys.clock import MINUTE
from recsys.event import ACTS, INTERACTIONS, EventType

if TYPE_CHECKING:
    from recsys.retrieval.filter.expression import Filter

SESSION_GAP = 30 * MINUTE
Told = TypeVar("Told")


class Knowledge(StrEnum):
    """How well a shopper is known: nothing yet, this session only, or earlier sessions too."""

    COLD = "cold"
    SESSION = "session"
    KNOWN = "known"


QUERY_TOKENS = 4
"""Q: how many hashed tokens of a search text an event keeps."""

_ABSENT = np.empty(0)


def _absent() -> np.ndarray:
    return _ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Events of one shopper as they were known at some instant, all strictly before it, in order of time; E events.

    Who the shopper is was settled before: events of an anonymous visitor who signed in later are among them only where
    the instant is after the link (`recsys/log/identity.py`). Columns that nobody knows anything about may be left out;
    they take no memory.

    Attributes:
        item: catalogue indices [E] int, 0 for an unknown item or none.
        type: `EventType.code` [E] int8.
        time: instants [E] int64, microseconds UTC, ascending.
        quantity: units [E] float32; 1 unless given.
        price: unit price [E] float32, NaN where unknown.
        list_price: unit price without discount [E] float32, NaN where unknown.
        channel, device: codes of the feature spec's vocabularies [E] int8; 0 for none.
        position: rank in the slate that the event came from [E] int16, from 0; -1 for none.
        query: hashed tokens of the search text [E, Q] int16; 0 for none.
    """

    item: np.ndarray
    type: np.ndarray
    time: np.ndarray
    quantity: np.ndarray = field(default_factory=_absent)
    price: np.ndarray = field(default_factory=_absent)
    list_price: np.ndarray = field(default_factory=_absent)
    channel: np.ndarray = field(default_factory=_absent)
    device: np.ndarray = field(default_factory=_absent)
    position: np.ndarray = field(default_factory=_absent)
    query: np.ndarray = field(default_factory=_absent)
    _told: "dict[object, History]" = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, nothing in _NOTHING.items():
            if getattr(self, name) is _ABSENT:
                object.__setattr__(self, name, nothing[: len(self.item)])

    @classmethod
    def empty(cls) -> "History":
        """Nothing known."""
        return cls(item=np.empty(0, np.int32), type=np.empty(0, np.int8), time=np.empty(0, np.int64))

    @classmethod
    def joined(cls, parts: "Sequence[History]") -> "History":
        """The parts end to end, not sorted."""
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in HISTORY_COLUMNS})

    def columns(self) -> list[np.ndarray]:
        """Every array of E rows."""
        return [getattr(self, name) for name in HISTORY_COLUMNS]

    def __len__(self) -> int:
        return len(self.item)

    def __getitem__(self, rows: slice | np.ndarray) -> "History":
        if not isinstance(rows, slice) and rows.dtype == bool:
            rows = np.flatnonzero(rows)  # once for all columns
            if len(rows) == len(self):
                return self
        return History(**{name: taken(getattr(self, name), rows) for name in HISTORY_COLUMNS})

    def before(self, at: int) -> "History":
        """The part strictly before `at`."""
        count = int(np.searchsorted(self.time, at, side="left"))
        return self if count == len(self) else self[:count]

    def of_type(self, *types: EventType) -> "History":
        """The events of these types."""
        return self._once(types, lambda: is_one_of(types)[self.type])

    def interactions(self) -> "History":
        """The events in which the shopper acted on an item the catalogue knows."""
        return self._once("interactions", lambda: _IS_INTERACTION[self.type] & (self.item != UNKNOWN))

    def acts(self) -> "History":
        """The events in which the shopper did something: what features look back on."""
        return self._once("acts", lambda: _IS_ACT[self.type])

    def purchases(self) -> "History":
        """The events in which the shopper bought an item the catalogue knows."""
        return self._once("purchases", lambda: (self.type == _PURCHASE) & (self.item != UNKNOWN))

    def _once(self, name: object, rows: Callable[[], np.ndarray]) -> "History":
        """The part that `rows` [E] bool keeps; it is made the first time that anyone asks for it by that name."""
        known = self._told.get(name)
        if known is None:
            known = self._told[name] = self[rows()]
        return known

    def last_moment(self) -> "History":
        """The events that share the latest instant."""
        return self[self.time == self.time[-1]] if len(self) else self

    def session_start(self, at: int, gap: int = SESSION_GAP) -> int:
        """Instant at which the session running at `at` began; `at` itself if nothing happened within `gap`."""
        start = at
        for instant in self.time[::-1].tolist():
            if start - instant > gap:
                break
            start = instant
        return start


_VALUE_OF_NOTHING: dict[str, np.ndarray] = {
    "quantity": np.array(1, np.float32),
    "price": np.array(np.nan, np.float32),
    "list_price": np.array(np.nan, np.float32),
    "channel": np.array(0, np.int8),
    "device": np.array(0, np.int8),
    "position": np.array(-1, np.int16),
    "query": np.zeros(QUERY_TOKENS, np.int16),
}
_NOTHING = {name: np.broadcast_to(value, (2**48, *value.shape)) for name, value in _VALUE_OF_NOTHING.items()}
"""What a column says where nothing is known, longer than any history: a slice is made sooner than a column."""


HISTORY_COLUMNS = tuple(column.name for column in fields(History) if column.init)
"""Names of the arrays of a history, in order."""


def taken(column: np.ndarray, rows: slice | np.ndarray) -> np.ndarray:
    """`column[rows]`; a column that says the same everywhere goes on taking no memory."""
    if isinstance(rows, slice) or column.strides[0] or not len(column):
        return column[rows]
    count = int(np.count_nonzero(rows)) if rows.dtype == bool else len(rows)
    if count <= len(column):
        return column[:count]
    return np.broadcast_to(column[0], (count, *column.shape[1:]))


@cache
def is_one_of(types: Collection[EventType]) -> np.ndarray:
    """Lookup from a type code to whether it is one of `types`, [C] bool; far faster than `np.isin` on short arrays."""
    table = np.zeros(max(t.code for t in EventType) + 1, bool)
    table[[t.code for t in types]] = True
    return table


_IS_INTERACTION = is_one_of(INTERACTIONS)
_IS_ACT = is_one_of(ACTS)
_PURCHASE = EventType.PURCHASE.code
_BASKET_TYPES = (EventType.ADD_TO_CART, EventType.REMOVE_FROM_CART, EventType.PURCHASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Where, when and how we are asked.

    `at` is the instant of the question in microseconds UTC. `utc_offset_s` is the shopper's local offset in
    seconds; without it the shop's own zone (part of the feature spec) is used. `channel` and `device` are features of
    the question; of what is on offer, what `store` has out of stock is not shown there. The rest is recorded with the
    answer; no part of this release decides by it.
    """

    at: int
    utc_offset_s: int | None = None
    placement: str = "home"
    device: str | None = None
    channel: str | None = None
    store: str | None = None
    item: int = UNKNOWN


@dataclass(frozen=True, slots=True)
class ShopperState:
    """Everything an answer may depend on; `wanted` is what alone may be shown, None for whatever is on offer.

    `shopper` says who it is, for what is remembered from one question to the next; no answer depends on it.
    """

    history: History
    context: Context
    exclude: frozenset[int] = field(default_factory=frozenset)
    wanted: "Filter | None" = None
    shopper: str | None = None
    _told: dict[object, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "history", self.history.before(self.context.at))

    def once(self, work: "Callable[[ShopperState], Told]") -> Told:
        """What `work` tells of this state, worked out the first time that anyone asks: all parts of an answer look at
        the same shopper."""
        if work not in self._told:
            self._told[work] = work(self)
        told: Told = self._told[work]
        return told

    @property
    def basket(self) -> frozenset[int]:
        """Indices of the items in the open basket: added, and since neither removed nor bought."""
        return self.once(_basket)

    @property
    def knowledge(self) -> Knowledge:
        """How well the shopper is known at this instant."""
        return self.once(_knowledge)

    def excluding(self, items: Iterable[int]) -> "ShopperState":
        """The same state with more items that must not be shown."""
        return replace(self, exclude=self.exclude | frozenset(items))


def _basket(state: ShopperState) -> frozenset[int]:
    moves = state.history.of_type(*_BASKET_TYPES)
    added = moves.type == EventType.ADD_TO_CART.code
    if not added.any():
        return frozenset()
    order = np.lexsort((~added, moves.time))  # within one instant things go in before they go out
    inside = dict(zip(moves.item[order].tolist(), added[order].tolist(), strict=True))
    return frozenset(item for item, is_in in inside.items() if is_in and item != UNKNOWN)


def _knowledge(state: ShopperState) -> Knowledge:
    seen = state.history.interactions()
    if not len(seen):
        return Knowledge.COLD
    start = seen.session_start(state.context.at)
    return Knowledge.KNOWN if seen.time[0] < start else Knowledge.SESSION
