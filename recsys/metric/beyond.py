"""What a hit does not tell: how much of the catalogue is shown, how well known, how alike, how fitting it is.

Lists are the first items that a way of ranking gives, [Q, K] int64, best first, 0 where it gives fewer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recsys.metric.crowd import Crowd

_STECK_ALPHA = 0.01


def coverage(lists: np.ndarray, items: int) -> float:
    """Share of the `items` of the catalogue that are in any list; "catalog coverage" of Ge, Delgado-Battenfeld &
    Jannach, "Beyond accuracy" (RecSys 2010)."""
    return len(np.unique(lists[lists > 0])) / items


def novelty(lists: np.ndarray, crowd: Crowd) -> float | None:
    """Mean self-information of what is listed, in bits: -log2 of the share of shoppers who took the item.

    Zhou et al., "Solving the apparent diversity-accuracy dilemma of recommender systems" (PNAS 2010). An item that
    nobody took counts as taken by one. The mean over items of each list, then over the lists that hold any; None
    without any.
    """
    bits = np.log2(max(crowd.shoppers, 1)) - np.log2(np.maximum(crowd.takers, 1))
    return _mean_of_lists(np.where(lists > 0, bits[lists], 0.0).sum(1), (lists > 0).sum(1))


def debiased_hit_rate(rank: np.ndarray, target: np.ndarray, crowd: Crowd, *, at: int) -> float | None:
    """Share of the known targets that rank before `at`, each weighted by the inverse of its propensity.

    Popular items are observed more often than they are liked, so that a plain hit rate rewards who shows them. The
    propensity is taken as proportional to the item's training events plus one: that is Yang et al., "Unbiased offline
    recommender evaluation for missing-not-at-random implicit feedback" (RecSys 2018), with their exponent
    (gamma + 1) / 2 at gamma = 1, normalised by the sum of the weights as in Schnabel et al., "Recommendations as
    treatments" (ICML 2016). None without targets.

    Args:
        rank: ranks of the targets [P].
        target: their indices [P]; unknown items have no propensity and take no part.
    """
    if not len(target):
        return None
    weight = 1 / (crowd.taken[target] + 1.0)
    return float(weight[rank < at].sum() / weight.sum())


def diversity(lists: np.ndarray, crowd: Crowd) -> float | None:
    """Mean distance of the pairs of a list by their category paths: the share of levels at which they part, from 0
    (the same leaf) to 1 (another root).

    Intra-list diversity after Ziegler et al., "Improving recommendation lists through topic diversification" (WWW
    2005). Items without a category take no part; the mean over the lists with at least one pair, None without any.
    """
    path = crowd.path[lists]
    known = path[:, :, 0] > 0
    pairs, apart = np.zeros(len(lists)), np.zeros(len(lists))
    for one in range(lists.shape[1]):
        for other in range(one):
            both = known[:, one] & known[:, other]
            pairs += both
            apart += both * (path[:, one] != path[:, other]).mean(1)
    return _mean_of_lists(apart, pairs)


@dataclass(frozen=True, slots=True)
class Mix:
    """Of which categories each question's events are, in shares; R pairs of a question and a category, ascending.

    Attributes:
        question: number of the question [R].
        category: number of the category's first level [R]; items without one are left out.
        share: of the question's events [R], above zero; one question's shares add up to one.
    """

    question: np.ndarray
    category: np.ndarray
    share: np.ndarray

    @classmethod
    def of(cls, item: np.ndarray, question: np.ndarray, crowd: Crowd) -> "Mix":
        """Of events with `item` [E] that belong to `question` [E]; every event counts alike."""
        root = crowd.path[item, 0].astype(np.int64)
        known, span = root > 0, int(crowd.path[:, 0].max(initial=0)) + 1
        key, count = np.unique(question[known] * span + root[known], return_counts=True)
        total = np.bincount(key // span, weights=count)
        return cls(key // span, key % span, count / total[key // span])

    @classmethod
    def joined(cls, mixes: Sequence["Mix"]) -> "Mix":
        """End to end; the questions of each come after those of the one before it."""
        return cls(*(np.concatenate([getattr(one, name) for one in mixes]) for name in cls.__dataclass_fields__))


def miscalibration(lists: np.ndarray, past: Mix, crowd: Crowd) -> float | None:
    """How far the categories of a list are from those of the shopper's past, in nats; 0 is perfect.

    The C_KL of Steck, "Calibrated recommendations" (RecSys 2018): the Kullback-Leibler divergence of the list's mix q
    from the past's mix p, q smoothed with 0.01 of p; categories are those of the first level, every event and every
    place of the list count alike. Chosen over the calibration error of a probability because it can be asked of every
    row of the table. The mean over questions with a category on both sides; None without any.
    """
    shown = Mix.of(lists.ravel(), np.repeat(np.arange(len(lists)), lists.shape[1]), crowd)
    asked = np.intersect1d(past.question, shown.question)
    if not len(asked):
        return None
    span = int(crowd.path[:, 0].max()) + 1
    wanted, key = past.question * span + past.category, np.append(shown.question * span + shown.category, -1)
    place = np.searchsorted(key[:-1], wanted)
    q = np.where(key[place] == wanted, np.append(shown.share, 0.0)[place], 0.0)
    terms = past.share * np.log(past.share / ((1 - _STECK_ALPHA) * q + _STECK_ALPHA * past.share))
    each = np.bincount(past.question, weights=terms, minlength=len(lists))
    return float(each[asked].mean())


def _mean_of_lists(total: np.ndarray, count: np.ndarray) -> float | None:
    """Mean over the lists with a count of each one's mean."""
    told = count > 0
    return float((total[told] / count[told]).mean()) if told.any() else None
