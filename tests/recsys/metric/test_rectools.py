"""Our figures against RecTools' for the same table of recommendations.

RecTools wants another NumPy, so its figures are kept here as `tests/benchmark/peers/rectools_metrics.py` printed them
(RecTools 0.19).
"""

import numpy as np
import pytest

from recsys.metric.beyond import coverage, diversity, novelty
from recsys.metric.crowd import Crowd
from recsys.metric.measures import Ragged, measured
from recsys.metric.ranking import list_ranks
from tests.benchmark.peers.recommendations import ITEMS, SHOPPERS, lists, paths, taken, wanted

RECTOOLS = {
    "hr10": 0.8333333333333334,
    "recall10": 0.4472222222222222,
    "ndcg10": 0.3528240476240491,
    "mrr10": 0.48055555555555557,
    "hr20": 0.9166666666666666,
    "recall20": 0.7000000000000001,
    "ndcg20": 0.4561946132028869,
    "mrr20": 0.4865079365079365,
}
COVERAGE_OF_THREE = 0.6666666666666666
NOVELTY_OF_TEN = 2.5662920085696217
LEVELS_APART_OF_TEN = 2.531481481481481


@pytest.mark.parametrize("name", RECTOOLS)
def test_every_measure_agrees_with_rectools(name: str) -> None:
    target = Ragged.of(wanted())
    rank = np.concatenate([list_ranks(shown, own) for shown, own in zip(lists(), wanted(), strict=True)])
    assert measured(rank, target.owner, target.size)[name].mean() == pytest.approx(RECTOOLS[name], abs=1e-12)


def test_coverage_novelty_and_diversity_agree_with_rectools() -> None:
    assert coverage(lists()[:, :3], ITEMS) == pytest.approx(COVERAGE_OF_THREE)
    assert novelty(lists()[:, :10], crowd()) == pytest.approx(NOVELTY_OF_TEN)
    apart = diversity(lists()[:, :10], crowd())
    assert apart is not None
    assert 3 * apart == pytest.approx(LEVELS_APART_OF_TEN), "theirs counts the levels, ours is their share"


def crowd() -> Crowd:
    """What `taken` says of the items."""
    shopper, item = np.array(taken()).T
    takers = [len(set(shopper[item == number].tolist())) for number in range(ITEMS + 1)]
    assert len(set(shopper.tolist())) == SHOPPERS
    return Crowd(
        taken=np.bincount(item, minlength=ITEMS + 1),
        takers=np.array(takers),
        shoppers=SHOPPERS,
        path=np.concatenate([np.zeros((1, 3), np.int64), paths() + 1]),
    )
