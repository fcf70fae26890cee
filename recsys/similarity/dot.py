"""Inner product of query and item, plus a popularity term of the item's own."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recsys.registry import registered
from recsys.similarity.module import SimilarityModule


@registered
@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """Vectors have one component more than `dim`: the item's popularity (its log share at first, then learnt), met by a
    constant one in the query, so that a plain inner-product index gives the whole score.

    Args:
        popularity: whether items have that term.
    """

    popularity: bool = True

    def build(self, *, items: int, dim: int) -> "DotSimilarity":
        """The module for V = `items` and hidden states of size `dim`."""
        return DotSimilarity(items=items, dim=dim, popularity=self.popularity)


class DotSimilarity(SimilarityModule):
    """See `Dot`; D = dim + 1 with popularity, else dim."""

    def __init__(self, *, items: int, dim: int, popularity: bool) -> None:
        super().__init__()
        self.vector_size = dim + popularity
        self.popularity = nn.Parameter(torch.zeros(items)) if popularity else None

    def query(self, state: Tensor) -> Tensor:
        """Hidden states [Q, dim] -> query vectors [Q, D]."""
        return state if self.popularity is None else torch.cat([state, torch.ones_like(state[:, :1])], dim=-1)

    def item(self, vector: Tensor, item: Tensor | None) -> Tensor:
        """Vectors [N, dim] of `item` [N] (None: of the whole catalogue) -> item vectors [N, D]."""
        if self.popularity is None:
            return vector
        own = self.popularity if item is None else self.popularity[item]
        return torch.cat([vector, own[:, None].to(vector.dtype)], dim=-1)

    def prime(self, popularity: Tensor) -> None:
        """Start from the log share of each item [V], smoothed by half an interaction."""
        if self.popularity is not None:
            share = (popularity + 0.5) / (popularity.sum() + 0.5 * len(popularity))
            with torch.no_grad():
                self.popularity.copy_(torch.log(share * len(popularity)))
