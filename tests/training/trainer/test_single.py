"""The plain training loop."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from recsys.errors import ConfigError, TrainingError
from recsys.loss.sampled_softmax import SampledSoftmax
from recsys.protocols import VectorsOf
from recsys.sampler.negatives import Negatives
from recsys.sequence.batch import SequenceBatch
from tests.training.trainer.learning import Notes, encoder, fitted, loader, same
from training.optimizer.adagrad import Adagrad
from training.optimizer.adam import Adam
from training.optimizer.rowwise_adam import RowwiseAdam
from training.protocols import Optimizer, Schedule
from training.schedule.constant import Constant
from training.schedule.cosine import Cosine
from training.schedule.linear import Linear
from training.schedule.one_cycle import OneCycle
from training.trainer.guard import Guard
from training.trainer.learner import Learner
from training.trainer.single import SingleTrainer, device_of

STEPS = len(loader().batches(seed=0, epoch=0))


class Factor:
    """A loss that is this many times too large after its first `since` steps."""

    negatives = 32

    def __init__(self, factor: float, since: int) -> None:
        self._factor, self._left, self._loss = factor, since, SampledSoftmax(32)

    def __call__(self, query: Tensor, batch: SequenceBatch, vectors_of: VectorsOf, negatives: Negatives) -> Tensor:
        self._left -= 1
        value = self._loss(query, batch, vectors_of, negatives)
        return value * (self._factor if self._left < 0 else 1.0)


class Steep(Factor):
    """A loss that stays finite, and has a gradient that is none, for one step after its first `since` steps."""

    def __init__(self, since: int) -> None:
        super().__init__(1.0, since)

    def __call__(self, query: Tensor, batch: SequenceBatch, vectors_of: VectorsOf, negatives: Negatives) -> Tensor:
        value = super().__call__(query, batch, vectors_of, negatives)
        return value + (0.0 * query.sum()).sqrt() if self._left == -1 else value


def test_the_loss_falls_and_the_encoder_is_left_ready_to_answer(tmp_path: Path) -> None:
    watch, own = Notes(), encoder(dropout=0.0)
    _, measured = fitted(watch, tmp_path, of=own, epochs=40)
    assert watch.losses[-1] < 0.5 * watch.losses[0]
    assert not own.training
    assert measured["epochs"] == 40
    assert watch.heard[0] == f"1/40 began with {STEPS} steps, 0 taken"
    assert len(watch.steps) == 40 * STEPS


def test_the_weights_of_the_best_validated_epoch_are_kept(tmp_path: Path) -> None:
    weights, measured = fitted(Notes([0.1, 0.3, 0.2]), tmp_path / "three", epochs=3)
    assert measured["kept_epoch"] == 2
    cut, _ = fitted(Notes(), tmp_path / "two", epochs=3, until=2)
    assert same(weights, cut)


def test_where_nothing_can_be_validated_the_last_epoch_is_kept_and_patience_is_endless(tmp_path: Path) -> None:
    _, measured = fitted(Notes([0.0, 0.0, 0.0]), tmp_path, epochs=3, patience=1)
    assert measured["kept_epoch"] == 3


def test_training_ends_after_as_many_epochs_without_progress_as_patience_says(tmp_path: Path) -> None:
    watch = Notes([0.3, 0.2, 0.4, 0.1, 0.1, 0.9])
    _, measured = fitted(watch, tmp_path, epochs=6, patience=2)
    assert (measured["epochs"], measured["kept_epoch"]) == (5, 3)
    assert "no epoch was better than 3 for trainer.patience=2" in watch.said_[-1]


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_a_warm_up_of_a_single_step_breaks_nothing(epochs: int, tmp_path: Path) -> None:
    _, measured = fitted(Notes(), tmp_path, epochs=epochs, schedule=OneCycle(warmup=1 / (epochs * STEPS + 1)))
    assert measured["epochs"] == epochs


def test_a_run_out_of_time_ends_after_the_epoch_and_says_so(tmp_path: Path) -> None:
    watch = Notes()
    _, measured = fitted(watch, tmp_path, epochs=3, minutes=0.0)
    assert measured["epochs"] == 1
    assert watch.heard[-1] == "cut short after 1"


@pytest.mark.parametrize("schedule", [Constant(), Linear(), Cosine()])
@pytest.mark.parametrize("optimizer", [Adam(), RowwiseAdam(), Adagrad()])
def test_the_same_seed_gives_the_same_weights(optimizer: Optimizer, schedule: Schedule, tmp_path: Path) -> None:
    one, two = (
        fitted(Notes(), tmp_path / name, epochs=2, optimizer=optimizer, schedule=schedule)[0] for name in ("1", "2")
    )
    assert same(one, two)


@pytest.mark.parametrize("optimizer", [RowwiseAdam(learning_rate=0.02), Adagrad(learning_rate=0.1)])
def test_sparse_gradients_train_as_dense_ones_do(optimizer: Optimizer, tmp_path: Path) -> None:
    sparse, dense = Notes(), Notes()
    fitted(sparse, tmp_path / "s", of=encoder(sparse=True, dropout=0.0), optimizer=optimizer, epochs=5)
    fitted(dense, tmp_path / "d", of=encoder(sparse=False, dropout=0.0), optimizer=optimizer, epochs=5)
    assert sparse.steps == pytest.approx(dense.steps, rel=1e-3)
    assert sparse.losses[-1] < sparse.losses[0]


def test_an_optimiser_that_cannot_take_sparse_gradients_says_which_ones_can(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tower\.sparse=true .* use optimizer=rowwise_adam"):
        fitted(Notes(), tmp_path, of=encoder(sparse=True))


def test_bfloat16_and_float32_learn_alike_and_their_ways_are_told(tmp_path: Path) -> None:
    half, full = Notes(), Notes()
    _, told = fitted(half, tmp_path / "half", of=encoder(dropout=0.0), precision="bfloat16", epochs=8)
    fitted(full, tmp_path / "full", of=encoder(dropout=0.0), precision="float32", epochs=8)
    assert half.steps != full.steps
    assert half.losses[-1] == pytest.approx(full.losses[-1], rel=0.2)
    assert (told["bfloat16"], told["compiled"]) == (1.0, 0.0)


@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_the_training_with_the_batch_kept(factor: float, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"the loss became (nan|inf) in epoch 1, batch 2;.*lower optimizer") as told:
        fitted(Notes(), tmp_path, loss=Factor(factor, since=1))
    path = tmp_path / "batch-epoch1-step2.safetensors"
    assert str(path) in str(told.value)
    facts = json.loads(path.with_suffix(".json").read_text())
    windows = loader().batches(seed=0, epoch=0)[1]
    assert facts["windows"] == windows.tolist()
    kept, batch = load_file(path), loader().load(windows)
    assert torch.equal(kept["item"], batch.item)
    assert torch.equal(kept["features.gap"], batch.features["gap"])
    assert kept["negatives.item"].shape == (32,)


@pytest.mark.parametrize("clip_norm", [1.0, None])
def test_a_gradient_that_is_no_number_stops_the_training_before_it_spoils_a_weight(
    clip_norm: float | None, tmp_path: Path
) -> None:
    settings = {"clip_norm": clip_norm, "epochs": 2, "checkpoint_s": 0.0}
    undisturbed, _ = fitted(Notes(), tmp_path / "one", **settings)
    own = encoder()
    with pytest.raises(
        TrainingError, match=r"the gradient became nan under a loss of \d.* in epoch 1, batch 2;"
    ) as told:
        fitted(Notes(), tmp_path / "two", of=own, loss=Steep(since=1), **settings)
    path = tmp_path / "two" / "batch-epoch1-step2.safetensors"
    assert str(path) in str(told.value)
    facts = json.loads(path.with_suffix(".json").read_text())
    assert (facts["gradient"], facts["weights_not_finite"]) == ("nan", [])
    assert torch.equal(load_file(path)["item"], loader().load(loader().batches(seed=0, epoch=0)[1]).item)
    assert all(bool(weight.isfinite().all()) for weight in own.parameters())
    watch = Notes()
    resumed, _ = fitted(watch, tmp_path / "two", **settings)
    assert "going on from a checkpoint: 0 epochs and 1 batches are behind" in watch.said_
    assert same(resumed, undisturbed)


def test_what_is_known_of_the_future_is_kept_with_the_batch(tmp_path: Path) -> None:
    own = loader()
    batch = replace(own.load(own.batches(seed=0, epoch=0)[0]), labels={"purchase": torch.tensor([1, 0, -1])})
    learner = Learner.of(encoder(), device=torch.device("cpu"), optimizer=Adam(), schedule=Constant(), steps=1, seed=0)
    negatives = Negatives(torch.tensor([3]), torch.zeros(1), 8)
    with pytest.raises(TrainingError):
        Guard(folder=tmp_path, explosion=None).check(
            math.nan, gradient=0.0, learner=learner, windows=np.arange(2), batch=batch, negatives=negatives
        )
    kept = load_file(tmp_path / "batch-epoch1-step1.safetensors")
    assert kept["labels.purchase"].tolist() == [1, 0, -1]
    assert kept["features.gap"].shape == batch.item.shape
    assert kept["negatives.item"].tolist() == [3]


def test_a_loss_that_runs_away_stops_the_training_and_one_that_is_merely_high_does_not(tmp_path: Path) -> None:
    since, epochs = 60, 60 // STEPS + 1
    with pytest.raises(TrainingError, match=r"over trainer\.explosion=10 times the usual"):
        fitted(Notes(), tmp_path / "away", loss=Factor(1_000.0, since=since), epochs=epochs)
    fitted(Notes(), tmp_path / "high", loss=Factor(3.0, since=since), epochs=epochs)
    fitted(Notes(), tmp_path / "any", loss=Factor(1_000.0, since=since), epochs=epochs, explosion=None)


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": 0},
        {"device": "abacus"},
        {"context_tokens": 0},
        {"patience": 0},
        {"clip_norm": 0.0},
        {"clip_norm": -1.0},
        {"clip_norm": math.nan},
        {"explosion": 1.0},
        {"explosion": -10.0},
        {"precision": "float8"},
        {"compile": "perhaps"},
        {"resident": "half"},
        {"resume": "maybe"},
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=f"trainer.{next(iter(settings))}"):
        SingleTrainer(**settings)  # type: ignore[arg-type]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused_and_auto_does_without() -> None:
    with pytest.raises(ConfigError, match=r"sees no GPU; use trainer\.device=cpu"):
        device_of("cuda")
    assert device_of("auto") == torch.device("cpu")
