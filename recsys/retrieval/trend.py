"""What is taken more often these days than usual: a fading count against a slower one.

A plain fading count (Metarank's "trending", Hacker News' gravity) is mostly the bestsellers again. A trend is what
departs from the usual, as Amazon Personalize's "trending now" and the z-score of counts have it
(https://docs.aws.amazon.com/personalize/latest/dg/native-recipe-trending-now.html,
https://stackoverflow.com/questions/787496). Both are ends of one scale here: `usual` says how much of the usual share
is taken off, and `caution`, in standard errors of a count, keeps two sales in a slow week from being a trend.
"""

from dataclasses import asdict, dataclass

import numpy as np

from recsys.clock import DAY
from recsys.errors import ConfigError
from recsys.retrieval.ranked_groups import RankedGroups
from recsys.sequence.histories import Histories


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast counts fade, and what is taken off.

    Args:
        half_life_days: age at which an event of these days counts half.
        usual_days: the same for the usual share.
        usual: how much of the usual share is taken off; 0 leaves the plain fading share.
        caution: how many standard errors of the usual count are taken off.
    """

    half_life_days: float
    usual_days: float
    usual: float
    caution: float

    def __post_init__(self) -> None:
        if not 0 < self.half_life_days < self.usual_days:
            raise ConfigError(
                f"half_life_days={self.half_life_days}, usual_days={self.usual_days}; the usual has to fade more slowly"
            )
        if not 0 <= self.usual <= 1 or self.caution < 0:
            raise ConfigError(f"usual={self.usual}, caution={self.caution}; give a share up to 1, and 0 or more")

    @property
    def words(self) -> str:
        """What can be told of an item, for the shopper; only where all of the usual is taken off it is a trend."""
        return "taken more than usual these days" if self.usual == 1 else "much taken these days"

    def settings(self) -> dict[str, float]:
        """Constructor arguments, for the bundle."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Taken:
    """Which items were taken in which group, and what they are a share of.

    Attributes:
        group, item, time: of each event [E].
        whole_group, whole_time: group and instant of each thing that shares are of, a moment or an event [M].
    """

    group: np.ndarray
    item: np.ndarray
    time: np.ndarray
    whole_group: np.ndarray
    whole_time: np.ndarray

    @classmethod
    def of_moments(cls, known: Histories, member: np.ndarray) -> "Taken":
        """Shares of moments (baskets), of sequences [S] that are each in the group `member` [S]; -1 is in none."""
        group, first = member[known.owner()], known.moments()
        inside, first = group >= 0, first[group[first] >= 0]
        time = known.events.time
        return cls(group[inside], known.events.item[inside], time[inside], group[first], time[first])


def rising(taken: Taken, pace: Pace, *, groups: int, items: int, until: int, most: int) -> RankedGroups:
    """The `most` items of each group whose fading share at `until` lies furthest above the usual one; the score is by
    how much."""
    pair, place = np.unique(taken.group * items + taken.item, return_inverse=True)
    group, item = np.divmod(pair, items)
    now, usual = (_faded(taken.time, days, until) for days in (pace.half_life_days, pace.usual_days))
    of_now, of_usual = (_faded(taken.whole_time, days, until) for days in (pace.half_life_days, pace.usual_days))
    whole = np.bincount(taken.whole_group, of_now, minlength=groups)[group]
    spread = np.bincount(taken.whole_group, of_now**2, minlength=groups)[group]
    whole_usual = np.bincount(taken.whole_group, of_usual, minlength=groups)[group]
    share = np.bincount(place, now, minlength=len(pair)) / np.maximum(whole, 1e-9)
    share_usual = np.bincount(place, usual, minlength=len(pair)) / np.maximum(whole_usual, 1e-9)
    error = np.sqrt(share_usual * spread) / np.maximum(whole, 1e-9)
    score = share - pace.usual * share_usual - pace.caution * error
    return RankedGroups.of(group, item, score, groups=groups, most=most)


def _faded(time: np.ndarray, half_life_days: float, until: int) -> np.ndarray:
    """What events at `time` [N] count at `until` [N]."""
    weight: np.ndarray = 0.5 ** ((until - time) / (half_life_days * DAY))
    return weight
