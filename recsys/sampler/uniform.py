"""Uniform negatives: every item of the catalogue is equally likely."""

import math
from dataclasses import dataclass

import torch

from recsys.sampler.negatives import Negatives


@dataclass(frozen=True, slots=True)
class UniformSampler:
    """Draws with replacement from 1..items."""

    items: int

    def draw(self, count: int, generator: torch.Generator) -> Negatives:
        """`count` negatives [N] on the generator's device."""
        drawn = torch.randint(1, self.items + 1, (count,), generator=generator, device=generator.device)
        log_q = torch.full((count,), -math.log(self.items), device=generator.device)
        return Negatives(drawn, log_q)
