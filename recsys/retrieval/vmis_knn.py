"""Sessions like the running one: what shoppers took whose sessions shared its latest items.

VMIS-kNN: Kersbergen, Sprangers & Schelter, "Serenade: low-latency session-based recommendation in e-commerce at scale"
(SIGMOD 2022, https://ssc.io/pdf/modds003.pdf), the indexed form of V-SkNN: Ludewig & Jannach, "Evaluation of
session-based recommendation algorithms" (UMUAI 2018, https://arxiv.org/abs/1803.09587). An index keeps the latest
sessions of every item, so that an answer touches a bounded number of numbers however long the log is.

With `nearness` an item also counts the less the further it stands, in its session, from the item that both sessions
share: Garg et al., "Sequence and time aware neighborhood for session-based recommendations: STAN" (SIGIR 2019,
https://arxiv.org/abs/1905.12290). Without it this is plain VMIS-kNN, but for the latest item, which may be proposed
again: in session logs it often is what comes next, and the policy can hide it.

A session ends with the gap of `recsys/sequence/sessions.py`; where the data holds an order only, made-up instants stand
a second apart, and a shopper's whole sequence is one session.
"""

import numpy as np

from recsys.feature.item import ItemFacts
from recsys.registry import registered
from recsys.retrieval.spans import rows_of_spans
from recsys.runs import distinct, firsts, numbered
from recsys.sequence.histories import Histories
from recsys.sequence.sessions import sessions
from recsys.slate import Candidates, Reason
from recsys.state import ShopperState

AGEING = 0.1
"""How much less a neighbour counts for every place that the latest shared item lies back in the running session."""

_LEARNT = {"session_start", "session_item", "item_start", "item_session", "rarity"}


@registered
class VMISKNN:
    """Items of the sessions that share the latest items of the running (or latest) session, its own items among them.

    Args:
        anchors: how many latest distinct items of the session are looked up.
        latest: how many of the latest sessions the index keeps for an item (m).
        neighbours: how many sessions answer (k).
        nearness: places after which an item of a neighbour counts 1/e; None: all of its items count alike.
        longest: a session of the index is remembered by so many of its last distinct items.
        session_start, session_item: the sessions that the index holds, oldest first: where each begins [S + 1] int64,
            and their distinct items in order of their last occurrence [R] int32.
        item_start, item_session: for every item where its sessions begin [V + 1] int64, latest first [P] int32.
        rarity: of every item, log(sessions / sessions with it) over its largest possible value [V] float32.
    """

    name = "vmis_knn"
    timed = False

    def __init__(
        self,
        *,
        anchors: int = 10,
        latest: int = 1_000,
        neighbours: int = 200,
        nearness: float | None = 4.0,
        longest: int = 100,
        **learnt: np.ndarray,
    ) -> None:
        if strange := learnt.keys() - _LEARNT:
            raise TypeError(f"VMISKNN does not know {sorted(strange)}; it takes {', '.join(sorted(_LEARNT))}")
        self.anchors = anchors
        self.latest = latest
        self.neighbours = neighbours
        self.nearness = nearness
        self.longest = longest
        self._learnt = learnt

    def fit(
        self, histories: Histories, *, items: int, until: int, category: np.ndarray, facts: ItemFacts | None = None
    ) -> None:
        """Index the sessions before `until` that hold two items at least; `items` is V."""
        session, item = _sessions_by_age(histories.before(until).interactions(), items, self.longest)
        number, size = np.unique(session, return_counts=True)
        support = np.bincount(item, minlength=items)
        order = np.lexsort((-session, item))
        place = np.arange(len(item)) - (np.cumsum(support) - support)[item[order]]
        kept = order[place < self.latest]
        held = distinct(session[kept])
        inside = np.isin(session, held, assume_unique=False)
        self._learnt = {
            "session_start": np.concatenate([[0], np.cumsum(size[np.searchsorted(number, held)])]).astype(np.int64),
            "session_item": item[inside].astype(np.int32),
            "item_start": np.concatenate([[0], np.cumsum(np.minimum(support, self.latest))]).astype(np.int64),
            "item_session": np.searchsorted(held, session[kept]).astype(np.int32),
            "rarity": (np.log(max(len(number), 1) / np.maximum(support, 1)) / np.log(max(len(number), 2))).astype(
                np.float32
            ),
        }

    def candidates(self, state: ShopperState, count: int | None = None) -> Candidates:
        """The neighbours' items; a score is the share of the neighbours' weight that has the item, times its rarity."""
        anchor = self._latest_items(state)
        if not len(anchor) or not self._learnt or not len(self._learnt["session_item"]):
            return Candidates.none()
        session, weight, shared = self._neighbours(anchor)
        start = self._learnt["session_start"]
        rows, owner = rows_of_spans(start[session], start[session + 1])
        item = self._learnt["session_item"][rows]
        vote = weight[owner] * self._learnt["rarity"][item]
        if self.nearness is not None:
            met = np.flatnonzero(item == shared[owner])  # once in every neighbour
            vote = vote * np.exp(-np.abs(rows - rows[met][owner]) / self.nearness)
        proposed, number = numbered(item)
        score = np.bincount(number, vote, minlength=len(proposed)) / max(float(weight.sum()), 1e-9)
        return Candidates.best(proposed, score, count)

    def reasons(self, state: ShopperState, item: np.ndarray) -> list[Reason]:
        """Names the latest item of the session."""
        anchor = self._latest_items(state)
        if not len(anchor):
            return [Reason("from sessions like yours")] * len(item)
        return [Reason("taken in sessions with {title}", int(anchor[0]))] * len(item)

    def settings(self) -> dict[str, int | float | None]:
        return {
            "anchors": self.anchors,
            "latest": self.latest,
            "neighbours": self.neighbours,
            "nearness": self.nearness,
            "longest": self.longest,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        return dict(self._learnt)

    def _latest_items(self, state: ShopperState) -> np.ndarray:
        """Distinct items of the latest session, the latest first, [A] int64."""
        seen = state.history.interactions()
        if not len(seen):
            return np.empty(0, np.int64)
        start = seen.session_start(int(seen.time[-1]) + 1)
        backwards = seen.item[int(np.searchsorted(seen.time, start)) :][::-1]
        _, first = np.unique(backwards, return_index=True)
        return backwards[np.sort(first)[: self.anchors]].astype(np.int64)

    def _neighbours(self, anchor: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The nearest sessions [K], the weight of each, and the latest item that each shares with the anchors [A]."""
        start = self._learnt["item_start"]
        rows, place = rows_of_spans(start[anchor], start[anchor + 1])
        session = self._learnt["item_session"][rows]
        order = np.argsort(session, kind="stable")  # runs that descend already; the latest anchor stays first
        session, place = session[order], place[order]
        first = firsts(session)
        if not len(first):
            return session, np.empty(0), place
        alike = np.add.reduceat(1 - place / len(anchor), first)
        session, place = session[first], place[first]
        best = np.lexsort((-session, -alike))[: self.neighbours]
        weight = alike[best] * np.maximum(1 - AGEING * place[best], AGEING)
        return session[best], weight, anchor[place[best]]


def _sessions_by_age(known: Histories, items: int, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Sessions with at least two distinct items, numbered from the one that ended first, and their last `longest`
    distinct items by last occurrence: (session, item) of R rows, in order."""
    events = known.events
    if not len(events):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    cut = sessions(events.time, known.start)
    ended = events.time[np.append(cut.first[1:], len(events)) - 1]
    age = np.empty(len(cut), np.int64)
    age[np.argsort(ended, kind="stable")] = np.arange(len(cut))
    backwards = (cut.number * items + events.item)[::-1]
    _, first = np.unique(backwards, return_index=True)
    rows = np.sort(len(events) - 1 - first)
    rows = rows[np.argsort(age[cut.number[rows]], kind="stable")]
    session = age[cut.number[rows]]
    size = np.bincount(session, minlength=len(cut))
    from_the_end = np.cumsum(size)[session] - np.arange(len(rows))
    kept = (size[session] > 1) & (from_the_end <= longest)
    return session[kept], events.item[rows[kept]].astype(np.int64)
