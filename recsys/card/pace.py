"""Who acts faster, longer or wider than people do."""

from dataclasses import dataclass

import numpy as np

from recsys.card.arrays import distinct, grown
from recsys.card.piece import Crowd, Piece, changes, run_lengths
from recsys.clock import DAY, HOUR, MINUTE

_EXAMPLES = 5
_ITEM_BITS = np.uint64(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What more than which no person does; units as in `Pace`."""

    per_minute: int = 60
    per_hour: int = 600
    per_day: int = 2_000
    hours_a_day: int = 22
    items_a_day: int = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The most that one shopper ever did.

    Attributes:
        acts: all acts of the shopper.
        per_minute, per_hour, per_day: moments in one minute, one hour and one day (UTC).
        hours_a_day: hours of one day (UTC) in which something was done.
        items_a_day: distinct items acted on in one day (UTC).
        shopper: the id, where ids are shown.
    """

    acts: int
    per_minute: int
    per_hour: int
    per_day: int
    hours_a_day: int
    items_a_day: int
    shopper: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Haste:
    """What `PaceMeasure` found.

    Attributes:
        limits: what it looked for.
        shoppers: how many went beyond one of the limits.
        acts: acts of these.
        beyond: how many went beyond each limit.
        worst: the five that went furthest beyond.
    """

    limits: Limits
    shoppers: int
    acts: int
    beyond: dict[str, int]
    worst: tuple[Pace, ...]


class PaceMeasure:
    """Adds up pieces; 28 bytes for each shopper."""

    def __init__(self, crowd: Crowd, limits: Limits) -> None:
        self._crowd, self._limits = crowd, limits
        self._acts = np.zeros(0, np.int64)
        self._peaks = {name: np.zeros(0, np.int32) for name in Limits.__dataclass_fields__}

    def add(self, acts: Piece) -> None:
        """Take in the acts of a piece."""
        size = len(self._crowd.shopper)
        self._acts = grown(self._acts, size)
        self._peaks = {name: grown(column, size) for name, column in self._peaks.items()}
        rows = acts.heads()
        self._acts[acts.shopper[rows]] += run_lengths(rows, len(acts))
        moments = acts.moments()
        at, who = acts.time[moments], acts.shopper[moments]
        for name, unit in (("per_minute", MINUTE), ("per_hour", HOUR), ("per_day", DAY)):
            self._raise(name, who, at // unit)
        hours = changes(who, at // HOUR)
        self._raise("hours_a_day", who[hours], at[hours] // DAY)
        self._add_items(acts)

    def _add_items(self, acts: Piece) -> None:
        """Take in how many different items each shopper acted on in each date."""
        dates = acts.heads(acts.time // DAY)
        date = np.repeat(np.arange(len(dates)), run_lengths(dates, len(acts)))
        some = acts.item >= 0
        pair = distinct((date[some].astype(np.uint64) << _ITEM_BITS) | acts.item[some].astype(np.uint64))
        items = np.bincount((pair >> _ITEM_BITS).astype(np.int64), minlength=len(dates))
        np.maximum.at(self._peaks["items_a_day"], acts.shopper[dates], items.astype(np.int32))

    def _raise(self, name: str, who: np.ndarray, period: np.ndarray) -> None:
        """Take in how often each shopper occurs in each period, where that is more than ever before."""
        heads = changes(who, period)
        np.maximum.at(self._peaks[name], who[heads], run_lengths(heads, len(who)).astype(np.int32))

    def result(self) -> Haste:
        """What was found so far."""
        size = len(self._crowd.shopper)
        beyond = {name: column[:size] / getattr(self._limits, name) for name, column in self._peaks.items()}
        furthest = np.max(list(beyond.values()), axis=0, initial=0.0)
        hasty = np.flatnonzero(furthest > 1)
        hashed = self._crowd.shopper.hash[hasty]  # breaks ties alike, in whatever order shoppers came
        worst = hasty[np.lexsort((hashed, -self._acts[hasty], -furthest[hasty]))][:_EXAMPLES]
        return Haste(
            limits=self._limits,
            shoppers=len(hasty),
            acts=int(self._acts[hasty].sum()),
            beyond={name: int((share > 1).sum()) for name, share in beyond.items()},
            worst=tuple(self._pace(number) for number in worst.tolist()),
        )

    def _pace(self, shopper: int) -> Pace:
        peaks = {name: int(column[shopper]) for name, column in self._peaks.items()}
        return Pace(acts=int(self._acts[shopper]), **peaks, shopper=self._crowd.id_of(shopper))
