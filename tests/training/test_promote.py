"""`recsys-promote`: a challenger that is not worse becomes the champion, a worse one only for a reason; and back."""

import io
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import hydra
import pytest
from mlflow.tracking import MlflowClient
from rich.console import Console

from recsys.bundle import read_bundle, write_bundle
from recsys.clock import DAY
from recsys.errors import ConfigError, ReleaseError
from recsys.metric.interval import Paired
from recsys.recommender import Recommender
from recsys.retrieval.blend import ENCODER, Blend
from recsys.state import Knowledge
from tests.forgetful import weights_times
from tests.made_up_shop import START, MadeUpShop
from training import promote
from training.command import literal
from training.contest import Asked, Decision, contest
from training.evaluate import Asked as AskedToEvaluate
from training.evaluate import evaluate_bundle
from training.loop import run
from training.promotion import Promotion, Version
from training.recipe import Recipe
from training.table import AGAINST, ANSWER_ROW
from training.tracker.mlflow import MlflowTracker, local_uri
from training.verdict import judged

QUIET = Console(quiet=True)
EARLY = MadeUpShop(shoppers=24, cutoff=START + 12 * 7 * DAY)
LATE = replace(EARLY, cutoff=START + 20 * 7 * DAY)


@dataclass
class Untrained:
    """A trainer that leaves everything as it gets it."""

    batch_tokens: int = 800
    context_tokens: int = 10

    def fit(self, encoder: Any, loader: object, **_: object) -> Mapping[str, float]:
        encoder.eval()
        return {"kept_epoch": 1, "epochs": 1, "train_s": 0.0, "tokens_per_s": 1.0}


@dataclass(frozen=True)
class Shop:
    """A registry with a champion, version 1."""

    recipe: Recipe

    @property
    def tracker(self) -> MlflowTracker:
        return MlflowTracker(outputs=self.recipe.outputs, system_metrics_s=0)

    def version(self, number: str) -> Version:
        found = self.tracker.registry.find(number)
        assert found is not None
        return found

    def champion(self) -> str | None:
        found = self.tracker.registry.champion()
        return found.number if found else None

    def contest(self, **asked: Any) -> tuple[Decision, str]:
        out = io.StringIO()
        found = contest(self.recipe, Asked(**asked), self.tracker, Console(file=out, width=300))
        return found, out.getvalue()


@pytest.fixture(scope="module")
def first(tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Twelve weeks of 24 shoppers; what the crowd says is most of what the champion knows."""
    recipe = replace(
        tiny_recipe,
        data=EARLY,
        trainer=Untrained(),
        outputs=tmp_path_factory.mktemp("first"),
        register=True,
        tracker=partial(MlflowTracker, system_metrics_s=0.0),
    )
    run(recipe, QUIET)
    return Shop(recipe)


@pytest.fixture
def shop(first: Shop, tmp_path: Path) -> Shop:
    """A copy of its registry, the address of the files included, and the same log."""
    outputs = first.recipe.outputs
    shutil.copytree(outputs, tmp_path / "outputs")
    return Shop(replace(first.recipe, outputs=tmp_path / "outputs"))


@pytest.fixture(scope="module")
def worse(first: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The champion, but for an encoder that knows nothing and alone may speak."""
    champion = read_bundle(first.version("1").bundle or Path())
    return remade(champion, tmp_path_factory.mktemp("worse") / "worse", blank=True)


def remade(recommender: Recommender, folder: Path, *, blank: bool = False) -> Path:
    """The same as another bundle."""
    facts = {**recommender.facts, "remade": folder.name}
    other = replace(recommender, facts=facts)
    if blank:
        blend = Blend(other.blend.sources, {state: {ENCODER: 1.0} for state in Knowledge}, other.blend.depth)
        other = weights_times(0, replace(other, blend=blend, ranker=None))
    write_bundle(other, folder, metrics={})
    return folder


def test_a_worse_one_is_refused_with_figures_and_promoted_only_for_a_reason_that_is_recorded(
    shop: Shop, worse: Path
) -> None:
    decision, said = shop.contest(challenger=str(worse))
    assert (decision.word, decision.version, decision.is_refusal) == ("refused", "2", True)
    assert shop.champion() == "1"
    assert "2nd: the answer" in said
    assert "refused: version 2, it is surely worse (NDCG@10 -" in said
    refused = shop.version("2").tags
    assert refused["refused_because"].startswith("it is surely worse (NDCG@10 -")
    assert refused["evidence"].startswith("against version 1: NDCG@10 of the answer 0.")
    assert "@" in refused["refused_by"]
    assert refused["refused_at"].startswith("20")

    decision, said = shop.contest(challenger="2", reason="the champion shows sold-out items")
    assert (decision.word, decision.is_refusal) == ("promoted", False)
    assert shop.champion() == "2"
    promoted = shop.version("2").tags
    assert promoted["promoted_because"].startswith("the champion shows sold-out items (although it is surely worse")
    assert promoted["evidence"].startswith("against version 1: NDCG@10 of the answer 0.")
    assert promoted["replaced"] == "1"

    again, said = shop.contest(challenger="2")
    assert (again.word, again.is_refusal) == ("kept", False)
    assert "it is the champion already" in said
    runs = MlflowClient(local_uri(shop.recipe.outputs)).search_runs(["1"], "run_name = 'promote'")
    assert [one.data.tags["decision"] for one in runs] == ["kept", "promoted", "refused"]
    assert runs[1].data.metrics["difference_high"] < 0


def test_one_that_is_alike_is_promoted_and_rolled_back_and_twice_back_is_told_from_nothing_left(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    champion = read_bundle(shop.version("1").bundle or Path())
    for name in ("2", "3"):
        decision, said = shop.contest(challenger=str(remade(champion, tmp_path / name)))
        assert (decision.word, shop.champion()) == ("promoted", name)
        assert "it is not worse (NDCG@10 +0.0000, 95 % +0.0000 to +0.0000)" in said
    with pytest.raises(ReleaseError, match="no challenger: the version that was registered last is the champion"):
        shop.contest()
    with pytest.raises(ReleaseError, match="'77' is neither challenger, nor the number of a version"):
        shop.contest(challenger="77")
    monkeypatch.chdir(shop.recipe.outputs.parent)
    for left in ("2", "1"):
        monkeypatch.setattr(sys, "argv", ["recsys-promote", "rollback=true", "reason=it's slow, {and} sold nothing"])
        promote.main()
        assert f"version {left} is the champion again" in capsys.readouterr().out
        assert shop.champion() == left
    with pytest.raises(SystemExit) as ended:
        promote.main()
    assert ended.value.code == 1
    assert "ReleaseError: version 1 is the champion and its tags name none before it" in capsys.readouterr().err
    assert shop.version("3").tags["rolled_back_because"] == "it's slow, {and} sold nothing"


def test_a_challenger_that_knows_more_items_answers_the_same_questions_and_its_own_items_count(
    shop: Shop, worse: Path
) -> None:
    late = replace(shop.recipe, data=LATE, start_from="champion", promote=Promotion.NEVER)
    grown = Recommender.load(run(late, QUIET))
    shop.contest(challenger=str(worse), reason="somebody had to win")
    assert grown.catalogue.size > read_bundle(worse).catalogue.size + 5
    decision, said = shop.contest(challenger="2")
    assert decision.word == "promoted", said
    assert "it is surely better" in said
    assert "the questions begin at 2024-05-20" in said, "where neither of the two has seen them"
    assert f"of {grown.catalogue.size - 1} items the challenger knows {grown.catalogue.size - 1}, that one" in said
    assert shop.version("2").tags["replaced"] == "3,1"

    # The other way round: the challenger knows less, and it is the same difference with the other sign.
    back, _ = shop.contest(challenger="3")
    assert back.word == "refused"
    first, second = MlflowClient(local_uri(shop.recipe.outputs)).search_runs(["1"], "run_name = 'promote'")[:2]
    assert first.data.metrics["difference"] == pytest.approx(-second.data.metrics["difference"], abs=1e-9)

    found = evaluate_bundle(late, AskedToEvaluate(bundle="2", against="3", slices=False), QUIET)
    difference = found.paired[ANSWER_ROW]["ndcg10"].difference
    assert difference == pytest.approx(second.data.metrics["difference"], abs=1e-9)
    assert found.rows[AGAINST + ANSWER_ROW].ndcg10 == pytest.approx(second.data.metrics["champion/ndcg10"])


def test_a_champion_without_files_is_replaced_for_a_reason_only(shop: Shop, worse: Path) -> None:
    bundle = shop.version("1").bundle
    assert bundle is not None
    away = bundle.with_name("away")
    bundle.rename(away)
    try:
        with pytest.raises(ReleaseError, match=r"the champion, version 1, cannot be compared with: .* is not a bundle"):
            shop.contest(challenger=str(worse))
        assert shop.champion() == "1"
        decision, _ = shop.contest(challenger=str(worse), reason="its disk is gone")
    finally:
        away.rename(bundle)
    assert (decision.word, shop.champion()) == ("promoted", "2")
    assert shop.version("2").tags["evidence"].startswith("not compared with version 1: the champion, version 1, cannot")


def test_other_shops_are_not_compared_and_without_a_champion_any_intact_bundle_is_promoted(
    shop: Shop, worse: Path, tmp_path: Path
) -> None:
    other = Shop(replace(shop.recipe, data=replace(EARLY, name="another")))
    with pytest.raises(ReleaseError, match="different shops cannot be compared"):
        other.contest(challenger=str(worse))
    empty = Shop(replace(shop.recipe, outputs=tmp_path / "empty"))
    decision, said = empty.contest(challenger=str(worse))
    assert (decision.word, empty.champion()) == ("promoted", "1")
    assert "there was no champion" in said


@pytest.mark.parametrize(
    ("low", "high", "margin", "is_good_enough", "words"),
    [
        (0.001, 0.004, None, True, "it is surely better"),
        (-0.001, 0.004, None, True, "it is not worse"),
        (-0.004, 0.001, None, True, "not surely worse: its mean is lower, but the interval holds 0"),
        (-0.004, -0.001, None, False, "it is surely worse"),
        (-0.004, 0.001, 0.005, True, "not surely worse"),
        (-0.004, 0.001, 0.003, False, "it could be worse by more than the margin of 0.003"),
        (-0.001, 0.004, 0.0, False, "it could be worse by more than the margin of 0"),
        (-0.004, -0.001, 0.01, False, "it is surely worse"),
    ],
)
def test_the_interval_decides(low: float, high: float, margin: float | None, is_good_enough: bool, words: str) -> None:
    found = judged(Paired(difference=(low + high) / 2, low=low, high=high, p_value=0.5), margin=margin)
    assert found.is_good_enough is is_good_enough
    assert words in found.words


def test_a_margin_that_is_none_and_a_reason_that_says_nothing_are_refused() -> None:
    for wrong in ({"margin": -0.1}, {"margin": 1.0}, {"reason": "  "}):
        with pytest.raises(ConfigError):
            Asked(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "reason",
    ["it's slow, {and} sold nothing", "a \\ b, 'c'", "plain words", "x=y, [z]", "ends\\", "a \\' b"],
)
def test_a_reason_is_taken_as_it_was_typed(reason: str) -> None:
    with hydra.initialize_config_module("conf", version_base="1.3"):
        composed = hydra.compose("promote", [literal(f"reason={reason}", "reason")])
    assert composed.reason == reason
