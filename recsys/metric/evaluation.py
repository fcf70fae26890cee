"""Full-catalogue evaluation: the questions of `recsys/metric/case.py`, ranked and scored.

Recall divides by the moment's size, NDCG's ideal by min(k, size). Intervals resample shoppers. Repeat items (wanted
before by the same shopper, so a view does not make a repeat) and new items are also reported apart, each against its
own number of targets; so are items that nothing was learnt of (cold).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from recsys.metric.beyond import coverage, debiased_hit_rate, diversity, miscalibration, novelty
from recsys.metric.case import Case, cases_between
from recsys.metric.circumstances import Circumstances
from recsys.metric.interval import shopper_intervals
from recsys.metric.measures import measured
from recsys.metric.ranking import MISS
from recsys.metric.slices import Targets, kinds, sliced

Ranker = Callable[[Sequence[Case]], list[np.ndarray]]
"""Gives, for each case, the rank of each of its targets (`MISS` where not ranked)."""

LISTED = 10
"""K: how many items of each list are kept for what is beyond accuracy."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """What one way of ranking made of Q cases with P known targets.

    Attributes:
        rank: of each target, case after case [P] int64; `MISS` where not ranked.
        top: the first items of each case, best first [Q, K] int64; 0 where there are fewer.
    """

    rank: np.ndarray
    top: np.ndarray

    @classmethod
    def joined(cls, parts: "Sequence[Ranked]") -> "Ranked":
        """The cases of one after those of another."""
        return cls(np.concatenate([part.rank for part in parts]), np.concatenate([part.top for part in parts]))


Lister = Callable[[Sequence[Case]], Ranked]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Means over queries, with the interval of the two main figures.

    `lead` is the mean NDCG@10 above another row on the same queries and the ends of its paired interval. What is beyond
    accuracy (`recsys/metric/beyond.py`), cold items and `slices` (`recsys/metric/slices.py`) are None or empty where
    nothing is known of the crowd, or where no question was about them.
    """

    queries: int
    recall10: float
    recall10_interval: tuple[float, float]
    ndcg10: float
    ndcg10_interval: tuple[float, float]
    recall20: float
    ndcg20: float
    mrr10: float
    mrr20: float
    hr10: float
    hr20: float
    repeat_recall10: float
    repeat_ndcg10: float
    new_recall10: float
    new_ndcg10: float
    cold_recall10: float | None = None
    cold_ndcg10: float | None = None
    coverage10: float | None = None
    novelty10: float | None = None
    debiased_hr10: float | None = None
    diversity10: float | None = None
    miscalibration10: float | None = None
    lead: tuple[float, float, float] | None = None
    slices: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def evaluate(cases: Sequence[Case], rank: Ranker, *, seed: int = 0, draws: int = 1_000) -> Score:
    """Score one way of ranking on the cases; `draws` bootstrap samples give the intervals."""
    return score(cases, rank(cases), seed=seed, draws=draws)


def score(cases: Sequence[Case], ranks: Sequence[np.ndarray], *, seed: int = 0, draws: int = 1_000) -> Score:
    """The score of ranks that were found already, one array per case; nothing beyond accuracy."""
    found = Ranked(np.concatenate(ranks), np.zeros((len(cases), 0), np.int64))
    return score_rows(cases, {"": found}, seed=seed, draws=draws)[""]


def each_question(cases: Sequence[Case], found: Ranked) -> dict[str, np.ndarray]:
    """Every one of `MEASURES` of every case [Q]."""
    targets = Targets.of(cases)
    return measured(found.rank, targets.owner, targets.wanted)


def score_rows(
    cases: Sequence[Case],
    rows: Mapping[str, Ranked],
    *,
    around: Circumstances | None = None,
    seed: int = 0,
    draws: int = 1_000,
) -> dict[str, Score]:
    """The scores of several ways of ranking the same cases; `around` adds slices and what is beyond accuracy."""
    targets = Targets.of(cases)
    each = {name: measured(found.rank, targets.owner, targets.wanted) for name, found in rows.items()}
    shopper = np.array([case.shopper for case in cases])
    columns = [one[measure] for one in each.values() for measure in ("recall10", "ndcg10")]
    ends = shopper_intervals(np.stack(columns, axis=1), shopper, seed=seed, draws=draws)
    parts = [*kinds(targets), *(around.parts if around else ())]
    return {
        name: _score(
            means={measure: float(values.mean()) for measure, values in each[name].items()},
            slices=sliced(parts, found.rank, targets.owner),
            beyond=_beyond(found, targets, around) if around else {},
            intervals=(ends[2 * place], ends[2 * place + 1]),
            queries=len(cases),
        )
        for place, (name, found) in enumerate(rows.items())
    }


def _score(
    *,
    means: Mapping[str, Any],
    slices: dict[str, float],
    beyond: Mapping[str, Any],
    intervals: tuple[tuple[float, float], tuple[float, float]],
    queries: int,
) -> Score:
    return Score(
        queries=queries,
        recall10_interval=intervals[0],
        ndcg10_interval=intervals[1],
        repeat_recall10=slices.get("kind/repeat/recall10", 0.0),
        repeat_ndcg10=slices.get("kind/repeat/ndcg10", 0.0),
        new_recall10=slices.get("kind/new/recall10", 0.0),
        new_ndcg10=slices.get("kind/new/ndcg10", 0.0),
        cold_recall10=slices.get("warmth/cold/recall10"),
        cold_ndcg10=slices.get("warmth/cold/ndcg10"),
        slices=slices,
        **means,
        **beyond,
    )


def _beyond(found: Ranked, targets: Targets, around: Circumstances) -> dict[str, float | None]:
    crowd, lists = around.crowd, found.top[:, :LISTED]
    return {
        "coverage10": coverage(lists, len(crowd.taken) - 1),
        "novelty10": novelty(lists, crowd),
        "debiased_hr10": debiased_hit_rate(found.rank, targets.item, crowd, at=10),
        "diversity10": diversity(lists, crowd),
        "miscalibration10": miscalibration(lists, around.past, crowd),
    }


__all__ = [
    "MISS",
    "Case",
    "Lister",
    "Ranked",
    "Ranker",
    "Score",
    "cases_between",
    "each_question",
    "evaluate",
    "score",
    "score_rows",
]
