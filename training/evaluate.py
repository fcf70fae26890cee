"""`recsys-evaluate`: the evaluation table of a bundle, made anew from the log; paired with a second one if asked."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import DictConfig, open_dict
from rich.console import Console

from recsys.bundle import read_bundle
from recsys.clock import parse_instant, to_datetime
from recsys.errors import BundleError
from recsys.intent.head import Figures
from recsys.log.writer import write_log
from recsys.metric.evaluation import Case, Ranked, Score
from recsys.metric.interval import Paired
from recsys.recommender import Recommender
from training.assembly import with_statistics
from training.command import command
from training.comparison import (
    circumstances,
    metrics_json,
    own_rows,
    paired_rows,
    protocol_of,
    ranked_rows,
    scores,
    was_refit,
)
from training.dataset import Dataset
from training.intent import figures_json, judged, print_figures
from training.ranks_file import write_ranks
from training.recipe import Recipe
from training.start import LEARNT_UNTIL, Start
from training.table import AGAINST, print_paired, print_slices, print_table
from training.train import assemble
from training.which import bundle_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What shall be evaluated, and how much of it told.

    Attributes:
        bundle: a bundle's folder, a run's id, or "champion".
        against: another one that answers the same questions; None for none.
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
        dataset = Dataset.of(recipe, engine, start=Start(recommender=recommender))
    for one, place in [(recommender, folder), *([other] if other else [])]:
        _insist_same_data(one, place, dataset, fingerprint)
        _insist_held_out(one, place, dataset)
    with console.status("counting the crowd up to the cut-off ...") as status:
        recommender = with_statistics(recommender, recipe, dataset, dataset.before_test())
        cases = dataset.test(recipe.evaluation_queries, recipe.seed)
        ranked = ranked_rows(cases, recommender, dataset, tell=status.update)
        if other:
            rival = with_statistics(other[0], recipe, dataset, dataset.before_test())
            ranked |= {AGAINST + name: found for name, found in own_rows(cases, rival).items()}
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


def _insist_held_out(recommender: Recommender, folder: Path, dataset: Dataset) -> None:
    """Refuse to ask a bundle about days that its encoder learnt from or its weights were fitted to."""
    if dataset.order_only or not len(dataset.cut.test_from):
        return
    asked_from = int(dataset.cut.test_from.min())
    seen_until = max(recommender.facts.get(LEARNT_UNTIL) or 0, parse_instant(recommender.facts["cutoff"]))
    if seen_until > asked_from:
        seen, first = (to_datetime(instant).isoformat() for instant in (seen_until, asked_from))
        raise BundleError(
            f"{folder} was made from all that came before {seen}, and the questions begin at {first}: it has seen "
            f"their answers; evaluate it with data.cutoff={seen} or later"
        )


def _insist_same_data(recommender: Recommender, folder: Path, dataset: Dataset, fingerprint: str) -> None:
    made_from = recommender.facts["origin"]["data_fingerprint"]
    if made_from != fingerprint or not dataset.catalogue.items.equals(recommender.catalogue.items):
        raise BundleError(
            f"{folder} was trained on other data (fingerprint {made_from}, this is {fingerprint}); "
            "evaluate it with the data=... settings it was trained with"
        )


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
