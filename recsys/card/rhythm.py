"""How shoppers act: sessions, the silence between acts, and baskets; carried over midnight from piece to piece."""

from dataclasses import dataclass

import numpy as np

from recsys.card.arrays import grown
from recsys.card.piece import Piece, run_lengths
from recsys.card.sketch import Sketch, Spread
from recsys.clock import MINUTE, SECOND
from recsys.event import EventType
from recsys.sequence.sessions import sessions
from recsys.state import SESSION_GAP

_NEVER = np.iinfo(np.int64).min // 2
_SIZES = (0.5, *(1.5, 2.5, 3.5, 4.5, 5.5), 10.5, 20.5, 50.5, 100.5, 1_000_000.5)
_MINUTES = (0.0, 1 / 60, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 240, 1e6)
_GAP_SECONDS = tuple(float(10 ** (0.25 * step)) for step in range(-4, 33))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """What `RhythmMeasure` found, in acts: what shoppers did, without impressions and offers.

    Attributes:
        sessions: how many.
        one_moment: sessions of a single moment.
        events: acts of each session.
        moments: moments of each session.
        minutes: from the first to the last act of each session.
        gap_s: seconds between successive moments of one shopper, across sessions.
        basket: purchased lines of each moment with a purchase.
    """

    sessions: int
    one_moment: int
    events: Spread
    moments: Spread
    minutes: Spread
    gap_s: Spread
    basket: Spread


class _Tally:
    """Distributions over finished sessions."""

    def __init__(self) -> None:
        self.events, self.moments = Sketch(whole=True), Sketch(whole=True)
        self.minutes = Sketch()
        self.one_moment = 0

    def add(self, events: np.ndarray, moments: np.ndarray, duration: np.ndarray) -> None:
        self.events.add(events)
        self.moments.add(moments)
        self.minutes.add(duration)
        self.one_moment += int((moments == 1).sum())

    def merge(self, other: "_Tally") -> None:
        self.events.merge(other.events)
        self.moments.merge(other.moments)
        self.minutes.merge(other.minutes)
        self.one_moment += other.one_moment


class RhythmMeasure:
    """Adds up pieces; 32 bytes for each shopper hold the session that is still open.

    Args:
        gap: the longest silence within a session, microseconds.
    """

    def __init__(self, *, gap: int = SESSION_GAP) -> None:
        self._gap = gap
        self._done = _Tally()
        self._gaps = Sketch()
        self._basket = Sketch(whole=True)
        self._last = np.zeros(0, np.int64)
        self._began = np.zeros(0, np.int64)
        self._events = np.zeros(0, np.int64)
        self._moments = np.zeros(0, np.int64)

    def add(self, acts: Piece, shoppers: int) -> None:
        """Count the acts of a piece; `shoppers` are known by now."""
        self._last = grown(self._last, shoppers, fill=_NEVER)
        self._began, self._events, self._moments = (
            grown(column, shoppers) for column in (self._began, self._events, self._moments)
        )
        if not len(acts):
            return
        purchases = acts.of_type(EventType.PURCHASE)
        self._basket.add(run_lengths(purchases.moments(), len(purchases)))
        self._add_gaps(acts)
        self._add_sessions(acts)

    def _add_gaps(self, acts: Piece) -> None:
        rows = acts.moments()
        shopper, time = acts.shopper[rows], acts.time[rows]
        gap = np.diff(time, prepend=0)
        first = np.flatnonzero(np.diff(shopper, prepend=-1))
        gap[first] = time[first] - self._last[shopper[first]]
        known = np.ones(len(gap), bool)
        known[first] = self._last[shopper[first]] != _NEVER
        self._gaps.add(gap[known])

    def _add_sessions(self, acts: Piece) -> None:
        """Cut the piece, join each shopper's first session to the open one if it goes on, leave the last one open."""
        start = np.append(acts.heads(), len(acts))
        found = sessions(acts.time, start, gap=self._gap)
        rows = acts.moments()
        end = np.append(found.first[1:], len(acts)) - 1
        shopper, began, last = acts.shopper[found.first], acts.time[found.first], acts.time[end]
        events = run_lengths(found.first, len(acts))
        moments = np.bincount(found.number[rows], minlength=len(found))
        head = np.diff(shopper, prepend=-1) != 0
        seen = head & (self._last[shopper] != _NEVER)
        joined = seen & (began - self._last[shopper] <= self._gap)
        who = shopper[joined]
        began[joined] = self._began[who]
        events[joined] += self._events[who]
        moments[joined] += self._moments[who]
        self._close(self._done, shopper[seen & ~joined])
        final = np.diff(shopper, append=-1) != 0
        self._done.add(events[~final], moments[~final], (last - began)[~final])
        open_ = shopper[final]
        self._last[open_], self._began[open_] = last[final], began[final]
        self._events[open_], self._moments[open_] = events[final], moments[final]

    def _close(self, tally: _Tally, shopper: np.ndarray) -> None:
        tally.add(self._events[shopper], self._moments[shopper], (self._last - self._began)[shopper])

    def result(self) -> Rhythm:
        """What was found so far, with the sessions that are still open as they are."""
        tally = _Tally()
        tally.merge(self._done)
        self._close(tally, np.flatnonzero(self._last != _NEVER))
        return Rhythm(
            sessions=tally.events.count,
            one_moment=tally.one_moment,
            events=Spread.of(tally.events, edge=_SIZES),
            moments=Spread.of(tally.moments, edge=_SIZES),
            minutes=Spread.of(tally.minutes, edge=_MINUTES, per=MINUTE),
            gap_s=Spread.of(self._gaps, edge=_GAP_SECONDS, per=SECOND),
            basket=Spread.of(self._basket, edge=_SIZES),
        )
