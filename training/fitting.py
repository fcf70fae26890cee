"""Fits the encoder of a recipe: stream -> loader -> encoder -> trainer; before the validation window, or the test."""

import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from recsys.metric.evaluation import Case, evaluate
from recsys.protocols import Encoder
from recsys.recommender import Recommender
from recsys.registry import insist_registered
from recsys.sequence.loader import Loader
from training.assembly import build_index
from training.checkpoint import Checkpoints
from training.comparison import encoder_ranker
from training.dataset import Dataset
from training.intent import apart, calibrated_like, with_heads
from training.protocols import Tracker, Watch
from training.provenance import recipe_digest
from training.recipe import Recipe
from training.watch import ConsoleWatch

MEASURE = "NDCG@10"
"""What epochs are chosen by, on the validation window."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Where the checkpoints of a recipe's trainings lie, a folder for each of them."""

    folder: Path
    recipe: str

    def of(self, part: str) -> Checkpoints:
        """The checkpoints of one training."""
        return Checkpoints(self.folder / part, recipe=f"{self.recipe} {part}")

    @property
    def attempt(self) -> str:
        """Names the run that these checkpoints belong to, until it is done: a process that goes on from them goes on
        with that run."""
        file = self.folder / "attempt"
        if not file.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            file.write_text(uuid.uuid4().hex)
        return file.read_text()

    def others(self) -> list[Path]:
        """Folders beside this one: trainings of other settings, data or code that did not end."""
        return sorted(path for path in self.folder.parent.glob("*") if path.is_dir() and path != self.folder)


@contextmanager
def checkpoints(recipe: Recipe, dataset: Dataset) -> Iterator[Stored]:
    """Checkpoints that outlive a process which is killed or fails, and go once all that needs them is done."""
    shaping = {**recipe.settings, "seed": recipe.seed, "start": dataset.start.version if dataset.start else None}
    digest = recipe_digest(shaping, dataset.log.fingerprint)
    stored = Stored(recipe.outputs / "checkpoints" / digest, digest)
    yield stored
    shutil.rmtree(stored.folder, ignore_errors=True)


def trained(
    recipe: Recipe,
    dataset: Dataset,
    validation: Sequence[Case],
    tracker: Tracker,
    console: Console,
    *,
    stored: Stored,
    watching: Callable[[Watch], Watch] = lambda watch: watch,
) -> tuple[Encoder, Mapping[str, float]]:
    """An encoder fitted to what came before the validation window, with its intent heads if the recipe has any
    (`training.intent.apart`), and what its training measured.

    `watching` may put another watch around the one that shows and tracks.
    """
    if others := stored.others():
        console.print(
            f"{len(others)} unfinished trainings of other settings, data or code lie in {stored.folder.parent}; they "
            "go on only where everything is as it was, and may be removed",
            soft_wrap=True,
        )
    encoder, loader, popularity = _made(recipe, dataset, to_test=False)
    fitted, loss = with_heads(encoder, recipe, dataset, loader, popularity)

    def quality() -> float:
        return evaluate(validation, encoder_ranker(encoder, dataset.features), draws=0).ndcg10 if validation else 0.0

    with ConsoleWatch(console, tracker, quality, MEASURE) as watch:
        training = recipe.trainer.fit(
            fitted,
            loader,
            loss=loss,
            sampler=recipe.sampler(popularity=popularity, asked=loader.asked(len(popularity))),
            optimizer=recipe.optimizer,
            schedule=recipe.schedule,
            seed=recipe.seed,
            watch=watching(watch),
            checkpoints=stored.of("training"),
        )
    return fitted, training


def with_encoder_refitted(
    recommender: Recommender,
    recipe: Recipe,
    dataset: Dataset,
    validation: Sequence[Case],
    tracker: Tracker,
    console: Console,
    *,
    stored: Stored,
    epochs: int,
) -> tuple[Recommender, Mapping[str, float]]:
    """The same recommender with an encoder trained anew, for as many epochs as validation chose and on the same
    schedule, on all that came before the test, the validation window included; and what that training measured.

    Nothing is chosen on the validation window any more. The published rows of leave-one-out train on the validation
    item.
    """
    torch.manual_seed(recipe.seed)
    encoder, loader, popularity = _made(recipe, dataset, to_test=True)
    fitted, loss = with_heads(encoder, recipe, dataset, loader, popularity)
    console.print(f"refit: the encoder is trained again for {epochs} epochs, on training and validation data")
    with ConsoleWatch(console, tracker, None, MEASURE, prefix="refit_") as watch:
        training = recipe.trainer.fit(
            fitted,
            loader,
            loss=loss,
            sampler=recipe.sampler(popularity=popularity, asked=loader.asked(len(popularity))),
            optimizer=recipe.optimizer,
            schedule=recipe.schedule,
            seed=recipe.seed,
            watch=watch,
            checkpoints=stored.of("refit"),
            epochs=epochs,
        )
    build_index(recommender.index, encoder, dataset.features, validation)
    heads = calibrated_like(apart(fitted)[1], recommender.heads)
    measured = {f"refit_{name}": training[name] for name in ("train_s", "epochs")}
    return replace(recommender, encoder=encoder, heads=heads), measured


def _made(recipe: Recipe, dataset: Dataset, *, to_test: bool) -> tuple[Encoder, Loader, torch.Tensor]:
    """An encoder at its beginning, the loader of what it shall learn from, how often each item is taken there [V]."""
    stream, asked_from = dataset.training_stream(recipe.intent.labels(dataset.features), to_test=to_test)
    features, trainer, start = dataset.features, recipe.trainer, dataset.start
    if start is not None:
        until = dataset.learnt_until(to_test=to_test)
        asked_from = start.asked_from(asked_from, until=until, seed=recipe.seed)
    loader = Loader.over(
        stream,
        features,
        batch_tokens=trainer.batch_tokens,
        context=trainer.context_tokens,
        asked_from=asked_from,
    )
    encoder = recipe.model(
        items=dataset.catalogue.size, features=features, tower=recipe.tower, similarity=recipe.similarity
    )
    parts = (recipe.tower, recipe.similarity, recipe.index, recipe.policy(), recipe.ranker)
    insist_registered(encoder, *parts, *recipe.retrieval.sources)
    taken = np.bincount(stream.item, minlength=dataset.catalogue.size)
    taken[0] = 0  # query tokens
    popularity = torch.from_numpy(taken).float()
    encoder.prime(popularity)
    if start is not None:
        start.grow(encoder, features)
    return encoder, loader, popularity
