"""A small training to look at: everybody takes 1, 2, 3, ... in turn."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from recsys.loss.sampled_softmax import SampledSoftmax
from recsys.model.sasrec import SASRec
from recsys.protocols import Loss
from recsys.sampler.uniform import UniformSampler
from recsys.sequence.loader import Loader
from recsys.tower.id import Id
from tests.recsys.by_hand import histories, spec
from training.checkpoint import Checkpoints
from training.optimizer.adam import Adam
from training.protocols import Optimizer, Schedule
from training.schedule.one_cycle import OneCycle
from training.trainer.single import SingleTrainer

ITEMS = 9
ADAM = Adam(learning_rate=0.02)


class Killed(Exception):
    """Stands for the end of the process."""


@dataclass
class Notes:
    """A watch that writes down what it is told; it validates with the figures it was given, one for each epoch.

    `dies_after` steps of this process it raises `Killed`.
    """

    figures: Sequence[float] = ()
    dies_after: int | None = None
    losses: list[float] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    said_: list[str] = field(default_factory=list)

    def validate(self) -> float:
        return self.figures[len(self.losses)] if self.figures else 0.0

    def said(self, line: str) -> None:
        self.said_.append(line)

    def epoch_began(self, *, epoch: int, epochs: int, steps: int, taken: int) -> None:
        self.heard.append(f"{epoch + 1}/{epochs} began with {steps} steps, {taken} taken")

    def stepped(self, *, loss: float, tokens_per_s: float, waiting: float) -> None:
        assert tokens_per_s > 0
        assert 0 <= waiting < 1
        self.steps.append(loss)
        if len(self.steps) == self.dies_after:
            raise Killed

    def epoch_ended(self, *, epoch: int, loss: float, tokens_per_s: float, waiting: float, quality: float) -> None:
        self.losses.append(loss)

    def cut_short(self, *, epoch: int, epochs: int, minutes: float) -> None:
        self.heard.append(f"cut short after {epoch + 1}")


def loader(shoppers: int = 8) -> Loader:
    log = histories(*([((number + at) % (ITEMS - 1) + 1, at) for at in range(1, 12)] for number in range(shoppers)))
    return Loader.of(log, spec(), batch_tokens=60, context=10)


def encoder(*, sparse: bool = False, dropout: float = 0.2) -> SASRec:
    """The same one every time."""
    torch.manual_seed(0)
    return SASRec(items=ITEMS, features=spec(), dim=8, blocks=1, dropout=dropout, tower=Id(sparse=sparse))


def fitted(
    watch: Notes,
    folder: Path,
    *,
    of: SASRec | None = None,
    loss: Loss | None = None,
    optimizer: Optimizer = ADAM,
    schedule: Schedule | None = None,
    shoppers: int = 8,
    until: int | None = None,
    **settings: object,
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Weights after a training whose checkpoints lie in `folder`, and what it measured."""
    own = of if of is not None else encoder()
    trainer = SingleTrainer(**{"batch_tokens": 60, "device": "cpu", **settings})  # type: ignore[arg-type]
    measured = trainer.fit(
        own,
        loader(shoppers),
        loss=loss or SampledSoftmax(32),
        sampler=UniformSampler(popularity=torch.ones(ITEMS)),
        optimizer=optimizer,
        schedule=schedule or OneCycle(),
        seed=0,
        watch=watch,
        checkpoints=Checkpoints(folder / "checkpoints", recipe="r"),
        epochs=until,
    )
    assert not own.training
    return own.state_dict(), dict(measured)


def same(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    """Whether all weights are equal to the bit."""
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)
