"""Ways of ranking the cases of an evaluation: a candidate source, the encoder over the whole catalogue, the answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from recsys.feature.spec import FeatureSpec
from recsys.metric.blocks import catalogue_ranks
from recsys.metric.evaluation import LISTED, Case, Lister, Ranked, Ranker
from recsys.metric.measures import Ragged
from recsys.metric.ranking import MISS, Board, list_ranks, settled, standing
from recsys.protocols import CandidateSource, Encoder
from recsys.recommender import Recommender
from recsys.sequence.question import askable, question_batch
from recsys.slate import Candidates
from recsys.state import ShopperState

_BATCH = 64
_SLATE = 20


Memory = dict[int, Candidates]
"""What a source said, by the `id` of the state it was asked about."""


def source_lister(source: CandidateSource, memory: Memory | None = None, *, depth: int = 0) -> Lister:
    """Ranks by one source's scores; what it does not score is missed. `memory` keeps the first `depth` candidates."""

    def rank(cases: Sequence[Case]) -> Ranked:
        lists = np.zeros((len(cases), LISTED), np.int64)
        standings = []
        last: Candidates = Candidates.none()
        board: Board | None = None
        for number, case in enumerate(cases):
            found = source.candidates(case.state)
            if memory is not None:
                memory[id(case.state)] = _first(found, depth)
            if case.state.exclude:
                found = _without(found, case.excluded)
            lists[number, : min(LISTED, len(found))] = found.item[:LISTED]
            if found.item is last.item and found.score is last.score:  # the same list for everybody
                board = board or Board(found.item, found.score)
                standings.append(board.standing(case.target))
            else:
                last, board = found, None
                standings.append(standing(found.item, found.score, case.target))
        known, own, at_least = (np.concatenate(part) for part in zip(*standings, strict=True))
        owner = np.repeat(np.arange(len(cases)), [len(case.target) for case in cases])
        ranks = np.full(len(known), MISS)
        ranks[known] = settled(own, at_least, owner[known])
        return Ranked(ranks, lists)

    return rank


class Remembered:
    """A source that answers from `memory` where it was asked already; for one evaluation, never for a bundle."""

    def __init__(self, source: CandidateSource, memory: Memory, *, depth: int) -> None:
        self.name, self.timed = source.name, source.timed
        self._source, self._memory, self._depth = source, memory, depth
        self.fit, self.reasons, self.settings, self.arrays = source.fit, source.reasons, source.settings, source.arrays

    def candidates(self, state: ShopperState, count: int | None = None) -> Candidates:
        """The `count` best items, as the source gave them."""
        kept = self._memory.get(id(state))
        if kept is None or count is None or count > self._depth:
            return self._source.candidates(state, count)
        return _first(kept, count)


@dataclass(frozen=True, slots=True)
class Encoded:
    """The questions of Q cases as the encoder reads them.

    Attributes:
        query: query vectors [Q, D]; zeros where the encoder cannot be asked.
        asked: where it can [Q] bool.
    """

    query: torch.Tensor
    asked: np.ndarray


def encoded(cases: Sequence[Case], encoder: Encoder, features: FeatureSpec) -> Encoded:
    """Every question read once; histories of like length are read together, so that little is padded."""
    asked = np.array([askable(case.state, features) for case in cases], bool)
    length = np.array([len(case.state.history) for case in cases])
    order = np.lexsort((length, ~asked))[: np.count_nonzero(asked)]
    query = torch.zeros(len(cases), encoder.vector_size)
    with torch.inference_mode():
        for begin in range(0, len(order), _BATCH):
            rows = order[begin : begin + _BATCH]
            found = encoder(question_batch([cases[row].state for row in rows.tolist()], features))
            query[torch.from_numpy(rows)] = found.float().cpu()
    return Encoded(query, asked)


def encoder_ranked(cases: Sequence[Case], read: Encoded, encoder: Encoder, *, listed: int = LISTED) -> Ranked:
    """The whole catalogue ranked by the encoder's scores; what it cannot be asked about is missed."""
    target = Ragged.of([case.target for case in cases])
    ranks, lists = np.full(len(target.value), MISS), np.zeros((len(cases), listed), np.int64)
    asked = np.flatnonzero(read.asked)
    hidden = Ragged.of([cases[number].excluded for number in asked.tolist()])
    with torch.inference_mode():
        items = encoder.item_vectors()
        query = read.query[torch.from_numpy(asked)].to(items.device)
        ranks[read.asked[target.owner]], lists[asked] = catalogue_ranks(
            query, items, target.take(asked), exclude=hidden, top=listed
        )
    return Ranked(ranks, lists)


def encoder_ranker(encoder: Encoder, features: FeatureSpec) -> Ranker:
    """The encoder's ranks, one array for each case; makes no lists, for validation while training."""

    def rank(cases: Sequence[Case]) -> list[np.ndarray]:
        found = encoder_ranked(cases, encoded(cases, encoder, features), encoder, listed=0)
        return _split(found.rank, cases)

    return rank


def source_ranker(source: CandidateSource) -> Ranker:
    """A source's ranks, one array for each case."""

    def rank(cases: Sequence[Case]) -> list[np.ndarray]:
        return _split(source_lister(source)(cases).rank, cases)

    return rank


def answered(cases: Sequence[Case], read: Encoded, recommender: Recommender) -> Ranked:
    """What shoppers really get: retrieval, blend and policy, in the slate's order."""
    ranks, lists = [], np.zeros((len(cases), LISTED), np.int64)
    rng = np.random.default_rng(0)
    for begin in range(0, len(cases), _BATCH):
        some = cases[begin : begin + _BATCH]
        query = read.query[begin : begin + len(some)].numpy()
        chosen = recommender.choose([c.state for c in some], counts=[_SLATE] * len(some), rng=rng, query=query)
        for number, (case, (blended, choice)) in enumerate(zip(some, chosen, strict=True), start=begin):
            slate = blended.candidates.item[choice.place]
            ranks.append(list_ranks(slate, case.target))
            lists[number, : min(LISTED, len(slate))] = slate[:LISTED]
    return Ranked(np.concatenate(ranks), lists)


def _split(rank: np.ndarray, cases: Sequence[Case]) -> list[np.ndarray]:
    return np.split(rank, np.cumsum([len(case.target) for case in cases])[:-1])


def _first(found: Candidates, count: int) -> Candidates:
    timed = None if found.timed is None else found.timed[:count]
    return Candidates(found.item[:count], found.score[:count], timed)


def _without(found: Candidates, excluded: np.ndarray) -> Candidates:
    keep = ~np.isin(found.item, excluded)
    return Candidates(found.item[keep], found.score[keep])
