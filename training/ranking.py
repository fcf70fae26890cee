"""Fits the ranker on the validation window, and keeps it only where it orders better than the blend."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

import numpy as np
from rich.console import Console

from recsys.event import EventType
from recsys.metric.evaluation import Case, evaluate
from recsys.metric.ranking import list_ranks
from recsys.protocols import Ranker
from recsys.ranker.facts import Retrieved
from recsys.recommender import Recommender
from recsys.retrieval.blend import ENCODER, ranked
from recsys.retrieval.mixing import Gathered, Mixed
from recsys.sequence.question import askable
from recsys.shoppers import Shoppers
from recsys.state import Knowledge
from training.dataset import Dataset

_CASES = 8_000
_LEAST = 200
_FOLDS = 3
"""Shoppers are dealt into so many folds; each is judged by a ranker that the others taught."""


def with_ranker(recommender: Recommender, dataset: Dataset, console: Console, *, seed: int) -> Recommender:
    """The same recommender with its ranker fitted to the moments of the validation window, the crowd counted before.

    It is judged by cross-validation over shoppers (Stone, "Cross-validatory choice and assessment of statistical
    predictions", JRSS B 1974): where the blend orders the moments as well or better, there is no ranker. Nor is there
    one where nothing is ever bought, for it lives on what was bought before.
    """
    ranker, weights = recommender.ranker, recommender.blend.weights.get(Knowledge.KNOWN, {})
    if ranker is None or EventType.PURCHASE not in dataset.wanted:
        return replace(recommender, ranker=None)
    if not weights.get(ENCODER):
        console.print("no ranker: it orders where the encoder speaks, and retrieval.weights.known gives that no weight")
        return replace(recommender, ranker=None)
    cases = [case for case in dataset.validation(_CASES, seed) if case.state.knowledge is Knowledge.KNOWN]
    cases = [case for case in cases if askable(case.state, recommender.features)]
    if len(cases) < _LEAST:
        console.print(f"no ranker: {len(cases)} moments of known shoppers, it takes {_LEAST}; the blend orders")
        return replace(recommender, ranker=None)
    questions = retrieved(recommender, cases)
    fold = np.array([case.shopper % _FOLDS for case in cases])
    judged: dict[int, Ranker] = {}
    for number in np.unique(fold).tolist():
        judged[number] = deepcopy(ranker)
        judged[number].fit([question for question, own in zip(questions, fold, strict=True) if own != number])
    ranker.fit(questions)
    if not ranker.ready or not all(one.ready for one in judged.values()):
        console.print("no ranker: none of the moments holds both what was taken and what was not; the blend orders")
        return replace(recommender, ranker=None)
    shoppers = [Shoppers([question.state]) for question in questions]
    blended = [recommender.blend.mix_all(Gathered.of_one(question.gathered), weights) for question in questions]
    learnt = [
        ranked(judged[own], asking, mixed) for own, asking, mixed in zip(fold.tolist(), shoppers, blended, strict=True)
    ]
    by_blend, by_ranker = (_quality(recommender, cases, orders) for orders in (blended, learnt))
    kept = by_ranker > by_blend
    console.print(
        f"ranker, on shoppers it never saw: NDCG@10 {by_ranker:.4f}, the blend {by_blend:.4f}"
        f"{'' if kept else '; the blend orders'}"
    )
    return recommender if kept else replace(recommender, ranker=None)


def retrieved(recommender: Recommender, cases: Sequence[Case]) -> list[Retrieved]:
    """What the sources and the encoder propose in each case."""
    found = recommender.retrieve([case.state for case in cases])
    return [
        Retrieved(case.state, recommender.blend.gather(case.state, encoder), case.target)
        for case, encoder in zip(cases, found, strict=True)
    ]


def _quality(recommender: Recommender, cases: Sequence[Case], orders: Sequence[Mixed]) -> float:
    """NDCG@10 of the slates that the policy makes of the candidates' orders."""
    rng = np.random.default_rng(0)

    def rank(_: Sequence[Case]) -> list[np.ndarray]:
        ranks = []
        for case, order in zip(cases, orders, strict=True):
            [choice] = recommender.policy.choices(Shoppers([case.state]), order, counts=[10], rng=[rng])
            ranks.append(list_ranks(order.item[choice.place], case.target))
        return ranks

    return evaluate(cases, rank, draws=0).ndcg10
