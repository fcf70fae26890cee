"""A second run of the same recipe trains nothing; another recipe does."""

import io
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from recsys.bundle import read_metrics, version_of
from recsys.errors import ConfigError, TrainingError
from tests.made_up_shop import MadeUpShop
from training.loop import run
from training.promotion import Promotion
from training.provenance import recipe_digest
from training.recipe import Recipe
from training.tracker.mlflow import MlflowTracker

SHOP = MadeUpShop(shoppers=12)


@pytest.fixture
def recipe(tiny_recipe: Recipe, tmp_path: Path) -> Recipe:
    """Twelve shoppers, one epoch, tracked."""
    trainer = replace(tiny_recipe.trainer, epochs=1)  # type: ignore[type-var]
    settings = {**tiny_recipe.settings, "trainer": {"epochs": 1}}
    return replace(
        tiny_recipe,
        data=SHOP,
        trainer=trainer,
        outputs=tmp_path,
        reuse=True,
        register=True,
        tracker=partial(MlflowTracker),
        settings=settings,
    )


def ran(recipe: Recipe) -> tuple[Path, str]:
    console = Console(file=io.StringIO(), width=200)
    bundle = run(recipe, console)
    return bundle, console.file.getvalue()  # type: ignore[attr-defined]


def number_of_champion(recipe: Recipe) -> str | None:
    champion = recipe.tracker(outputs=recipe.outputs).champion()
    return champion.version if champion else None


def test_the_same_recipe_is_kept_and_another_or_a_torn_bundle_trained_again(recipe: Recipe) -> None:
    first, said = ran(recipe)
    assert "registered as version 1 of the model, alias champion" in said, "there was none yet"
    kept, said = ran(recipe)
    assert version_of(kept) == version_of(first)
    assert "version 1 was made from this data by this recipe: kept" in said
    assert "epoch 1" not in said
    assert "the answer" in said, "and its table is shown"

    changed = replace(recipe, settings={**recipe.settings, "seed": 8}, seed=8)
    other, said = ran(changed)
    assert "registered as version 2 of the model, alias challenger" in said
    assert "python -m training.promote" in said, "what to do next"
    assert version_of(other) != version_of(first)
    assert number_of_champion(recipe) == "1"

    again, said = ran(changed)
    assert version_of(again) == version_of(other)
    assert "version 2 was made from this data by this recipe: kept" in said
    assert "alias challenger" in said
    _, said = ran(replace(changed, promote=Promotion.ALWAYS))
    assert "kept" in said
    assert "registered as version 2 of the model, alias champion" in said
    assert number_of_champion(recipe) == "2"

    champion = recipe.tracker(outputs=recipe.outputs).champion()
    assert champion is not None
    (champion.bundle / "index.faiss").write_bytes(b"torn")
    _, said = ran(changed)
    assert "the champion cannot be reused" in said
    assert "registered as version 3" in said


def test_who_never_wants_an_uncompared_champion_gets_none(recipe: Recipe) -> None:
    _, said = ran(replace(recipe, promote=Promotion.NEVER))
    assert "version 1 of the model, alias challenger" in said
    assert number_of_champion(recipe) is None
    with pytest.raises(ConfigError, match="promote=sometimes is not known; choose one of first, always, never"):
        replace(recipe, promote="sometimes")


def test_the_digest_of_a_recipe_changes_with_what_shapes_the_result_only() -> None:
    settings = {"seed": 7, "model": {"dim": 64}, "outputs": "here", "reuse": True}
    digest = recipe_digest(settings, "data")
    assert digest == recipe_digest({**settings, "outputs": "there", "reuse": False}, "data")
    assert digest != recipe_digest({**settings, "model": {"dim": 65}}, "data")
    assert digest != recipe_digest(settings, "other data")


def test_a_bundle_that_is_not_to_be_registered_is_written_only(recipe: Recipe) -> None:
    bundle, said = ran(replace(recipe, register=False))
    assert "registered" not in said
    assert read_metrics(bundle)["rows"]
    assert recipe.tracker(outputs=recipe.outputs).champion() is None


def test_a_cut_off_after_the_last_event_is_refused_before_training(recipe: Recipe) -> None:
    late = replace(SHOP, cutoff=SHOP.cutoff * 2)
    console = Console(file=io.StringIO())
    with pytest.raises(TrainingError, match=r"no purchase from data\.cutoff=.* cut earlier"):
        run(replace(recipe, data=late), console)
    assert "epoch" not in console.file.getvalue()  # type: ignore[attr-defined]
