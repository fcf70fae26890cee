"""Turns a trained encoder into a recommender: statistics of the crowd, and weights for the blend."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from rich.console import Console

from recsys.clock import DAY
from recsys.metric.evaluation import Case, evaluate
from recsys.metric.ranking import list_ranks
from recsys.recommender import Recommender
from recsys.retrieval.blend import Blend, tune
from recsys.retrieval.repurchase import Repurchase
from recsys.state import Knowledge
from training.dataset import Dataset, Known
from training.recipe import Recipe


def with_statistics(recommender: Recommender, recipe: Recipe, dataset: Dataset, known: Known) -> Recommender:
    """The same recommender with sources and repurchase model learnt from what is `known`."""
    for source in recommender.blend.sources:
        source.fit(known.histories, items=dataset.catalogue.size, until=known.until, category=dataset.category)
    if recommender.ranker is not None:
        recommender.ranker.count(
            known.histories, items=dataset.catalogue.size, until=known.until, category=dataset.category
        )
    repurchase = Repurchase.learn(
        known.histories,
        category=dataset.category,
        until=known.until,
        window=recipe.validation_days * DAY,
        seed=recipe.seed,
    )
    return replace(recommender, policy=recipe.policy(repurchase=repurchase))


def with_tuned_weights(recommender: Recommender, cases: Sequence[Case], console: Console) -> Recommender:
    """Fit the weights of a known shopper to the validation cases, by NDCG@10 of the final slate.

    Sources that never spoke there (views cannot, in a log of purchases) keep their prior weights.
    """
    known = [case for case in cases if case.state.knowledge is Knowledge.KNOWN]
    weights = recommender.blend.weights.get(Knowledge.KNOWN, {})
    if not known or not weights:
        console.print("no known shopper to fit the blend to: it keeps its prior weights")
        return recommender
    blend, policy, rng = recommender.blend, recommender.policy, np.random.default_rng(0)
    found = recommender.retrieve([case.state for case in known])
    gathered = [blend.gather(case.state, encoder) for case, encoder in zip(known, found, strict=True)]

    def quality(weights: Mapping[str, float]) -> float:
        def rank(cases: Sequence[Case]) -> list[np.ndarray]:
            ranks = []
            for case, candidates in zip(cases, gathered, strict=True):
                mixed = blend.mix(candidates, weights).candidates
                choice = policy.choose(mixed, case.state, count=10, rng=rng)
                ranks.append(list_ranks(mixed.item[choice.place], case.target))
            return ranks

        return evaluate(known, rank, draws=0).ndcg10

    spoke = {name for candidates in gathered for name in candidates}
    tuned, reached = tune(weights, quality, free=[name for name in weights if name in spoke])
    shown = ", ".join(f"{name} {weight:.3g}" for name, weight in tuned.items())
    console.print(f"blend for known shoppers, fitted on validation (NDCG@10 {reached:.4f}): {shown}")
    return replace(recommender, blend=Blend(blend.sources, {**blend.weights, Knowledge.KNOWN: tuned}, blend.depth))
