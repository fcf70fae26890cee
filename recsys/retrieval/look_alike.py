"""Things like what the shopper is looking at, by their content: the one way to something that nobody took yet.

How alike two items are does not say how likely the one is to be taken after the other. That is learnt: of the
look-alikes of what shoppers took, by how often those had been taken before, the share that came next. Things never
taken before have a share of their own, so that new items are given their chance and not the bestsellers'.
"""

import numpy as np

from recsys.clock import DAY
from recsys.feature.item import NEVER, ItemFacts
from recsys.registry import registered
from recsys.retrieval.anchors import latest_session
from recsys.retrieval.content import Contents, alike
from recsys.retrieval.ranked_groups import summed
from recsys.sequence.histories import Histories
from recsys.slate import Candidates, Reason
from recsys.state import ShopperState

_LEARNT = {"item", "cosine", "chance"}
_CLASSES = 24
_PRIOR_CHANCE, _PRIOR_TRIALS = 1e-4, 1_000.0


@registered
class LookAlike:
    """Items by their likeness to those of the latest session, times the chance that look-alikes have.

    Args:
        neighbours: how many look-alikes are kept for an item.
        window_days: chances are learnt from so many days before the log's end.
        moments: from so many moments of them at most, evenly drawn.
        item, cosine: look-alikes of every item, best first and 0 for none [V, neighbours] int32, and how alike they
            are [V, neighbours] float32.
        chance: that a look-alike of cosine 1 is taken next, by item [V] float32.
    """

    name = "look_alike"
    timed = False

    def __init__(
        self, *, neighbours: int = 24, window_days: int = 28, moments: int = 5_000, **learnt: np.ndarray
    ) -> None:
        if strange := learnt.keys() - _LEARNT:
            raise TypeError(f"LookAlike does not know {sorted(strange)}; it takes {', '.join(sorted(_LEARNT))}")
        self.neighbours = neighbours
        self.window_days = window_days
        self.moments = moments
        self._learnt = learnt

    def fit(
        self, histories: Histories, *, items: int, until: int, category: np.ndarray, facts: ItemFacts | None = None
    ) -> None:
        """Compare the items that are known before `until`; `items` is V. One of which no instant is known is taken for
        a new one; one that is known to come later is left out."""
        seen = histories.before(until).interactions()
        taken = np.bincount(seen.events.item, minlength=items)
        known = taken > 0
        if facts is not None:
            known |= (facts.born < until) | (facts.born == NEVER)
        else:
            known |= True
        known[0] = False
        found, cosine = alike(Contents.of(category, facts, known), self.neighbours)
        since = until - self.window_days * DAY
        earlier = np.bincount(seen.events.item[seen.events.time < since], minlength=items)
        rate = _rates(_drawn(seen, since, self.moments), seen, found, cosine, _class(earlier))
        self._learnt = {"item": found, "cosine": cosine, "chance": rate[_class(taken)]}

    def candidates(self, state: ShopperState, count: int | None = None) -> Candidates:
        """The look-alikes of the latest session's items."""
        anchor, weight = latest_session(state)
        if not len(anchor) or not self._learnt:
            return Candidates.none()
        near = self._learnt["item"][anchor].ravel()
        score = (self._learnt["cosine"][anchor] * weight[:, np.newaxis]).ravel() * self._learnt["chance"][near]
        return summed(near[near > 0], score[near > 0], count)

    def reasons(self, state: ShopperState, item: np.ndarray) -> list[Reason]:
        """Names the item of the session that each is most like."""
        anchor, weight = latest_session(state)
        if not len(anchor) or not self._learnt:
            return [Reason("like what you looked at")] * len(item)
        same = self._learnt["item"][anchor][:, np.newaxis] == item[:, np.newaxis]  # [A, K, neighbours]
        votes = np.where(same, self._learnt["cosine"][anchor][:, np.newaxis], 0).sum(2) * weight[:, np.newaxis]
        return [Reason("much like {title}", cause) for cause in anchor[votes.argmax(0)].tolist()]

    def settings(self) -> dict[str, int]:
        return {"neighbours": self.neighbours, "window_days": self.window_days, "moments": self.moments}

    def arrays(self) -> dict[str, np.ndarray]:
        return dict(self._learnt)


def _class(taken: np.ndarray) -> np.ndarray:
    """Class of how often items were taken, by powers of two; 0 is never."""
    return np.asarray(np.minimum(np.ceil(np.log2(taken + 1)), _CLASSES - 1), np.int64)


def _drawn(seen: Histories, since: int, most: int) -> list[tuple[slice, slice]]:
    """Rows of moments from `since` on and of the moments before them, of the same sequence; at most `most` of them."""
    first = seen.moments()
    end = np.append(first[1:], len(seen.events))
    owner = seen.owner()[first]
    later = 1 + np.flatnonzero((owner[1:] == owner[:-1]) & (seen.events.time[first[1:]] >= since))
    drawn = np.sort(np.random.default_rng(0).permutation(later)[:most])
    return [(slice(first[m - 1], end[m - 1]), slice(first[m], end[m])) for m in drawn.tolist()]


def _rates(
    drawn: list[tuple[slice, slice]], seen: Histories, found: np.ndarray, cosine: np.ndarray, kind: np.ndarray
) -> np.ndarray:
    """Of look-alikes of each class [C], for each unit of cosine, the share that was taken in the next moment."""
    trials, hits = np.full(_CLASSES, _PRIOR_TRIALS), np.full(_CLASSES, _PRIOR_TRIALS * _PRIOR_CHANCE)
    for before, after in drawn:
        anchor = np.unique(seen.events.item[before])
        near, like = found[anchor].ravel(), cosine[anchor].ravel()
        trials += np.bincount(kind[near], like, minlength=_CLASSES)
        hits += np.bincount(kind[near], np.isin(near, seen.events.item[after]), minlength=_CLASSES)
    rate: np.ndarray = (hits / trials).astype(np.float32)
    return rate
