"""Ways of ranking the cases of an evaluation: a candidate source, the encoder over the whole catalogue, the answer."""

from collections.abc import Iterator, Sequence

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


def source_lister(source: CandidateSource) -> Lister:
    """Ranks by one source's scores; what it does not score is missed."""

    def rank(cases: Sequence[Case]) -> Ranked:
        lists = np.zeros((len(cases), LISTED), np.int64)
        standings = []
        last: Candidates = Candidates.none()
        board: Board | None = None
        for number, case in enumerate(cases):
            found = source.candidates(case.state)
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


def encoder_lister(encoder: Encoder, features: FeatureSpec, *, listed: int = LISTED) -> Lister:
    """Ranks the whole catalogue by the encoder's scores; what it cannot be asked about is missed."""

    def rank(cases: Sequence[Case]) -> Ranked:
        target = Ragged.of([case.target for case in cases])
        ranks, lists = np.full(len(target.value), MISS), np.zeros((len(cases), listed), np.int64)
        asked = np.flatnonzero([askable(case.state, features) for case in cases])
        if not len(asked):
            return Ranked(ranks, lists)
        wanted, hidden = target.take(asked), Ragged.of([cases[number].excluded for number in asked.tolist()])
        with torch.inference_mode():
            query = _encoded([cases[number].state for number in asked.tolist()], encoder, features)
            found = catalogue_ranks(query, encoder.item_vectors(), wanted, exclude=hidden, top=listed)
        ranks[np.isin(target.owner, asked)], lists[asked] = found
        return Ranked(ranks, lists)

    return rank


def answer_lister(recommender: Recommender) -> Lister:
    """What shoppers really get: retrieval, blend and policy, in the slate's order."""

    def rank(cases: Sequence[Case]) -> Ranked:
        ranks, lists = [], np.zeros((len(cases), LISTED), np.int64)
        for number, slate in enumerate(_slates(cases, recommender)):
            ranks.append(list_ranks(slate, cases[number].target))
            lists[number, : min(LISTED, len(slate))] = slate[:LISTED]
        return Ranked(np.concatenate(ranks), lists)

    return rank


def source_ranker(source: CandidateSource) -> Ranker:
    """The ranks of `source_lister`, one array for each case."""
    return _ranks_of(source_lister(source))


def encoder_ranker(encoder: Encoder, features: FeatureSpec) -> Ranker:
    """The ranks of `encoder_lister`, one array for each case; makes no lists, for validation while training."""
    return _ranks_of(encoder_lister(encoder, features, listed=0))


def _ranks_of(lister: Lister) -> Ranker:
    def rank(cases: Sequence[Case]) -> list[np.ndarray]:
        ends = np.cumsum([len(case.target) for case in cases])
        return np.split(lister(cases).rank, ends[:-1])

    return rank


def _encoded(states: Sequence[ShopperState], encoder: Encoder, features: FeatureSpec) -> torch.Tensor:
    """Query vectors [Q, D]; histories of like length are read together, so that little is padded."""
    order = np.argsort([len(state.history) for state in states], kind="stable")
    parts = []
    for begin in range(0, len(order), _BATCH):
        batch = question_batch([states[number] for number in order[begin : begin + _BATCH]], features)
        parts.append(encoder(batch))
    query = torch.cat(parts)
    back = torch.empty_like(query)
    back[torch.from_numpy(order).to(query.device)] = query
    return back


def _slates(cases: Sequence[Case], recommender: Recommender) -> Iterator[np.ndarray]:
    """The items of each slate, best first."""
    rng = np.random.default_rng(0)
    for begin in range(0, len(cases), _BATCH):
        states = [case.state for case in cases[begin : begin + _BATCH]]
        for blended, choice in recommender.choose(states, counts=[_SLATE] * len(states), rng=rng):
            yield blended.candidates.item[choice.place]


def _without(found: Candidates, excluded: np.ndarray) -> Candidates:
    keep = ~np.isin(found.item, excluded)
    return Candidates(found.item[keep], found.score[keep])
