"""Segments of shoppers by behaviour: clusters of what their interest is made of.

A shopper is the square roots of the shares that each category has of their interactions, so that distances are those
of Hellinger between distributions and a few large categories do not decide alone.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np

from recsys.errors import ConfigError
from recsys.registry import registered
from recsys.retrieval.kmeans import clustered, nearest
from recsys.sequence.histories import Histories
from recsys.state import ShopperState

_AT_ONCE = 16_384


@registered
@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """Clusters of shoppers by the shares of the categories in their interactions, before and in this session.

    Args:
        segments: how many clusters.
        width: so many of the largest categories are told apart, the others are one.
        shoppers: so many, evenly drawn, teach the clusters.
        least: fewer interactions say nothing.
        seed: of the draw and of the clusters' start.
    """

    name: ClassVar[str] = "behaviour"
    words: ClassVar[str] = "shoppers who are after the same kinds of things"

    segments: int = 64
    width: int = 256
    shoppers: int = 20_000
    least: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.segments, self.width, self.shoppers, self.least) < 1:
            raise ConfigError(f"{self}; give at least 1 of each")

    def learn(self, known: Histories, *, until: int, category: np.ndarray) -> dict[str, np.ndarray]:
        """Which column the category of every item is [V] int32, and the clusters' centres [K, D] float32."""
        size = np.bincount(category[known.events.item], minlength=int(category.max(initial=0)) + 1)
        size[0] = 0
        kept = np.argsort(-size, kind="stable")[: min(self.width, int((size > 0).sum()))]
        place = np.zeros(len(size), np.int32)
        place[kept] = 1 + np.arange(len(kept))
        column = place[category].astype(np.int32)
        rng = np.random.default_rng(self.seed)
        drawn = np.zeros(len(known), bool)
        drawn[rng.permutation(np.flatnonzero(np.diff(known.start) >= self.least))[: self.shoppers]] = True
        points = _points(known.where(drawn[known.owner()]), column, 1 + len(kept))
        return {"column": column, "centres": clustered(points, self.segments, rng=rng)}

    def members(self, known: Histories, learnt: Mapping[str, np.ndarray], *, until: int) -> np.ndarray:
        """The cluster of each sequence [S]."""
        member = np.full(len(known), -1, np.int64)
        column, centres = learnt["column"], learnt["centres"]
        for first in range(0, len(known) if len(centres) else 0, _AT_ONCE):
            part = known.sequences(first, min(first + _AT_ONCE, len(known)))
            nearby, _ = nearest(_points(part, column, centres.shape[1]), centres)
            member[first : first + len(part)] = np.where(np.diff(part.start) >= self.least, nearby, -1)
        return member

    def segment_of(self, state: ShopperState, learnt: Mapping[str, np.ndarray]) -> int:
        """The cluster now; -1 for who did less than `least`."""
        seen = state.history.interactions()
        centres = learnt["centres"]
        if len(seen) < self.least or not len(centres):
            return -1
        count = np.bincount(learnt["column"][seen.item], minlength=centres.shape[1])
        point = np.sqrt(count / len(seen)).astype(np.float32)
        return int(nearest(point[np.newaxis], centres)[0][0])

    def settings(self) -> dict[str, int]:
        """Constructor arguments, for the bundle."""
        return asdict(self)


def _points(known: Histories, column: np.ndarray, width: int) -> np.ndarray:
    """Square roots of the shares of each column in every sequence's interactions [S, width] float32."""
    cell = known.owner() * width + column[known.events.item]
    count = np.bincount(cell, minlength=len(known) * width).reshape(len(known), width)
    points: np.ndarray = np.sqrt(count / np.maximum(count.sum(1, keepdims=True), 1)).astype(np.float32)
    return points
