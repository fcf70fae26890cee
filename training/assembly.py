"""Turns a trained encoder into a recommender: statistics of the crowd, and weights for the blend."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from rich.console import Console

from recsys.clock import DAY
from recsys.feature.spec import FeatureSpec
from recsys.metric.evaluation import Case, score
from recsys.metric.ranking import list_ranks
from recsys.protocols import Encoder, Index
from recsys.recommender import Recommender
from recsys.registry import construct, described
from recsys.retrieval.blend import Blend, tune
from recsys.retrieval.proposals import Proposals
from recsys.retrieval.repurchase import Repurchase
from recsys.sequence.question import askable, question_batch
from recsys.shoppers import Shoppers
from recsys.state import Knowledge
from training.dataset import Dataset, Known
from training.recipe import Recipe

_LEAST = 100
"""Fewer moments teach no weights."""
_QUERIES, _BATCH = 1_000, 64
_MOST = 5_000
"""A sample of so many is enough for a handful of weights."""


def build_index(index: Index, encoder: Encoder, features: FeatureSpec, asked: Sequence[Case]) -> None:
    """Index the encoder's item vectors; what the questions `asked` make of queries shows how well it must be read."""
    states = [case.state for case in asked if askable(case.state, features)]
    states = states[:: max(1, len(states) // _QUERIES)]
    with torch.inference_mode():
        batches = [question_batch(states[at : at + _BATCH], features) for at in range(0, len(states), _BATCH)]
        queries = [encoder(batch).numpy() for batch in batches]
        index.build(encoder.item_vectors().detach().numpy(), np.concatenate(queries) if queries else None)


def with_statistics(recommender: Recommender, recipe: Recipe, dataset: Dataset, known: Known) -> Recommender:
    """The same recommender with sources and repurchase model learnt from what is `known`."""
    for source in recommender.blend.sources:
        dataset.teach(source, known)
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
    policy = described(recommender.policy)
    return replace(recommender, policy=construct(policy["class"], {**policy["settings"], "repurchase": repurchase}))


def with_tuned_weights(recommender: Recommender, cases: Sequence[Case], console: Console, *, seed: int) -> Recommender:
    """Fit the blend's weights to the validation cases, by NDCG@10 of the final slate, state of knowledge by state.

    A state of which there are fewer than `_LEAST` moments keeps its prior weights, and so does a source that never
    spoke there (views cannot, in a log of purchases).
    """
    for knowledge in Knowledge:
        prior = recommender.blend.weights.get(knowledge, {})
        asked = [case for case in cases if case.state.knowledge is knowledge]
        if len(prior) < 2:
            continue
        if len(asked) < _LEAST:
            console.print(f"blend, {knowledge} shoppers: {len(asked)} moments, it takes {_LEAST}; prior weights stay")
            continue
        chosen = np.random.default_rng(seed).permutation(len(asked))[:_MOST]
        tuned, reached = _tuned(recommender, [asked[place] for place in np.sort(chosen)], prior)
        shown = ", ".join(f"{name} {weight:.3g}" for name, weight in tuned.items())
        console.print(f"blend, {knowledge} shoppers, fitted on validation (NDCG@10 {reached:.4f}): {shown}")
        blend = recommender.blend
        recommender = replace(recommender, blend=Blend(blend.sources, {**blend.weights, knowledge: tuned}, blend.depth))
    return recommender


def _tuned(
    recommender: Recommender, cases: Sequence[Case], prior: Mapping[str, float]
) -> tuple[dict[str, float], float]:
    """Weights fitted to `cases` of one state of knowledge, and the NDCG@10 that they reach."""
    blend, policy, rng = recommender.blend, recommender.policy, np.random.default_rng(0)
    states = [case.state for case in cases]
    shoppers, encoder = Shoppers(states), Proposals.of(recommender.retrieve(states))
    gathered = blend.gather_all(shoppers, states[0].knowledge, encoder)

    def quality(weights: Mapping[str, float]) -> float:
        mixed = blend.mix_all(gathered, weights)
        choices = policy.choices(shoppers, mixed, counts=[10] * len(cases), rng=[rng] * len(cases))
        ranks = [
            list_ranks(mixed.item[first + choice.place], case.target)
            for case, choice, first in zip(cases, choices, mixed.start.tolist(), strict=False)
        ]
        return score(cases, ranks, draws=0).ndcg10

    return tune(prior, quality, free=[name for name in prior if name in gathered.proposals])
