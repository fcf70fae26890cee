"""Adds up what the sources propose, with weights that depend on how well the shopper is known."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from recsys.errors import ConfigError
from recsys.protocols import CandidateSource, Ranker
from recsys.retrieval.allowed import Allowed
from recsys.runs import numbered
from recsys.slate import Candidates
from recsys.state import Knowledge, ShopperState

ENCODER = "encoder"
"""The name under which the encoder's own candidates take part."""

FILL = "offer"
"""The name under which what is merely on offer fills up an answer."""

Weights = Mapping[Knowledge, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Blended:
    """Candidates of all sources together; `source` [N] numbers the one that contributed most to each, into `names`."""

    candidates: Candidates
    source: np.ndarray
    names: tuple[str, ...]


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
        weights = self.weights.get(state.knowledge, {})
        asked = {s.name: self._proposed(s, state, allowed) for s in self.sources if weights.get(s.name)}
        if encoder is not None and weights.get(ENCODER):
            asked[ENCODER] = encoder if allowed is None else encoder.kept(allowed.at, len(encoder))
        return {name: found for name, found in asked.items() if len(found)}

    def _proposed(self, source: CandidateSource, state: ShopperState, allowed: Allowed | None) -> Candidates:
        """The source's best allowed candidates: where little is allowed, out of everything it can say."""
        if allowed is None:
            return source.candidates(state, self.depth)
        many = 2 * allowed.count > len(allowed.mask)
        return source.candidates(state, 2 * self.depth if many else None).kept(allowed.at, self.depth)

    def mix(self, gathered: Mapping[str, Candidates], weights: Mapping[str, float]) -> Blended:
        """The weighted sum of the sources' scores for every item that any of them proposes."""
        names = tuple(gathered)
        if not names:
            return Blended(Candidates.none(), np.empty(0, np.int64), names)
        item, place = numbered(np.concatenate([gathered[name].item for name in names]))
        parts = np.zeros((len(names), len(item)), np.float32)
        knows_time = {source.name for source in self.sources if source.timed}
        begin = 0
        for row, name in enumerate(names):
            end = begin + len(gathered[name])
            parts[row, place[begin:end]] = gathered[name].score * weights[name]
            begin = end
        timed = parts[[name in knows_time for name in names]].sum(0)
        return Blended(Candidates(item, parts.sum(0), timed), parts.argmax(0), names)

    def __call__(self, state: ShopperState, encoder: Candidates | None) -> Blended:
        """All candidates for this shopper at this instant."""
        return self.mix(self.gather(state, encoder), self.weights.get(state.knowledge, {}))


def ranked(
    ranker: Ranker, state: ShopperState, gathered: Mapping[str, Candidates], mixed: Blended, *, known: int | None = None
) -> Blended:
    """The best `ranker.depth` of the mixed candidates with the ranker's chances, which reckon with time, for scores.

    Of items from index `known` on, if one is given, it knows no facts; each has the chance of the known ones that the
    blend finds about as fitting.
    """
    mixed = _best(mixed, state, ranker.depth)
    item = mixed.candidates.item
    count = len(item) if known is None else int(np.searchsorted(item, known))
    if not count:
        return mixed
    chance = np.empty(len(item), np.float32)
    chance[:count] = ranker.chances(state, item[:count], gathered)
    if count < len(item):
        fits = mixed.candidates.score[:count]
        order = np.argsort(fits, kind="stable")
        chance[count:] = np.interp(mixed.candidates.score[count:], fits[order], chance[:count][order])
    return replace(mixed, candidates=Candidates(item, chance, chance))


def _best(mixed: Blended, state: ShopperState, count: int) -> Blended:
    """The `count` candidates of the highest scores among those that may be shown, in the order they stand in."""
    candidates = mixed.candidates
    if hidden := state.exclude | state.basket:
        place = (~np.isin(candidates.item, list(hidden))).nonzero()[0]
    else:
        place = np.arange(len(candidates))
    if len(place) > count:
        score = candidates.score[place]
        place = place[(score >= np.partition(score, len(score) - count)[len(score) - count]).nonzero()[0]]
    timed = None if candidates.timed is None else candidates.timed[place]
    kept = Candidates(candidates.item[place], candidates.score[place], timed)
    return Blended(kept, mixed.source[place], mixed.names)


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
    return Blended(candidates, source[order].astype(np.int64), (*mixed.names, FILL))


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
