"""An item's vector from what is known of it: category path, brand, price and words. New items have one at once."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from recsys.errors import ConfigError
from recsys.feature.item import ItemFacts
from recsys.feature.spec import FeatureSpec
from recsys.model.growth import Newcomers
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
        codes, self._layout = _codes(facts)
        self.codes: Tensor
        self.register_buffer("codes", torch.from_numpy(codes), persistent=False)
        self.table = nn.EmbeddingBag(self._layout.rows, dim, mode="sum", padding_idx=0)
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

    def grow_from(self, old: "ContentTower", newcomers: Newcomers) -> None:
        """Every name and word that was known keeps its row, wherever that lies now; new items have a vector by that."""
        here, there = (torch.from_numpy(rows) for rows in self._layout.shared(old._layout))
        self.table.weight[here] = old.table.weight[there]
        self.mix.load_state_dict(old.mix.state_dict())


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which rows of the table belong to which facts: `begin` and how many, by the facts' name; the hashed word of each
    of the rows of words; how many rows there are."""

    spans: dict[str, tuple[int, int]]
    words: np.ndarray
    rows: int

    def shared(self, old: "_Layout") -> tuple[np.ndarray, np.ndarray]:
        """Rows of this layout and of an `old` one that mean the same."""
        here, there = [], []
        for name, (begin, count) in self.spans.items():
            before, length = old.spans.get(name, (0, 0))
            same = np.arange(min(count, length))
            here.append(begin + same)
            there.append(before + same)
        _, ours, theirs = np.intersect1d(self.words, old.words, return_indices=True)
        first, before = self.rows - len(self.words), old.rows - len(old.words)
        return np.concatenate([*here, first + ours]), np.concatenate([*there, before + theirs])


def _codes(facts: ItemFacts) -> tuple[np.ndarray, _Layout]:
    """Every fact of every item as a row of one table [V, F] int64, 0 for none; and which rows are whose; words,
    numbered from 1 without gaps, come last."""
    words, word = np.unique(np.append(facts.text.ravel(), 0), return_inverse=True)
    words, word = words[words != 0], np.cumsum(words != 0)[word[:-1]] * (facts.text.ravel() != 0)
    columns = {f"path {level}": codes for level, codes in enumerate(facts.path.T)}
    columns |= {"brand": facts.brand, "price": facts.price}
    spans: dict[str, tuple[int, int]] = {}
    used, rows = 1, []
    for name, column in columns.items():
        spans[name] = (used, int(column.max(initial=0)))
        rows.append(np.where(column > 0, column.astype(np.int64) + used - 1, 0))
        used += spans[name][1]
    texts = np.where(word > 0, word + used - 1, 0).reshape(facts.text.shape)
    return np.concatenate([np.stack(rows, axis=1), texts], axis=1), _Layout(spans, words, used + len(words))
