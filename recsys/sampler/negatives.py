"""Negatives shared by a whole batch, with the log of the probability with which each was drawn."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Negatives:
    """Drawn items.

    Attributes:
        item: catalogue indices [N] int64.
        log_q: log of each one's sampling probability [N] float32. Where a part of the N is drawn in another way than
            the rest, it is that of the mixture, so that N q is how often the item is expected among the N.
        items: how many items the catalogue has, V - 1.
    """

    item: Tensor
    log_q: Tensor
    items: int

    @classmethod
    def none(cls, *, items: int, device: torch.device) -> "Negatives":
        """Nothing drawn, for losses that read the whole catalogue."""
        empty = torch.empty(0, device=device)
        return cls(empty.long(), empty, items)
