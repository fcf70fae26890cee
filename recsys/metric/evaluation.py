"""Full-catalogue evaluation: what will this shopper take next, asked the instant before.

The protocol: a query is the instant before a moment of the test window; its history is strictly earlier; its targets
are all distinct items of the moment (or what else `recsys/target` can ask for). Items unknown before the cut-off cannot
be ranked and count as misses. Recall divides by the moment's size, NDCG's ideal by min(k, size). Intervals resample
shoppers. Repeat items (wanted before by the same shopper, so a view does not make a repeat) and new items are also
reported apart, each against its own number of targets.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recsys.catalogue import UNKNOWN
from recsys.event import EventType
from recsys.metric.interval import shopper_bootstrap
from recsys.metric.ranking import MISS, ndcg, recall, reciprocal_rank
from recsys.protocols import Target
from recsys.sequence.histories import Histories
from recsys.sequence.question import remembered
from recsys.state import Context, ShopperState, is_one_of
from recsys.target.next_moment import NextMoment

Ranker = Callable[[Sequence["Case"]], list[np.ndarray]]
"""Gives, for each case, the rank of each of its targets (`MISS` where not ranked)."""


@dataclass(frozen=True, slots=True)
class Case:
    """One query of the evaluation.

    Attributes:
        state: the shopper the instant before.
        shopper: number of the shopper.
        target: distinct known items of the moment [T].
        is_repeat: whether the shopper took each target before [T].
        size: number of distinct items of the moment, unknown ones included.
    """

    state: ShopperState
    shopper: int
    target: np.ndarray
    is_repeat: np.ndarray
    size: int


def cases_between(
    histories: Histories,
    *,
    since: int | np.ndarray,
    until: int | np.ndarray,
    target: Target | None = None,
    wanted: Collection[EventType] = (EventType.PURCHASE,),
    memory: int | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> list[Case]:
    """The cases of all moments in [since, until) that hold a `wanted` event; `limit` samples that many of them.

    `since` and `until` are instants for all, or one for each sequence [S]. `target` says which of the wanted events
    from the moment on are asked for; those of the moment if None. What reaches beyond `until` is not asked. States hold
    the latest `memory` events, as they do online (None: all); whether a target is a repeat is asked of all. `histories`
    must hold every event, those of unknown items too.
    """
    target = target or NextMoment()
    first = histories.moments()
    owner = histories.owner()[first]
    instant = histories.events.time[first]
    is_wanted = is_one_of(tuple(wanted))[histories.events.type]
    begins = np.maximum(since, histories.asked_from)[owner]
    within = instant + target.span < np.broadcast_to(until, len(histories))[owner]
    inside = (instant >= begins) & within
    chosen = np.flatnonzero(inside & (np.add.reduceat(is_wanted, first) > 0)) if len(first) else first
    if limit is not None and limit < len(chosen):
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, limit, replace=False))
    rows = np.flatnonzero(is_wanted)
    asked = rows[np.searchsorted(rows, first[chosen])] if len(chosen) else first[chosen]
    ends = target.ends(histories, asked)
    number = histories.shopper_number()
    return [
        _case(histories, int(owner[m]), int(number[owner[m]]), int(first[m]), slice(start, end), is_wanted, memory)
        for m, start, end in zip(chosen.tolist(), asked.tolist(), ends.tolist(), strict=True)
    ]


def _case(
    histories: Histories,
    sequence: int,
    shopper: int,
    first: int,
    asked: slice,
    is_wanted: np.ndarray,
    memory: int | None,
) -> Case:
    begin = int(histories.start[sequence])
    history = histories.events[begin:first]
    taken = histories.events.item[asked][is_wanted[asked]]
    target = np.unique(taken[taken != UNKNOWN])
    context = Context(at=int(histories.events.time[asked.start]))
    state = ShopperState(remembered(history, memory) if memory else history, context)
    size = len(target) + int(np.count_nonzero(taken == UNKNOWN))
    return Case(state, shopper, target, np.isin(target, history.item[is_wanted[begin:first]]), size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Means over queries, with the interval of the two main figures.

    `lead` is the mean NDCG@10 above another row on the same queries and the ends of its paired interval.
    """

    queries: int
    recall10: float
    recall10_interval: tuple[float, float]
    ndcg10: float
    ndcg10_interval: tuple[float, float]
    recall20: float
    mrr20: float
    hr10: float
    repeat_recall10: float
    repeat_ndcg10: float
    new_recall10: float
    new_ndcg10: float
    lead: tuple[float, float, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def evaluate(cases: Sequence[Case], rank: Ranker, *, seed: int = 0, draws: int = 1_000) -> Score:
    """Score one way of ranking on the cases; `draws` bootstrap samples give the intervals."""
    return score(cases, rank(cases), seed=seed, draws=draws)


def ndcg_of_each(cases: Sequence[Case], ranks: Sequence[np.ndarray]) -> np.ndarray:
    """NDCG@10 of every query [Q]."""
    return np.array([ndcg(r, wanted=c.size, at=10) for c, r in zip(cases, ranks, strict=True)])


def score(cases: Sequence[Case], ranks: list[np.ndarray], *, seed: int = 0, draws: int = 1_000) -> Score:
    """The score of ranks that were found already, one array per case."""
    shopper = np.array([case.shopper for case in cases])
    pairs = list(zip(cases, ranks, strict=True))
    recall10 = np.array([recall(r, wanted=c.size, at=10) for c, r in pairs])
    ndcg10 = ndcg_of_each(cases, ranks)
    repeat = [(r[c.is_repeat], int(c.is_repeat.sum())) for c, r in pairs if c.is_repeat.any()]
    new = [(r[~c.is_repeat], c.size - int(c.is_repeat.sum())) for c, r in pairs if c.size > c.is_repeat.sum()]
    return Score(
        queries=len(cases),
        recall10=float(recall10.mean()),
        recall10_interval=shopper_bootstrap(recall10, shopper, seed=seed, draws=draws),
        ndcg10=float(ndcg10.mean()),
        ndcg10_interval=shopper_bootstrap(ndcg10, shopper, seed=seed, draws=draws),
        recall20=float(np.mean([recall(r, wanted=c.size, at=20) for c, r in pairs])),
        mrr20=float(np.mean([reciprocal_rank(r, at=20) for _, r in pairs])),
        hr10=float(np.mean([np.any(r < 10) for r in ranks])),
        repeat_recall10=_mean([recall(r, wanted=n, at=10) for r, n in repeat]),
        repeat_ndcg10=_mean([ndcg(r, wanted=n, at=10) for r, n in repeat]),
        new_recall10=_mean([recall(r, wanted=n, at=10) for r, n in new]),
        new_ndcg10=_mean([ndcg(r, wanted=n, at=10) for r, n in new]),
    )


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else 0.0


__all__ = ["MISS", "Case", "Ranker", "Score", "cases_between", "evaluate"]
