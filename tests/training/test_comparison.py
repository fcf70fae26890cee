"""The evaluation table: how its rows rank, and how it is printed."""

import io

import numpy as np
import pytest
import torch
from rich.console import Console

from recsys.metric.circumstances import Circumstances
from recsys.metric.crowd import Crowd
from recsys.metric.evaluation import Case, Ranked, evaluate, score_rows
from recsys.metric.ranking import MISS
from recsys.model.sasrec import SASRec
from recsys.retrieval.buy_again import BuyAgain
from recsys.retrieval.covisitation import CoVisitation, Relation
from recsys.retrieval.popular import Popular
from recsys.slate import Candidates
from recsys.state import ShopperState
from tests.recsys.by_hand import histories, spec, state
from training.comparison import encoder_ranker, metrics_json, print_table, source_ranker, tracked
from training.rankers import Remembered, encoded, encoder_ranked, source_lister
from training.table import print_slices


def case(asked: ShopperState, *target: int) -> Case:
    return Case(asked, 0, np.array(target), np.zeros(len(target), bool), len(target))


def test_a_source_misses_what_it_does_not_score_and_ties_rank_last() -> None:
    shopper = state((1, 1), (2, 1), (3, 1), (3, 2), at=9)
    ranks = source_ranker(BuyAgain(half_life_days=None))([case(shopper, 1, 4), case(shopper, 3), case(state(at=1), 1)])
    assert [rank.tolist() for rank in ranks] == [[2, MISS], [0], [MISS]]


def test_the_encoder_ranks_the_whole_catalogue_in_batches_of_any_size() -> None:
    torch.manual_seed(0)
    encoder = SASRec(items=30, features=spec(), dim=8).eval()
    cases = [case(state((number % 29 + 1, 1), at=9), number % 29 + 1) for number in range(70)]
    ranks = np.concatenate(encoder_ranker(encoder, spec())(cases))
    assert len(ranks) == 70
    assert ranks.max() < 29
    assert (ranks[:12] == ranks[58:]).all(), "case 58 asks what case 0 asks, in another batch"


def test_the_same_list_for_everybody_ranks_as_it_would_for_each() -> None:
    popular = Popular(days=9)
    popular.fit(histories([(1, 1), (2, 2), (2, 3), (3, 4), (5, 5)]), items=7, until=10**9, category=np.zeros(7))
    cases = [case(state(at=99), 1, 3), case(state(at=99), 2), case(state(at=99), 6, 5), case(state(at=99), 3)]
    alone = [source_ranker(popular)([one])[0].tolist() for one in cases]
    assert [rank.tolist() for rank in source_ranker(popular)(cases)] == alone
    assert alone == [[2, 3], [0], [MISS, 3], [3]]


def test_what_a_shopper_had_leaves_every_ranking_alike_and_a_target_among_it_is_missed() -> None:
    encoder = SASRec(items=8, features=spec(), dim=8).eval()
    shopper = state((1, 1), (2, 1), (3, 2), at=9)
    plain, hidden = case(shopper, 1, 4), case(shopper.excluding([1, 3]), 1, 4)
    listed = source_lister(BuyAgain(half_life_days=None))([plain, hidden])
    assert (listed.rank.tolist(), listed.top[:, :3].tolist()) == ([2, MISS, MISS, MISS], [[1, 2, 3], [2, 0, 0]])
    found = encoder_ranked([plain, hidden], encoded([plain, hidden], encoder, spec()), encoder)
    assert found.rank[2] == MISS
    assert found.rank[3] == found.rank[1] - np.isin([1, 3], found.top[0][: found.rank[1]]).sum()
    assert not set(found.top[1].tolist()) & {1, 3}
    assert set(found.top[0].tolist()) == {*range(8)}


def test_a_source_that_was_asked_already_answers_from_memory_what_it_would_answer() -> None:
    source = CoVisitation(relation=Relation.WITHIN, least=1)
    log = histories([(1, 1), (2, 1), (3, 1)], [(1, 1), (3, 1)], [(2, 1), (4, 1)])
    source.fit(log, items=5, until=10**9, category=np.zeros(5))
    cases = [case(state((item, 1), at=2), 1) for item in (1, 2, 3)]
    memory: dict[int, Candidates] = {}
    source_lister(source, memory, depth=2)(cases)
    remembered = Remembered(source, memory, depth=2)
    for one in cases:
        for count in (1, 2, 3, None):
            expected, found = source.candidates(one.state, count), remembered.candidates(one.state, count)
            assert found.item.tolist() == expected.item.tolist()
            assert found.score.tolist() == expected.score.tolist()


def test_a_shopper_whom_literature_mode_cannot_ask_about_counts_as_missed() -> None:
    features = spec(query="last")
    encoder = SASRec(items=5, features=features, dim=8).eval()
    cases = [case(state(at=1), 1, 2), case(state((1, 1), at=2), 1), case(state(at=1), 3)]
    ranks = encoder_ranker(encoder, features)(cases)
    assert [ranks[0].tolist(), ranks[2].tolist()] == [[MISS, MISS], [MISS]]
    assert ranks[1][0] < 4


def test_the_table_fits_eighty_columns_and_shows_every_row() -> None:
    cases = [case(state(at=1), 1)]
    rows = {
        name: evaluate(cases, lambda _, rank=rank: [np.array([rank])], draws=0)  # type: ignore[misc]
        for name, rank in (("buy-again, half-life 90d", 1), ("the answer", 0))
    }
    out = io.StringIO()
    print_table(rows, Console(file=out, width=80), title="made up")
    lines = out.getvalue().splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert any("the answer" in line and "1.000" in line for line in lines)
    assert any("buy-again, half-life 90d" in line and ".6309" in line for line in lines)
    assert tracked(rows)["the_answer/ndcg10"] == 1.0
    assert metrics_json(rows, {"train_s": 1.0}, protocol="p")["rows"]["the answer"]["recall10"] == 1.0


def scored_with_slices() -> dict[str, object]:
    """Two rows on two cases, with everything that is known of the crowd."""
    crowd = Crowd(taken=np.array([0, 9, 0]), takers=np.array([0, 2, 0]), shoppers=4, path=np.ones((3, 3), np.int64))
    cases = [case(state((1, 1), at=3600), 1, 2), case(state(at=7200), 2)]
    rows = {
        "buy-again, half-life 90d": Ranked(np.array([0, MISS, 3]), np.array([[1, 2], [2, 0]])),
        "encoder alone": Ranked(np.array([0, 1, 2]), np.array([[1, 2], [2, 1]])),
        "the answer": Ranked(np.array([5, 1, 0]), np.array([[2, 1], [2, 1]])),
    }
    around = Circumstances.of(cases, crowd, time_zone="UTC")
    return dict(score_rows(cases, rows, around=around, draws=10))


def test_everything_beyond_accuracy_fits_eighty_columns_too() -> None:
    out = io.StringIO()
    print_table(scored_with_slices(), Console(file=out, width=80), title="made up")  # type: ignore[arg-type]
    lines = out.getvalue().splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert not any("\N{HORIZONTAL ELLIPSIS}" in line for line in lines), "nothing was cut off"
    further, beyond = [line.split()[2:] for line in lines if line.startswith("the answer") and "-" not in line]
    assert further[:2] == ["1.000", ".7500"], "HR and MRR at 10"
    assert further[2:6] == ["1.000", ".8026", "1.000", ".7500"], "recall, NDCG, HR and MRR at 20"
    assert len(beyond) == 5


def test_slices_are_printed_beside_the_best_baseline() -> None:
    out = io.StringIO()
    print_slices(scored_with_slices(), Console(file=out, width=80))  # type: ignore[arg-type]
    lines = [line.split() for line in out.getvalue().splitlines()]
    assert ["warmth", "warm", "1", ".3562", "1.000", "1.000"] in lines
    assert any(line[:2] == ["hour", "01"] for line in lines)
    assert any(line[:2] == ["02", "1"] for line in lines)
    assert all(len(line) <= 80 for line in out.getvalue().splitlines())


def test_slices_of_our_rows_go_to_the_tracker_and_all_to_the_bundle() -> None:
    rows = scored_with_slices()
    kept = tracked(rows)  # type: ignore[arg-type]
    assert kept["the_answer/history/1-4/queries"] == 1.0
    assert kept["encoder_alone/hour/02/ndcg10"] == 0.5
    assert kept["the_answer/coverage10"] == 1.0
    assert not any(name.startswith("buy") and "/hour/" in name for name in kept)
    stored = metrics_json(rows, {}, protocol="p")["rows"]["buy-again, half-life 90d"]  # type: ignore[arg-type]
    assert stored["slices"]["popularity/0/queries"] == 2.0
    assert stored["cold_recall10"] == pytest.approx(1 / 2)
