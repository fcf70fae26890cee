"""Negatives of two kinds: a share from the batch's own targets, the rest from the whole catalogue.

Yang et al., "Mixed negative sampling for learning two-tower neural networks in recommendations" (WWW Companion 2020).
The log_q is that of the mixture as it is drawn, for every negative alike whichever way it came: the balance heuristic
of Veach & Guibas, "Optimally combining sampling techniques for Monte Carlo rendering" (SIGGRAPH 1995), which keeps the
sum over the negatives an unbiased estimate of the sum over the catalogue.
"""

import math

import torch
from torch import Tensor

from recsys.errors import ConfigError
from recsys.sampler.in_batch import from_batch
from recsys.sampler.negatives import Negatives
from recsys.sampler.share import Shares, popularity_shares


class MixedSampler:
    """In-batch negatives and negatives by popularity^alpha, side by side.

    Args:
        popularity: how often each index [V] was taken.
        in_batch: share of the negatives that are targets of the batch (0 to 1, rounded to whole negatives).
        alpha: the power for the rest; 0 draws it uniformly.
        least: for the rest, items taken less often than this are drawn as if they had been taken this often. With 0 an
            item that was never taken is never drawn.
        asked: how often each index [V] is a target in an epoch, where that differs (see `in_batch.py`).
    """

    def __init__(
        self,
        *,
        popularity: Tensor,
        in_batch: float = 0.5,
        alpha: float = 0.0,
        least: float = 1.0,
        asked: Tensor | None = None,
    ) -> None:
        if not 0 <= in_batch <= 1:
            raise ConfigError(f"sampler.in_batch is {in_batch}; give a share from 0 to 1")
        self._in_batch = in_batch
        self._taken = Shares.of(popularity if asked is None else asked)
        self._rest = popularity_shares(popularity, alpha=alpha, least=least)
        self._items = len(popularity) - 1

    def draw(self, count: int, *, target: Tensor, generator: torch.Generator) -> Negatives:
        """`count` negatives [N], first those out of `target` [P] (none where the batch has no targets)."""
        if not count:
            return Negatives.none(items=self._items, device=generator.device)
        self._taken, self._rest = self._taken.on(generator.device), self._rest.on(generator.device)
        own = from_batch(round(count * self._in_batch), target=target, generator=generator)
        rest = self._rest.draw(count - len(own), generator)
        # A target of the batch was taken, whatever the counts say; it counts like the rarest at the least.
        taken = torch.cat(
            [self._taken.log_share[own].clamp(min=self._taken.least_log_share), self._taken.log_share[rest]]
        )
        drawn = torch.cat([own, rest])
        log_q = torch.logaddexp(taken + _log(len(own) / count), self._rest.log_share[drawn] + _log(len(rest) / count))
        return Negatives(drawn, log_q, self._items)


def _log(share: float) -> float:
    return math.log(share) if share else -math.inf
