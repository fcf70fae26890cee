"""`recsys-evaluate`: the evaluation table of a bundle, made anew from the log; paired with a second one if asked."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from omegaconf import DictConfig, open_dict
from rich.console import Console

from recsys.bundle import read_bundle
from recsys.errors import BundleError
from recsys.intent.head import Figures
from recsys.log.engine import Engine
from recsys.log.writer import write_log
from recsys.metric.evaluation import Case, Ranked, Score
from recsys.metric.interval import Paired
from recsys.recommender import Recommender
from training.assembly import with_statistics
from training.command import command
from training.comparison import circumstances, metrics_json, paired_rows, protocol_of, ranked_rows, scores, was_refit
from training.dataset import Dataset
from training.intent import figures_json, judged, print_figures
from training.ranks_file import write_ranks
from training.recipe import Recipe
from training.rivals import asked as asked_of
from training.rivals import insist_unseen, renumbered, with_items_of
from training.table import AGAINST, print_paired, print_slices, print_table
from training.train import assemble
from training.which import bundle_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What shall be evaluated, and how much of it told.

    Attributes:
        bundle: a bundle's folder, a version's number, a run's id, "champion" or "challenger".
        against: another one that answers the same questions, and may know other items; None for none.
        ranks: the Parquet file that the rank of every target goes to; None for none.
        metrics: the JSON file that all figures go to; None for none.
        slices: whether the parts of the questions are printed.
    """

    bundle: str = "champion"
    against: str | None = None
    ranks: Path | None = None
    metrics: Path | None = None
    slices: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What came out.

    Attributes:
        cases: the questions.
        ranked: how every row ranked them.
        rows: the scores.
        paired: of both of our rows and both main measures the difference to the second bundle; empty without one.
        intent: how the intent heads do, where the bundle has any.
    """

    cases: Sequence[Case]
    ranked: Mapping[str, Ranked]
    rows: Mapping[str, Score]
    paired: Mapping[str, Mapping[str, Paired]]
    intent: Mapping[str, Figures]


def evaluate_bundle(recipe: Recipe, asked: Asked, console: Console) -> Evaluation:
    """Print the table of a bundle, its crowd statistics counted up to the cut-off only."""
    recommender, folder = _read(asked.bundle, recipe)
    other = _read(asked.against, recipe) if asked.against else None
    recipe = _as_trained(recipe, recommender)
    with recipe.engine as engine:
        fingerprint = write_log(recipe.data, recipe.log_folder, engine=engine, tell=console.print).fingerprint
        _insist_same_source(recommender, folder, recipe, fingerprint, console)
        dataset = Dataset.of(recipe, engine, coding=recommender.coding)
        insist_unseen(recommender, str(folder), dataset)
        with console.status("counting the crowd up to the cut-off ...") as status:
            recommender = with_statistics(recommender, recipe, dataset, dataset.before_test())
            cases: Sequence[Case] = dataset.test(recipe.evaluation_queries, recipe.seed)
            ranked: Mapping[str, Ranked] = ranked_rows(cases, recommender, dataset, tell=status.update)
            if other:
                dataset, cases, ranked = _with_rival(other, recommender, recipe, engine, dataset, cases, ranked)
            around = circumstances(cases, dataset, refit=recipe.refit)
            rows = scores(cases, ranked, around, seed=recipe.seed)
    paired = paired_rows(cases, ranked, seed=recipe.seed) if other else {}
    intent = judged(recommender, recipe, dataset)
    console.print(f"bundle {recommender.model_version}: {folder}", soft_wrap=True)
    if other:
        console.print(f"against {other[0].model_version}: {other[1]}", soft_wrap=True)
    print_table(rows, console, title=protocol_of(recipe, cases))
    print_paired(paired, console)
    print_figures(intent, console)
    if asked.slices:
        print_slices(rows, console)
    if asked.metrics is not None:
        found = metrics_json(rows, {}, protocol=protocol_of(recipe, cases)) | figures_json(intent)
        asked.metrics.parent.mkdir(parents=True, exist_ok=True)
        asked.metrics.write_text(json.dumps(found, indent=2))
        console.print(f"metrics: {asked.metrics}", soft_wrap=True)
    if asked.ranks is not None:
        write_ranks(asked.ranks, cases, ranked, dataset.catalogue)
        console.print(f"ranks: {asked.ranks}", soft_wrap=True)
    return Evaluation(cases=cases, ranked=ranked, rows=rows, paired=paired, intent=intent)


def _read(named: str, recipe: Recipe) -> tuple[Recommender, Path]:
    folder = bundle_folder(named, recipe.tracker(outputs=recipe.outputs))
    return read_bundle(folder), folder


def _as_trained(recipe: Recipe, recommender: Recommender) -> Recipe:
    """The recipe with what of the protocol the bundle's training decided: its validation window, its refit."""
    settings = recommender.facts.get("settings", {})
    days = settings.get("validation_days", recipe.validation_days)
    return replace(recipe, refit=was_refit(recommender), validation_days=days)


def _with_rival(
    other: tuple[Recommender, Path],
    recommender: Recommender,
    recipe: Recipe,
    engine: Engine,
    dataset: Dataset,
    cases: Sequence[Case],
    ranked: Mapping[str, Ranked],
) -> tuple[Dataset, Sequence[Case], Mapping[str, Ranked]]:
    """The questions with the targets that either bundle knows, and how all rows and the second bundle ranked them."""
    insist_unseen(other[0], str(other[1]), dataset)
    coding = with_items_of(recommender.coding, other[0].coding)
    if coding.catalogue.size > recommender.catalogue.size:
        dataset = Dataset.of(recipe, engine, coding=coding)
        questions = dataset.test(recipe.evaluation_queries, recipe.seed)
        ranked = renumbered(ranked, cases, questions, np.arange(recommender.catalogue.size))
        cases = questions
    theirs = asked_of(other[0], recipe, engine, cases, dataset.catalogue)
    return dataset, cases, {**ranked, **{AGAINST + name: found for name, found in theirs.items()}}


def _insist_same_source(
    recommender: Recommender, folder: Path, recipe: Recipe, fingerprint: str, console: Console
) -> None:
    """Refuse another shop's data, or the same shop's read otherwise; say so where the log has changed since."""
    origin = recommender.facts["origin"]
    ours, theirs = (recipe.data.name, recipe.data.fingerprint()), (recommender.facts["data"], origin.get("source"))
    if theirs[0] != ours[0] or theirs[1] not in (None, ours[1]):
        raise BundleError(
            f"{folder} was trained on other data ({theirs[0]}, settings {theirs[1]}; this is {ours[0]}, {ours[1]}); "
            "evaluate it with the data=... settings it was trained with"
        )
    if origin["data_fingerprint"] != fingerprint:
        console.print("the log has changed since this bundle was trained; both are asked about the log as it is now")


def _run(config: DictConfig) -> None:
    with open_dict(config):
        bundle, against, ranks, metrics, slices = (
            config.pop(name) for name in ("bundle", "against", "ranks", "metrics", "slices")
        )
    asked = Asked(
        bundle=str(bundle or "champion"),
        against=str(against) if against else None,
        ranks=Path(ranks).absolute() if ranks else None,
        metrics=Path(metrics).absolute() if metrics else None,
        slices=bool(slices),
    )
    evaluate_bundle(assemble(config), asked, Console())


def main() -> None:
    """Entry point."""
    command("evaluate", _run)


if __name__ == "__main__":
    main()
