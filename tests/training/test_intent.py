"""Intent heads through the whole line: trained, calibrated, judged, bundled and asked."""

import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from recsys.bundle import read_bundle, read_metrics
from recsys.clock import DAY
from recsys.intent.heads import IntentHeads
from recsys.intent.intent import Intent
from recsys.recommender import Recommender
from recsys.sequence.question import question_batch
from recsys.split.leave_one_out import LeaveOneOut
from recsys.state import Context, History, ShopperState
from tests.made_up_shop import CATEGORIES, MadeUpShop
from training.dataset import Dataset
from training.intent import asked
from training.loop import run
from training.recipe import Recipe

SHOP = MadeUpShop()
SETTINGS = IntentHeads(edges_days=(1, 3, 5, 7, 9, 14, 28))


@pytest.fixture(scope="module")
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture(scope="module")
def with_intent(tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory, said: io.StringIO) -> Path:
    """The made-up shop's bundle with heads: its shoppers come about once a week, each for a favourite category."""
    outputs = tmp_path_factory.mktemp("with_intent")
    return run(replace(tiny_recipe, data=SHOP, intent=SETTINGS, outputs=outputs), Console(file=said, width=200))


@pytest.fixture(scope="module")
def recommender(with_intent: Path) -> Recommender:
    return Recommender.load(with_intent)


def weekly(recommender: Recommender, category: int, days_since: float) -> ShopperState:
    """Somebody who bought things of one category every week, `days_since` ago for the last time."""
    weeks = 20
    end = recommender.data_end
    items = [recommender.catalogue.index_of(f"item-{category * 50 + n % 4:03d}") for n in range(weeks)]
    time = end - np.arange(weeks)[::-1] * 7 * DAY
    history = History(item=np.array(items), type=np.full(weeks, 6, np.int8), time=time.astype(np.int64))
    return ShopperState(history, Context(at=int(end + days_since * DAY)))


def test_a_log_of_purchases_has_heads_for_when_and_what(recommender: Recommender) -> None:
    assert recommender.heads is not None
    assert [name for name, _ in recommender.heads.items()] == ["wait", "category"]
    intent = recommender.intent([weekly(recommender, 2, 0.01)])[0]
    assert intent.purchase_probability is None
    assert intent.stage is None
    assert intent.categories is not None
    assert intent.categories[0][0] == "category-2"
    assert sum(chance for _, chance in intent.categories) <= 1 + 1e-9


def test_the_wait_is_about_a_week_and_shorter_when_some_of_it_has_passed(recommender: Recommender) -> None:
    now, later = (recommender.intent([weekly(recommender, 1, days)])[0].days_to_next_purchase for days in (0.01, 4))
    assert now is not None
    assert later is not None
    assert 5 < now < 9
    assert later < now - 2


def test_figures_are_in_the_bundle_and_on_the_terminal(with_intent: Path, said: io.StringIO) -> None:
    figures = read_metrics(with_intent)["intent"]
    assert set(figures) == {"wait", "category"}
    assert figures["category"]["auc"] > 0.75
    assert figures["category"]["ece_after"] < min(0.08, figures["category"]["ece_before"] + 0.02)
    assert figures["wait"]["ece_after"] < 0.15, "of 240 forecasts in 15 bins it is about .1 by chance alone"
    assert figures["wait"]["horizon_days"] == pytest.approx(7)
    assert "intent heads on the test, calibrated on the validation window" in said.getvalue()
    assert all(value is None or math.isfinite(value) for of in figures.values() for value in of.values())


def test_the_bundle_keeps_calibration_and_settings_and_the_next_item_is_asked_as_ever(
    with_intent: Path, recommender: Recommender
) -> None:
    heads = recommender.heads
    assert heads is not None
    assert heads.made_by == SETTINGS
    assert any(float(head.scale) != 1 for _, head in heads.items())
    again = read_bundle(with_intent)
    states = [weekly(recommender, category, 1) for category in range(CATEGORIES)]
    assert again.intent(states) == recommender.intent(states)
    np.testing.assert_array_equal(again.encode(states), recommender.encode(states))


def test_without_heads_nothing_is_written_or_told(tiny_bundle: Path) -> None:
    plain = Recommender.load(tiny_bundle)
    assert plain.heads is None
    assert "intent" not in read_metrics(tiny_bundle)
    assert "intent" not in json.loads((tiny_bundle / "spec.json").read_text())
    assert plain.intent([weekly(plain, 0, 1)]) == [Intent()]


def test_heads_leave_the_loader_and_the_questions_alone(tiny_recipe: Recipe, with_intent: Path) -> None:
    recipe = replace(tiny_recipe, data=SHOP, outputs=with_intent.parent.parent)
    dataset = Dataset.of(recipe)
    plain, _ = dataset.training_stream()
    labelled, _ = dataset.training_stream(SETTINGS.labels(dataset.features))
    assert plain.labels == {}
    assert set(labelled.labels) == {"wait_days", "wait_seen"}
    for name in ("item", "type", "time", "moment", "is_query", "reach"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(labelled, name))


def test_questions_of_a_window_know_what_came_up_to_its_end_and_no_further(
    tiny_recipe: Recipe, with_intent: Path
) -> None:
    dataset = Dataset.of(replace(tiny_recipe, data=SHOP, outputs=with_intent.parent.parent))
    cut = dataset.cut
    sample = asked(
        dataset, SETTINGS.labels(dataset.features), since=cut.validation_from, until=cut.test_from, seed=0, limit=50
    )
    assert sample is not None
    assert len(sample.before) == 50
    for place, (before, after) in enumerate(zip(sample.before, sample.after, strict=True)):
        at, end = before.context.at, int(cut.test_from[0])
        assert at >= cut.validation_from[0]
        assert after.context.at == at + 1
        came = after.history.item[after.history.time == at]
        wanted = sample.truth.pair_target[sample.truth.pair_query == place]
        assert sorted(wanted.tolist()) == sorted(came[came > 0].tolist())
        assert sample.truth.known_days[place] == pytest.approx((end - at) / DAY)
        if not sample.truth.labels["wait_seen"][place]:
            assert sample.truth.labels["wait_days"][place] == pytest.approx((end - at) / DAY, rel=1e-5)
    assert question_batch(sample.before[:2], dataset.features).labels == {}


def test_a_log_of_bare_order_has_a_head_for_the_category_alone(tiny_recipe: Recipe, tmp_path: Path) -> None:
    source = MadeUpShop(shoppers=20, order_only=True)
    recipe = replace(tiny_recipe, data=source, split=LeaveOneOut(), intent=SETTINGS, outputs=tmp_path)
    bundle = run(recipe, Console(quiet=True))
    assert set(read_metrics(bundle)["intent"]) == {"category"}
