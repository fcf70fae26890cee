"""`recsys-evaluate`: the table of a bundle made anew, two bundles in pairs, every rank in a file."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from recsys.bundle import read_bundle, read_metrics, write_bundle
from recsys.clock import DAY, to_datetime
from recsys.errors import BundleError, ReleaseError
from recsys.target.horizon import Horizon
from recsys.target.next_item import NextItem
from tests.forgetful import weights_times
from tests.made_up_shop import MadeUpShop
from training.comparison import ANSWER_ROW, ENCODER_ROW
from training.evaluate import Asked, Evaluation, evaluate_bundle
from training.promotion import Because
from training.recipe import Recipe
from training.table import AGAINST
from training.tracker.mlflow import MlflowTracker

QUIET = Console(quiet=True)


def asked(bundle: Path, **more: object) -> Asked:
    return Asked(bundle=str(bundle), **more)  # type: ignore[arg-type]


def said(out: io.StringIO) -> str:
    """What was printed, wherever its lines break."""
    return " ".join(out.getvalue().split())


@pytest.fixture(scope="module")
def evaluation(tiny_recipe: Recipe, tiny_bundle: Path) -> Evaluation:
    """The bundle against itself."""
    return evaluate_bundle(tiny_recipe, asked(tiny_bundle, against=str(tiny_bundle)), QUIET)


def test_the_table_made_anew_is_that_of_the_training(evaluation: Evaluation, tiny_bundle: Path) -> None:
    stored = read_metrics(tiny_bundle)["rows"]
    ours = {name: row for name, row in evaluation.rows.items() if not name.startswith(AGAINST)}
    assert ours.keys() == stored.keys()
    for name, row in ours.items():
        for measure in ("ndcg10", "recall20", "mrr20", "coverage10", "novelty10", "debiased_hr10"):
            assert getattr(row, measure) == pytest.approx(stored[name][measure], abs=1e-6)
        assert row.slices == pytest.approx(stored[name]["slices"], abs=1e-6)


def test_every_mandatory_row_stands_beside_ours(evaluation: Evaluation) -> None:
    baselines = {
        *("Popular-7d", "co-visits, same basket", "co-visits, next basket", "VMIS-kNN"),
        *("buy-again, frequency", "buy-again, half-life 90d", "user-kNN"),
    }
    ours = {ANSWER_ROW, ENCODER_ROW}
    assert evaluation.rows.keys() == baselines | ours | {AGAINST + name for name in ours}


def test_a_bundle_is_no_better_than_itself(evaluation: Evaluation) -> None:
    assert evaluation.rows[AGAINST + ANSWER_ROW].ndcg10 == evaluation.rows[ANSWER_ROW].ndcg10
    for row in (ANSWER_ROW, ENCODER_ROW):
        for found in evaluation.paired[row].values():
            assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_a_bundle_whose_encoder_forgot_everything_is_surely_worse_in_the_pair(
    tiny_recipe: Recipe, tiny_bundle: Path, tmp_path: Path
) -> None:
    blank = weights_times(0, read_bundle(tiny_bundle))
    write_bundle(blank, tmp_path / "blank", metrics={})
    out = io.StringIO()
    found = evaluate_bundle(
        tiny_recipe, asked(tiny_bundle, against=str(tmp_path / "blank")), Console(file=out, width=200)
    )
    alone = found.paired[ENCODER_ROW]["ndcg10"]
    assert found.rows[AGAINST + ENCODER_ROW].ndcg10 == 0.0, "one score for all is the lowest rank for all"
    assert alone.difference == pytest.approx(found.rows[ENCODER_ROW].ndcg10)
    assert 0 < alone.low < alone.difference < alone.high
    assert alone.p_value < 0.001
    assert f"encoder alone above {AGAINST}encoder alone, paired: NDCG@10 +" in out.getvalue()


def test_every_rank_is_in_the_file_and_gives_the_table(tiny_recipe: Recipe, tiny_bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "ranks.parquet"
    found = evaluate_bundle(tiny_recipe, asked(tiny_bundle, ranks=file), QUIET)
    table = pq.read_table(file)
    row = np.array(table["row"].to_pylist()) == ANSWER_ROW
    case, wanted = table["case"].to_numpy()[row], table["wanted"].to_numpy()[row]
    hit = np.array([rank is not None and rank < 10 for rank in table["rank"].to_pylist()])[row]
    recall = np.bincount(case, hit / wanted, minlength=len(found.cases)).mean()
    assert recall == pytest.approx(found.rows[ANSWER_ROW].recall10)
    assert set(table["event"].to_pylist()) == {"purchase"}
    assert "shopper-000" not in table["shopper"].to_pylist(), "numbers, no ids"
    assert table["item_id"][0].as_py().startswith("item-")


@pytest.mark.parametrize(("target", "words"), [(NextItem(), "the next item"), (Horizon(days=3), "within 3 days")])
def test_every_target_can_be_asked_of_the_same_bundle(
    tiny_recipe: Recipe, tiny_bundle: Path, target: object, words: str
) -> None:
    out = io.StringIO()
    recipe = replace(tiny_recipe, target=target, evaluation_queries=50)
    found = evaluate_bundle(recipe, asked(tiny_bundle), Console(file=out, width=300))
    assert words in said(out)
    assert found.rows[ANSWER_ROW].queries == 50
    if isinstance(target, NextItem):
        assert {case.size for case in found.cases} == {1}


def test_taken_out_histories_hold_for_every_row_and_are_said_in_the_protocol(
    tiny_recipe: Recipe, tiny_bundle: Path
) -> None:
    out = io.StringIO()
    recipe = replace(tiny_recipe, exclude_seen=True, evaluation_queries=50)
    found = evaluate_bundle(recipe, asked(tiny_bundle, slices=False), Console(file=out, width=400))
    assert "items of the shopper's own history are taken out of every ranking" in said(out)
    for name, row in found.rows.items():
        assert row.repeat_recall10 == 0.0, f"{name} finds what cannot be found"
        seen = [set(case.excluded.tolist()) for case in found.cases]
        lists = found.ranked[name].top.tolist()
        assert not any(known & set(shown) for known, shown in zip(seen, lists, strict=True))
    assert found.rows[ANSWER_ROW].new_recall10 > 0


def test_query_vectors_that_are_known_already_give_the_slates_that_encoding_gives(
    evaluation: Evaluation, tiny_bundle: Path
) -> None:
    recommender, states = read_bundle(tiny_bundle), [case.state for case in evaluation.cases[:30]]
    plain, known = (
        recommender.choose(states, counts=[10] * 30, rng=np.random.default_rng(0), query=query)
        for query in (None, recommender.encode(states))
    )
    for (one, chosen), (other, again) in zip(plain, known, strict=True):
        assert one.candidates.item[chosen.place].tolist() == other.candidates.item[again.place].tolist()


def test_what_is_excluded_takes_no_place_among_the_encoders_candidates(
    evaluation: Evaluation, tiny_bundle: Path
) -> None:
    recommender, state = read_bundle(tiny_bundle), evaluation.cases[0].state
    (first,) = recommender.retrieve([state])
    hidden = set(first.item[:90].tolist())
    plain, less = recommender.retrieve([state, state.excluding(hidden)])
    assert plain.item.tolist() == first.item.tolist()
    assert less.item[:110].tolist() == first.item[90:].tolist(), "the next ones move up"
    assert len(less) == len(first)
    assert not hidden & set(less.item.tolist())
    assert less.score.sum() == pytest.approx(1)
    (nothing,) = recommender.retrieve([state.excluding(range(1, recommender.catalogue.size))])
    assert nothing.score.sum() == 0


def test_a_run_is_named_by_its_id_and_what_is_no_bundle_is_refused(
    tiny_recipe: Recipe, tiny_bundle: Path, tmp_path: Path
) -> None:
    tracker = MlflowTracker(outputs=tmp_path, system_metrics_s=0)
    with tracker.run("a run", {}, {}):
        version = tracker.registry.find(tracker.register(tiny_bundle, version_tags={}) or "")
        assert version is not None
        tracker.registry.promote(version, Because.now("the only one"))
        run = tracker._opened()
    with tracker.run("another", {}, {}):
        empty = tracker._opened()
    recipe = replace(tiny_recipe, tracker=lambda outputs: tracker, evaluation_queries=5)
    by_run = evaluate_bundle(recipe, Asked(bundle=run, slices=False), QUIET)
    by_name = evaluate_bundle(recipe, Asked(slices=False), QUIET)
    assert by_run.rows[ANSWER_ROW] == by_name.rows[ANSWER_ROW]
    for named in (empty, "no-such-run"):
        with pytest.raises(ReleaseError, match=named):
            evaluate_bundle(recipe, Asked(bundle=named), QUIET)


def test_other_data_than_the_bundle_was_trained_on_is_refused(
    tiny_recipe: Recipe, tiny_bundle: Path, tmp_path: Path
) -> None:
    recipe = replace(tiny_recipe, data=MadeUpShop(shoppers=10), outputs=tmp_path)
    with pytest.raises(BundleError, match="trained on other data"):
        evaluate_bundle(recipe, asked(tiny_bundle), QUIET)


def test_a_bundle_is_not_asked_about_days_that_it_learnt_from(
    tiny_recipe: Recipe, tiny_bundle: Path, tmp_path: Path
) -> None:
    shop = MadeUpShop()
    earlier = MadeUpShop(cutoff=shop.cutoff - 20 * DAY)
    recipe = replace(tiny_recipe, data=earlier, evaluation_queries=5)
    cutoff = to_datetime(shop.cutoff).isoformat()
    with pytest.raises(BundleError, match=f"seen the answers.*data.cutoff={re.escape(cutoff)}"):
        evaluate_bundle(recipe, asked(tiny_bundle), QUIET)


def test_every_measure_is_printed_and_in_the_file(tiny_recipe: Recipe, tiny_bundle: Path, tmp_path: Path) -> None:
    out, file = io.StringIO(), tmp_path / "deep" / "metrics.json"
    recipe = replace(tiny_recipe, evaluation_queries=50)
    found = evaluate_bundle(recipe, asked(tiny_bundle, metrics=file), Console(file=out, width=80))
    tables = [line for line in out.getvalue().splitlines() if str(tmp_path.parent.parent) not in line]
    assert max(map(len, tables)) <= 80
    headings = ("recall@10", "NDCG@10", "HR@10", "M@10", "R@20", "N@20", "HR@20", "M@20", "repeat r/N", "new r/N")
    for words in (*headings, "cold R", "debi.", "cover", "novel", "diver", "calib", "warmth", "history", "event"):
        assert words in out.getvalue(), words
    stored = json.loads(file.read_text())
    assert stored["rows"][ANSWER_ROW]["hr20"] == found.rows[ANSWER_ROW].hr20
    assert "whole catalogue ranked" in stored["protocol"]


def test_the_validation_window_is_that_of_the_training(tiny_recipe: Recipe, tiny_bundle: Path) -> None:
    recipe = replace(tiny_recipe, evaluation_queries=50)
    other = replace(recipe, validation_days=recipe.validation_days // 2)
    one, same = (evaluate_bundle(asks, asked(tiny_bundle), QUIET) for asks in (recipe, other))
    assert one.rows == same.rows
