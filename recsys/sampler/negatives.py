"""Negatives shared by a whole batch, with the log of the probability with which each was drawn."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Negatives:
    """Drawn items.

    Attributes:
        item: catalogue indices [N] int64.
        log_q: log of each one's sampling probability [N] float32.
        log_q_of: log sampling probability of every item [V] float32 or a single value [1] that holds for all.
    """

    item: Tensor
    log_q: Tensor
    log_q_of: Tensor

    def log_q_at(self, item: Tensor) -> Tensor:
        """Log sampling probability of `item` [P]."""
        return self.log_q_of[item] if len(self.log_q_of) > 1 else self.log_q_of.expand(len(item))
