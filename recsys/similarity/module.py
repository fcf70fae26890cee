"""What a similarity builds."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class SimilarityModule(nn.Module, ABC):
    """Shapes queries and items so that their inner product is the score; D is `vector_size`."""

    vector_size: int

    @abstractmethod
    def query(self, state: Tensor) -> Tensor:
        """Hidden states [Q, dim] -> query vectors [Q, D]."""

    @abstractmethod
    def item(self, vector: Tensor, item: Tensor | None) -> Tensor:
        """Vectors [N, dim] of `item` [N] (None: of the whole catalogue) -> item vectors [N, D]."""

    def prime(self, popularity: Tensor) -> None:
        """Told before training how often each item was taken in what is learnt from [V]; plays no part by default."""
