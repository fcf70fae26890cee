"""Uniform negatives: every item of the catalogue is equally likely, also one that was never taken."""

import math

import torch
from torch import Tensor

from recsys.sampler.negatives import Negatives


class UniformSampler:
    """Draws with replacement from all indices but 0.

    Args:
        popularity: how often each index [V] was taken; only V matters here.
        asked: plays no part.
    """

    def __init__(self, *, popularity: Tensor, asked: Tensor | None = None) -> None:
        self._items = len(popularity) - 1

    def draw(self, count: int, *, target: Tensor, generator: torch.Generator) -> Negatives:
        """`count` negatives [N]; the batch's own targets play no part."""
        drawn = torch.randint(1, self._items + 1, (count,), generator=generator, device=generator.device)
        log_q = torch.full((count,), -math.log(self._items), device=generator.device)
        return Negatives(drawn, log_q, self._items)
