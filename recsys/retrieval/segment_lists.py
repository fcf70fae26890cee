"""A ranked list for every segment of shoppers, and whose turn it is."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from recsys.protocols import Segmentation
from recsys.retrieval.ranked_groups import RankedGroups
from recsys.slate import Candidates
from recsys.state import ShopperState

_OWN = "segments_"


@dataclass(frozen=True, slots=True)
class SegmentLists:
    """What `segments` learnt, and a ranked list for each of them."""

    segments: Segmentation
    learnt: Mapping[str, np.ndarray]
    ranked: RankedGroups

    @classmethod
    def of_arrays(cls, segments: Segmentation, arrays: Mapping[str, np.ndarray]) -> "SegmentLists":
        """Back from what `arrays` gave; nothing was learnt yet where there are none."""
        own = {name.removeprefix(_OWN): values for name, values in arrays.items() if name.startswith(_OWN)}
        ranked = {name: values for name, values in arrays.items() if not name.startswith(_OWN)}
        return cls(segments, own, RankedGroups(**ranked) if ranked else RankedGroups.none())

    def candidates(self, state: ShopperState, count: int | None) -> Candidates:
        """The `count` best of the shopper's segment; none for who is in none."""
        if not len(self.ranked):
            return Candidates.none()
        return self.ranked.best(self.segments.segment_of(state, self.learnt), count)

    def arrays(self) -> dict[str, np.ndarray]:
        """What the bundle stores."""
        return {**self.ranked.arrays(), **{f"{_OWN}{name}": values for name, values in self.learnt.items()}}
