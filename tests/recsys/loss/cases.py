"""What tests of losses share: batches of baskets, and every loss's scores in plain float64 numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from recsys.protocols import Loss, VectorsOf
from recsys.sampler.negatives import Negatives
from recsys.sequence.batch import SequenceBatch
from recsys.sequence.loader import Loader
from tests.recsys.by_hand import histories, spec

ITEMS, DIM = 9, 4
Baskets = list[list[int]]

BASKETS = st.lists(st.lists(st.integers(1, ITEMS - 1), min_size=1, max_size=4, unique=True), min_size=1, max_size=4)
DRAWN = st.lists(st.integers(1, ITEMS - 1), min_size=1, max_size=12)


def batch_of(baskets: Baskets) -> SequenceBatch:
    """One shopper a basket: query q asks for the items of basket q."""
    loader = Loader.of(
        histories(*([(item, 1) for item in basket] for basket in baskets)), spec(), batch_tokens=9_999, context=9
    )
    batch = loader.load(torch.arange(len(baskets)).numpy())
    assert batch.pair_target.tolist() == [item for basket in baskets for item in basket]
    return batch


def drawn(item: Sequence[int], chance: Tensor | None = None) -> Negatives:
    """These negatives, by default as if drawn uniformly; `chance` [V] else."""
    if chance is None:
        chance = torch.full((ITEMS,), 1 / (ITEMS - 1), dtype=torch.float64)
    place = torch.tensor(item, dtype=torch.int64)
    return Negatives(place, chance.log()[place], items=len(chance) - 1)


def reading(table: Tensor) -> VectorsOf:
    """`vectors_of` over a table [V, D]."""
    return lambda item: table if item is None else table[item]


@dataclass(frozen=True, slots=True)
class Case:
    """Random queries and item vectors, and what the definition of a loss needs of them."""

    query: Tensor
    table: Tensor
    baskets: Baskets

    @classmethod
    def random(cls, baskets: Baskets, *, seed: int, spread: float = 1.0) -> "Case":
        generator = torch.Generator().manual_seed(seed)
        return cls(
            torch.randn(len(baskets), DIM, generator=generator) * spread,
            torch.randn(ITEMS, DIM, generator=generator),
            baskets,
        )

    def value(self, loss: Loss, negatives: Negatives) -> float:
        return float(loss(self.query, batch_of(self.baskets), reading(self.table), negatives).detach())

    def score(self, query: int, item: int) -> float:
        return math.fsum(float(a) * float(b) for a, b in zip(self.query[query], self.table[item], strict=True))

    def pairs(self) -> list[tuple[int, int]]:
        return [(query, target) for query, basket in enumerate(self.baskets) for target in basket]


def gradients_are_numeric(loss: Loss, baskets: Baskets, negatives: Negatives) -> bool:
    """Whether the gradients of queries and item vectors are what small steps show, in float64."""
    torch.manual_seed(0)
    query = torch.randn(len(baskets), DIM, dtype=torch.float64, requires_grad=True)
    table = torch.randn(ITEMS, DIM, dtype=torch.float64, requires_grad=True)
    batch = batch_of(baskets)
    return torch.autograd.gradcheck(lambda q, t: loss(q, batch, reading(t), negatives), (query, table))
