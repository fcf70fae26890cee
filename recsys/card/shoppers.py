"""Who shops: known or anonymous, how much signal each gives, and how many are new after the cut-off."""

from dataclasses import dataclass

import numpy as np

from recsys.card.arrays import grown
from recsys.card.cold import Cold
from recsys.card.piece import Crowd, Piece, run_lengths
from recsys.card.placeholder import crowded_placeholders
from recsys.card.sketch import Sketch, Spread
from recsys.clock import DAY

_UNSEEN = np.iinfo(np.int64).max
_SIZES = (0.5, 1.5, 2.5, 5.5, 10.5, 20.5, 50.5, 100.5, 200.5, 500.5, 1_000.5, 1e9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shoppers:
    """What `ShoppersMeasure` found, in acts. A visitor who signs in counts twice: as visitor, and as user from then on.

    Attributes:
        count, known: all shoppers, and those with a user id; the others are anonymous visitors.
        acts, known_acts: what all and what known shoppers did.
        moments: moments of each shopper.
        two_moments: shoppers with at least two moments: the least that an order can be learnt from.
        placeholders: acts of ids that stand for nobody ("null", "0", ...) and have far more acts than others have.
    """

    count: int
    known: int
    acts: int
    known_acts: int
    moments: Spread
    two_moments: int
    placeholders: dict[str, int]


class ShoppersMeasure:
    """Adds up pieces; 36 bytes for each shopper.

    Args:
        crowd: numbers the shoppers.
        cutoff: instant at which the test begins.
    """

    def __init__(self, crowd: Crowd, *, cutoff: int) -> None:
        self._crowd, self._cutoff = crowd, cutoff
        self._first = np.zeros(0, np.int64)
        self._first_day = np.zeros(0, np.int32)
        self._acts, self._after, self._moments = (np.zeros(0, np.int64) for _ in range(3))

    def add(self, acts: Piece) -> None:
        """Count the acts of a piece."""
        size = len(self._crowd.shopper)
        self._first = grown(self._first, size, fill=_UNSEEN)
        self._first_day = grown(self._first_day, size)
        self._acts, self._after, self._moments = (
            grown(column, size) for column in (self._acts, self._after, self._moments)
        )
        rows = acts.heads()
        if not len(rows):
            return
        shopper, moments = acts.shopper[rows], acts.shopper[acts.moments()]
        unseen = self._first[shopper] == _UNSEEN
        self._first[shopper[unseen]] = acts.time[rows][unseen]
        self._first_day[shopper[unseen]] = acts.local[rows][unseen] // DAY
        self._acts[shopper] += run_lengths(rows, len(acts))
        self._after[shopper] += np.add.reduceat((acts.time >= self._cutoff).astype(np.int64), rows)
        self._moments[shopper] += run_lengths(np.flatnonzero(np.diff(moments, prepend=-1)), len(moments))

    def result(self) -> Shoppers:
        """What was found so far."""
        seen = self._seen()
        acts, moments, known = self._acts[seen], self._moments[seen], self._crowd.known[seen]
        sizes = Sketch(whole=True)
        sizes.add(moments)
        return Shoppers(
            count=len(seen),
            known=int(known.sum()),
            acts=int(acts.sum()),
            known_acts=int(acts[known].sum()),
            moments=Spread.of(sizes, edge=_SIZES),
            two_moments=int((moments >= 2).sum()),
            placeholders=crowded_placeholders(self._crowd.shopper, self._acts),
        )

    def cold(self) -> Cold:
        """Who is new at or after the cut-off."""
        seen = self._seen()
        return Cold.of(first=self._first[seen], day=self._first_day[seen], after=self._after[seen], cutoff=self._cutoff)

    def _seen(self) -> np.ndarray:
        return np.flatnonzero(self._first != _UNSEEN)
