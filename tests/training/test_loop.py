"""The learning line as a whole, on a shop whose truth is known."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from recsys.bundle import read_metrics
from recsys.errors import TrainingError
from recsys.recommender import Recommender
from recsys.retrieval.index.auto import AutoIndex
from recsys.split.leave_one_out import LeaveOneOut
from tests.made_up_shop import MadeUpShop
from training.comparison import ANSWER_ROW, ENCODER_ROW
from training.loop import run
from training.recipe import Recipe


def test_the_answer_beats_the_crowd_and_holds_its_own_against_habit(tiny_bundle: Path) -> None:
    rows = read_metrics(tiny_bundle)["rows"]
    assert rows[ANSWER_ROW]["ndcg10"] > rows["Popular-7d"]["ndcg10"] + 0.1
    assert rows[ANSWER_ROW]["ndcg10"] > rows["buy-again, half-life 90d"]["ndcg10"] - 0.01
    assert rows[ENCODER_ROW]["ndcg10"] > rows["Popular-7d"]["ndcg10"]


def test_the_lead_over_the_best_baseline_is_paired_query_by_query(tiny_bundle: Path) -> None:
    rows = read_metrics(tiny_bundle)["rows"]
    best = max(row["ndcg10"] for name, row in rows.items() if name not in (ANSWER_ROW, ENCODER_ROW))
    lead, low, high = rows[ANSWER_ROW]["lead"]
    assert lead == pytest.approx(rows[ANSWER_ROW]["ndcg10"] - best)
    assert low < lead < high
    assert high - low < rows[ANSWER_ROW]["ndcg10_interval"][1] - rows[ANSWER_ROW]["ndcg10_interval"][0]


def test_the_same_seed_gives_the_same_metrics_to_the_last_digit_and_another_seed_others(
    tiny_recipe: Recipe, tmp_path: Path
) -> None:
    small = replace(tiny_recipe, data=MadeUpShop(shoppers=20))
    runs = [(7, "one"), (7, "two"), (8, "other")]
    one, two, other = (
        read_metrics(run(replace(small, outputs=tmp_path / name, seed=seed), Console(quiet=True)))["rows"]
        for seed, name in runs
    )
    assert one == two
    assert one[ENCODER_ROW] != other[ENCODER_ROW]


def test_the_bundle_tells_where_it_comes_from(tiny_bundle: Path) -> None:
    facts = json.loads((tiny_bundle / "spec.json").read_text())["facts"]
    assert facts["data"] == "made_up"
    assert len(facts["origin"]["data_fingerprint"]) == 16
    assert facts["settings"]["model.dim"] == 16
    assert facts["libraries"]["torch"]
    assert facts["origin"]["git_revision"]


def test_three_lines_give_an_answer(tiny_bundle: Path) -> None:
    recommender = Recommender.load(tiny_bundle)
    slate = recommender.recommend(["item-003", "item-004"], count=5)
    assert len(slate.items) == 5
    assert slate.model_version == recommender.model_version != "unsaved"


def test_a_cut_off_before_the_first_event_is_refused(tiny_recipe: Recipe) -> None:
    source = replace(tiny_recipe.data, cutoff=1)
    with pytest.raises(TrainingError, match=r"data\.cutoff"):
        run(replace(tiny_recipe, data=source, outputs=tiny_recipe.outputs / "early"), Console(quiet=True))


def test_a_log_of_bare_order_is_trained_on_without_times_and_says_so(tiny_recipe: Recipe, tmp_path: Path) -> None:
    source = MadeUpShop(shoppers=20, order_only=True)
    out = io.StringIO()
    recipe = replace(tiny_recipe, data=source, split=LeaveOneOut(), outputs=tmp_path)
    features = Recommender.load(run(recipe, Console(file=out, width=400))).features
    assert "the log holds an order but no times; off: gap, hour, weekday" in out.getvalue()
    assert "gap" not in features.names
    assert "item_count" in features.names


def test_the_card_tells_what_was_measured_of_the_kinds_of_index_and_which_one_the_bundle_holds(
    tiny_recipe: Recipe, tmp_path: Path
) -> None:
    recipe = replace(tiny_recipe, data=MadeUpShop(shoppers=20), index=AutoIndex(), outputs=tmp_path)
    out = io.StringIO()
    bundle = run(recipe, Console(file=out, width=400))
    card = (bundle / "card.md").read_text()
    spec = json.loads((bundle / "spec.json").read_text())
    (row,) = spec["index"]["settings"]["measured"]
    told = f"{row['p50_ms']:.3f}"
    assert f"|**FlatIndex()**|**1.0000**|**{told}**|" in card
    assert re.search(rf"FlatIndex\(\) +1\.0000 +{told} ", out.getvalue())
    assert f"|index|FlatIndex()|\n|items|{spec['items']}|" in card
