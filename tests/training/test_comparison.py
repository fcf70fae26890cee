"""The evaluation table: how its rows rank, and how it is printed."""

import io

import numpy as np
import torch
from rich.console import Console

from recsys.metric.evaluation import Case, evaluate
from recsys.metric.ranking import MISS
from recsys.model.sasrec import SASRec
from recsys.retrieval.buy_again import BuyAgain
from recsys.state import ShopperState
from tests.recsys.by_hand import spec, state
from training.comparison import encoder_ranker, metrics_json, print_table, source_ranker, tracked


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
    assert any("the answer" in line and "1.0000" in line for line in lines)
    assert any("buy-again, half-life 90d" in line and ".6309" in line for line in lines)
    assert tracked(rows)["the_answer/ndcg10"] == 1.0
    assert metrics_json(rows, {"train_s": 1.0}, protocol="p")["rows"]["the answer"]["recall10"] == 1.0
