"""The evaluation table: every way of answering, on the same moments, by the same rules."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from recsys.clock import to_datetime
from recsys.event import EventType
from recsys.metric.circumstances import Circumstances
from recsys.metric.crowd import Crowd
from recsys.metric.evaluation import Case, Ranked, Score, each_question, score_rows
from recsys.metric.interval import Paired, paired_test, shopper_bootstrap
from recsys.protocols import CandidateSource
from recsys.recommender import Recommender
from recsys.registry import path_of
from recsys.retrieval.buy_again import BuyAgain
from recsys.retrieval.covisitation import CoVisitation, Relation
from recsys.retrieval.popular import Popular
from recsys.retrieval.user_knn import UserKNN
from recsys.retrieval.vmis_knn import VMISKNN
from training.dataset import Dataset, Known
from training.rankers import (
    Encoded,
    Memory,
    Remembered,
    answered,
    encoded,
    encoder_ranked,
    encoder_ranker,
    source_lister,
    source_ranker,
)
from training.recipe import Recipe
from training.table import AGAINST, ANSWER_ROW, ENCODER_ROW, OWN_ROWS, best_baseline, print_table

REFIT = "; chosen on validation, then the encoder was trained again on training and validation data"
LITERATURE = "; literature mode: order only, no times, time features are off"
EXCLUDE_SEEN = "; items of the shopper's own history are taken out of every ranking"
_ALL_DAYS = 100_000
_TASTE = {EventType.PURCHASE, EventType.RATING}
_AT_ONCE = 4_096
_TRACKED_OF_SLICES = ("/ndcg10", "/queries")

Tell = Callable[[str], None]


def _silent(_: str) -> None:
    """Says nothing."""


def baselines(dataset: Dataset) -> dict[str, CandidateSource]:
    """The mandatory rows, by name; those that need times or purchases only where the log has them, shoppers alike only
    where what is asked for tells taste (of mere clicks, sessions tell more)."""
    rows = _of_order() if dataset.order_only else _of_times()
    if EventType.PURCHASE in dataset.wanted and not dataset.order_only:
        rows["buy-again, frequency"] = BuyAgain(half_life_days=None)
        rows["buy-again, half-life 90d"] = BuyAgain(half_life_days=90.0)
    if _TASTE & set(dataset.wanted):
        rows["user-kNN"] = UserKNN(own=0.0 if dataset.order_only else 0.5)
    return rows


def _of_order() -> dict[str, CandidateSource]:
    return {
        "popular": Popular(days=_ALL_DAYS),
        "co-visits, next moment": CoVisitation(relation=Relation.NEXT),
        "VMIS-kNN": VMISKNN(),
    }


def _of_times() -> dict[str, CandidateSource]:
    return {
        "Popular-7d": Popular(days=7),
        "co-visits, same basket": CoVisitation(relation=Relation.WITHIN),
        "co-visits, next basket": CoVisitation(relation=Relation.NEXT),
        "VMIS-kNN": VMISKNN(),
    }


def ranked_rows(
    cases: Sequence[Case], recommender: Recommender, dataset: Dataset, *, tell: Tell = _silent
) -> dict[str, Ranked]:
    """How every row ranks; `tell` hears how many cases are done. Baselines learn from everything before the cut-off, as
    the recommender's own sources did already; one that is among those is neither fitted nor asked twice."""
    known: Known | None = None
    own = {_described(source): source for source in recommender.blend.sources}
    sources: dict[str, CandidateSource] = {}
    for name, source in baselines(dataset).items():
        if _described(source) not in own:
            known = known or dataset.before_test()
            dataset.teach(source, known)
        sources[name] = own.get(_described(source), source)
    parts: list[dict[str, Ranked]] = []
    for begin in range(0, len(cases), _AT_ONCE):
        tell(f"{begin:,} of {len(cases):,} questions ranked by everybody")
        parts.append(_rows_of(cases[begin : begin + _AT_ONCE], sources, recommender))
    return {name: Ranked.joined([part[name] for part in parts]) for name in parts[0]}


def _rows_of(
    cases: Sequence[Case], sources: Mapping[str, CandidateSource], recommender: Recommender
) -> dict[str, Ranked]:
    """All rows of some cases. The encoder reads them on another core meanwhile: its work is not Python's."""
    blend = recommender.blend
    memory: dict[int, Memory] = {id(source): {} for source in blend.sources}
    with ThreadPoolExecutor(1) as beside:
        reading = beside.submit(_alone, cases, recommender)
        rows = {
            name: source_lister(source, memory.get(id(source)), depth=blend.depth)(cases)
            for name, source in sources.items()
        }
        read, alone = reading.result()
    remembered = [Remembered(source, memory[id(source)], depth=blend.depth) for source in blend.sources]
    answers = answered(cases, read, replace(recommender, blend=replace(blend, sources=remembered)))
    return rows | {ENCODER_ROW: alone, ANSWER_ROW: answers}


def own_rows(cases: Sequence[Case], recommender: Recommender) -> dict[str, Ranked]:
    """How the recommender ranks: its encoder alone, and what it answers."""
    read, alone = _alone(cases, recommender)
    return {ENCODER_ROW: alone, ANSWER_ROW: answered(cases, read, recommender)}


def _alone(cases: Sequence[Case], recommender: Recommender) -> tuple[Encoded, Ranked]:
    read = encoded(cases, recommender.encoder, recommender.features)
    return read, encoder_ranked(cases, read, recommender.encoder)


def circumstances(cases: Sequence[Case], dataset: Dataset, *, refit: bool) -> Circumstances:
    """What the encoder's training saw of the items (with `refit` the validation window too), and the parts that the
    cases fall into."""
    until = dataset.cut.count_until if refit else dataset.cut.learn_until
    crowd = Crowd.of(dataset.histories, until=until, catalogue=dataset.catalogue)
    return Circumstances.of(cases, crowd, time_zone=None if dataset.order_only else dataset.features.time_zone)


def compare(
    cases: Sequence[Case], recommender: Recommender, dataset: Dataset, *, seed: int, tell: Tell = _silent
) -> dict[str, Score]:
    """The scores of all rows; `tell` hears how far it is."""
    around = circumstances(cases, dataset, refit=was_refit(recommender))
    return scores(cases, ranked_rows(cases, recommender, dataset, tell=tell), around, seed=seed)


def was_refit(recommender: Recommender) -> bool:
    """Whether its encoder learnt from the validation window too."""
    return bool(recommender.facts.get("settings", {}).get("refit", False))


def scores(cases: Sequence[Case], rows: Mapping[str, Ranked], around: Circumstances, *, seed: int) -> dict[str, Score]:
    """The scores of rows that are ranked; the answer's with its lead over the best baseline."""
    found = score_rows(cases, rows, around=around, seed=seed)
    best = best_baseline(found)
    if best is None:
        return found
    lead = _lead(cases, rows[ANSWER_ROW], rows[best], seed=seed)
    return {**found, ANSWER_ROW: replace(found[ANSWER_ROW], lead=lead)}


def paired_rows(cases: Sequence[Case], rows: Mapping[str, Ranked], *, seed: int) -> dict[str, dict[str, Paired]]:
    """Each of our rows against the second bundle's on the same cases: NDCG@10 and recall@10."""
    shopper = np.array([case.shopper for case in cases])
    found: dict[str, dict[str, Paired]] = {}
    for name in OWN_ROWS:
        ours, theirs = each_question(cases, rows[name]), each_question(cases, rows[AGAINST + name])
        found[name] = {
            measure: paired_test(ours[measure], theirs[measure], shopper, seed=seed)
            for measure in ("ndcg10", "recall10")
        }
    return found


def _lead(cases: Sequence[Case], ours: Ranked, theirs: Ranked, *, seed: int) -> tuple[float, float, float]:
    """Mean NDCG@10 above the other row, query by query, and its interval over shoppers."""
    each = each_question(cases, ours)["ndcg10"] - each_question(cases, theirs)["ndcg10"]
    return float(each.mean()), *shopper_bootstrap(each, np.array([case.shopper for case in cases]), seed=seed)


def _described(source: CandidateSource) -> tuple[str, str]:
    return path_of(type(source)), repr(sorted(source.settings().items()))


def protocol_of(recipe: Recipe, cases: Sequence[Case]) -> str:
    """One sentence that says what was asked and how it was judged."""
    shoppers = len({case.shopper for case in cases})
    since = f" from {to_datetime(recipe.data.cutoff).date().isoformat()} on" if recipe.split.needs_times else ""
    return (
        f"{recipe.data.name}: {len(cases):,} questions of {shoppers:,} shoppers{since}, {recipe.target.words}, "
        f"the whole catalogue ranked; {recipe.split.words}; intervals resample shoppers"
        f"{EXCLUDE_SEEN if recipe.exclude_seen else ''}"
        f"{LITERATURE if recipe.data.order_only else ''}{REFIT if recipe.refit else ''}"
    )


def metrics_json(rows: Mapping[str, Score], training: Mapping[str, float], *, protocol: str) -> dict[str, Any]:
    """What the bundle keeps of it."""
    return {
        "protocol": protocol,
        "rows": {name: row.to_json() for name, row in rows.items()},
        "training": dict(training),
    }


def tracked(rows: Mapping[str, Score]) -> dict[str, float]:
    """The figures for the tracker, named row/metric; of our own rows also the slices, named row/cut/part/metric."""
    found: dict[str, float] = {}
    for name, row in rows.items():
        short = name.replace(",", "").replace(" ", "_").replace("-", "_")
        found |= {f"{short}/{metric}": value for metric, value in row.to_json().items() if isinstance(value, float)}
        if name in OWN_ROWS:
            kept = {key: value for key, value in row.slices.items() if key.endswith(_TRACKED_OF_SLICES)}
            found |= {f"{short}/{key.replace('+', '_and_more')}": value for key, value in kept.items()}
    return found


__all__ = [
    "ANSWER_ROW",
    "ENCODER_ROW",
    "OWN_ROWS",
    "baselines",
    "circumstances",
    "compare",
    "encoder_ranker",
    "metrics_json",
    "own_rows",
    "paired_rows",
    "print_table",
    "protocol_of",
    "ranked_rows",
    "scores",
    "source_ranker",
    "tracked",
    "was_refit",
]
