"""A ranker is fitted on the validation window, judged by shoppers it never saw, and kept only if it helps."""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from recsys.bundle import read_bundle, write_bundle
from recsys.event import EventType
from recsys.metric.evaluation import Case
from recsys.ranker.facts import Retrieved
from recsys.ranker.listwise import Listwise
from recsys.ranker.none import NoRanker
from recsys.recommender import Recommender
from recsys.retrieval.blend import Blend
from recsys.retrieval.mixing import Mixed
from recsys.sequence.histories import Histories
from recsys.shoppers import Shoppers
from recsys.state import Knowledge
from training.assembly import with_statistics
from training.dataset import Dataset
from training.ranking import with_ranker
from training.recipe import Recipe


class Stubborn(NoRanker):
    """Thinks that everything is wanted alike."""

    ready = True
    depth = 200

    def chances(self, shoppers: Shoppers, mixed: Mixed) -> np.ndarray:
        return np.full(len(mixed.item), 0.1, np.float32)

    def fit(self, questions: Sequence[Retrieved]) -> None:
        """Learns nothing."""

    def count(self, histories: Histories, *, items: int, until: int, category: np.ndarray) -> None:
        """Counts nothing."""


@pytest.fixture(scope="module")
def dataset(tiny_recipe: Recipe, tiny_bundle: Path) -> Dataset:
    return Dataset.of(tiny_recipe)


@pytest.fixture
def recommender(tiny_recipe: Recipe, tiny_bundle: Path, dataset: Dataset) -> Recommender:
    """The made-up shop's, the crowd counted before the validation window, not yet ranked."""
    fresh = replace(read_bundle(tiny_bundle), ranker=Listwise(hidden=8, epochs=3))
    return with_statistics(fresh, tiny_recipe, dataset, dataset.before_validation())


def poorly_blended(recommender: Recommender) -> Recommender:
    """Sources as they were, weights that look at popularity only."""
    blend = recommender.blend
    weights = dict.fromkeys(blend.weights[Knowledge.KNOWN], 1e-06) | {"popular": 1.0}
    return replace(recommender, blend=Blend(blend.sources, {**blend.weights, Knowledge.KNOWN: weights}, blend.depth))


def questions(dataset: Dataset) -> list[Case]:
    return [case for case in dataset.validation(2_000, 1) if case.state.knowledge is Knowledge.KNOWN][:40]


def slates(recommender: Recommender, cases: list[Case], *, with_encoder: bool = True) -> list[list[int]]:
    answers = recommender.answer(
        [case.state for case in cases], counts=[5] * len(cases), rng=np.random.default_rng(0), with_encoder=with_encoder
    )
    return [[item.index for item in slate.items] for slate in answers]


def test_a_ranker_that_orders_better_than_the_blend_is_kept_and_says_by_how_much(
    recommender: Recommender, dataset: Dataset
) -> None:
    out = io.StringIO()
    poor = poorly_blended(recommender)
    kept = with_ranker(poor, dataset, Console(file=out, width=200), seed=7)
    assert kept.ranker is not None
    assert kept.ranker.ready
    assert "ranker, on shoppers it never saw: NDCG@10" in out.getvalue()
    cases = questions(dataset)
    hits = [
        sum(len(set(slate) & set(case.target.tolist())) for slate, case in zip(found, cases, strict=True))
        for found in (slates(kept, cases), slates(replace(kept, ranker=None), cases))
    ]
    assert hits[0] > 1.5 * hits[1]


def test_a_ranker_that_orders_worse_is_not_kept(recommender: Recommender, dataset: Dataset) -> None:
    out = io.StringIO()
    stubborn = replace(recommender, ranker=Stubborn())
    assert with_ranker(stubborn, dataset, Console(file=out, width=200), seed=7).ranker is None
    assert "the blend orders" in out.getvalue()


def test_there_is_none_where_nothing_is_bought_or_too_little_is_known(
    recommender: Recommender, dataset: Dataset
) -> None:
    out = io.StringIO()
    console = Console(file=out, width=200)
    assert with_ranker(recommender, replace(dataset, wanted=(EventType.VIEW,)), console, seed=7).ranker is None
    assert with_ranker(replace(recommender, ranker=NoRanker()), dataset, console, seed=7).ranker is None
    nobody = replace(dataset, cut=replace(dataset.cut, validation_from=dataset.cut.test_from))
    assert with_ranker(recommender, nobody, console, seed=7).ranker is None
    assert "no ranker: 0 moments of known shoppers" in out.getvalue()


def test_there_is_none_where_the_encoder_has_no_weight_and_it_is_said(
    recommender: Recommender, dataset: Dataset
) -> None:
    blend, out = recommender.blend, io.StringIO()
    known = {**blend.weights[Knowledge.KNOWN], "encoder": 0.0}
    without = {knowledge: weights for knowledge, weights in blend.weights.items() if knowledge != Knowledge.KNOWN}
    for weights in (without, {**without, Knowledge.KNOWN: known}):
        deaf = replace(recommender, blend=Blend(blend.sources, weights, blend.depth))
        assert with_ranker(deaf, dataset, Console(file=out, width=200), seed=7).ranker is None
    assert out.getvalue().count("no ranker: it orders where the encoder speaks") == 2


def test_the_ranker_travels_in_the_bundle(recommender: Recommender, dataset: Dataset, tmp_path: Path) -> None:
    kept = with_ranker(poorly_blended(recommender), dataset, Console(quiet=True), seed=7)
    write_bundle(kept, tmp_path / "bundle", metrics={})
    again = read_bundle(tmp_path / "bundle")
    cases = questions(dataset)
    assert isinstance(again.ranker, Listwise)
    assert slates(again, cases) == slates(kept, cases)
    assert slates(again, cases) != slates(replace(again, ranker=None), cases)


def test_without_the_encoder_the_blend_orders(recommender: Recommender, dataset: Dataset) -> None:
    kept = with_ranker(poorly_blended(recommender), dataset, Console(quiet=True), seed=7)
    cases = questions(dataset)
    degraded = slates(kept, cases, with_encoder=False)
    assert degraded == slates(replace(kept, ranker=None), cases, with_encoder=False)
    assert degraded != slates(kept, cases)
