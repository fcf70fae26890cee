"""AdamW: Loshchilov & Hutter, "Decoupled weight decay regularization" (ICLR 2019), https://arxiv.org/abs/1711.05101."""

from dataclasses import dataclass

import torch
from torch import nn

from training.optimizer.groups import groups, insist_dense, insist_rates


@dataclass(frozen=True, slots=True, kw_only=True)
class AdamW:
    """torch's fused AdamW.

    Args:
        learning_rate: its peak; the schedule says how it runs.
        beta1: memory of the gradient; a one-cycle schedule moves it.
        beta2: memory of its square.
        weight_decay: share of a matrix, times the learning rate, that each step takes away; norms, biases and
            embeddings keep all.
    """

    learning_rate: float = 2e-3
    beta1: float = 0.9
    beta2: float = 0.999
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        insist_rates(
            learning_rate=self.learning_rate, weight_decay=self.weight_decay, beta1=self.beta1, beta2=self.beta2
        )

    def build(self, module: nn.Module) -> torch.optim.Optimizer:
        """The optimiser of the module's parameters."""
        insist_dense(module, "adamw")
        return torch.optim.AdamW(
            groups(module, self.weight_decay), lr=self.learning_rate, betas=(self.beta1, self.beta2), fused=True
        )
