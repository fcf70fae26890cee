"""Grows a trained encoder onto a longer catalogue and longer vocabularies: what was known stays where and what it was.

Rows of known items and names keep their places, so their weights are copied; modules that lay their rows out otherwise
say themselves how they grow (`grow_from`). What is new starts as built, unless there is something better: an item
without content starts as the mean of the known items of its narrowest category that has any.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recsys.errors import ConfigError
from recsys.feature.item import ItemFacts


@dataclass(frozen=True, slots=True)
class Newcomers:
    """Items behind the first `known` rows of a catalogue (index 0 counted), and which known ones they are like.

    Attributes:
        known: how many rows the smaller catalogue has.
        level: level of the category path that each newcomer [n] shares with known items, -1 for none.
        code: that level's code of each newcomer [n].
        path: codes of the known items at each level [known, PATH].
    """

    known: int
    level: np.ndarray
    code: np.ndarray
    path: np.ndarray

    @classmethod
    def of(cls, facts: ItemFacts, known: int) -> "Newcomers":
        """The items from index `known` on, by the facts of all."""
        path, fresh = facts.path[:known], facts.path[known:]
        level, code = np.full(len(fresh), -1), np.zeros(len(fresh), np.int64)
        for depth in range(path.shape[1]):
            shared = (fresh[:, depth] > 0) & np.isin(fresh[:, depth], path[1:, depth])
            level[shared], code[shared] = depth, fresh[shared, depth]
        return cls(known, level, code, path)

    def like(self, rows: Tensor) -> Tensor:
        """Of something that every known item has [known, ...]: for each newcomer the mean over those it is like."""
        found = rows[1:].mean(0).expand(len(self.level), *rows.shape[1:]).clone()
        for depth in np.unique(self.level[self.level >= 0]).tolist():
            codes = torch.from_numpy(self.path[:, depth].astype(np.int64)).to(rows.device)
            groups = int(max(codes.max(), self.code.max())) + 1
            total = rows.new_zeros(groups, *rows.shape[1:]).index_add_(0, codes, rows)
            count = torch.bincount(codes, minlength=groups).clamp(min=1).view(-1, *[1] * (rows.dim() - 1))
            chosen = torch.from_numpy(np.flatnonzero(self.level == depth)).to(rows.device)
            found[chosen] = (total / count)[torch.from_numpy(self.code[self.level == depth]).to(rows.device)]
        return found


def grow(new: nn.Module, old: nn.Module, newcomers: Newcomers) -> None:
    """Give `new`, built like `old` for a longer catalogue and primed, the weights of `old`.

    Raises:
        ConfigError: they are not built alike.
    """
    _insist_alike(new, old)
    with torch.no_grad():
        _grow(new, old, newcomers)


def _grow(new: nn.Module, old: nn.Module, newcomers: Newcomers) -> None:
    if own := getattr(new, "grow_from", None):
        own(old, newcomers)
        return
    kept = _own(old)
    for name, tensor in _own(new).items():
        copy_rows(tensor, kept[name])
    for name, child in new.named_children():
        _grow(child, old.get_submodule(name), newcomers)


def copy_rows(new: Tensor, old: Tensor) -> None:
    """The rows of `old` become the first rows of `new`; in the other dimensions they must agree."""
    if new.shape[1:] != old.shape[1:]:
        raise ConfigError(
            f"weights of shape {tuple(old.shape)} do not go into {tuple(new.shape)}; start from a model of the same "
            "sizes, or train from scratch with start_from=null"
        )
    if new.dim() == 0:
        new.copy_(old)
    else:
        rows = min(len(new), len(old))
        new[:rows] = old[:rows]


def _own(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and stored buffers of a module itself, not of its children."""
    stored: dict[str, Any] = module.state_dict(keep_vars=True)
    return {name: tensor for name, tensor in stored.items() if "." not in name}


def _insist_alike(new: nn.Module, old: nn.Module) -> None:
    ours, theirs = (
        {name: type(module).__qualname__ for name, module in encoder.named_modules() if "." not in name}
        for encoder in (new, old)
    )
    if ours != theirs:
        raise ConfigError(
            f"a {type(old).__name__} of {theirs} cannot go on as a {type(new).__name__} of {ours}; use the model, "
            "tower and similarity that it was trained with, or train from scratch with start_from=null"
        )
