"""The sum of an item's own vector and its content's, trained so that the content alone is useful too.

The own vector is left out of a share of the readings: Volkovs, Yu & Poutanen, "DropoutNet: addressing cold
start in recommender systems" (NeurIPS 2017).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from recsys.errors import ConfigError
from recsys.feature.spec import FeatureSpec
from recsys.model.growth import Newcomers, copy_rows
from recsys.registry import registered
from recsys.tower.content import Content, ContentTower
from recsys.tower.id import Id, IdTower
from recsys.tower.module import TowerModule


@registered
@dataclass(frozen=True, slots=True, kw_only=True)
class IdAndContent:
    """Own vector plus content vector; an item that training never saw has its content's alone.

    Args:
        id_dropout: how often, in training, an item's own vector is left out where it is read; drawn for every reading.
        std: spread of the own vectors at first.
        sparse: see `recsys/tower/id.py`.
    """

    id_dropout: float = 0.1
    std: float = 0.1
    sparse: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.id_dropout < 1:
            raise ConfigError(f"tower.id_dropout is {self.id_dropout}; give a share from 0 to below 1")

    def build(self, *, items: int, dim: int, features: FeatureSpec) -> "IdAndContentTower":
        """The module for V = `items`."""
        own = Id(std=self.std, sparse=self.sparse).build(items=items, dim=dim, features=features)
        content = Content().build(items=items, dim=dim, features=features)
        return IdAndContentTower(own=own, content=content, id_dropout=self.id_dropout)


class IdAndContentTower(TowerModule):
    """See `IdAndContent`."""

    def __init__(self, *, own: IdTower, content: ContentTower, id_dropout: float) -> None:
        super().__init__()
        self.own = own
        self.content = content
        self.id_dropout = id_dropout
        self.trained: Tensor
        self.register_buffer("trained", torch.ones(len(own.table.weight), dtype=torch.bool))

    def forward(self, item: Tensor | None = None) -> Tensor:
        """Vectors of `item` [...] -> [..., dim], or of the whole catalogue [V, dim]."""
        keep = self.trained if item is None else self.trained[item]
        if self.training and self.id_dropout:
            keep = keep & (torch.rand(keep.shape, device=keep.device) >= self.id_dropout)
        vector: Tensor = self.own(item) * keep[..., None] + self.content(item)
        return vector

    def prime(self, popularity: Tensor) -> None:
        """Items with nothing to learn from [V] have no vector of their own."""
        self.trained.copy_(popularity > 0)

    def grow_from(self, old: "IdAndContentTower", newcomers: Newcomers) -> None:
        """Every known item keeps its vector; a new one starts with its content's, and so does the own vector of what
        was never learnt from before."""
        self.content.grow_from(old.content, newcomers)
        self.own.table.weight.zero_()
        copy_rows(self.own.table.weight, old.own.table.weight * old.trained[:, None])
        self.trained[: newcomers.known] |= old.trained
