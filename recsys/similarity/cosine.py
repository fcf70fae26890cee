"""Cosine of query and item over a temperature: length says nothing, so rare items train as far as popular ones.

Wang et al., "NormFace: L2 hypersphere embedding for face verification" (ACM MM 2017); for recommenders Chen et al.,
"On the effectiveness of sampled softmax loss for item recommendation" (TOIS 2024).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recsys.errors import ConfigError
from recsys.registry import registered
from recsys.similarity.module import SimilarityModule

_LEAST, _MOST = 0.01, 1.0


@registered
@dataclass(frozen=True, slots=True, kw_only=True)
class Cosine:
    """Scores are cos(query, item) / temperature, which the query vector carries: an inner-product index gives them.

    Args:
        temperature: 0.01 to 1; smaller is sharper.
        learned: whether training moves the temperature from there, within the same bounds.
    """

    temperature: float = 0.05
    learned: bool = False

    def __post_init__(self) -> None:
        if not _LEAST <= self.temperature <= _MOST:
            raise ConfigError(f"similarity.temperature is {self.temperature}; give {_LEAST} to {_MOST}")

    def build(self, *, items: int, dim: int) -> "CosineSimilarity":
        """The module for hidden states of size `dim`; it holds nothing per item."""
        return CosineSimilarity(dim=dim, temperature=self.temperature, learned=self.learned)


class CosineSimilarity(SimilarityModule):
    """See `Cosine`; D = dim."""

    def __init__(self, *, dim: int, temperature: float, learned: bool) -> None:
        super().__init__()
        self.vector_size = dim
        sharpness = torch.tensor(-math.log(temperature))
        self.log_sharpness: Tensor
        if learned:
            self.log_sharpness = nn.Parameter(sharpness)
        else:
            self.register_buffer("log_sharpness", sharpness)

    def query(self, state: Tensor) -> Tensor:
        """Hidden states [Q, dim] -> query vectors [Q, dim] of length one over the temperature."""
        sharpness = self.log_sharpness.clamp(-math.log(_MOST), -math.log(_LEAST)).exp()
        return nn.functional.normalize(state, dim=-1) * sharpness

    def item(self, vector: Tensor, item: Tensor | None) -> Tensor:
        """Vectors [N, dim] -> item vectors [N, dim] of length one (padding stays nothing)."""
        return nn.functional.normalize(vector, dim=-1)
