"""What shoppers of the same segment take, by however much it is more than everybody does."""

import numpy as np

from recsys.clock import DAY
from recsys.errors import ConfigError
from recsys.feature.item import ItemFacts
from recsys.protocols import Segmentation
from recsys.registry import registered
from recsys.retrieval.ranked_groups import RankedGroups
from recsys.retrieval.segment_lists import SegmentLists
from recsys.sequence.histories import Histories
from recsys.slate import Candidates, Reason
from recsys.state import ShopperState


@registered
class SegmentPopular:
    """Items by the share of the segment's moments (baskets) that they are part of, in the `days` before the log's end.

    Small segments lean on everybody: everybody's share weighs as much as `prior_moments` moments of the segment (the
    mean of a beta posterior). A shopper who is in no segment is told nothing.

    Args:
        segments: tells segments apart.
        usual: how much of everybody's share is taken off; 1 leaves only what the segment takes more of.
        most: how many items are kept for a segment.
        learnt: what the segmentation learnt, and the ranked lists.
    """

    timed = False

    def __init__(
        self,
        *,
        segments: Segmentation,
        days: int = 28,
        prior_moments: float = 200.0,
        usual: float = 0.0,
        most: int = 500,
        **learnt: np.ndarray,
    ) -> None:
        if not 0 <= usual <= 1:
            raise ConfigError(f"usual is {usual}; give a share, 0 to 1")
        self.days = days
        self.prior_moments = prior_moments
        self.usual = usual
        self.most = most
        self.name = f"segment_{segments.name}"
        self._lists = SegmentLists.of_arrays(segments, learnt)

    def fit(
        self, histories: Histories, *, items: int, until: int, category: np.ndarray, facts: ItemFacts | None = None
    ) -> None:
        """Learn the segments from all events before `until`, and their lists from the last `days`; `items` is V."""
        segments = self._lists.segments
        known = histories.before(until).interactions()
        learnt = segments.learn(known, until=until, category=category)
        seen = known.once_per_moment()
        member = segments.members(known, learnt, until=until)[seen.owner()]
        first = seen.moments()
        late = seen.events.time >= until - self.days * DAY
        inside = late & (member >= 0)
        moments = np.bincount(member[first][inside[first]], minlength=segments.segments)
        everybody = np.bincount(seen.events.item[late], minlength=items) / max(int(late[first].sum()), 1)
        pair, count = np.unique(member[inside] * items + seen.events.item[inside], return_counts=True)
        group, item = np.divmod(pair, items)
        prior = self.prior_moments
        share = (count + prior * everybody[item]) / (moments[group] + prior)
        score = share - self.usual * everybody[item]
        ranked = RankedGroups.of(group, item, score, groups=segments.segments, most=self.most)
        self._lists = SegmentLists(segments, learnt, ranked)

    def candidates(self, state: ShopperState, count: int | None = None) -> Candidates:
        """What the shopper's segment takes."""
        return self._lists.candidates(state, count)

    def reasons(self, state: ShopperState, item: np.ndarray) -> list[Reason]:
        return [Reason(f"liked by {self._lists.segments.words}")] * len(item)

    def settings(self) -> dict[str, object]:
        return {
            "segments": self._lists.segments,
            "days": self.days,
            "prior_moments": self.prior_moments,
            "usual": self.usual,
            "most": self.most,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        return self._lists.arrays()
