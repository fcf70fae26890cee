"""A learning rate that falls in a straight line."""

from dataclasses import dataclass

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from training.schedule.shape import insist_share, shaped


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """A linear warm-up to the peak, then a straight line down to a share of it.

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
        return shaped(optimizer, steps=steps, warmup=self.warmup, after=lambda passed: 1 - (1 - self.floor) * passed)
