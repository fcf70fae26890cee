"""The blend's weights are fitted for each state of knowledge apart, where there is enough to fit them to."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from recsys.bundle import read_bundle
from recsys.clock import MINUTE
from recsys.metric.evaluation import Case
from recsys.recommender import Recommender
from recsys.retrieval.blend import Blend
from recsys.state import Knowledge
from training.assembly import with_statistics, with_tuned_weights
from training.dataset import Dataset
from training.recipe import Recipe


@pytest.fixture(scope="module")
def dataset(tiny_recipe: Recipe, tiny_bundle: Path) -> Dataset:
    return Dataset.of(tiny_recipe)


@pytest.fixture
def poor(tiny_recipe: Recipe, tiny_bundle: Path, dataset: Dataset) -> Recommender:
    """Whose weights look at popularity only, for whomever."""
    fresh = with_statistics(
        replace(read_bundle(tiny_bundle), ranker=None), tiny_recipe, dataset, dataset.before_validation()
    )
    blend = fresh.blend
    weights = {
        str(knowledge): {name: 1.0 if name == "popular" else 1e-3 for name in prior}  # as configuration names them
        for knowledge, prior in blend.weights.items()
    }
    return replace(fresh, blend=Blend(blend.sources, weights, blend.depth))


def visitors(dataset: Dataset) -> list[Case]:
    """The same moments, asked a minute after the latest basket by somebody of whom nothing else is known."""
    return [
        replace(
            case,
            state=replace(
                case.state,
                history=case.state.history.last_moment(),
                context=replace(case.state.context, at=int(case.state.history.time[-1]) + MINUTE),
            ),
        )
        for case in dataset.validation(None, 0)
        if len(case.state.history)
    ]


def hits(recommender: Recommender, cases: list[Case]) -> int:
    slates = recommender.answer([case.state for case in cases], counts=[10] * len(cases), rng=np.random.default_rng(0))
    return sum(
        len({item.index for item in slate.items} & set(case.target.tolist()))
        for slate, case in zip(slates, cases, strict=True)
    )


def test_visitors_of_whom_only_the_session_is_known_get_weights_of_their_own(
    poor: Recommender, dataset: Dataset
) -> None:
    cases = visitors(dataset)
    assert {case.state.knowledge for case in cases} == {Knowledge.SESSION}
    out = io.StringIO()
    tuned = with_tuned_weights(poor, cases, Console(file=out, width=200), seed=7)
    assert hits(tuned, cases) > 1.2 * hits(poor, cases)
    assert tuned.blend.weights[Knowledge.KNOWN] == poor.blend.weights[Knowledge.KNOWN], "nobody known was asked"
    assert "blend, session shoppers, fitted on validation (NDCG@10" in out.getvalue()
    assert "blend, known shoppers: 0 moments, it takes 100; prior weights stay" in out.getvalue()


def test_a_hundred_moments_are_needed(poor: Recommender, dataset: Dataset) -> None:
    few = visitors(dataset)[:99]
    assert with_tuned_weights(poor, few, Console(quiet=True), seed=7).blend.weights == poor.blend.weights
