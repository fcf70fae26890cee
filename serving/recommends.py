"""What serving needs of a recommender."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from recsys.catalogue import Catalogue
from recsys.errors import ConfigError
from recsys.retrieval.assortment import Assortment
from recsys.sequence.coding import Coding
from recsys.slate import Slate
from recsys.state import ShopperState


class Recommends(Protocol):
    """What serving needs of `recsys.recommender.Recommender`."""

    @property
    def catalogue(self) -> Catalogue:
        """The items it knows."""
        ...

    @property
    def coding(self) -> Coding:
        """How it reads events."""
        ...

    @property
    def offer(self) -> Assortment | None:
        """What is on offer now; serving needs one (`Recommender.on_offer`)."""
        ...

    def answer(
        self,
        states: Sequence[ShopperState],
        *,
        counts: Sequence[int],
        rng: np.random.Generator,
        with_encoder: bool = True,
        with_ranker: bool = True,
    ) -> list[Slate]:
        """One slate per state; blocks until the CPU work is done."""
        ...


def offer_of(recommender: Recommends) -> Assortment:
    """What it has on offer; a recommender without that cannot be served and raises ConfigError."""
    if recommender.offer is None:
        raise ConfigError("the recommender has no live assortment; serve recommender.on_offer()")
    return recommender.offer
