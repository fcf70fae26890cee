"""Several workers do what one does."""

import os
import re
import signal
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from recsys.clock import DAY
from recsys.errors import ConfigError, TrainingError
from recsys.intent.heads import IntentHeads
from recsys.intent.joint import JointEncoder, JointLoss
from recsys.loss.sampled_softmax import SampledSoftmax
from recsys.model.sasrec import SASRec
from recsys.protocols import Loss, Sampler
from recsys.sampler.in_batch import InBatchSampler
from recsys.sampler.negatives import Negatives
from recsys.sampler.uniform import UniformSampler
from recsys.sequence.loader import Loader
from recsys.sequence.stream import training_stream
from tests.recsys.by_hand import spec
from tests.recsys.intent.buyers import catalogue, shoppers
from tests.training.trainer.learning import ADAM, ITEMS, Killed, Notes, encoder, loader, same
from training.checkpoint import Checkpoints
from training.optimizer.rowwise_adam import RowwiseAdam
from training.protocols import Optimizer, Trainer
from training.schedule.one_cycle import OneCycle
from training.trainer.ray import RayTrainer
from training.trainer.shipment import Shipment
from training.trainer.single import SingleTrainer
from training.trainer.team import Objective, Team

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
    of: SASRec | JointEncoder | None = None,
    loss: Loss | None = None,
    data: Loader | None = None,
) -> dict[str, Tensor]:
    own = of or encoder(dropout=0.0)
    measured = trainer.fit(
        own,
        data or loader(shoppers=13),
        loss=loss or SampledSoftmax(32),
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


def with_heads() -> JointEncoder:
    """The same one every time, with every intent head."""
    torch.manual_seed(0)
    features = spec()
    own = SASRec(items=13, features=features, dim=8, blocks=1, dropout=0.0)
    heads = IntentHeads().build(dim=8, features=features, catalogue=catalogue())
    assert heads is not None
    return JointEncoder(own, heads)


def buyers_loader() -> Loader:
    """A window for each of thirteen shoppers; only of those who buy nothing is it known whether they consider it."""
    features, known = spec(), shoppers(13)
    stream = training_stream(known, features)
    labels = IntentHeads().labels(features).of_stream(stream, known, np.full(len(known), 60 * DAY))
    return Loader.over(replace(stream, labels=labels), features, batch_tokens=160, context=10)


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


@pytest.mark.slow
def test_two_workers_with_intent_heads_lose_what_one_loses(tmp_path: Path) -> None:
    alone, both = Notes((0.1, 0.2)), Notes((0.1, 0.2))
    own = [with_heads(), with_heads()]
    for trainer, watch, of in zip(
        (SingleTrainer(device="cpu", **SAME), RayTrainer(workers=2, **SAME)),  # type: ignore[arg-type]
        (alone, both),
        own,
        strict=True,
    ):
        folder = tmp_path / type(trainer).__name__
        fitted(trainer, watch, folder, of=of, loss=JointLoss(SampledSoftmax(32), of.heads), data=buyers_loader())
    assert len(both.steps) > 6
    assert both.steps == pytest.approx(alone.steps, rel=1e-4)
    for of in own:
        assert float(of.heads.heads["considering"].get_parameter("network.out.weight").abs().max()) > 0.01, "it learnt"
    one, other = (of.heads.heads["considering"].get_parameter("network.out.weight") for of in own)
    torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("joint", [False, True])
def test_parts_weighed_by_what_each_mean_is_over_have_the_loss_and_gradient_of_the_whole(joint: bool) -> None:
    joined, data = with_heads(), buyers_loader()
    own = joined if joint else joined.encoder
    loss: Loss = JointLoss(SampledSoftmax(32), joined.heads) if joint else SampledSoftmax(32)
    objective = Objective(own, loss, own)
    negatives = UniformSampler(popularity=torch.ones(13)).draw(
        32, target=torch.empty(0), generator=torch.Generator().manual_seed(0)
    )
    parts = [data.load(np.array(windows)) for windows in ([0], [1, 2, 3], [5])]  # even numbers buy
    whole = data.load(np.array([0, 1, 2, 3, 5]))
    counts = [objective.counts(part) for part in parts]
    total = objective.counts(whole)
    assert np.sum(counts, axis=0).tolist() == total

    together = objective(whole, negatives, [1.0] * len(total))
    torch.testing.assert_close(together, loss(own(whole), whole, own.item_vectors, negatives))
    shares = [[number / of for number, of in zip(count, total, strict=True)] for count in counts]
    apart = sum(objective(part, negatives, share) for part, share in zip(parts, shares, strict=True))
    torch.testing.assert_close(apart, together, rtol=1e-5, atol=0)
    weights = [weight for weight in objective.parameters() if weight.requires_grad]
    one, other = (torch.autograd.grad(value, weights, allow_unused=True) for value in (apart, together))
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


def test_a_part_of_which_nothing_counts_loses_nothing_and_has_gradients_all_the_same() -> None:
    own, data = with_heads(), buyers_loader()
    objective = Objective(own, JointLoss(SampledSoftmax(32), own.heads), own)
    nothing = objective(data.load(np.array([0])), Negatives.none(items=12, device=torch.device("cpu")), [0.0] * 5)
    nothing.backward()
    assert float(nothing.detach()) == 0
    assert own.encoder.embedder.query.grad is not None


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


def test_gradients_of_rows_are_refused_where_gpus_would_have_to_sum_them(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tower\.sparse=true .* use tower\.sparse=false or trainer\.gpus=false"):
        fitted(RayTrainer(gpus=True, **SAME), Notes(), tmp_path, of=encoder(sparse=True))  # type: ignore[arg-type]


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
