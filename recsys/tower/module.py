"""What a tower builds."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class TowerModule(nn.Module, ABC):
    """Gives item vectors; that of index 0, padding, is nothing and is never trained."""

    @abstractmethod
    def forward(self, item: Tensor | None = None) -> Tensor:
        """Vectors of `item` [...] -> [..., dim], or of the whole catalogue [V, dim]."""

    def __call__(self, item: Tensor | None = None) -> Tensor:
        """See `forward`."""
        vector: Tensor = super().__call__(item)
        return vector

    def prime(self, popularity: Tensor) -> None:
        """Told before training how often each item was taken in what is learnt from [V]; plays no part by default."""
