"""The plain policy: the best items first, less what would be silly to offer now."""

import numpy as np

from recsys.registry import registered
from recsys.retrieval.repurchase import Repurchase
from recsys.slate import Candidates, Choice
from recsys.state import ShopperState


@registered
class TopK:
    """The highest scores after suppression; deterministic, so every propensity is 1.

    What is in the basket or excluded is never offered. What the shopper bought sinks by the learnt `repurchase`
    chance: deep right after the purchase of something that lasts, hardly when a staple is due. The part of a score
    that already knows when the item was bought only waits for the item to recover.
    """

    name = "top_k"

    def __init__(self, *, repurchase: Repurchase | None = None) -> None:
        self.repurchase = repurchase

    def choose(self, candidates: Candidates, state: ShopperState, *, count: int, rng: np.random.Generator) -> Choice:
        """The `count` best candidates; fewer if there are no more."""
        score = candidates.score
        if self.repurchase is not None:
            timed = np.zeros_like(score) if candidates.timed is None else candidates.timed
            due = timed + (score - timed) * self.repurchase.chances(state, candidates.item)
            score = due * self.repurchase.recovered(state, candidates.item)
        shown = np.isfinite(score)
        if hidden := state.exclude | state.basket:
            shown &= ~np.isin(candidates.item, list(hidden))
        place = shown.nonzero()[0]
        if len(place) > count:
            open_to = score[place]
            place = place[open_to >= np.partition(open_to, len(open_to) - count)[len(open_to) - count]]
        place = place[np.lexsort((candidates.item[place], -score[place]))][:count]
        return Choice(place, score[place], np.ones(len(place)))

    def settings(self) -> dict[str, float]:
        """No settings."""
        return {}
