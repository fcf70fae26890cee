"""What shoppers of the same segment take more often these days than usual."""

import numpy as np

from recsys.feature.item import ItemFacts
from recsys.protocols import Segmentation
from recsys.registry import registered
from recsys.retrieval.segment_lists import SegmentLists
from recsys.retrieval.trend import Pace, Taken, rising
from recsys.sequence.histories import Histories
from recsys.slate import Candidates, Reason
from recsys.state import ShopperState


@registered
class TrendingInSegment:
    """Items by how far their fading share of the segment's moments lies above the segment's usual one; see
    `recsys/retrieval/trend.py`. A shopper who is in no segment is told nothing.

    Args:
        segments: tells segments apart.
        half_life_days, usual_days, usual, caution: see `Pace`.
        most: how many items are kept for a segment.
        learnt: what the segmentation learnt, and the ranked lists.
    """

    timed = False

    def __init__(
        self,
        *,
        segments: Segmentation,
        half_life_days: float = 7.0,
        usual_days: float = 60.0,
        usual: float = 1.0,
        caution: float = 1.0,
        most: int = 200,
        **learnt: np.ndarray,
    ) -> None:
        self.pace = Pace(half_life_days=half_life_days, usual_days=usual_days, usual=usual, caution=caution)
        self.most = most
        self.name = f"trending_{segments.name}"
        self._lists = SegmentLists.of_arrays(segments, learnt)

    def fit(
        self, histories: Histories, *, items: int, until: int, category: np.ndarray, facts: ItemFacts | None = None
    ) -> None:
        """Learn the segments from the events before `until`, and what rises in each; `items` is V."""
        segments = self._lists.segments
        known = histories.before(until).interactions()
        learnt = segments.learn(known, until=until, category=category)
        taken = Taken.of_moments(known.once_per_moment(), segments.members(known, learnt, until=until))
        groups = segments.segments
        ranked = rising(taken, self.pace, groups=groups, items=items, until=until, most=self.most)
        self._lists = SegmentLists(segments, learnt, ranked)

    def candidates(self, state: ShopperState, count: int | None = None) -> Candidates:
        """What rises most in the shopper's segment."""
        return self._lists.candidates(state, count)

    def reasons(self, state: ShopperState, item: np.ndarray) -> list[Reason]:
        return [Reason(f"{self.pace.words} by {self._lists.segments.words}")] * len(item)

    def settings(self) -> dict[str, object]:
        return {"segments": self._lists.segments, **self.pace.settings(), "most": self.most}

    def arrays(self) -> dict[str, np.ndarray]:
        return self._lists.arrays()
