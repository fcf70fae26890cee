"""What schedules share: a share of the peak learning rate for every step."""

from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from recsys.errors import ConfigError


def shaped(optimizer: Optimizer, *, steps: int, warmup: float, after: Callable[[float], float]) -> LRScheduler:
    """A linear warm-up over a share of `steps`, then `after` of what has passed of the rest, 0 to 1."""
    rising = round(warmup * steps)

    def share(step: int) -> float:
        if step < rising:
            return (step + 1) / (rising + 1)
        return after(min(1.0, (step - rising) / max(1, steps - rising)))

    return LambdaLR(optimizer, share)


def insist_share(name: str, value: float) -> None:
    """ConfigError where a setting is no share of a whole."""
    if not 0 <= value < 1:
        raise ConfigError(f"schedule.{name} is {value}; give a share from 0 to below 1")
