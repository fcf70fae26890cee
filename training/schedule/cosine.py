"""A learning rate that falls along half a cosine: Loshchilov & Hutter, "SGDR: stochastic gradient descent with warm
restarts" (ICLR 2017), https://arxiv.org/abs/1608.03983, with a warm-up and without restarts."""

import math
from dataclasses import dataclass

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from training.schedule.shape import insist_share, shaped


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosine:
    """A linear warm-up to the peak, then half a cosine down to a share of it.

    Args:
        warmup: share of all steps until the peak.
        floor: share of the peak that is left in the end.
    """

    warmup: float = 0.1
    floor: float = 0.0

    def __post_init__(self) -> None:
        insist_share("warmup", self.warmup)
        insist_share("floor", self.floor)

    def build(self, optimizer: Optimizer, *, steps: int) -> LRScheduler:
        """The schedule of a training of `steps` steps."""

        def share(passed: float) -> float:
            return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * passed)) / 2

        return shaped(optimizer, steps=steps, warmup=self.warmup, after=share)
