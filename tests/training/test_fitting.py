"""How the encoder of a whole run is fitted."""

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from recsys.bundle import read_metrics
from recsys.recommender import Recommender
from tests.made_up_shop import MadeUpShop
from training.dataset import Dataset
from training.loop import run
from training.recipe import Recipe
from training.tracker.null import NullTracker


class Unplugged(NullTracker):
    """Cannot keep what the evaluation found."""

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        if step == 0:
            raise OSError("the plug was pulled")


@pytest.fixture
def recipe(tiny_recipe: Recipe, tmp_path: Path) -> Recipe:
    return replace(tiny_recipe, data=MadeUpShop(shoppers=20), outputs=tmp_path)


def weights(bundle: Path) -> dict[str, torch.Tensor]:
    encoder = Recommender.load(bundle).encoder
    assert isinstance(encoder, torch.nn.Module)
    return encoder.state_dict()


def test_a_refit_trains_again_on_the_validation_window_too_for_the_epochs_chosen_and_says_so(recipe: Recipe) -> None:
    out = io.StringIO()
    plain = run(recipe, Console(quiet=True))
    again = run(replace(recipe, refit=True), Console(file=out, width=400))
    training = read_metrics(again)["training"]
    assert training["refit_epochs"] == training["kept_epoch"] == read_metrics(plain)["training"]["kept_epoch"]
    assert "trained again for" in out.getvalue()
    assert "trained again on training and validation data" in read_metrics(again)["protocol"]
    assert "trained again" not in read_metrics(plain)["protocol"]
    one, other = weights(plain), weights(again)
    assert not all(torch.equal(one[name], other[name]) for name in one)
    before, until = (Dataset.of(recipe).training_stream(to_test=to_test)[0] for to_test in (False, True))
    assert len(before.item) < len(until.item)


def test_a_run_that_broke_after_training_goes_on_from_there_and_leaves_no_checkpoint(recipe: Recipe) -> None:
    out = io.StringIO()
    undisturbed = run(replace(recipe, outputs=recipe.outputs / "other"), Console(quiet=True))
    with pytest.raises(OSError, match="plug"):
        run(replace(recipe, tracker=Unplugged), Console(quiet=True))
    assert list((recipe.outputs / "checkpoints").rglob("state.json"))
    bundle = run(recipe, Console(file=out, width=400))
    assert "going on from a checkpoint: 3 epochs and 0 batches are behind" in out.getvalue()
    assert not list((recipe.outputs / "checkpoints").iterdir())
    one, other = weights(undisturbed), weights(bundle)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert read_metrics(undisturbed)["rows"] == read_metrics(bundle)["rows"]
