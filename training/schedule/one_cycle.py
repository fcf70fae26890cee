"""One cycle: Smith & Topin, "Super-convergence: very fast training of neural networks using large learning rates"
(2018), https://arxiv.org/abs/1708.07120; torch's version, which anneals along cosines."""

from dataclasses import dataclass

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

from training.schedule.shape import insist_share


@dataclass(frozen=True, slots=True, kw_only=True)
class OneCycle:
    """From a 25th of the peak up to it and down to nearly nothing, while momentum runs the other way.

    Args:
        warmup: share of all steps until the peak.
        momentum: whether the optimiser's momentum (Adam's beta1) runs from .95 to .85 at the peak and back.
    """

    warmup: float = 0.1
    momentum: bool = True

    def __post_init__(self) -> None:
        insist_share("warmup", self.warmup)

    def build(self, optimizer: Optimizer, *, steps: int) -> LRScheduler:
        """The schedule of a training of `steps` steps."""
        total = steps + 1
        has_momentum = not {"betas", "momentum"}.isdisjoint(optimizer.defaults)
        return OneCycleLR(
            optimizer,
            max_lr=[float(group["lr"]) for group in optimizer.param_groups],
            total_steps=total,
            pct_start=max(self.warmup, 2 / total),
            cycle_momentum=self.momentum and has_momentum,
        )
