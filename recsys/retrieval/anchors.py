"""The items a shopper's latest session was about, with weights: what item-to-item sources start from."""

import numpy as np

from recsys.event import EventType
from recsys.runs import fresh
from recsys.state import ShopperState, is_one_of

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
