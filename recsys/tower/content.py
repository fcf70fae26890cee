"""An item's vector from what is known of it: category path, brand, price and words. New items have one at once."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from recsys.errors import ConfigError
from recsys.feature.item import ItemFacts
from recsys.feature.spec import FeatureSpec
from recsys.registry import registered
from recsys.tower.module import TowerModule


@registered
@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Embeddings of the item's facts, summed, and what a small network makes of the sum.

    Args:
        std: spread of the embeddings at first.
    """

    std: float = 0.05

    def build(self, *, items: int, dim: int, features: FeatureSpec) -> "ContentTower":
        """The module for V = `items`; ConfigError where nothing is known of the items."""
        if features.statistics is None:
            raise ConfigError("tower=content reads facts of items, and the feature spec has none; use tower=id")
        return ContentTower(facts=features.statistics.items, dim=dim, std=self.std)


class ContentTower(TowerModule):
    """See `Content`; row 0, padding, is nothing."""

    def __init__(self, *, facts: ItemFacts, dim: int, std: float) -> None:
        super().__init__()
        codes, count = _codes(facts)
        self.codes: Tensor
        self.register_buffer("codes", torch.from_numpy(codes), persistent=False)
        self.table = nn.EmbeddingBag(count, dim, mode="sum", padding_idx=0)
        nn.init.normal_(self.table.weight, std=std)
        with torch.no_grad():
            self.table.weight[0] = 0
        self.mix = nn.Sequential(nn.Linear(dim, dim, bias=False), nn.GELU(), nn.Linear(dim, dim, bias=False))

    def forward(self, item: Tensor | None = None) -> Tensor:
        """Vectors of `item` [...] -> [..., dim], or of the whole catalogue [V, dim]."""
        codes = self.codes if item is None else self.codes[item.flatten()]
        summed = self.table(codes)
        vector: Tensor = summed + self.mix(summed)
        return vector if item is None else vector.view(*item.shape, -1)


def _codes(facts: ItemFacts) -> tuple[np.ndarray, int]:
    """Every fact of every item as a row of one table [V, F] int64, 0 for none; and how many rows it has."""
    columns = [*facts.path.T, facts.brand, facts.price, *_words(facts.text).T]
    names = [*(f"path {level}" for level in range(facts.path.shape[1])), "brand", "price"]
    names += ["word"] * facts.text.shape[1]
    begin: dict[str, int] = {}
    used, rows = 1, []
    for name, column in zip(names, columns, strict=True):
        if name not in begin:
            begin[name] = used
            same = [other for own, other in zip(names, columns, strict=True) if own == name]
            used += max(int(other.max(initial=0)) for other in same)
        rows.append(np.where(column > 0, column.astype(np.int64) + begin[name] - 1, 0))
    return np.stack(rows, axis=1), used


def _words(text: np.ndarray) -> np.ndarray:
    """Hashed words [V, W] numbered from 1 without gaps, 0 for none."""
    known, place = np.unique(np.append(text.ravel(), 0), return_inverse=True)
    numbers = np.where(known == 0, 0, np.cumsum(known != 0))
    return numbers[place[:-1]].reshape(text.shape)
