"""One process, one device: the plain loop."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from recsys.errors import ConfigError
from recsys.protocols import Encoder, Loss, Sampler
from recsys.sequence.loader import Loader
from training.checkpoint import Checkpoints
from training.protocols import Optimizer, Schedule, Watch
from training.trainer.guard import Guard
from training.trainer.learner import Learner
from training.trainer.measure import chosen_way
from training.trainer.saver import RESUME, Saver
from training.trainer.way import AUTO, Switches


def device_of(name: str) -> torch.device:
    """The device called `name`; "auto" takes a GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"trainer.device={name}, but torch {torch.__version__} sees no GPU; use trainer.device=cpu")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"trainer.device={name!r} is not a device; use auto, cpu or cuda") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleTrainer:
    """Epoch after epoch, the best validated one is kept.

    Three switches are chosen by measuring where they are "auto"; with all three set, equal runs on a CPU give equal
    weights to the bit, as they do where a run was killed and went on.

    Args:
        epochs: passes over the training windows, at most.
        batch_tokens: tokens of a batch, padding counted.
        context_tokens: how much of what came before each further window of a long history repeats.
        clip_norm: longest gradient; None leaves it as it is.
        patience: epochs in a row without a better validation after which training ends; None goes on to the last.
        explosion: how many times the median of the last 100 losses stops the training; None does not.
        device: auto, cpu or cuda.
        precision: float32, bfloat16 (autocast) or auto.
        compile: whether the encoder goes through `torch.compile`, or auto.
        resident: whether the token stream lies on the device, so that batches are cut there and nothing is copied for
            each of them, else they are put together on the CPU and sent; or auto.
        minutes: where one more epoch like the last would take longer than this in all, training ends; the result says
            so.
        checkpoint_s: seconds between two checkpoints within an epoch; there is one at the end of each in any case.
        resume: auto goes on from the last good checkpoint of the same recipe and data, never begins anew.
    """

    epochs: int = 4
    batch_tokens: int = 3_200
    context_tokens: int = 50
    clip_norm: float | None = 1.0
    patience: int | None = None
    explosion: float | None = 10.0
    device: str = AUTO
    precision: str = AUTO
    compile: bool | str = AUTO
    resident: bool | str = AUTO
    minutes: float = 30.0
    checkpoint_s: float = 60.0
    resume: str = "auto"

    def __post_init__(self) -> None:
        least = {"epochs": 1, "batch_tokens": 1, "context_tokens": 1, "patience": 1, "checkpoint_s": 0}
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and value < bound:
                raise ConfigError(f"trainer.{name} is {value}; give at least {bound}")
        for name, limit in (("clip_norm", 0), ("explosion", 1)):
            value = getattr(self, name)
            if value is not None and not value > limit:
                raise ConfigError(f"trainer.{name} is {value}; give more than {limit}, or null to go without")
        if self.resume not in RESUME:
            raise ConfigError(f"trainer.resume={self.resume} is unknown; use {' or '.join(RESUME)}")
        device_of(self.device)
        _ = self.switches

    @property
    def switches(self) -> Switches:
        """What is fixed and what is measured of how steps are computed."""
        return Switches(precision=self.precision, compile=self.compile, resident=self.resident)

    def fit(
        self,
        encoder: Encoder,
        loader: Loader,
        *,
        loss: Loss,
        sampler: Sampler,
        optimizer: Optimizer,
        schedule: Schedule,
        seed: int,
        watch: Watch,
        checkpoints: Checkpoints,
        epochs: int | None = None,
    ) -> Mapping[str, float]:
        """Train `encoder` in place, keep the weights of the best validated epoch, leave it on the CPU in eval mode.

        `epochs` ends a training planned for more after so many: the schedule is that of the whole.
        """
        device, last = device_of(self.device), min(self.epochs, epochs or self.epochs)
        steps = [len(loader.batches(seed=seed, epoch=epoch)) for epoch in range(self.epochs)]
        learner = Learner.of(
            encoder, device=device, optimizer=optimizer, schedule=schedule, steps=sum(steps), seed=seed
        )
        saver = Saver(checkpoints, every_s=self.checkpoint_s, watch=watch)
        guard = Guard(folder=checkpoints.folder.parent, explosion=self.explosion)
        way = saver.resumed(learner, resume=self.resume, windows=len(loader.windows)) or chosen_way(
            *(self.switches, encoder, loader),
            loss=loss, sampler=sampler, device=device, seed=seed, steps=sum(steps[:last]), watch=watch,
        )  # fmt: skip
        loader, forward, at = way.placed(loader, device), way.forward(encoder), learner.progress

        while not at.finished:
            watch.epoch_began(epoch=at.epoch, epochs=last, steps=steps[at.epoch], taken=at.taken)
            for windows in loader.batches(seed=seed, epoch=at.epoch)[at.taken :]:
                began = time.monotonic()
                batch = loader.load(windows).to(device)
                waited = time.monotonic() - began
                negatives = sampler.draw(loss.negatives, target=batch.pair_target, generator=learner.generator)
                with way.autocast(device):
                    value = loss(forward(batch), batch, encoder.item_vectors, negatives)
                found, gradient = learner.differentiate(value, clip_norm=self.clip_norm)
                guard.check(
                    found, gradient=gradient, learner=learner, windows=windows, batch=batch, negatives=negatives
                )
                learner.step()
                at.stepped(loss=found, tokens=batch.tokens, waited_s=waited, seconds=time.monotonic() - began)
                watch.stepped(loss=found, tokens_per_s=at.tokens_per_s, waiting=at.waiting)
                saver.save_if_due(learner, way, windows=len(loader.windows))
            self.end_epoch(learner, watch, last=last)
            saver.save(learner, way, windows=len(loader.windows))

        learner.settle()
        return {**at.measured(), **way.figures()}

    def end_epoch(self, learner: Learner, watch: Watch, *, last: int) -> None:
        """Validate, keep the weights if they are the best, and decide whether that was all."""
        at, spent = learner.progress, learner.progress.seconds
        began = time.monotonic()
        learner.module.to("cpu").eval()
        quality = watch.validate()
        learner.module.to(learner.device).train()
        validated_s = time.monotonic() - began
        watch.epoch_ended(epoch=at.epoch, **at.ended(quality, seconds=validated_s))
        if at.kept == at.epoch:
            learner.keep()
        at.finished = at.epoch == last
        if not at.finished and self.patience is not None and at.epoch - at.kept >= self.patience:
            watch.said(f"training ends: no epoch was better than {at.kept} for trainer.patience={self.patience} epochs")
            at.finished = True
        elif not at.finished and at.all_seconds + at.validated_s + spent + validated_s > 60 * self.minutes:
            watch.cut_short(epoch=at.epoch - 1, epochs=last, minutes=self.minutes)
            at.finished = True
