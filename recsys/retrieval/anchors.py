"""The items a shopper's latest session was about, with weights: what item-to-item sources start from."""

from dataclasses import dataclass

import numpy as np

from recsys.compiled import compiled
from recsys.event import EventType
from recsys.runs import fresh
from recsys.shoppers import Shoppers, session_start
from recsys.state import SESSION_GAP, ShopperState, is_one_of

SIGNAL = {
    EventType.VIEW: 1.0,
    EventType.CLICK: 1.0,
    EventType.WISHLIST: 1.5,
    EventType.RATING: 1.0,
    EventType.ADD_TO_CART: 2.0,
    EventType.PURCHASE: 2.0,
}
"""How much an event says about interest in its item, relative to a view. A prior, not learnt: logs that hold
purchases only cannot teach it."""

FADING = 0.8
"""Weight of a moment relative to the moment after it, within the session."""


def latest_session(state: ShopperState) -> tuple[np.ndarray, np.ndarray]:
    """Items [N] of the latest session (running or over), in order of time, and their weights [N] float32."""
    return state.once(_latest_session)


def _latest_session(state: ShopperState) -> tuple[np.ndarray, np.ndarray]:
    seen = state.history.interactions()
    if not len(seen):
        return np.empty(0, np.int64), np.empty(0, np.float32)
    start = seen.session_start(int(seen.time[-1]) + 1)
    session = seen[int(seen.time.searchsorted(start)) :]
    moment = np.cumsum(fresh(session.time))
    signal = _SIGNAL_OF_CODE[session.type]
    return session.item, (signal * FADING ** (moment[-1] - moment)).astype(np.float32)


def open_questions(state: ShopperState, category: np.ndarray) -> ShopperState:
    """The state with only what was looked at in the running session, less the categories settled since by putting one
    of their items into the basket or buying it; `category` of every index [V]."""
    history = state.history
    running = history[int(history.time.searchsorted(history.session_start(state.context.at))) :]
    number = category[running.item]
    keep = _LOOKING[running.type]
    for place in np.flatnonzero(_SETTLING[running.type]):
        keep[:place] &= number[:place] != number[place]
    return ShopperState(running[keep], state.context)


_LOOKING = is_one_of((EventType.VIEW, EventType.CLICK, EventType.WISHLIST))
_SETTLING = is_one_of((EventType.ADD_TO_CART, EventType.PURCHASE))
_SIGNAL_OF_CODE = np.zeros(max(t.code for t in EventType) + 1, np.float32)
for _type, _weight in SIGNAL.items():
    _SIGNAL_OF_CODE[_type.code] = _weight


@dataclass(frozen=True, slots=True)
class Anchors:
    """The same of B shoppers: where each one's begin, and the end of the last [B + 1] int64, items [N] int64 in order
    of time, weights [N] float32."""

    start: np.ndarray
    item: np.ndarray
    weight: np.ndarray


def latest_sessions(shoppers: Shoppers) -> Anchors:
    """The items of each one's latest session."""
    return shoppers.once(_latest_sessions)


def looked_at(shoppers: Shoppers, category: np.ndarray) -> Anchors:
    """What is left open of each one's running session (`open_questions`); `category` of every index [V]."""
    events = shoppers.events
    row, start = _open(
        events.start, events.item, events.type, events.time, shoppers.at, category, _LOOKING, _SETTLING, SESSION_GAP
    )
    kind, time = events.type[row], events.time[row]
    return Anchors(*_weighed(start, events.item[row], kind, time, _SIGNAL_OF_CODE, FADING, SESSION_GAP))


def _latest_sessions(shoppers: Shoppers) -> Anchors:
    seen = shoppers.seen
    return Anchors(*_weighed(seen.start, seen.item, seen.type, seen.time, _SIGNAL_OF_CODE, FADING, SESSION_GAP))


@compiled
def _weighed(
    start: np.ndarray,
    item: np.ndarray,
    kind: np.ndarray,
    time: np.ndarray,
    signal: np.ndarray,
    fading: float,
    gap: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the interactions of each shopper those of the latest session, with their weights."""
    begin = np.zeros(len(start), np.int64)
    row = np.empty(len(item), np.int64)
    weight = np.empty(len(item), np.float32)
    size = 0
    for shopper in range(len(start) - 1):
        first, end = start[shopper], start[shopper + 1]
        if end > first:
            since = session_start(time, first, end, time[end - 1] + 1, gap)
            count = end - since
            strength = 1.0
            for back in range(count):
                place = end - 1 - back
                if back and time[place] != time[place + 1]:
                    strength *= fading
                row[size + count - 1 - back] = place
                weight[size + count - 1 - back] = signal[kind[place]] * strength
            size += count
        begin[shopper + 1] = size
    return begin, item[row[:size]], weight[:size].copy()


@compiled
def _open(
    start: np.ndarray,
    item: np.ndarray,
    kind: np.ndarray,
    time: np.ndarray,
    at: np.ndarray,
    category: np.ndarray,
    looking: np.ndarray,
    settling: np.ndarray,
    gap: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the running sessions in which something was looked at that no later row settles, and where those of each
    shopper begin."""
    begin = np.zeros(len(start), np.int64)
    row = np.empty(len(item), np.int64)
    size = 0
    for shopper in range(len(start) - 1):
        end = start[shopper + 1]
        since = session_start(time, start[shopper], end, at[shopper], gap)
        for place in range(since, end):
            if item[place] == 0 or not looking[kind[place]]:
                continue
            is_open = True
            for later in range(place + 1, end):
                if settling[kind[later]] and category[item[later]] == category[item[place]]:
                    is_open = False
                    break
            if is_open:
                row[size] = place
                size += 1
        begin[shopper + 1] = size
    return row[:size].copy(), begin
