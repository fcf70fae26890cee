"""A sweep: trials one after the other, each trained on the training window and judged on the validation window.

Nothing here asks for the test window: it is for `recsys-train` with what the sweep found. Trials share the log and its
sequences. Where precision or compilation are "auto", each trial measures anew; fix them for a sweep that shall be
repeated to the bit.
"""

import gc
import hashlib
import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from optuna import Trial, TrialPruned
from optuna.trial import TrialState
from rich.console import Console

from recsys.errors import ConfigError, TrainingError
from recsys.log.writer import write_log
from recsys.metric.evaluation import Case
from training.dataset import Dataset
from training.fitting import MEASURE, checkpoints, trained
from training.protocols import Pruner, Tracker
from training.provenance import code_digest, flat, library_versions
from training.recipe import Recipe
from training.search.space import Space, overrides
from training.search.study import KeptStudy, opened
from training.search.watch import PruningWatch
from training.start import Start

_SHOWN = 5
_NOT_COMPARED = ("outputs", "exports", "engine", "reuse", "register", "promote", "tracker", "experiment")
_OVERRIDES = "overrides"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A sweep as it was asked for.

    Attributes:
        recipe: makes the recipe of a trial from its overrides.
        fixed: overrides that every trial has, as given on the command line; `recipe` adds them itself.
        space: what varies.
        pruner: which trials are ended early.
        trials: how many there shall be in all, those of earlier processes included.
        startup_trials: so many are drawn at random before the sampler learns from what came out.
        study: name to keep it under; None derives one from the data and the settings.
        folders: where overrides find choices of one's own, as given with --config-dir.
    """

    recipe: Callable[[Sequence[str]], Recipe]
    fixed: Sequence[str]
    space: Space
    pruner: Pruner
    trials: int
    startup_trials: int
    study: str | None
    folders: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.trials < 1 or self.startup_trials < 1:
            raise ConfigError(f"trials={self.trials} and startup_trials={self.startup_trials}; give at least 1 of each")
        self.space.insist_free(self.fixed)


def sweep(plan: Plan, console: Console) -> list[str]:
    """Run what is left of the trials; returns the overrides of the best one, which are shown as a command line.

    Raises:
        ConfigError: the search does not compose, or the study is in use or was made with other settings.
        TrainingError: no trial could be trained to its end.
    """
    for example in plan.space.examples():
        plan.recipe(overrides(example))
    base = plan.recipe([])
    with base.engine as engine:
        fingerprint = write_log(base.data, base.log_folder, engine=engine, tell=console.print).fingerprint
    digest = _digest(plan, base, fingerprint)
    name = plan.study or f"{base.data.name}-{digest}"
    with opened(
        base.outputs,
        name,
        digest=digest,
        pruner=plan.pruner.build(),
        seed=base.seed,
        startup_trials=plan.startup_trials,
    ) as study:
        _announce(study, plan, console)
        tracker = base.tracker(outputs=base.outputs)
        sources = {"sweep": name, "data_fingerprint": fingerprint, "fixed": shlex.join(plan.fixed)}
        if len(study.ended()) < plan.trials:
            with tracker.run(f"sweep {name}", flat(base.settings), sources, key=f"sweep {name} {digest}"):
                _run(study, plan, tracker, console)
        return _winner(study, plan, console)


def _run(study: KeptStudy, plan: Plan, tracker: Tracker, console: Console) -> None:
    data = _Data(console)
    while (place := len(study.ended())) < plan.trials:
        gc.collect()  # what a failed trial left in cycles would take a GPU's memory from this one
        trial = study.next()
        chosen = overrides(plan.space.suggest(trial))
        trial.set_user_attr(_OVERRIDES, chosen)
        console.print(f"[bold]trial {place + 1}/{plan.trials}:[/] {' '.join(chosen)}", highlight=False, soft_wrap=True)
        try:
            quality = _try(trial, plan.recipe(chosen), data, tracker, console)
            study.complete(trial, quality)
        except TrialPruned as pruned:
            study.prune(trial)
            console.print(f"{pruned}: others had come further by then", style="dim")
        except KeyboardInterrupt:
            study.interrupt(trial)
            raise
        except (OSError, torch.AcceleratorError):  # a full disk, a lost device: the next trials would fail as well
            raise
        except Exception as error:  # noqa: BLE001 - too little memory, a value that torch refuses: others may do
            reason = f"{type(error).__name__}: {error}"
            study.fail(trial, reason)
            console.print(reason, style="yellow", markup=False, soft_wrap=True)
        if best := study.finished():
            tracker.log({"best_validation": best[0].value or 0.0}, step=place + 1)


def _try(trial: Trial, recipe: Recipe, data: "_Data", tracker: Tracker, console: Console) -> float:
    """Quality of the trial's best epoch; raises `TrialPruned` where it was ended early."""
    dataset, validation = data.of(recipe)
    torch.manual_seed(recipe.seed)
    watch, pruned = PruningWatch(trial), None
    tags = {_OVERRIDES: " ".join(trial.user_attrs[_OVERRIDES])}
    with tracker.run(f"trial {trial.number}", flat(recipe.settings), tags):
        with checkpoints(recipe, dataset) as stored:
            try:
                trained(recipe, dataset, validation, tracker, console, stored=stored, watching=watch.around)
            except TrialPruned as ended:  # as intended, so the run shall not look like a failure
                pruned = ended
        tracker.log({"best_validation": watch.best, "pruned": float(pruned is not None)}, step=watch.epochs)
    if pruned is not None:
        raise pruned
    return watch.best


@dataclass(slots=True)
class _Data:
    """What trials read, made anew only where they differ in features."""

    console: Console
    _made: dict[str, tuple[Dataset, list[Case]]] = field(default_factory=dict)

    def of(self, recipe: Recipe) -> tuple[Dataset, list[Case]]:
        """The data set and the questions of its validation window."""
        key = json.dumps([dict(recipe.features), recipe.replay], sort_keys=True, default=str)
        if key not in self._made:
            self._made.clear()
            with (
                recipe.engine as engine,
                self.console.status("surveying the log and gathering everybody's history ..."),
            ):
                start = Start.of(recipe.start_from, recipe.tracker(outputs=recipe.outputs), replay=recipe.replay)
                dataset = Dataset.of(recipe, engine, start=start)
            validation = dataset.validation(recipe.validation_queries, recipe.seed)
            if not validation:
                raise TrainingError(
                    f"nothing is asked in the validation window, the last {recipe.validation_days} days before "
                    "data.cutoff; make it longer with validation_days"
                )
            self._made[key] = dataset, validation
        return self._made[key]


def _announce(study: KeptStudy, plan: Plan, console: Console) -> None:
    again, given_up = study.recover()
    done = len(study.ended())
    console.print(f"study {study.name}: {done} of {plan.trials} trials are done", highlight=False)
    for numbers, what in (
        (again, "cut off while they ran, and tried again"),
        (given_up, "ended the process twice at the same point, and counted as failed"),
    ):
        if numbers:
            console.print(f"{what}: {', '.join(map(str, numbers))}", style="yellow", highlight=False)


def _winner(study: KeptStudy, plan: Plan, console: Console) -> list[str]:
    """Show the best trials and the command that trains the best one."""
    ranked = study.finished()
    if not ranked:
        said = next((t.user_attrs["reason"] for t in reversed(study.ended()) if "reason" in t.user_attrs), "nothing")
        raise TrainingError(f"none of {len(study.ended())} trials could be trained to its end; the last said: {said}")
    states = [trial.state for trial in study.ended()]
    pruned, failed = states.count(TrialState.PRUNED), states.count(TrialState.FAIL)
    console.print(
        f"{len(ranked)} trials finished, {pruned} pruned, {failed} failed; the best on validation ({MEASURE}):"
    )
    for trial in ranked[:_SHOWN]:
        words = " ".join(trial.user_attrs[_OVERRIDES])
        console.print(f"  {trial.value:.4f}  {words}", highlight=False, soft_wrap=True)
    best: list[str] = ranked[0].user_attrs[_OVERRIDES]
    folders = [part for folder in plan.folders for part in ("--config-dir", folder)]
    command = " ".join(shlex.quote(_bare(part)) for part in ("recsys-train", *folders, *plan.fixed, *best))
    console.print("train the best one, and see its test, with:")
    console.print(command, style="bold", highlight=False, markup=False, soft_wrap=True)
    return best


def _bare(override: str) -> str:
    """`tracker='null'` as it may be typed: the entry points read the bare name as that choice."""
    return override.removesuffix("'null'") + "null" if override.endswith("='null'") else override


def _digest(plan: Plan, base: Recipe, fingerprint: str) -> str:
    """Of everything that trials must share to be compared; how many there are may grow."""
    shared = {name: value for name, value in base.settings.items() if name not in _NOT_COMPARED}
    content = [shared, list(map(repr, plan.space.dimensions)), repr(plan.pruner), plan.startup_trials, fingerprint]
    content += [code_digest(), library_versions()]
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
