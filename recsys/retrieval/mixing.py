"""What all sources propose to many shoppers, put together item by item."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from recsys.compiled import compiled
from recsys.retrieval.best import ascend, offer, sums
from recsys.retrieval.proposals import Proposals
from recsys.shoppers import Lists
from recsys.slate import Candidates


@dataclass(frozen=True, slots=True)
class Blended:
    """Candidates of all sources together; `source` [N] numbers the one that contributed most to each, into `names`;
    `said` [N, S] float32 is what each of them gave it, 0 where it was silent."""

    candidates: Candidates
    source: np.ndarray
    names: tuple[str, ...]
    said: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> "Blended":
        found, timed = self.candidates, self.candidates.timed
        kept = Candidates(found.item[rows], found.score[rows], None if timed is None else timed[rows])
        return Blended(kept, self.source[rows], self.names, self.said[rows])


@dataclass(frozen=True, slots=True)
class Gathered:
    """What each source, by name, proposes to B shoppers."""

    shoppers: int
    proposals: Mapping[str, Proposals]

    @classmethod
    def of_one(cls, found: Mapping[str, Candidates]) -> "Gathered":
        """Of one shopper."""
        return cls(1, {name: Proposals.of([candidates]) for name, candidates in found.items()})

    def one(self, shopper: int) -> dict[str, Candidates]:
        """What those propose to one of them that have something to say."""
        found = {name: proposals.one(shopper) for name, proposals in self.proposals.items()}
        return {name: candidates for name, candidates in found.items() if len(candidates)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixed:
    """Candidates of B shoppers laid end to end, by catalogue index for each; columns as those of `Candidates` and
    `Blended`, [R] each, and where each shopper's begin [B + 1]."""

    start: np.ndarray
    item: np.ndarray
    score: np.ndarray
    timed: np.ndarray
    source: np.ndarray
    said: np.ndarray
    names: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, blended: Sequence[Blended]) -> "Mixed":
        """Those of each shopper, all from the same sources; who has one more has it last."""
        start = np.zeros(len(blended) + 1, np.int64)
        np.cumsum([len(one.candidates) for one in blended], out=start[1:])
        timed = [
            np.zeros(len(one.candidates), np.float32) if one.candidates.timed is None else one.candidates.timed
            for one in blended
        ]
        return cls(
            start=start,
            item=np.concatenate([one.candidates.item for one in blended]),
            score=np.concatenate([one.candidates.score for one in blended]),
            timed=np.concatenate(timed),
            source=np.concatenate([one.source for one in blended]),
            said=np.concatenate([one.said for one in blended]),
            names=max((one.names for one in blended), key=len),
        )

    @classmethod
    def by(cls, gathered: Gathered, weights: Mapping[str, float], timed: Sequence[str]) -> "Mixed":
        """The weighted sum of the sources' scores for every item that any of them proposes; sources in `timed` reckon
        with time."""
        names = tuple(gathered.proposals)
        parts = [gathered.proposals[name] for name in names]
        begin = np.zeros((len(names), gathered.shoppers + 1), np.int64)
        offset = 0
        for row, part in enumerate(parts):
            np.add(part.start, offset, out=begin[row])
            offset += len(part.item)
        item = np.concatenate([np.empty(0, np.int64), *(part.item for part in parts)])
        score = np.concatenate([np.empty(0, np.float32), *(part.score for part in parts)])
        room = sums(int(item.max(initial=0)) + 1)
        found = _mixed(
            begin, item, score,
            np.array([weights[name] for name in names], np.float32), np.array([name in timed for name in names], bool),
            room.place, room.stamp, room.tick,
        )  # fmt: skip
        return cls(**dict(zip(("start", "item", "score", "timed", "source", "said"), found, strict=True)), names=names)

    def __len__(self) -> int:
        return len(self.start) - 1

    def one(self, shopper: int) -> Blended:
        """Those of one shopper."""
        span = slice(int(self.start[shopper]), int(self.start[shopper + 1]))
        candidates = Candidates(self.item[span], self.score[span], self.timed[span])
        return Blended(candidates, self.source[span], self.names, self.said[span])

    def best(self, hidden: Lists, most: int) -> "Mixed":
        """The `most` of the highest scores among those that are not hidden, and those that score as high."""
        room = sums(int(max(self.item.max(initial=0), hidden.item.max(initial=0))) + 1)
        start, row = _best(self.start, self.item, self.score, hidden.start, hidden.item, most, room.stamp, room.tick)
        return Mixed(
            start=start,
            item=self.item[row],
            score=self.score[row],
            timed=self.timed[row],
            source=self.source[row],
            said=self.said[row],
            names=self.names,
        )


@compiled
def _mixed(
    begin: np.ndarray,
    item: np.ndarray,
    score: np.ndarray,
    weight: np.ndarray,
    timed: np.ndarray,
    slot: np.ndarray,
    stamp: np.ndarray,
    tick: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Where each shopper's candidates begin, items, sums of weighted scores, the part of them that knows of time, the
    source that gives most, and what each source said."""
    sources, shoppers = begin.shape[0], begin.shape[1] - 1
    start = np.zeros(shoppers + 1, np.int64)
    items = np.empty(len(item), np.int64)
    said = np.zeros((len(item), sources), np.float32)
    end = 0
    for shopper in range(shoppers):
        tick[0] += 1
        first = end
        for source in range(sources):
            for row in range(begin[source, shopper], begin[source, shopper + 1]):
                if stamp[item[row]] != tick[0]:
                    stamp[item[row]] = tick[0]
                    items[end] = item[row]
                    end += 1
        ascend(items, first, end)
        for place in range(first, end):
            slot[items[place]] = place
        for source in range(sources):
            for row in range(begin[source, shopper], begin[source, shopper + 1]):
                said[slot[item[row]], source] = score[row]
        start[shopper + 1] = end
    total, of_time = np.zeros(end, np.float32), np.zeros(end, np.float32)
    most = np.zeros(end, np.int64)
    for place in range(end):
        largest = np.float32(-1)
        for source in range(sources):
            part = said[place, source] * weight[source]
            total[place] += part
            if timed[source]:
                of_time[place] += part
            if part > largest:
                largest, most[place] = part, source
    return start, items[:end].copy(), total, of_time, most, said[:end].copy()


@compiled
def _best(
    start: np.ndarray,
    item: np.ndarray,
    score: np.ndarray,
    hidden_start: np.ndarray,
    hidden: np.ndarray,
    most: int,
    stamp: np.ndarray,
    tick: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Where the rows that are kept of each shopper begin, and which they are."""
    begin = np.zeros(len(start), np.int64)
    row = np.empty(len(item), np.int64)
    heap_item, heap_score = np.empty(most, np.int64), np.empty(most, np.float64)
    end = 0
    for shopper in range(len(start) - 1):
        tick[0] += 1
        for place in range(hidden_start[shopper], hidden_start[shopper + 1]):
            stamp[hidden[place]] = tick[0]
        size = 0
        for place in range(start[shopper], start[shopper + 1]):
            if stamp[item[place]] != tick[0]:
                size = offer(heap_item, heap_score, size, most, item[place], score[place])
        for place in range(start[shopper], start[shopper + 1]):
            if stamp[item[place]] != tick[0] and (size < most or score[place] >= heap_score[0]):
                row[end] = place
                end += 1
        begin[shopper + 1] = end
    return begin, row[:end].copy()
