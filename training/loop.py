"""Learning, top to bottom: source -> log -> split -> features -> encoder -> evaluation -> bundle -> registry."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from recsys.bundle import write_bundle
from recsys.clock import SystemClock, to_datetime
from recsys.log.writer import write_log
from recsys.metric.evaluation import Case, Score
from recsys.protocols import Encoder
from recsys.recommender import Recommender
from training.assembly import build_index, with_statistics, with_tuned_weights
from training.comparison import ANSWER_ROW, compare, metrics_json, print_table, protocol_of, tracked
from training.dataset import Dataset
from training.fitting import checkpoints, trained, with_encoder_refitted
from training.intent import apart, calibrate, figures_json, judged, print_figures, tracked_figures
from training.modelcard.card import ModelCard
from training.modelcard.diary import Diary
from training.modelcard.markdown import page
from training.modelcard.write import keep_with_run, sizes
from training.protocols import Tracker
from training.provenance import facts, flat, recipe_digest
from training.ranking import with_ranker
from training.recipe import Recipe
from training.registered import settle
from training.report import print_index, print_log
from training.reuse import reusable
from training.start import LEARNT_UNTIL, Start


def run(recipe: Recipe, console: Console) -> Path:
    """Train, evaluate, bundle and register; returns the bundle's folder.

    Everything is learnt from before the cut-off: the encoder from before the validation window, the blend's weights
    from the validation window. The bundle's statistics (popularity, co-visitation, intervals) are then counted once
    more up to the log's end, so that a release starts with the latest crowd; the table is from before that. With
    `refit` the encoder is trained once more, up to the test, after everything was chosen.
    """
    own = {part: deepcopy(getattr(recipe, part)) for part in ("index", "retrieval", "ranker")}  # a run alters them
    recipe = replace(recipe, **own)
    with recipe.engine as engine:
        summary = write_log(recipe.data, recipe.log_folder, engine=engine, tell=console.print)
        print_log(summary, recipe.log_folder, console)
        digest = recipe_digest(recipe.settings, summary.fingerprint)
        tracker = Diary(recipe.tracker(outputs=recipe.outputs))
        if recipe.reuse and (kept := reusable(tracker, digest, recipe.promote, console)):
            return kept
        with console.status("surveying the log and gathering everybody's history ..."):
            dataset = Dataset.of(recipe, engine, start=Start.of(recipe.start_from, tracker, replay=recipe.replay))
        if dataset.features.off:
            console.print(f"the log holds an order but no times; off: {', '.join(dataset.features.off)}")

    torch.manual_seed(recipe.seed)
    known = facts(recipe.data, recipe.settings, summary.fingerprint, digest)
    known |= {LEARNT_UNTIL: dataset.learnt_until(to_test=recipe.refit)}
    tags = {**known["libraries"], **known["origin"], **flat(known["machine"], "machine.")}
    with (
        checkpoints(recipe, dataset) as stored,
        tracker.run(recipe.data.name, flat(recipe.settings), tags, key=f"training {stored.attempt}"),
    ):
        tracker.dataset(recipe.data.name, fingerprint=summary.fingerprint, counts=sizes(summary))
        validation = dataset.validation(recipe.validation_queries, recipe.seed)
        test = dataset.test(recipe.evaluation_queries, recipe.seed)
        fitted, training = trained(recipe, dataset, validation, tracker, console, stored=stored)
        recommender = _assembled(fitted, recipe, dataset, known, validation)
        print_index(recommender.index, console)
        with console.status("fitting the blend on the validation window ..."):
            recommender = with_statistics(recommender, recipe, dataset, dataset.before_validation())
            recommender = with_tuned_weights(recommender, validation, console, seed=recipe.seed)
            recommender = with_ranker(recommender, dataset, console, seed=recipe.seed)
            calibrate(recommender, recipe, dataset)
        if recipe.refit:
            recommender, again = with_encoder_refitted(
                *(recommender, recipe, dataset, validation, tracker, console),
                stored=stored,
                epochs=int(training["kept_epoch"]),
            )
            training = {**training, **again}
        with console.status(f"ranking the whole catalogue for {len(test):,} baskets, row by row ..."):
            recommender = with_statistics(recommender, recipe, dataset, dataset.before_test())
            rows = compare(test, recommender, dataset, seed=recipe.seed)
        print_table(rows, console, title=protocol_of(recipe, test))
        print_figures(figures := judged(recommender, recipe, dataset), console)
        tracker.log({**tracked(rows), **training, **tracked_figures(figures)}, step=0)

        with console.status("counting the crowd up to the end of the log ..."):
            recommender = with_statistics(recommender, recipe, dataset, dataset.to_the_end())
        metrics = {**metrics_json(rows, training, protocol=protocol_of(recipe, test)), **figures_json(figures)}
        card = ModelCard.of(recommender, log=summary, metrics=metrics, curves=tracker.curves)
        return _released(recommender, recipe, card, rows, tracker, console)


def _assembled(
    fitted: Encoder, recipe: Recipe, dataset: Dataset, known: Mapping[str, Any], asked: Sequence[Case]
) -> Recommender:
    """What answers, as soon as there is an encoder; the crowd is not counted yet."""
    encoder, heads = apart(fitted)
    build_index(recipe.index, encoder, dataset.features, asked)
    return Recommender(
        catalogue=dataset.catalogue,
        features=dataset.features,
        encoder=encoder,
        index=recipe.index,
        blend=recipe.retrieval,
        policy=recipe.policy(),
        ranker=recipe.ranker,
        data_end=dataset.end - 1,
        facts=known,
        heads=heads,
    )


def _released(
    recommender: Recommender,
    recipe: Recipe,
    card: ModelCard,
    rows: Mapping[str, Score],
    tracker: Tracker,
    console: Console,
) -> Path:
    """Write the bundle with its card and, if asked to, make it a version of the registry's model."""
    stamp = to_datetime(SystemClock().now()).strftime("%Y%m%dT%H%M%S.%f")
    folder = recipe.outputs / "bundles" / f"{recipe.data.name}-{stamp}"
    recommender = write_bundle(recommender, folder, metrics=card.metrics, card=page(card))
    console.print(f"bundle {recommender.model_version}: {folder}", soft_wrap=True)
    keep_with_run(card, tracker, place=folder, version=recommender.model_version)
    if recipe.register:
        tags = {
            "recipe": recommender.facts["origin"]["recipe"],
            "bundle": recommender.model_version,
            "data_fingerprint": recommender.facts["origin"]["data_fingerprint"],
            "answer_ndcg10": f"{rows[ANSWER_ROW].ndcg10:.4f}",
        }
        number, registry = tracker.register(folder, version_tags=tags), tracker.registry
        if number and registry and (version := registry.find(number)):
            settle(registry, version, recipe.promote, console)
    return folder
