"""One of several workers: the steps of a training, each with this worker's part of the batch.

It does what `SingleTrainer` does, step by step; what is its own is where the batch is shared out and summed up again.
"""

import os
import platform
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from recsys.errors import RecsysError, TrainingError
from recsys.protocols import Encoder, Loss, Sampler
from recsys.sequence.loader import Loader
from training.checkpoint import Checkpoints
from training.protocols import Optimizer, Schedule
from training.trainer.guard import Guard
from training.trainer.learner import Learner
from training.trainer.mailbox import Message, WorkersWatch, weights_of
from training.trainer.saver import Saver
from training.trainer.single import SingleTrainer
from training.trainer.team import Objective, Team
from training.trainer.way import Way


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What every worker is told; `encoder` at its beginning."""

    trainer: SingleTrainer
    cores: int
    encoder: Encoder
    loss: Loss
    sampler: Sampler
    optimizer: Optimizer
    schedule: Schedule
    seed: int
    checkpoints: Checkpoints
    epochs: int | None

    def done(self, team: Team, loader: Loader, remote: "_ToDriver") -> None:
        """This worker's part of the whole training."""
        trainer, loss, device = self.trainer, self.loss, team.device
        last = min(trainer.epochs, self.epochs or trainer.epochs)
        steps = [len(loader.batches(seed=self.seed, epoch=epoch)) for epoch in range(trainer.epochs)]
        _in_memory_of_its_own(self.encoder)
        learner = Learner.of(
            self.encoder, device=device, optimizer=self.optimizer, schedule=self.schedule, steps=sum(steps),
            seed=self.seed,
        )  # fmt: skip
        watch = WorkersWatch(team, learner.module, remote)
        saver = Saver(self.checkpoints, every_s=trainer.checkpoint_s, watch=watch)
        guard = Guard(folder=self.checkpoints.folder.parent / f"worker-{team.rank}", explosion=trainer.explosion)
        way = _resumed(saver, learner, team, windows=len(loader.windows)) or trainer.switches.plain(device)
        loader, at = way.placed(loader, device), learner.progress
        objective = Objective(self.encoder, loss, way.forward(self.encoder))
        together = DistributedDataParallel(objective, broadcast_buffers=False, find_unused_parameters=True)

        while not at.finished:
            watch.epoch_began(epoch=at.epoch, epochs=last, steps=steps[at.epoch], taken=at.taken)
            for windows in loader.batches(seed=self.seed, epoch=at.epoch)[at.taken :]:
                began = time.monotonic()
                batch = loader.load(team.share(windows)).to(device)
                waited = time.monotonic() - began
                targets = team.all_targets(batch.pair_target if team.counts(windows) else batch.pair_target[:0])
                negatives = self.sampler.draw(loss.negatives, target=targets, generator=learner.generator)
                weights = team.weights(objective.counts(batch), counts=team.counts(windows))
                team.seed(self.seed, at.epoch, at.taken)
                with way.autocast(device):
                    value = together(batch, negatives, weights)
                own, gradient = learner.differentiate(value, clip_norm=trainer.clip_norm)
                found, tokens = team.total(own / team.size, batch.tokens * team.counts(windows))
                guard.check(
                    found, gradient=gradient, learner=learner, windows=windows, batch=batch, negatives=negatives
                )
                learner.step()
                at.stepped(loss=found, tokens=int(tokens), waited_s=waited, seconds=time.monotonic() - began)
                watch.stepped(loss=found, tokens_per_s=at.tokens_per_s, waiting=at.waiting)
                if team.rank == 0:
                    saver.save_if_due(learner, way, windows=len(loader.windows))
            trainer.end_epoch(learner, watch, last=last)
            at.finished = bool(team.told(float(at.finished)))
            if team.rank == 0:
                saver.save(learner, way, windows=len(loader.windows))

        learner.settle()
        measured = {**at.measured(), **way.figures(), "workers": float(team.size)}
        if team.rank == 0:
            remote.tell(("done", {"weights": weights_of(learner.module), "measured": measured}))


def _in_memory_of_its_own(encoder: Encoder) -> None:
    """What comes out of a message lies anywhere; products of matrices differ in the last bit by where these begin."""
    if isinstance(encoder, nn.Module):
        for tensor in (*encoder.parameters(), *encoder.buffers()):
            tensor.data = tensor.data.clone()


def _resumed(saver: Saver, learner: Learner, team: Team, *, windows: int) -> Way | None:
    """One after the other, for a damaged checkpoint is removed by whoever finds it; all go on, or all are refused."""
    way: Way | None = None
    for rank in range(team.size):
        error: RecsysError | None = None
        if team.rank == rank:
            try:
                way = saver.resumed(learner, resume="auto", windows=windows)
            except RecsysError as refused:
                error = refused
        if any(team.total(float(error is not None))):
            raise error or TrainingError(f"worker {rank + 1} could not go on")
    return way


def work(config: dict[str, Any]) -> None:
    """What runs in a worker; a deliberate error ends the training, for it would come again."""
    import ray
    import ray.train
    from ray.train.torch import get_device

    context = ray.train.get_context()
    team = Team(context.get_world_rank(), context.get_world_size(), get_device())
    remote = _ToDriver(config["mailbox"])
    here = f"process {os.getpid()} on {platform.node()}"
    remote.tell(("said", {"line": f"worker {team.rank + 1} of {team.size}: {here}"}))
    torch.set_num_threads(config["task"].cores)
    try:
        config["task"].done(team, ray.get(config["shipment"]).loader(), remote)
    except RecsysError as error:
        if team.rank == 0:
            remote.tell(("refused", {"reason": str(error)}))


@dataclass(frozen=True, slots=True)
class _ToDriver:
    """Sends messages through the mailbox."""

    mailbox: Any

    def tell(self, message: Message) -> None:
        """Leave it there."""
        import ray

        ray.get(self.mailbox.tell.remote(message))

    def ask(self, message: Message) -> float:
        """Leave it there and wait for the answer."""
        import ray

        answer: float = ray.get(self.mailbox.ask.remote(message))
        return answer
