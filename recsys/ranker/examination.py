"""How often each position of a slate is looked at, from logged impressions, so that a learnt order does not take what
was easy to see for what was wanted.

A click needs a look and a wish. Items that the log shows at several positions tell the two apart: clicks of item i at
position p come at the rate wish[i] * look[p] (the examination hypothesis; Craswell et al., "An experimental comparison
of click position-bias models", WSDM 2008), fitted by maximum likelihood of Poisson counts; using items at several
positions is from Agarwal et al., "Estimating position bias without intrusive interventions" (WSDM 2019). What was taken
at a position seldom looked at then counts for more: by the inverse of the look, as in Joachims et al., "Unbiased
learning-to-rank with biased feedback" (WSDM 2017).
"""

from dataclasses import dataclass

import numpy as np

from recsys.clock import DAY
from recsys.event import EventType
from recsys.sequence.histories import Histories
from recsys.state import History, ShopperState, is_one_of

_CLICKS = (EventType.CLICK, EventType.VIEW)
_LEAST_CLICKS = 200
"""Fewer clicks with a position say nothing."""
_POSITIONS = 100
_ROUNDS = 100
_LEAST_LOOK = 0.1
"""No click counts for more than ten: a few from far down must not decide everything."""
_SAME_VISIT = DAY
NOT_LOGGED = -1


@dataclass(frozen=True, slots=True)
class Examination:
    """Chances that a position is looked at, against the one most looked at.

    Attributes:
        look: of each position from 0 on [P] float32 in (0, 1]; P is 0 where the log cannot tell.
    """

    look: np.ndarray

    @classmethod
    def of(cls, histories: Histories, *, until: int) -> "Examination":
        """From the impressions and clicks before `until` that carry a position."""
        events = histories.events_once()
        events = events[(events.time < until) & (events.position >= 0) & (events.item > 0)]
        shown, clicked = events[events.type == EventType.IMPRESSION.code], events[is_one_of(_CLICKS)[events.type]]
        if not len(shown) or len(clicked) < _LEAST_CLICKS:
            return cls(np.empty(0, np.float32))
        positions = min(int(shown.position.max()) + 1, _POSITIONS)
        pair, times = np.unique(_pairs(shown, positions), return_counts=True)
        taken = _pairs(clicked, positions)
        place = np.minimum(np.searchsorted(pair, taken), len(pair) - 1)
        clicks = np.bincount(place[pair[place] == taken], minlength=len(pair))
        return cls(_look(np.unique(pair // positions, return_inverse=True)[1], pair % positions, times, clicks))

    def weight(self, position: np.ndarray) -> np.ndarray:
        """What an item taken at `position` [T] counts for [T] float32, 1 at the one most looked at and for
        `NOT_LOGGED`."""
        if not len(self.look):
            return np.ones(len(position), np.float32)
        look = self.look[np.clip(position, 0, len(self.look) - 1)]
        weight: np.ndarray = np.where(position >= 0, 1 / np.maximum(look, _LEAST_LOOK), 1).astype(np.float32)
        return weight


def positions_seen(state: ShopperState, item: np.ndarray) -> np.ndarray:
    """Where in a slate the shopper met each `item` [T] within the last day, [T] int64; `NOT_LOGGED` where no event
    says."""
    seen = state.history
    seen = seen[(seen.position >= 0) & (seen.time >= state.context.at - _SAME_VISIT) & np.isin(seen.item, item)]
    latest = dict(zip(seen.item.tolist(), seen.position.tolist(), strict=True))
    return np.array([latest.get(one, NOT_LOGGED) for one in item.tolist()], np.int64)


def _pairs(events: History, positions: int) -> np.ndarray:
    """Item and position as one number."""
    pair: np.ndarray = events.item.astype(np.int64) * positions + np.minimum(events.position, positions - 1)
    return pair


def _look(item: np.ndarray, position: np.ndarray, times: np.ndarray, clicks: np.ndarray) -> np.ndarray:
    """Looks [P] that make `clicks` [R] of `times` [R] shown at (item, position) [R] likeliest, in turns with the
    wishes; a position without impressions is taken for the one before it."""
    look = np.ones(int(position.max()) + 1)
    by_item, by_position = np.bincount(item, clicks), np.bincount(position, clicks)
    for _ in range(_ROUNDS):
        wish = by_item / np.bincount(item, times * look[position])
        expected = np.bincount(position, times * wish[item])
        look = (by_position + 1) / (expected + 1)
    shown = np.bincount(position) > 0
    look = look[np.maximum.accumulate(np.where(shown, np.arange(len(look)), int(np.argmax(shown))))]
    against: np.ndarray = (look / look.max()).astype(np.float32)
    return against
