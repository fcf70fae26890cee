"""Several workers do what one does."""

import os
import re
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from recsys.errors import ConfigError, TrainingError
from recsys.loss.sampled_softmax import SampledSoftmax
from recsys.model.sasrec import SASRec
from recsys.protocols import Sampler
from recsys.sampler.in_batch import InBatchSampler
from recsys.sampler.uniform import UniformSampler
from tests.training.trainer.learning import ADAM, ITEMS, Killed, Notes, encoder, loader, same
from training.checkpoint import Checkpoints
from training.optimizer.rowwise_adam import RowwiseAdam
from training.protocols import Optimizer, Trainer
from training.schedule.one_cycle import OneCycle
from training.trainer.ray import RayTrainer
from training.trainer.shipment import Shipment
from training.trainer.single import SingleTrainer
from training.trainer.team import Team

EPOCHS = 2
SAME = {"batch_tokens": 100, "epochs": EPOCHS, "precision": "float32", "compile": False, "resident": True}
UNIFORM = UniformSampler(popularity=torch.ones(ITEMS))


@dataclass
class Killer(Notes):
    """Ends the second worker as `kill -9` does, once, after the first epoch."""

    processes: list[int] = field(default_factory=list)
    killed: int = 0

    def said(self, line: str) -> None:
        super().said(line)
        if named := re.fullmatch(r"worker 2 of 2: process (\d+) on .*", line):
            self.processes.append(int(named[1]))

    def validate(self) -> float:
        if not self.killed:
            self.killed += 1
            os.kill(self.processes[0], signal.SIGKILL)
        return super().validate()


def fitted(
    trainer: Trainer,
    watch: Notes,
    folder: Path,
    *,
    sampler: Sampler = UNIFORM,
    optimizer: Optimizer = ADAM,
    of: SASRec | None = None,
) -> dict[str, Tensor]:
    own = of or encoder(dropout=0.0)
    measured = trainer.fit(
        own,
        loader(shoppers=13),
        loss=SampledSoftmax(32),
        sampler=sampler,
        optimizer=optimizer,
        schedule=OneCycle(),
        seed=0,
        watch=watch,
        checkpoints=Checkpoints(folder / "checkpoints", recipe="r"),
    )
    assert not own.training
    assert measured["epochs"] == EPOCHS
    return own.state_dict()


@dataclass(frozen=True)
class Calm:
    """What two workers did whom nobody disturbed."""

    watch: Notes
    weights: dict[str, Tensor]
    vectors: Tensor


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Calm:
    watch, own = Notes((0.1, 0.2)), encoder(dropout=0.0)
    weights = fitted(RayTrainer(workers=2, **SAME), watch, tmp_path_factory.mktemp("calm"), of=own)  # type: ignore[arg-type]
    return Calm(watch, weights, vectors(own))


def vectors(own: SASRec) -> Tensor:
    """Not all weights: those without an effect, such as biases of keys, go where rounding says."""
    return own.item_vectors().detach()


@pytest.mark.slow
def test_two_workers_with_half_of_every_batch_lose_what_one_loses(tmp_path: Path, calm: Calm) -> None:
    alone, own = Notes((0.1, 0.2)), encoder(dropout=0.0)
    fitted(SingleTrainer(device="cpu", **SAME), alone, tmp_path, of=own)  # type: ignore[arg-type]
    assert len(alone.steps) == len(calm.watch.steps) > 6
    assert calm.watch.steps == pytest.approx(alone.steps, rel=1e-4)
    assert calm.watch.losses == pytest.approx(alone.losses, rel=1e-4)
    assert calm.watch.heard == alone.heard
    torch.testing.assert_close(calm.vectors, vectors(own), rtol=1e-3, atol=1e-4)
    assert sorted(line.partition(":")[0] for line in calm.watch.said_) == ["worker 1 of 2", "worker 2 of 2"]


@pytest.mark.slow
def test_gradients_of_rows_are_summed_too_and_negatives_come_from_the_whole_batch(tmp_path: Path) -> None:
    alone, both = Notes((0.1, 0.2)), Notes((0.1, 0.2))
    sampler, optimizer = InBatchSampler(popularity=torch.ones(ITEMS)), RowwiseAdam(learning_rate=0.02)
    own = [encoder(sparse=True, dropout=0.0) for _ in range(2)]
    for trainer, watch, of in zip(
        (SingleTrainer(device="cpu", **SAME), RayTrainer(workers=2, **SAME)),  # type: ignore[arg-type]
        (alone, both),
        own,
        strict=True,
    ):
        fitted(trainer, watch, tmp_path / type(trainer).__name__, sampler=sampler, optimizer=optimizer, of=of)
    assert both.steps == pytest.approx(alone.steps, rel=1e-4)
    torch.testing.assert_close(vectors(own[0]), vectors(own[1]), rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced_and_the_end_is_the_same(tmp_path: Path, calm: Calm) -> None:
    harried = Killer((0.1, 0.1, 0.2))
    settings = {**SAME, "checkpoint_s": 0.0}
    disturbed = fitted(RayTrainer(workers=2, **settings), harried, tmp_path)  # type: ignore[arg-type]
    assert harried.killed == 1
    assert len(harried.processes) == 2, "it was started again"
    assert any(line.startswith("going on from a checkpoint") for line in harried.said_)
    assert harried.losses == calm.watch.losses
    assert same(disturbed, calm.weights), "to the bit"


@pytest.mark.slow
def test_a_loss_that_is_no_number_ends_the_training_and_is_not_tried_again(tmp_path: Path) -> None:
    broken = encoder(dropout=0.0)
    with torch.no_grad():
        broken.embedder.tower.table.weight[3] = torch.nan  # type: ignore[index, union-attr]
    watch = Notes()
    with pytest.raises(TrainingError, match="the loss became nan in epoch 1, batch 1"):
        fitted(RayTrainer(workers=2, **SAME), watch, tmp_path, of=broken)  # type: ignore[arg-type]
    assert len(watch.said_) == 2, "two workers, started once"


@pytest.mark.slow
def test_a_watch_that_ends_the_training_ends_the_workers(tmp_path: Path) -> None:
    watch = Notes(dies_after=1)
    began = time.monotonic()
    with pytest.raises(Killed):
        fitted(RayTrainer(workers=1, **SAME), watch, tmp_path)  # type: ignore[arg-type]
    assert time.monotonic() - began < 200
    import ray  # only now, for it reads its settings when it is imported

    assert not ray.is_initialized()


def test_a_loader_arrives_as_it_was_sent() -> None:
    sent = loader()
    arrived = Shipment.of(sent).loader()
    for windows in sent.batches(seed=1, epoch=0):
        one, other = sent.load(windows), arrived.load(windows)
        assert torch.equal(one.item, other.item)
        assert torch.equal(one.time, other.time)
        assert torch.equal(one.pair_target, other.pair_target)
    assert Shipment.of(sent).mib == 1


@pytest.mark.parametrize("setting", ["workers", "cores"])
def test_workers_without_anybody_or_anything_are_refused(setting: str) -> None:
    with pytest.raises(ConfigError, match=f"trainer.{setting} is 0; give at least 1"):
        RayTrainer(**{setting: 0})  # type: ignore[arg-type]


@pytest.mark.parametrize(("setting", "least"), [("clip_norm", 0), ("explosion", 1)])
def test_what_one_worker_refuses_several_refuse(setting: str, least: int) -> None:
    with pytest.raises(ConfigError, match=f"trainer.{setting} is {least}; give more than {least}, or null"):
        RayTrainer(**{setting: least})  # type: ignore[arg-type]


def test_an_address_for_clients_outside_of_the_cluster_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"trainer\.address=ray://head:10001 .* with trainer\.address=auto"):
        RayTrainer(address="ray://head:10001")


def test_every_worker_draws_its_own_random_numbers_by_the_place_in_the_training() -> None:
    def drawn(rank: int, *position: int) -> float:
        Team(rank, 2, torch.device("cpu")).seed(*position)
        return float(torch.rand(()))

    assert drawn(0, 7, 1, 2) == drawn(0, 7, 1, 2)
    assert len({drawn(0, 7, 1, 2), drawn(1, 7, 1, 2), drawn(0, 7, 1, 3), drawn(0, 7, 2, 1), drawn(0, 8, 1, 2)}) == 5


def test_a_batch_of_fewer_windows_than_workers_counts_once() -> None:
    team = [Team(rank, 3, torch.device("cpu")) for rank in range(3)]
    batch = np.array([5, 9])
    assert [one.share(batch).tolist() for one in team] == [[5], [9], [5]]
    assert [one.counts(batch) for one in team] == [True, True, False]
    whole = np.arange(8)
    assert np.concatenate([one.share(whole) for one in team]).tolist() == whole.tolist()
