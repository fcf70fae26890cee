"""Negatives from the batch's own targets: what other queries ask for. They cost no further item vectors.

Hidasi et al., "Session-based recommendations with recurrent neural networks" (ICLR 2016); Yi et al.,
"Sampling-bias-corrected neural modeling for large corpus item recommendations" (RecSys 2019).
"""

import torch
from torch import Tensor

from recsys.sampler.negatives import Negatives
from recsys.sampler.share import Shares


def from_batch(count: int, *, target: Tensor, generator: torch.Generator) -> Tensor:
    """`count` of the targets [P] as [N], each as often as any other (once more at the most); none where P is 0."""
    pairs = len(target)
    if not pairs or not count:
        return target[:0]
    rounds = -(-count // pairs)
    order = torch.randperm(rounds * pairs, generator=generator, device=generator.device)
    return target[order[:count] % pairs]


class InBatchSampler:
    """Takes targets of the batch at random: without repeating a pair while there are enough.

    An item is among them as often as it is a target, so its log_q is its share of all that is asked for. Items that no
    target names are never drawn: alone, this sampler leaves the model free to rank what is rarely taken too high (see
    `recsys/sampler/mixed.py`).

    Args:
        popularity: how often each index [V] was taken.
        asked: how often each index [V] is a target in an epoch, where that differs: a training that goes on asks only
            for what is new. A target that it does not know counts like the rarest that it knows.
    """

    def __init__(self, *, popularity: Tensor, asked: Tensor | None = None) -> None:
        self._shares = Shares.of(popularity if asked is None else asked)
        self._items = len(popularity) - 1

    def draw(self, count: int, *, target: Tensor, generator: torch.Generator) -> Negatives:
        """`count` negatives [N] out of `target` [P]; none where the batch has no targets."""
        self._shares = shares = self._shares.on(generator.device)
        drawn = from_batch(count, target=target, generator=generator)
        return Negatives(drawn, shares.log_share[drawn].clamp(min=shares.least_log_share), self._items)
