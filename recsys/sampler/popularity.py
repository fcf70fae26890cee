"""Negatives by popularity to a power: harder than uniform ones, softer than popularity itself.

Mikolov et al., "Distributed representations of words and phrases and their compositionality" (NeurIPS 2013), took 0.75;
for recommenders Hidasi & Karatzoglou, "Recurrent neural networks with top-k gains for session-based recommendations"
(CIKM 2018).
"""

import torch
from torch import Tensor

from recsys.sampler.negatives import Negatives
from recsys.sampler.share import popularity_shares


class PopularitySampler:
    """Draws with replacement in proportion to popularity^alpha.

    Args:
        popularity: how often each index [V] was taken (index 0 is never drawn).
        alpha: the power; 0 is uniform, 1 popularity itself.
        least: items taken less often than this are drawn as if they had been taken this often. With 0 an item that was
            never taken is never drawn, and nothing then teaches the model to rank it low.
        asked: plays no part.
    """

    def __init__(
        self, *, popularity: Tensor, alpha: float = 0.75, least: float = 1.0, asked: Tensor | None = None
    ) -> None:
        self._shares = popularity_shares(popularity, alpha=alpha, least=least)
        self._items = len(popularity) - 1

    def draw(self, count: int, *, target: Tensor, generator: torch.Generator) -> Negatives:
        """`count` negatives [N]; the batch's own targets play no part."""
        self._shares = self._shares.on(generator.device)
        drawn = self._shares.draw(count, generator)
        return Negatives(drawn, self._shares.log_share[drawn], self._items)
