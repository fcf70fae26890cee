"""Candidates and the slate: what retrieval hands to the policy, and what the policy hands out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from recsys.state import Knowledge


@dataclass(frozen=True, slots=True)
class Candidates:
    """Items retrieved by one source, best first.

    Attributes:
        item: catalogue indices [N] int64, distinct, never 0.
        score: the chance the source gives each [N] float32, higher is better.
        timed: the part of the score [N] that already reckons with when the shopper last took the item; None is none.
    """

    item: np.ndarray
    score: np.ndarray
    timed: np.ndarray | None = None

    @classmethod
    def none(cls) -> "Candidates":
        """No candidates."""
        return cls(np.empty(0, np.int64), np.empty(0, np.float32))

    @classmethod
    def best(cls, item: np.ndarray, score: np.ndarray, count: int | None) -> "Candidates":
        """The `count` best (None: all) of distinct items [N] with scores [N]; ties go to the smaller index."""
        if count is not None and len(item) > count:
            kept = (score >= np.partition(score, len(score) - count)[len(score) - count]).nonzero()[0]
            item, score = item[kept], score[kept]
        order = np.lexsort((item, -score))[:count]
        return cls(item[order].astype(np.int64), score[order].astype(np.float32))

    @classmethod
    def best_of(cls, dense: np.ndarray, count: int | None) -> "Candidates":
        """The `count` best (None: all) positive entries of dense scores [V]; ties go to the smaller index."""
        positive = (dense > 0).nonzero()[0]
        return cls.best(positive, dense[positive], count)

    def kept(self, which: Callable[[np.ndarray], np.ndarray], count: int) -> "Candidates":
        """The best `count` of those that `which` keeps: items [N] in, [N] bool out."""
        place = np.flatnonzero(which(self.item))[:count]
        return Candidates(self.item[place], self.score[place], None if self.timed is None else self.timed[place])

    def __len__(self) -> int:
        return len(self.item)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a policy chose: places into the candidates in slate order, final scores and propensities, [K] each."""

    place: np.ndarray
    score: np.ndarray
    propensity: np.ndarray


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an item is shown, in words for the shopper; `{title}` in them stands for the item `cause`, 0 for none."""

    words: str
    cause: int = 0


@dataclass(slots=True, kw_only=True)
class SlateItem:
    """One shown item; `propensity` is the probability with which the policy put it at this position. Not frozen only
    because twenty are made for every answer."""

    index: int
    item_id: str
    score: float
    source: str
    reason: str
    propensity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Slate:
    """An ordered answer; `degraded` names what was missing, or is None when everything worked.

    `candidates` is the fingerprint (`recsys/fingerprint.py`) of everything the policy chose from, the highest scores
    first, those of one score by catalogue index; None where nothing was chosen.
    """

    items: tuple[SlateItem, ...]
    knowledge: Knowledge
    policy: str
    model_version: str
    degraded: str | None = None
    candidates: str | None = None
