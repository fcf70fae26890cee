"""Negatives shared by a whole batch, with the log of the probability with which each was drawn."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Negatives:
    """Drawn items.

    Attributes:
        item: catalogue indices [N] int64.
        log_q: log of each one's sampling probability [N] float32.
    """

    item: Tensor
    log_q: Tensor
