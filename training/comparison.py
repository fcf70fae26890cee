"""The evaluation table: every way of answering, on the same moments, by the same rules."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from recsys.clock import to_datetime
from recsys.event import EventType
from recsys.feature.spec import FeatureSpec
from recsys.metric.evaluation import Case, Ranker, Score, evaluate, ndcg_of_each, score
from recsys.metric.interval import shopper_bootstrap
from recsys.metric.ranking import MISS, dense_ranks, list_ranks, pessimistic_ranks
from recsys.protocols import CandidateSource, Encoder
from recsys.recommender import Recommender
from recsys.registry import path_of
from recsys.retrieval.buy_again import BuyAgain
from recsys.retrieval.covisitation import CoVisitation, Relation
from recsys.retrieval.popular import Popular
from recsys.sequence.question import askable, question_batch
from training.dataset import Dataset, Known
from training.recipe import Recipe

LITERATURE = "; literature mode: order only, no times, time features are off"
ENCODER_ROW = "encoder alone"
ANSWER_ROW = "the answer"
_BATCH = 64
_SLATE = 20
_ALL_DAYS = 100_000


def baselines(dataset: Dataset) -> dict[str, CandidateSource]:
    """The mandatory rows, by name; those that need times or purchases only where the log has them."""
    if dataset.order_only:
        return {"popular": Popular(days=_ALL_DAYS), "co-visits, next moment": CoVisitation(relation=Relation.NEXT)}
    rows: dict[str, CandidateSource] = {
        "Popular-7d": Popular(days=7),
        "co-visits, same basket": CoVisitation(relation=Relation.WITHIN),
        "co-visits, next basket": CoVisitation(relation=Relation.NEXT),
    }
    if EventType.PURCHASE in dataset.wanted:
        rows["buy-again, frequency"] = BuyAgain(half_life_days=None)
        rows["buy-again, half-life 90d"] = BuyAgain(half_life_days=90.0)
    return rows


def source_ranker(source: CandidateSource) -> Ranker:
    """Ranks by one source's scores; what it does not score is missed."""

    def rank(cases: Sequence[Case]) -> list[np.ndarray]:
        found = (source.candidates(case.state) for case in cases)
        return [pessimistic_ranks(f.item, f.score, case.target) for f, case in zip(found, cases, strict=True)]

    return rank


def encoder_ranker(encoder: Encoder, features: FeatureSpec) -> Ranker:
    """Ranks the whole catalogue by the encoder's scores; what it cannot be asked about is missed."""

    def rank(cases: Sequence[Case]) -> list[np.ndarray]:
        ranks: list[np.ndarray] = []
        with torch.inference_mode():
            items = encoder.item_vectors().T.contiguous()
            for begin in range(0, len(cases), _BATCH):
                some = cases[begin : begin + _BATCH]
                asked = [case.state for case in some if askable(case.state, features)]
                scores = iter((encoder(question_batch(asked, features)) @ items).numpy() if asked else ())
                ranks += [
                    dense_ranks(next(scores), case.target) if askable(case.state, features) else _missed(case)
                    for case in some
                ]
        return ranks

    return rank


def _missed(case: Case) -> np.ndarray:
    return np.full(len(case.target), MISS, np.int64)


def answer_ranker(recommender: Recommender) -> Ranker:
    """What shoppers really get: retrieval, blend and policy, in the slate's order."""

    def rank(cases: Sequence[Case]) -> list[np.ndarray]:
        ranks: list[np.ndarray] = []
        rng = np.random.default_rng(0)
        for begin in range(0, len(cases), _BATCH):
            some = cases[begin : begin + _BATCH]
            chosen = recommender.choose([case.state for case in some], counts=[_SLATE] * len(some), rng=rng)
            for case, (blended, choice) in zip(some, chosen, strict=True):
                ranks.append(list_ranks(blended.candidates.item[choice.place], case.target))
        return ranks

    return rank


def compare(cases: Sequence[Case], recommender: Recommender, dataset: Dataset, *, seed: int) -> dict[str, Score]:
    """All rows. Baselines learn from everything before the cut-off, as the recommender's own sources did already; one
    that is among those is not fitted twice."""
    ranks: dict[str, list[np.ndarray]] = {}
    known: Known | None = None
    fitted = {_described(source): source for source in recommender.blend.sources}
    for name, source in baselines(dataset).items():
        same = fitted.get(_described(source))
        if same is None:
            known = known or dataset.before_test()
            source.fit(known.histories, items=dataset.catalogue.size, until=known.until, category=dataset.category)
        ranks[name] = source_ranker(same or source)(cases)
    rows = {name: score(cases, found, seed=seed) for name, found in ranks.items()}
    best = max(rows, key=lambda name: rows[name].ndcg10)
    rows[ENCODER_ROW] = evaluate(cases, encoder_ranker(recommender.encoder, recommender.features), seed=seed)
    answered = answer_ranker(recommender)(cases)
    lead = _lead(cases, answered, ranks[best], seed=seed)
    rows[ANSWER_ROW] = replace(score(cases, answered, seed=seed), lead=lead)
    return rows


def _lead(
    cases: Sequence[Case], ours: list[np.ndarray], theirs: list[np.ndarray], *, seed: int
) -> tuple[float, float, float]:
    """Mean NDCG@10 above the other row, query by query, and its interval over shoppers."""
    each = ndcg_of_each(cases, ours) - ndcg_of_each(cases, theirs)
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
        f"{LITERATURE if recipe.data.order_only else ''}"
    )


def print_table(rows: Mapping[str, Score], console: Console, *, title: str) -> None:
    """One line per row, within 80 columns; the best of each column in bold."""
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0), header_style="dim")
    for heading in ("", "recall@10", "NDCG@10", "95 %", "repeat r/N", "new r/N"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    columns = ("recall10", "ndcg10", "repeat_recall10", "repeat_ndcg10", "new_recall10", "new_ndcg10")
    best = {column: max(getattr(row, column) for row in rows.values()) for column in columns}
    for name, row in rows.items():
        cell = {c: _figure(getattr(row, c), best=best[c]) for c in columns}
        low, high = row.ndcg10_interval
        table.add_row(
            name,
            cell["recall10"],
            cell["ndcg10"],
            f"{_short(low)}-{_short(high)}",
            f"{cell['repeat_recall10']} {cell['repeat_ndcg10']}",
            f"{cell['new_recall10']} {cell['new_ndcg10']}",
        )
    console.print(table)
    answer = rows.get(ANSWER_ROW)
    if answer is not None and answer.lead is not None:
        lead, low, high = answer.lead
        rival = max(
            (name for name in rows if name not in (ANSWER_ROW, ENCODER_ROW)), key=lambda name: rows[name].ndcg10
        )
        verdict = "" if lead >= 0 else "; [yellow]the blend loses here: too little data to fit it, or to train on[/]"
        console.print(f"{ANSWER_ROW} against {rival}, paired: NDCG@10 {lead:+.4f} ({low:+.4f} to {high:+.4f}){verdict}")


def _short(value: float) -> str:
    return f"{value:.4f}".lstrip("0")


def _figure(value: float, *, best: float) -> str:
    return f"[bold]{_short(value)}[/]" if value == best else _short(value)


def metrics_json(rows: Mapping[str, Score], training: Mapping[str, float], *, protocol: str) -> dict[str, Any]:
    """What the bundle keeps of it."""
    return {
        "protocol": protocol,
        "rows": {name: row.to_json() for name, row in rows.items()},
        "training": dict(training),
    }


def tracked(rows: Mapping[str, Score]) -> dict[str, float]:
    """The figures for the tracker, named row/metric."""
    return {
        f"{name.replace(',', '').replace(' ', '_').replace('-', '_')}/{metric}": value
        for name, row in rows.items()
        for metric, value in row.to_json().items()
        if isinstance(value, float)
    }
