"""Going on from the champion beside training from scratch: what it costs and what it reaches, on the same days.

    python -m tests.benchmark.incremental [--quick] [OVERRIDE ...]

A champion is trained up to a date; eight weeks later there are new days and new items. All ways learn up to the later
date and are asked about what comes after it, the encoder alone over the whole catalogue. Overrides are those of
training.train and hold for all ways: data.households=300 trainer.epochs=4.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import torch
from rich.console import Console

from recsys.clock import DAY
from recsys.metric.evaluation import evaluate
from recsys.protocols import Encoder
from recsys.sequence.loader import Loader
from tests.benchmark.report import report
from training.dataset import Dataset
from training.fitting import checkpoints, trained
from training.loop import run
from training.rankers import encoder_ranker
from training.recipe import Recipe
from training.start import Start
from training.train import assemble

LATER_DAYS = 56
FIXED = ("tracker='null'", "register=false", "evaluation_queries=2000")
QUICK = ("data.households=120", "trainer.epochs=2", "model.dim=32", "evaluation_queries=400")
HALF = 0.5
FEW_QUERIES = 50
"""The champion's own table is not what this is about."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """A trainer that leaves everything as it gets it."""

    batch_tokens: int
    context_tokens: int

    def fit(self, encoder: Any, loader: Loader, **_: object) -> Mapping[str, float]:
        encoder.eval()
        return {"train_s": 0.0, "epochs": 0}


class Steps:
    """A watch that counts steps, the cost that no neighbour on the machine changes, and passes everything on."""

    def __init__(self) -> None:
        self.taken = 0
        self._watch: Any = None

    def around(self, watch: Any) -> "Steps":
        """Itself, around this watch."""
        self._watch = watch
        return self

    def stepped(self, **told: float) -> None:
        self.taken += 1
        self._watch.stepped(**told)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._watch, name)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to come from the earlier date to the later one."""

    name: str
    start_from: str | None
    replay: float
    epochs: int
    rate: float = 1.0

    def recipe(self, base: Recipe) -> Recipe:
        trainer: Any = base.trainer
        trainer = (
            replace(trainer, epochs=self.epochs)
            if self.epochs
            else Nothing(trainer.batch_tokens, trainer.context_tokens)
        )
        optimizer: Any = base.optimizer
        optimizer = replace(optimizer, learning_rate=optimizer.learning_rate * self.rate)
        return replace(base, start_from=self.start_from, replay=self.replay, trainer=trainer, optimizer=optimizer)


def ways(champion: Path, epochs: int) -> list[Way]:
    """From nothing done to everything anew."""
    bundle = str(champion)
    return [
        Way("champion as it is", bundle, 0.0, 0),
        Way(f"{epochs} epochs, replay 0", bundle, 0.0, epochs, HALF),
        Way(f"{epochs} epochs, replay 0.2", bundle, 0.2, epochs, HALF),
        Way(f"{epochs} epochs, replay 0.5", bundle, 0.5, epochs, HALF),
        Way(f"{epochs} epochs from scratch", None, 0.0, epochs),
    ]


def measured(way: Way, base: Recipe, known: frozenset[str], console: Console) -> dict[str, Any]:
    """Cost and quality of one way; `known` are ids of the items that the champion knew."""
    recipe = way.recipe(base)
    torch.manual_seed(recipe.seed)
    tracker = recipe.tracker(outputs=recipe.outputs)
    dataset = Dataset.of(recipe, start=Start.of(recipe.start_from, tracker, replay=recipe.replay))
    steps = Steps()
    with checkpoints(recipe, dataset) as stored:
        encoder, training = trained(
            recipe,
            dataset,
            dataset.validation(recipe.validation_queries, recipe.seed),
            tracker,
            console,
            stored=stored,
            watching=steps.around,
        )
    found = quality(encoder, recipe, dataset, known)
    return {"way": way.name, "steps": steps.taken, "train_s": training["train_s"], **found}


def quality(encoder: Encoder, recipe: Recipe, dataset: Dataset, known: frozenset[str]) -> dict[str, float]:
    """NDCG@10 and recall@10 of the encoder alone, and the share of items new since the champion among the first ten."""
    cases = dataset.test(recipe.evaluation_queries, recipe.seed)
    rank = encoder_ranker(encoder, dataset.features)
    score = evaluate(cases, rank, seed=recipe.seed)
    fresh = np.array([False, *(name not in known for name in dataset.catalogue.items["item_id"].to_pylist())])
    hits = [ranks[fresh[case.target]] < 10 for case, ranks in zip(cases, rank(cases), strict=True)]
    of_new = np.concatenate(hits)
    return {
        "ndcg10": score.ndcg10,
        "low": score.ndcg10_interval[0],
        "high": score.ndcg10_interval[1],
        "recall10": score.recall10,
        "recall10_new_items": float(of_new.mean()) if len(of_new) else 0.0,
        "targets_new_items": len(of_new),
    }


def composed(overrides: Sequence[str], outputs: Path) -> Recipe:
    """The recipe that the overrides describe."""
    with hydra.initialize_config_module("conf", version_base="1.3"):
        return replace(assemble(hydra.compose("train", list(overrides))), outputs=outputs)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE")
    parser.add_argument("--quick", action="store_true", help="fewer households, a small model, two epochs")
    arguments = parser.parse_args()
    overrides = [*FIXED, *(QUICK if arguments.quick else ()), *arguments.overrides]
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory() as folder:
        late = composed(overrides, Path(folder))
        source: Any = late.data
        cutoff = source.cutoff - LATER_DAYS * DAY
        early = replace(late, data=replace(source, cutoff=cutoff), evaluation_queries=FEW_QUERIES)
        champion = run(early, console)
        known = frozenset(Dataset.of(early).catalogue.items["item_id"].to_pylist())
        trainer: Any = late.trainer
        rows = [measured(way, late, known, console) for way in ways(champion, trainer.epochs)]
    columns = ("way", "steps", "train_s", "ndcg10", "recall10", "recall10_new_items")
    shown = [{name.replace("recall10_new_items", "of new"): row[name] for name in columns} for row in rows]
    shown = [{name: f"{v:.4f}" if isinstance(v, float) else v for name, v in row.items()} for row in shown]
    scratch, gone_on = rows[-1], rows[2]
    report(
        f"{LATER_DAYS} days later",
        shown,
        {
            "steps_vs_scratch": gone_on["steps"] / scratch["steps"],
            "train_s_vs_scratch": gone_on["train_s"] / scratch["train_s"],
            "ndcg10_vs_scratch": gone_on["ndcg10"] / scratch["ndcg10"],
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main()
