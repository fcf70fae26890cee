"""A vector of its own for every item."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recsys.feature.spec import FeatureSpec
from recsys.model.growth import Newcomers, copy_rows
from recsys.registry import registered
from recsys.tower.module import TowerModule


@registered
@dataclass(frozen=True, slots=True, kw_only=True)
class Id:
    """The item's vector is learnt for it alone.

    Args:
        std: spread of the vectors at first.
        sparse: gradients name only the rows they touch, for optimisers that keep row-wise state (large catalogues).
    """

    std: float = 0.1
    sparse: bool = False

    def build(self, *, items: int, dim: int, features: FeatureSpec) -> "IdTower":
        """The module for V = `items`."""
        return IdTower(items=items, dim=dim, std=self.std, sparse=self.sparse)


class IdTower(TowerModule):
    """See `Id`; row 0, padding, is nothing and is never trained."""

    def __init__(self, *, items: int, dim: int, std: float, sparse: bool) -> None:
        super().__init__()
        self.table = nn.Embedding(items, dim, padding_idx=0, sparse=sparse)
        nn.init.normal_(self.table.weight, std=std)
        with torch.no_grad():
            self.table.weight[0] = 0

    def forward(self, item: Tensor | None = None) -> Tensor:
        """Vectors of `item` [...] -> [..., dim], or of the whole catalogue [V, dim]."""
        if item is None:
            return self.table.weight
        vector: Tensor = self.table(item)
        return vector

    def grow_from(self, old: "IdTower", newcomers: Newcomers) -> None:
        """Known items keep their vectors; a new one starts as the mean of its category."""
        copy_rows(self.table.weight, old.table.weight)
        self.table.weight[newcomers.known :] = newcomers.like(old.table.weight)
