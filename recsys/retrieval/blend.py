"""Adds up what the sources propose, with weights that depend on how well the shopper is known."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from recsys.errors import ConfigError
from recsys.protocols import CandidateSource, Ranker
from recsys.slate import Candidates
from recsys.state import Knowledge, ShopperState

ENCODER = "encoder"
"""The name under which the encoder's own candidates take part."""

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

    def gather(self, state: ShopperState, encoder: Candidates | None) -> dict[str, Candidates]:
        """What every source with a weight proposes; `encoder` is None where there is no encoder to ask."""
        weights = self.weights.get(state.knowledge, {})
        asked = {s.name: s.candidates(state, self.depth) for s in self.sources if weights.get(s.name)}
        if encoder is not None and weights.get(ENCODER):
            asked[ENCODER] = encoder
        return {name: found for name, found in asked.items() if len(found)}

    def mix(self, gathered: Mapping[str, Candidates], weights: Mapping[str, float]) -> Blended:
        """The weighted sum of the sources' scores for every item that any of them proposes."""
        names = tuple(gathered)
        if not names:
            return Blended(Candidates.none(), np.empty(0, np.int64), names)
        item, place = np.unique(np.concatenate([gathered[name].item for name in names]), return_inverse=True)
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


def ranked(ranker: Ranker, state: ShopperState, gathered: Mapping[str, Candidates], mixed: Blended) -> Blended:
    """The mixed candidates with the ranker's chances, which reckon with time, for scores."""
    if not len(mixed.candidates):
        return mixed
    chance = ranker.chances(state, mixed.candidates.item, gathered)
    return replace(mixed, candidates=Candidates(mixed.candidates.item, chance, chance))


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
