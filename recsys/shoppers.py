"""Many shoppers side by side: what the parts of an answer that run as machine code read.

The same facts as `ShopperState` tells of one shopper, laid end to end; each is worked out once for all of them, when
the first part asks for it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from recsys.compiled import compiled
from recsys.event import INTERACTIONS, EventType
from recsys.state import SESSION_GAP, Knowledge, ShopperState, is_one_of

_IS_INTERACTION = is_one_of(INTERACTIONS)
_IS_PURCHASE = is_one_of((EventType.PURCHASE,))
_ADD, _REMOVE, _BUY = EventType.ADD_TO_CART.code, EventType.REMOVE_FROM_CART.code, EventType.PURCHASE.code
_KNOWLEDGE = (Knowledge.COLD, Knowledge.SESSION, Knowledge.KNOWN)
Told = TypeVar("Told")


@dataclass(frozen=True, slots=True)
class Events:
    """Events of B shoppers: where each one's begin, and the end of the last [B + 1] int64, catalogue indices [E] int64,
    type codes [E] int8, instants [E] int64, ascending for each."""

    start: np.ndarray
    item: np.ndarray
    type: np.ndarray
    time: np.ndarray


@dataclass(frozen=True, slots=True)
class Lists:
    """Items of B shoppers: where each one's begin, and the end of the last [B + 1] int64, and which they are [N]
    int64."""

    start: np.ndarray
    item: np.ndarray


class Shoppers:
    """B shoppers, each at its own instant `at` [B] int64."""

    def __init__(self, states: Sequence[ShopperState]) -> None:
        self.states = states
        self.at = np.array([state.context.at for state in states], np.int64)
        self._told: dict[object, object] = {}

    def __len__(self) -> int:
        return len(self.states)

    @cached_property
    def events(self) -> Events:
        """Everything that is known of them."""
        parts = [state.history for state in self.states]
        start = np.zeros(len(parts) + 1, np.int64)
        start[1:] = [len(part.item) for part in parts]
        np.cumsum(start, out=start)
        if not parts:
            return Events(start, np.empty(0, np.int64), np.empty(0, np.int8), np.empty(0, np.int64))
        item, kind, time = (
            np.concatenate(columns)
            for columns in zip(*((part.item, part.type, part.time) for part in parts), strict=True)
        )
        return Events(start, item.astype(np.int64), kind.astype(np.int8), time.astype(np.int64))

    @cached_property
    def seen(self) -> Events:
        """The events in which they acted on an item that the catalogue knows."""
        return self._of(_IS_INTERACTION)

    @cached_property
    def bought(self) -> Events:
        """The events in which they bought an item that the catalogue knows."""
        return self._of(_IS_PURCHASE)

    @cached_property
    def hidden(self) -> Lists:
        """What must not be shown: what is excluded, and what is in the basket."""
        excluded = [state.exclude for state in self.states]
        size = np.zeros(len(self) + 1, np.int64)
        size[1:] = [len(items) for items in excluded]
        start = np.cumsum(size)
        item = np.fromiter((item for items in excluded for item in items), np.int64, int(start[-1]))
        events = self.events
        return Lists(*_with_baskets(events.start, events.item, events.type, events.time, start, item))

    @cached_property
    def knowledge(self) -> list[Knowledge]:
        """How well each is known."""
        seen = self.seen
        return [_KNOWLEDGE[code] for code in _known(seen.start, seen.time, self.at, SESSION_GAP).tolist()]

    def once(self, work: "Callable[[Shoppers], Told]") -> Told:
        """What `work` tells of them, worked out the first time that anyone asks."""
        if work not in self._told:
            self._told[work] = work(self)
        return self._told[work]  # type: ignore[return-value]

    def chosen(self, places: Sequence[int]) -> "Shoppers":
        """Some of them."""
        return self if len(places) == len(self) else Shoppers([self.states[place] for place in places])

    def _of(self, kinds: np.ndarray) -> Events:
        events = self.events
        return Events(*_kept(events.start, events.item, events.type, events.time, kinds))


@compiled
def _kept(
    start: np.ndarray, item: np.ndarray, kind: np.ndarray, time: np.ndarray, kinds: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The events of known items whose type is one of `kinds`."""
    begin = np.zeros(len(start), np.int64)
    row = np.empty(len(item), np.int64)
    found = 0
    for shopper in range(len(start) - 1):
        for place in range(start[shopper], start[shopper + 1]):
            if item[place] != 0 and kinds[kind[place]]:
                row[found] = place
                found += 1
        begin[shopper + 1] = found
    row = row[:found]
    return begin, item[row], kind[row], time[row]


@compiled
def session_start(time: np.ndarray, first: int, end: int, at: int, gap: int) -> int:
    """Row at which the session running at `at` begins, of the rows [first, end) of one shopper; `end` for none."""
    start = at
    row = end
    while row > first and start - time[row - 1] <= gap:
        row -= 1
        start = time[row]
    return row


@compiled
def _known(start: np.ndarray, time: np.ndarray, at: np.ndarray, gap: int) -> np.ndarray:
    """0 for cold, 1 for this session only, 2 for earlier sessions too [B]."""
    found = np.zeros(len(at), np.int64)
    for shopper in range(len(at)):
        first, end = start[shopper], start[shopper + 1]
        if end > first:
            begins = session_start(time, first, end, at[shopper], gap)
            since = time[begins] if begins < end else at[shopper]
            found[shopper] = 2 if time[first] < since else 1
    return found


@compiled
def _with_baskets(
    start: np.ndarray,
    item: np.ndarray,
    kind: np.ndarray,
    time: np.ndarray,
    excluded_start: np.ndarray,
    excluded: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """What is excluded and what lies in the basket; within one instant things go in before they go out."""
    begin = np.zeros(len(start), np.int64)
    found = np.empty(len(excluded) + len(item), np.int64)
    size = 0
    for shopper in range(len(start) - 1):
        for place in range(excluded_start[shopper], excluded_start[shopper + 1]):
            found[size] = excluded[place]
            size += 1
        first = size  # the basket follows
        row = start[shopper]
        while row < start[shopper + 1]:
            end = row
            while end < start[shopper + 1] and time[end] == time[row]:
                end += 1
            for place in range(row, end):
                if kind[place] == _ADD and item[place] != 0:
                    size = _put(found, first, size, item[place])
            for place in range(row, end):
                if kind[place] == _REMOVE or kind[place] == _BUY:
                    size = _take(found, first, size, item[place])
            row = end
        begin[shopper + 1] = size
    return begin, found[:size].copy()


@compiled
def _put(basket: np.ndarray, first: int, size: int, item: int) -> int:
    for place in range(first, size):
        if basket[place] == item:
            return size
    basket[size] = item
    return size + 1


@compiled
def _take(basket: np.ndarray, first: int, size: int, item: int) -> int:
    for place in range(first, size):
        if basket[place] == item:
            basket[place] = basket[size - 1]
            return size - 1
    return size
