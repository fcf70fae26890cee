"""Adds up what the sources propose, with weights that depend on how well the shopper is known."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from recsys.errors import ConfigError
from recsys.protocols import CandidateSource, Ranker
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.mixing import Blended, Gathered, Mixed
from recsys.retrieval.proposals import EVERYTHING, Proposals, proposed
from recsys.shoppers import Shoppers
from recsys.slate import Candidates
from recsys.state import Knowledge, ShopperState

ENCODER = "encoder"
"""The name under which the encoder's own candidates take part."""

FILL = "offer"
"""The name under which what is merely on offer fills up an answer."""

Weights = Mapping[Knowledge, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Blend:
    """Sources and their weights.

    Args:
        sources: by the order in which they are named.
        weights: for each state of knowledge the weight of each source; a source without one is not asked.
        depth: how many candidates each source gives.
    """

    sources: Sequence[CandidateSource]
    weights: Weights
    depth: int = 200

    def __post_init__(self) -> None:
        if strange := set(self.weights) - set(Knowledge):
            raise ConfigError(f"retrieval.weights has {sorted(strange)}; the states are {', '.join(Knowledge)}")
        names = {ENCODER, *(source.name for source in self.sources)}
        for knowledge in Knowledge:
            if unknown := set(self.weights.get(knowledge, {})) - names:
                raise ConfigError(
                    f"retrieval.weights.{knowledge} names {sorted(unknown)}; the sources are {sorted(names)}"
                )

    def gather(
        self, state: ShopperState, encoder: Candidates | None, allowed: Allowed | None = None
    ) -> dict[str, Candidates]:
        """What every source with a weight proposes, out of what is `allowed` (everything if None); `encoder` is None
        where there is no encoder to ask."""
        asked = None if encoder is None else Proposals.of([encoder])
        return self.gather_all(Shoppers([state]), state.knowledge, asked, allowed).one(0)

    def gather_all(
        self, shoppers: Shoppers, knowledge: Knowledge, encoder: Proposals | None, allowed: Allowed | None = None
    ) -> Gathered:
        """The same for shoppers that are all known as well."""
        weights = self.weights.get(knowledge, {})
        asked = {s.name: self._proposed(s, shoppers, allowed) for s in self.sources if weights.get(s.name)}
        if encoder is not None and weights.get(ENCODER):
            asked[ENCODER] = encoder if allowed is None else encoder.kept(allowed, EVERYTHING)
        return Gathered(len(shoppers), {name: found for name, found in asked.items() if len(found.item)})

    def _proposed(self, source: CandidateSource, shoppers: Shoppers, allowed: Allowed | None) -> Proposals:
        """The source's best allowed candidates: where little is allowed, out of everything it can say."""
        if allowed is None:
            return proposed(source, shoppers, self.depth)
        many = 2 * allowed.count > len(allowed.mask)
        return proposed(source, shoppers, 2 * self.depth if many else None).kept(allowed, self.depth)

    def mix(self, gathered: Mapping[str, Candidates], weights: Mapping[str, float]) -> Blended:
        """The weighted sum of the sources' scores for every item that any of them proposes."""
        return self.mix_all(Gathered.of_one(gathered), weights).one(0)

    def mix_all(self, gathered: Gathered, weights: Mapping[str, float]) -> Mixed:
        """The same for many shoppers."""
        return Mixed.by(gathered, weights, [source.name for source in self.sources if source.timed])

    def __call__(self, state: ShopperState, encoder: Candidates | None) -> Blended:
        """All candidates for this shopper at this instant."""
        return self.mix(self.gather(state, encoder), self.weights.get(state.knowledge, {}))


def ranked(ranker: Ranker, shoppers: Shoppers, mixed: Mixed, *, known: int | None = None) -> Mixed:
    """The best `ranker.depth` of the mixed candidates with the ranker's chances, which reckon with time, for scores.

    Of items from index `known` on, if one is given, it knows no facts; each has the chance of the known ones that the
    blend finds about as fitting.
    """
    best = mixed.best(shoppers.hidden, ranker.depth)
    if known is None or int(best.item.max(initial=0)) < known:
        chance = ranker.chances(shoppers, best)
    else:
        chance = _with_unknown(ranker, shoppers, best, known)
    return replace(best, score=chance, timed=chance)


def _with_unknown(ranker: Ranker, shoppers: Shoppers, mixed: Mixed, known: int) -> np.ndarray:
    """The chance of each candidate where some came after the ranker learnt."""
    of_known = mixed.item < known
    start = np.concatenate([[0], np.cumsum(of_known)])[mixed.start]
    columns = {name: getattr(mixed, name)[of_known] for name in ("item", "score", "timed", "source", "said")}
    chance = mixed.score.copy()  # of who has no known candidate the blend's scores stay
    chance[of_known] = ranker.chances(shoppers, Mixed(start=start, **columns, names=mixed.names))
    for first, end in pairwise(mixed.start.tolist()):
        here = of_known[first:end]
        if here.any() and not here.all():
            fits, learnt = mixed.score[first:end][here], chance[first:end][here]
            order = np.argsort(fits, kind="stable")
            later = mixed.score[first:end][~here]
            chance[first:end][~here] = np.interp(later, fits[order], learnt[order])
    return chance


def filled(mixed: Blended, state: ShopperState, allowed: Allowed, count: int) -> Blended:
    """The mixed candidates and, where they are fewer than the `count` asked for after what is hidden, others of what is
    allowed behind them: whoever asks for something particular gets it, even if nobody has anything to say of it."""
    hidden = state.exclude | state.basket
    known = mixed.candidates.item
    if len(known) - int(np.isin(known, list(hidden)).sum()) >= count:
        return mixed
    others = np.setdiff1d(allowed.rows, known)
    others = others[~np.isin(others, list(hidden))][:count]
    item = np.concatenate([known, others])
    least = float(mixed.candidates.score.min(initial=1.0))
    score = np.concatenate([mixed.candidates.score, np.linspace(least * 0.9, least * 0.1, len(others))])
    timed = mixed.candidates.timed
    timed = np.concatenate([np.zeros(len(known)) if timed is None else timed, np.zeros(len(others))])
    order = np.argsort(item)
    source = np.concatenate([mixed.source, np.full(len(others), len(mixed.names))])
    candidates = Candidates(item[order], score[order].astype(np.float32), timed[order].astype(np.float32))
    said = np.concatenate([mixed.said, np.zeros((len(others), mixed.said.shape[1]), np.float32)])
    return Blended(candidates, source[order].astype(np.int64), (*mixed.names, FILL), said[order])


def tune(
    start: Mapping[str, float],
    quality: Callable[[Mapping[str, float]], float],
    *,
    free: Sequence[str],
    least: float = 3e-4,
    steps: Sequence[Sequence[float]] = ((0.1, 0.3, 3.0, 10.0), (0.3, 0.6, 1.7, 3.0), (0.7, 1.4)),
) -> tuple[dict[str, float], float]:
    """Coordinate search: each round tries every free weight times each of its steps and keeps what raises
    `quality` by at least `least`; the other weights stay as they are.

    No weight becomes nothing: a source that cannot help on average may still be all there is for one shopper."""
    best = dict(start)
    reached = quality(best)
    for round_steps in steps:
        for name in free:
            anchor = best[name]
            for step in round_steps:
                tried = {**best, name: anchor * step}
                if (value := quality(tried)) > reached + least:
                    best, reached = tried, value
    return best, reached
