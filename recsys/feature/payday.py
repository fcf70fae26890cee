"""A shopper's own payday: does their spending come in a monthly or fortnightly rhythm, and how long ago did it begin?

From what was spent on strictly earlier days, every phase of two calendars is asked whether spending gathers in the days
that follow it: the 31 days of a month, and the 14 days of a fortnight. The strength of a rhythm is a standard score:

- monthly: spending in the window after day p of the month, over what the window's share of the days lived through would
  give, in units of the spread that placing every day's spending at random would have;
- fortnightly: the window after day p against the window a week later, so that somebody who shops every Saturday has
  no rhythm. A rhythm of seven days is the weekday's business.

The strongest phase counts if it is stronger than chance (`STRENGTH`) and rests on enough (`CYCLES`, `SHOPPING_DAYS`).
Otherwise the class is 0, unknown. All sums are of integers, so that any order of adding them gives the same class.

Few have one: of the 2,467 households of The Complete Journey, asked at the end of their year, 144 are believed to, and
41 of the same households with their weeks in random order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from recsys.feature.past import Past
from recsys.feature.temporal import day_of_month, month_length

MONTH = 31
FORTNIGHT = 14
WEEK = 7
WINDOW = {MONTH: 5, FORTNIGHT: 3}
"""Days from a payday on in which the money is spent."""
CYCLES = {MONTH: 3, FORTNIGHT: 4}
"""How many cycles there must be between the first purchase that is looked at and the question."""
SHOPPING_DAYS = 12
"""Fewer days with a purchase tell nothing."""
STRENGTH = {MONTH: 3.6, FORTNIGHT: 2.6}
"""Standard score from which a phase is believed. Measured on The Complete Journey: with a household's weeks in random
order, 1 in 100 has a phase of the one or of the other calendar that is as strong."""
SINCE_BORDERS = np.array([1, 2, 3, 5, 7, 10, 14, 21])
"""Days since the payday at which the next class begins; class 1 is the payday itself."""
PAYDAYS = len(SINCE_BORDERS) + 2
"""Number of classes: 0 is "no rhythm known"."""
USUAL = 100
"""What a usual purchase counts, and one whose price is unknown."""
LARGEST = 100_000 * USUAL
"""What a day counts at most, so that squares of days can be added up in 64 bits."""

_CHUNK = 4_096


@dataclass(frozen=True, slots=True)
class Rhythm:
    """What was found for each of N questions: the cycle (31, 14, or 0 for none) and its phase, counted from 0; [N]."""

    cycle: np.ndarray
    phase: np.ndarray


def usual_spending(price: np.ndarray, quantity: np.ndarray) -> float:
    """Median of what the purchases with a price (unit price [E], NaN unknown; quantity [E]) cost; 1 without any."""
    spent = price.astype(np.float64) * quantity
    spent = spent[spent > 0]
    return float(np.median(spent)) if len(spent) else 1.0


def amounts(price: np.ndarray, quantity: np.ndarray, *, usual: float) -> np.ndarray:
    """Spending [E] int64 in hundredths of the `usual` one (`usual_spending` from before the cut-off).

    A purchase of unknown price (NaN) counts as a usual one: where no price is known, this counts purchases.
    """
    spent = np.minimum(USUAL / usual * price.astype(np.float64) * quantity, LARGEST)
    return np.where(np.isnan(spent), USUAL, np.round(np.nan_to_num(spent))).astype(np.int64)


def payday_class(
    past: Past, at_day: np.ndarray, *, day: np.ndarray, amount: np.ndarray, start: np.ndarray
) -> np.ndarray:
    """Class 0..PAYDAYS-1 of the days since the last own payday, [N] int64.

    Args:
        past: what each question may look at, rows of purchases [N].
        at_day: local day of each question [N], counted from 1970-01-01.
        day: local day of every purchase [P], ascending in each sequence.
        amount: what was spent [P] int64, see `amounts`.
        start: where each sequence's purchases begin, and the end of the last [S + 1].
    """
    rhythm = rhythms(past, at_day, day=day, amount=amount, start=start)
    dom, length = day_of_month(at_day), month_length(at_day)
    before = month_length(at_day - dom)  # of the month that ended `dom` days ago
    this, last = np.minimum(rhythm.phase + 1, length), np.minimum(rhythm.phase + 1, before)
    monthly = np.where(dom >= this, dom - this, dom + before - last)
    since = np.where(rhythm.cycle == MONTH, monthly, (at_day - rhythm.phase) % FORTNIGHT)
    return np.where(rhythm.cycle > 0, 1 + np.searchsorted(SINCE_BORDERS, since, side="right"), 0)


def rhythms(past: Past, at_day: np.ndarray, *, day: np.ndarray, amount: np.ndarray, start: np.ndarray) -> Rhythm:
    """The rhythm that was known at each question; arguments as in `payday_class`."""
    if not len(day):
        return Rhythm(np.zeros(len(past), np.int64), np.zeros(len(past), np.int64))
    days = _Days.of(day, amount, start)
    asked = days.asked(past, at_day)
    fresh = np.ones(len(asked), bool)
    fresh[1:] = (asked[1:] != asked[:-1]).any(1)
    distinct = asked[fresh]
    found = np.zeros((len(distinct), 2), np.int64)
    telling = np.flatnonzero(distinct[:, 2] - distinct[:, 1] >= SHOPPING_DAYS)
    for piece in _pieces(distinct[telling]):
        found[telling[piece]] = _strongest(days, distinct[telling[piece]])
    cycle, phase = found[np.cumsum(fresh) - 1].T
    return Rhythm(cycle, phase)


@dataclass(frozen=True, slots=True)
class _Days:
    """D shopping days: local day [D], first purchase [D + 1], and running sum of amounts by purchase [P + 1]."""

    day: np.ndarray
    first: np.ndarray
    total: np.ndarray

    @classmethod
    def of(cls, day: np.ndarray, amount: np.ndarray, start: np.ndarray) -> "_Days":
        fresh = np.ones(len(day), bool)
        fresh[1:] = day[1:] != day[:-1]
        fresh[start[:-1][np.diff(start) > 0]] = True
        first = np.flatnonzero(fresh)
        return cls(day[first], np.append(first, len(day)), np.concatenate([[0], np.cumsum(amount)]))

    def asked(self, past: Past, at_day: np.ndarray) -> np.ndarray:
        """Of each question: first purchase it may see, its shopping day, the end of the days before, own day; [N, 4].

        The day of the question itself is left out, so that nothing changes within a day.
        """
        begin = np.searchsorted(self.first, past.low, side="right") - 1
        end = np.searchsorted(self.first[:-1], past.high)
        last = np.maximum(end - 1, 0)
        end = np.where((end > begin) & (self.day[last] >= at_day), last, end)
        empty = (end <= begin) | (past.low >= past.high)
        return np.stack([past.low, np.where(empty, 0, begin), np.where(empty, 0, end), at_day], 1)


def _pieces(asked: np.ndarray) -> Iterator[slice]:
    """Slices of questions that are few enough, and reach over few enough shopping days, to be held side by side."""
    block = np.maximum.accumulate(asked[:, 2]) // _CHUNK + np.arange(len(asked)) // _CHUNK
    borders = [0, *(np.flatnonzero(np.diff(block)) + 1).tolist(), len(asked)]
    return (slice(a, b) for a, b in pairwise(borders) if b > a)


def _strongest(days: _Days, asked: np.ndarray) -> np.ndarray:
    """Cycle and phase of each question [N, 2]; zeros where no rhythm is strong enough."""
    low, begin, end, at_day = asked.T
    whole = slice(int(begin.min()), int(end.max()))
    day = days.day[whole]
    amount = np.minimum(np.diff(days.total[days.first[whole.start : whole.stop + 1]]), LARGEST)
    first_amount = np.minimum(days.total[days.first[begin + 1]] - days.total[low], LARGEST)
    begin, end = begin - whole.start, end - whole.start
    sums = _Sums(day, amount, begin, end, first_amount)
    monthly = _monthly_scores(sums, day[begin], at_day)
    fortnightly = _fortnightly_scores(sums)
    monthly[at_day - day[begin] < CYCLES[MONTH] * MONTH] = -np.inf
    fortnightly[at_day - day[begin] < CYCLES[FORTNIGHT] * FORTNIGHT] = -np.inf
    strength = np.stack([monthly.max(1) / STRENGTH[MONTH], fortnightly.max(1) / STRENGTH[FORTNIGHT]], 1)
    is_month, believed = strength[:, 0] >= strength[:, 1], strength.max(1) >= 1
    cycle = np.where(is_month, MONTH, FORTNIGHT)
    phase = np.where(is_month, monthly.argmax(1), fortnightly.argmax(1))
    return np.asarray(np.stack([cycle, phase], 1) * believed[:, None])


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sums over the shopping days [begin, end) of N questions, of which the first may count in part."""

    day: np.ndarray
    amount: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    first_amount: np.ndarray

    def total(self, *, power: int) -> np.ndarray:
        """Sum of amounts ** `power` [N] int64."""
        running = np.concatenate([[0], np.cumsum(self.amount**power)])
        return np.asarray(running[self.end] - running[self.begin + 1] + self.first_amount**power)

    def in_windows(self, phase: np.ndarray, cycle: int, *, power: int) -> np.ndarray:
        """Sum of amounts ** `power` in the window from each phase on [N, cycle] int64; `phase` of every day [D]."""
        running = _running(phase, self.amount**power, cycle)
        sums = running[self.end] - running[self.begin + 1]
        row = np.arange(len(sums))
        for shift in range(WINDOW[cycle]):
            sums[row, (phase[self.begin] - shift) % cycle] += self.first_amount**power
        return np.asarray(sums)


def _running(phase: np.ndarray, value: np.ndarray | int, cycle: int) -> np.ndarray:
    """Running sum, over days [D] of these phases, of what lies in the window from each phase on, [D + 1, cycle]."""
    found = np.zeros((len(phase) + 1, cycle), np.int64)
    row = np.arange(1, len(found))
    for shift in range(WINDOW[cycle]):
        found[row, (phase - shift) % cycle] = value
    return np.asarray(found.cumsum(0))


def _monthly_scores(sums: _Sums, first_day: np.ndarray, at_day: np.ndarray) -> np.ndarray:
    """Standard score of every day of the month [N, 31] for the days from `first_day` up to the day before `at_day`."""
    phase = day_of_month(sums.day) - 1
    base, top = int(first_day.min()), int(at_day.max())
    calendar = _running(day_of_month(np.arange(base, top)) - 1, 1, MONTH)
    lived = calendar[at_day - base] - calendar[first_day - base]
    share = lived / np.maximum(at_day - first_day, 1)[:, None]
    spread = np.sqrt(sums.total(power=2)[:, None] * share * (1 - share))
    return _scores(sums.in_windows(phase, MONTH, power=1) - sums.total(power=1)[:, None] * share, spread)


def _fortnightly_scores(sums: _Sums) -> np.ndarray:
    """Standard score of every phase of the fortnight [N, 14] against the phase a week later."""
    phase = sums.day % FORTNIGHT
    inside = sums.in_windows(phase, FORTNIGHT, power=1)
    square = sums.in_windows(phase, FORTNIGHT, power=2)
    lead = inside - np.roll(inside, -WEEK, axis=1)
    spread = np.sqrt((square + np.roll(square, -WEEK, axis=1)).astype(np.float64))
    return _scores(lead.astype(np.float64), spread)


def _scores(lead: np.ndarray, spread: np.ndarray) -> np.ndarray:
    return np.asarray(np.divide(lead, spread, out=np.full(lead.shape, -np.inf), where=spread > 0))
