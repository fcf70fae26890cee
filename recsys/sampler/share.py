"""Shares of the catalogue's items, to draw from and to ask for."""

from dataclasses import dataclass

import torch
from torch import Tensor

from recsys.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Shares:
    """A distribution over the catalogue; index 0, padding, has no share.

    Attributes:
        log_share: log of each index's share [V] float32; -inf for what is never drawn.
        cumulative: share of each index and all before it [V] float64, the last one exactly 1.
        least_log_share: the smallest log share that is one.
    """

    log_share: Tensor
    cumulative: Tensor
    least_log_share: float

    @classmethod
    def of(cls, weight: Tensor) -> "Shares":
        """Shares in proportion to `weight` [V]; ConfigError where nothing but index 0 has any."""
        weight = weight.double().clone()
        weight[0] = 0
        cumulative = weight.cumsum(0)
        if not cumulative[-1] > 0:
            raise ConfigError(
                f"the sampler was told of {len(weight) - 1} items of which none was ever taken; use sampler=uniform"
            )
        share = weight / cumulative[-1]
        log_share = share.log().float()
        return cls(log_share, cumulative / cumulative[-1], float(share[share > 0].min().log()))

    def on(self, device: torch.device) -> "Shares":
        """The same on `device`."""
        if self.log_share.device == device:
            return self
        return Shares(self.log_share.to(device), self.cumulative.to(device), self.least_log_share)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """`count` indices [N] with replacement, by bisection of the cumulative shares.

        Doubles, because an item's share may be smaller than what floats tell apart.
        """
        place = torch.rand(count, dtype=torch.float64, generator=generator, device=generator.device)
        return torch.searchsorted(self.cumulative, place, right=True)


def popularity_shares(popularity: Tensor, *, alpha: float, least: float) -> Shares:
    """Shares in proportion to popularity [V] to the power of `alpha`, of items taken `least` times at the least."""
    if alpha < 0:
        raise ConfigError(f"sampler.alpha is {alpha}; give 0 (every item alike) or more")
    if least < 0:
        raise ConfigError(f"sampler.least is {least}; give 0 (never draw items that were never taken) or more")
    floored = popularity.double().clamp(min=least)
    return Shares.of(torch.where(floored > 0, floored**alpha, 0))
