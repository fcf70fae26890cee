"""Adagrad: Duchi, Hazan & Singer, "Adaptive subgradient methods" (JMLR 2011), https://jmlr.org/papers/v12/duchi11a.html."""

from dataclasses import dataclass

import torch
from torch import nn

from recsys.errors import ConfigError
from training.optimizer.groups import groups, insist_rates


@dataclass(frozen=True, slots=True, kw_only=True)
class Adagrad:
    """torch's Adagrad; of sparse gradients it moves the rows that they name, and no others.

    The official GRU4Rec trains with it. Its state is as large as the weights.

    Args:
        learning_rate: its peak; the schedule says how it runs.
        accumulator: what the sums of squares begin with; 0 makes the first step of every weight as long as the rate.
        weight_decay: L2 penalty added to the gradient of matrices; norms, biases and embeddings have none.
    """

    learning_rate: float = 0.05
    accumulator: float = 0.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        insist_rates(learning_rate=self.learning_rate, weight_decay=self.weight_decay)
        if not 0 <= self.accumulator < float("inf"):
            raise ConfigError(f"optimizer.accumulator is {self.accumulator}; give 0 or more")

    def build(self, module: nn.Module) -> torch.optim.Optimizer:
        """The optimiser of the module's parameters."""
        return torch.optim.Adagrad(
            groups(module, self.weight_decay), lr=self.learning_rate, initial_accumulator_value=self.accumulator
        )
