"""Learning, top to bottom: source -> log -> split -> features -> encoder -> evaluation -> bundle -> registry."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import torch
from rich.console import Console

from recsys.bundle import write_bundle
from recsys.catalogue import Catalogue
from recsys.clock import DAY, SystemClock, to_datetime
from recsys.event import INTERACTIONS
from recsys.feature.spec import FeatureSpec
from recsys.log.reader import EventLog
from recsys.log.writer import write_log
from recsys.metric.evaluation import Case, evaluate, next_moment_cases
from recsys.metric.ranking import list_ranks
from recsys.protocols import Encoder
from recsys.recommender import Recommender
from recsys.retrieval.blend import Blend, tune
from recsys.retrieval.repurchase import Repurchase
from recsys.sequence.histories import Histories
from recsys.sequence.loader import Loader
from recsys.state import Knowledge
from training.comparison import ANSWER_ROW, compare, encoder_ranker, metrics_json, print_table, tracked
from training.provenance import flat, git_revision, library_versions, recipe_digest
from training.recipe import Recipe
from training.report import print_log
from training.reuse import reusable
from training.watch import ConsoleWatch

_LEAF = 3
_VALIDATION_CASES = 1_000


def run(recipe: Recipe, console: Console) -> Path:
    """Train, evaluate, bundle and register; returns the bundle's folder.

    Everything is learnt from before the cut-off: the encoder from before the validation window, the blend's weights
    from the validation window. What goes into the bundle's statistics (popularity, co-visitation, intervals) is then
    counted once more up to the log's end, so that the release starts with the latest crowd; the table is from before.
    """
    data = recipe.data
    summary = write_log(data, recipe.log_folder)
    print_log(summary, recipe.log_folder, console)
    digest = recipe_digest(recipe.settings, summary.fingerprint)
    tracker = recipe.tracker(outputs=recipe.outputs)
    if recipe.reuse and (kept := reusable(tracker, digest, console)):
        return kept

    torch.manual_seed(recipe.seed)
    log = EventLog(recipe.log_folder)
    events = log.events()
    instants = pc.cast(events["occurred_at"], "int64")
    early = events.filter(pc.less(instants, data.cutoff))
    catalogue = Catalogue.of_table(log.items(), pc.drop_null(pc.unique(early["item_id"])).to_pylist())
    known_types = tuple(sorted({t for t in pc.unique(early["type"]).to_pylist() if t in INTERACTIONS}))
    features = FeatureSpec(**recipe.features, time_zone=data.time_zone, known_types=known_types)
    histories = Histories.of_table(events, catalogue)
    category, _ = catalogue.categories(_LEAF)

    since = recipe.validation_since
    learnable = histories.before(since).interactions()
    loader = Loader.of(
        learnable, features, batch_tokens=recipe.trainer.batch_tokens, context=recipe.trainer.context_tokens
    )
    encoder = recipe.model(items=catalogue.size, features=features)
    encoder.prime(torch.from_numpy(np.bincount(learnable.events.item, minlength=catalogue.size)).float())
    validation = next_moment_cases(
        histories, since=since, until=data.cutoff, limit=_VALIDATION_CASES, seed=recipe.seed
    )
    tags = {"git_revision": git_revision(), "data_fingerprint": summary.fingerprint, "recipe": digest}
    with tracker.run(f"{data.name}", flat(recipe.settings), {**tags, **library_versions()}):
        with ConsoleWatch(console, tracker, lambda: _quality(encoder, features, validation), "NDCG@10") as watch:
            sampler = recipe.sampler(items=catalogue.size - 1)
            training = recipe.trainer.fit(
                encoder, loader, loss=recipe.loss, sampler=sampler, seed=recipe.seed, watch=watch
            )
        recipe.index.build(encoder.item_vectors().detach().numpy())
        data_end = int(histories.events.time.max())
        recommender = Recommender(
            catalogue=catalogue,
            features=features,
            encoder=encoder,
            index=recipe.index,
            blend=recipe.retrieval,
            policy=recipe.policy(),
            data_end=data_end,
            facts=_facts(recipe, tags),
        )
        recommender = _with_statistics(recommender, recipe, histories, until=since, category=category)
        recommender = _with_tuned_weights(recommender, validation, console)
        recommender = _with_statistics(recommender, recipe, histories, until=data.cutoff, category=category)

        test = next_moment_cases(
            histories, since=data.cutoff, until=data_end + 1, limit=recipe.evaluation_queries, seed=recipe.seed
        )
        protocol = _protocol(recipe, test)
        rows = compare(test, recommender, histories=histories, until=data.cutoff, category=category, seed=recipe.seed)
        print_table(rows, console, title=protocol)
        tracker.log({**tracked(rows), **training}, step=0)

        recommender = _with_statistics(recommender, recipe, histories, until=data_end + 1, category=category)
        stamp = to_datetime(SystemClock().now()).strftime("%Y%m%dT%H%M%S")
        folder = recipe.outputs / "bundles" / f"{data.name}-{stamp}"
        recommender = write_bundle(recommender, folder, metrics=metrics_json(rows, training, protocol=protocol))
        console.print(f"bundle {recommender.model_version}: {folder}")
        if recipe.register:
            version_tags = {"recipe": digest, "bundle": recommender.model_version, "answer_ndcg10": f"{rows[ANSWER_ROW].ndcg10:.4f}"}
            if version := tracker.register(folder, version_tags=version_tags):
                console.print(f"registered as version {version} of the model, alias champion")
    return folder


def _quality(encoder: Encoder, features: FeatureSpec, cases: Sequence[Case]) -> float:
    return evaluate(cases, encoder_ranker(encoder, features), draws=0).ndcg10 if cases else 0.0


def _with_statistics(
    recommender: Recommender, recipe: Recipe, histories: Histories, *, until: int, category: np.ndarray
) -> Recommender:
    """The same recommender with sources and repurchase model learnt from everything before `until`."""
    for source in recommender.blend.sources:
        source.fit(histories, items=recommender.catalogue.size, until=until, category=category)
    window = recipe.validation_days * DAY
    repurchase = Repurchase.learn(histories, category=category, until=until, window=window, seed=recipe.seed)
    return replace(recommender, policy=recipe.policy(repurchase=repurchase))


def _with_tuned_weights(recommender: Recommender, cases: Sequence[Case], console: Console) -> Recommender:
    """Fit the weights of a known shopper to the validation window by NDCG@10 of the final slate."""
    known = [case for case in cases if case.state.knowledge is Knowledge.KNOWN]
    if not known:
        console.print("no known shopper in the validation window: the blend keeps its prior weights")
        return recommender
    blend, policy, rng = recommender.blend, recommender.policy, np.random.default_rng(0)
    found = recommender.retrieve([case.state for case in known])
    gathered = [blend.gather(case.state, encoder) for case, encoder in zip(known, found, strict=True)]

    def quality(weights: Mapping[str, float]) -> float:
        def rank(cases: Sequence[Case]) -> list[np.ndarray]:
            ranks = []
            for case, candidates in zip(cases, gathered, strict=True):
                mixed = blend.mix(candidates, weights).candidates
                choice = policy.choose(mixed, case.state, count=10, rng=rng)
                ranks.append(list_ranks(mixed.item[choice.place], case.target))
            return ranks

        return evaluate(known, rank, draws=0).ndcg10

    weights = blend.weights[Knowledge.KNOWN]
    spoke = {name for candidates in gathered for name in candidates}
    tuned, reached = tune(weights, quality, free=[name for name in weights if name in spoke])
    shown = ", ".join(f"{name} {weight:.3g}" for name, weight in tuned.items())
    console.print(f"blend for known shoppers, fitted on validation (NDCG@10 {reached:.4f}): {shown}")
    return replace(recommender, blend=Blend(blend.sources, {**blend.weights, Knowledge.KNOWN: tuned}, blend.depth))


def _facts(recipe: Recipe, tags: Mapping[str, str]) -> dict[str, Any]:
    return {
        "data": recipe.data.name,
        "licence": recipe.data.licence,
        "cutoff": to_datetime(recipe.data.cutoff).isoformat(),
        "settings": flat(recipe.settings),
        "libraries": library_versions(),
        **tags,
    }


def _protocol(recipe: Recipe, cases: Sequence[Case]) -> str:
    shoppers = len({case.shopper for case in cases})
    cutoff = to_datetime(recipe.data.cutoff).date().isoformat()
    return (
        f"{recipe.data.name}: {len(cases):,} baskets of {shoppers:,} shoppers from {cutoff} on, whole catalogue ranked, "
        "95 % intervals over shoppers"
    )
