"""Every candidate source answers alone, and all of them together, before and after the bundle."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import hydra
import numpy as np
import pytest
from hydra.utils import instantiate

from recsys.bundle import read_bundle, write_bundle
from recsys.clock import MINUTE
from recsys.event import EventType
from recsys.protocols import CandidateSource
from recsys.recommender import Recommender
from recsys.retrieval.behaviour import Behaviour
from recsys.retrieval.blend import Blend
from recsys.retrieval.complement import Complement
from recsys.retrieval.due import Due
from recsys.retrieval.look_alike import LookAlike
from recsys.retrieval.new_arrivals import NewArrivals
from recsys.retrieval.rfm import RFM
from recsys.retrieval.segment_popular import SegmentPopular
from recsys.retrieval.trending import Trending
from recsys.retrieval.trending_category import TrendingInCategory
from recsys.retrieval.trending_segment import TrendingInSegment
from recsys.slate import Slate
from recsys.state import Context, History, Knowledge, ShopperState
from training.dataset import Dataset
from training.recipe import Recipe

ALL = frozenset(Knowledge)
SINCE_THIS_SESSION = frozenset({Knowledge.SESSION, Knowledge.KNOWN})
KNOWN = frozenset({Knowledge.KNOWN})
SOURCES: dict[str, tuple[Callable[[], CandidateSource], frozenset[Knowledge]]] = {
    "trending": (lambda: Trending(caution=0.0), ALL),
    "trending_category": (lambda: TrendingInCategory(caution=0.0), frozenset({Knowledge.SESSION})),
    "trending_behaviour": (lambda: TrendingInSegment(segments=Behaviour(segments=6), caution=0.0), KNOWN),
    "segment_rfm": (lambda: SegmentPopular(segments=RFM()), KNOWN),
    "segment_behaviour": (lambda: SegmentPopular(segments=Behaviour(segments=6)), KNOWN),
    "look_alike": (LookAlike, SINCE_THIS_SESSION),
    "complement": (lambda: Complement(least=1, prior_moments=1.0), SINCE_THIS_SESSION),
    "new_arrivals": (lambda: NewArrivals(days=75), ALL),
    "due": (Due, KNOWN),
}
"""Each source, and whom it has something to say to."""


@pytest.fixture(scope="module")
def dataset(tiny_recipe: Recipe, tiny_bundle: Path) -> Dataset:
    return Dataset.of(tiny_recipe)


@pytest.fixture(scope="module")
def recommender(tiny_bundle: Path) -> Recommender:
    return replace(read_bundle(tiny_bundle), ranker=None)


def shoppers(dataset: Dataset) -> dict[Knowledge, ShopperState]:
    """Nobody, a visitor who looks at something, and somebody with a history."""
    known = dataset.to_the_end()
    looked = History(
        item=known.histories[0].item[-1:],
        type=np.array([EventType.VIEW.code], np.int8),
        time=np.array([known.until - MINUTE]),
    )
    context = Context(at=known.until)
    return {
        Knowledge.COLD: ShopperState(History.empty(), context),
        Knowledge.SESSION: ShopperState(looked, context),
        Knowledge.KNOWN: ShopperState(known.histories[0], context),
    }


def answer(recommender: Recommender, state: ShopperState) -> Slate:
    return recommender.answer([state], counts=[5], rng=np.random.default_rng(0))[0]


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_answers_alone_and_from_the_bundle_the_same(
    name: str, recommender: Recommender, dataset: Dataset, tmp_path: Path
) -> None:
    made, speaks_to = SOURCES[name]
    source = made()
    dataset.teach(source, dataset.to_the_end())
    alone = replace(recommender, blend=Blend([source], {knowledge: {name: 1.0} for knowledge in Knowledge}))
    write_bundle(alone, tmp_path / "alone", metrics={})
    again = read_bundle(tmp_path / "alone")
    for knowledge, state in shoppers(dataset).items():
        assert state.knowledge is knowledge
        slate = answer(alone, state)
        assert slate.items == answer(again, state).items
        assert bool(slate.items) == (knowledge in speaks_to)
        assert all(item.source == name and item.reason and "{" not in item.reason for item in slate.items)


def test_all_sources_together_answer_from_the_bundle_the_same(
    recommender: Recommender, dataset: Dataset, tmp_path: Path
) -> None:
    with hydra.initialize_config_module("conf", version_base="1.3"):
        blend: Blend = instantiate(hydra.compose("train", ["retrieval=blend_all"]).retrieval, _convert_="all")
    for source in blend.sources:
        dataset.teach(source, dataset.to_the_end())
    whole = replace(recommender, blend=blend)
    write_bundle(whole, tmp_path / "whole", metrics={})
    again = read_bundle(tmp_path / "whole")
    assert [source.name for source in again.blend.sources] == [source.name for source in blend.sources]
    for state in shoppers(dataset).values():
        assert len(answer(whole, state).items) == 5
        assert answer(whole, state).items == answer(again, state).items
