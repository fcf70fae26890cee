"""The same learning rate throughout."""

from dataclasses import dataclass

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from training.schedule.shape import insist_share, shaped


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """The peak, reached by a linear warm-up.

    Args:
        warmup: share of all steps until the peak.
    """

    warmup: float = 0.0

    def __post_init__(self) -> None:
        insist_share("warmup", self.warmup)

    def build(self, optimizer: Optimizer, *, steps: int) -> LRScheduler:
        """The schedule of a training of `steps` steps."""
        return shaped(optimizer, steps=steps, warmup=self.warmup, after=lambda _: 1.0)
