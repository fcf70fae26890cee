"""Sweeps as a whole, killed ones too."""

import errno
import gc
import io
import os
import shlex
import signal
import subprocess
import sys
import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
import torch
from mlflow.tracking import MlflowClient
from optuna.trial import TrialState
from rich.console import Console

from conf.overrides import check_command_line
from recsys.errors import ConfigError, TrainingError
from recsys.protocols import Encoder, Sampler
from tests.training.search.sweeping import FIXED, OtherFuture, plan
from training.pruner.median import Median
from training.recipe import Recipe
from training.search.space import OneOf, Space
from training.search.study import FILE
from training.search.trials import Plan, sweep
from training.sweep import main
from training.tracker.mlflow import local_uri

ROOT = Path(__file__).resolve().parents[3]


def said(**given: object) -> tuple[list[str], str]:
    out = io.StringIO()
    return sweep(plan(**given), Console(file=out, width=200)), out.getvalue()  # type: ignore[arg-type]


def trials(folder: Path) -> list[optuna.trial.FrozenTrial]:
    storage = f"sqlite:///{folder / FILE}"
    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage).get_trials()


def test_a_sweep_ends_with_the_command_that_trains_the_best_and_goes_on_when_asked_for_more(tmp_path: Path) -> None:
    best, words = said(folder=tmp_path, trials=2)
    ranked = sorted(trials(tmp_path), key=lambda trial: -(trial.value or 0))
    assert best == ranked[0].user_attrs["overrides"]
    assert words.rstrip().splitlines()[-1].startswith("recsys-train model.dim=8 ")
    assert words.rstrip().endswith(" ".join(best))
    assert "tracker=null" in words.rstrip().splitlines()[-1]

    _, words = said(folder=tmp_path, trials=2)
    assert "2 of 2 trials are done" in words
    assert "trial 3" not in words
    _, words = said(folder=tmp_path, trials=3)
    assert "2 of 3 trials are done" in words
    assert len(trials(tmp_path)) == 3


def test_trials_never_see_what_happens_in_the_test_window(tmp_path: Path) -> None:
    said(folder=tmp_path / "one", trials=2)
    said(folder=tmp_path / "other", trials=2, data=OtherFuture())
    one, other = ([t.intermediate_values for t in trials(tmp_path / name)] for name in ("one", "other"))
    assert one == other
    assert len(one[0]) == 2, "every epoch is reported"


@pytest.mark.slow
def test_hopeless_trials_end_early_and_say_so(tmp_path: Path) -> None:
    wild = Space([OneOf(key="optimizer.learning_rate", values=[3.0, 0.001])])
    pruner = Median(after_trials=1, after_epochs=1)
    _, words = said(folder=tmp_path, trials=6, space=wild, pruner=pruner)
    ended = {trial.params["optimizer.learning_rate"]: trial for trial in trials(tmp_path)}
    pruned = [t for t in trials(tmp_path) if t.state is TrialState.PRUNED]
    assert "pruned after epoch 1: others had come further by then" in words
    assert {t.params["optimizer.learning_rate"] for t in pruned} == {3.0}
    assert ended[0.001].state is TrialState.COMPLETE


def test_a_trial_that_cannot_be_trained_counts_as_failed_and_the_sweep_goes_on(tmp_path: Path) -> None:
    space = Space([OneOf(key="optimizer.learning_rate", values=[1e30, 0.02])])
    _, words = said(folder=tmp_path, trials=5, space=space)
    states = {trial.params["optimizer.learning_rate"]: trial.state for trial in trials(tmp_path)}
    assert states == {1e30: TrialState.FAIL, 0.02: TrialState.COMPLETE}
    assert "TrainingError" in words
    hopeless = Space([OneOf(key="optimizer.learning_rate", values=[1e30, 1e31])])
    with pytest.raises(TrainingError, match="none of 1 trials could be trained to its end; the last said:"):
        said(folder=tmp_path / "hopeless", trials=1, space=hopeless)


@pytest.mark.slow
def test_a_trial_for_which_there_is_not_the_memory_counts_as_failed_and_says_why(tmp_path: Path) -> None:
    space = Space([OneOf(key="loss.negatives", values=[16, 10**14])])
    fixed = [override for override in FIXED if not override.startswith("loss.negatives")]
    _, words = said(folder=tmp_path, trials=4, space=space, fixed=fixed)
    ended = {trial.params["loss.negatives"]: trial for trial in trials(tmp_path)}
    assert {value: trial.state for value, trial in ended.items()} == {10**14: TrialState.FAIL, 16: TrialState.COMPLETE}
    assert len(trials(tmp_path)) == 4, "none is left running, none is tried again"
    reason = ended[10**14].user_attrs["reason"]
    assert reason.startswith("RuntimeError: ")
    assert reason in words


@pytest.mark.slow
def test_the_model_of_a_failed_trial_takes_no_memory_from_the_next_one(tmp_path: Path) -> None:
    space = Space([OneOf(key="loss.negatives", values=[10**14, 2 * 10**14])])
    fixed = [override for override in FIXED if not override.startswith("loss.negatives")]
    greedy = plan(tmp_path, 2, space=space, fixed=fixed)
    made: list[weakref.ref[Encoder]] = []

    def recipe(chosen: Sequence[str]) -> Recipe:
        assert [model() for model in made] == [None] * len(made)
        asked = greedy.recipe(chosen)

        def model(**data: object) -> Encoder:
            encoder = asked.model(**data)
            made.append(weakref.ref(encoder))
            return encoder

        return replace(asked, model=model)

    gc.collect()
    gc.disable()
    try:
        with pytest.raises(TrainingError, match="none of 2 trials could be trained to its end"):
            sweep(replace(greedy, recipe=recipe), Console(file=io.StringIO()))
    finally:
        gc.enable()
    assert len(made) == 2


def failing(sweep_plan: Plan, error: BaseException) -> Plan:
    """The same plan with somebody's own sampler, in which something goes wrong."""

    def sampler(*, popularity: torch.Tensor, asked: torch.Tensor) -> Sampler:
        raise error

    return replace(sweep_plan, recipe=lambda chosen: replace(sweep_plan.recipe(chosen), sampler=sampler))


@pytest.mark.slow
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "no space left"), torch.AcceleratorError("device lost")])
def test_where_the_machine_fails_the_sweep_ends_and_a_trial_that_it_fails_in_twice_is_given_up(
    tmp_path: Path, error: Exception
) -> None:
    broken = failing(plan(tmp_path, 2), error)
    for _ in range(2):
        with pytest.raises(type(error)):
            sweep(broken, Console(file=io.StringIO()))
    _, words = said(folder=tmp_path, trials=2)
    assert "ended the process twice at the same point, and counted as failed: 1" in words
    assert [trial.state for trial in trials(tmp_path)] == [TrialState.FAIL, TrialState.FAIL, TrialState.COMPLETE]


@pytest.mark.slow
def test_a_trial_that_is_interrupted_again_and_again_is_tried_again(tmp_path: Path) -> None:
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            sweep(failing(plan(tmp_path, 1), KeyboardInterrupt()), Console(file=io.StringIO()))
    _, words = said(folder=tmp_path, trials=1)
    assert "cut off while they ran, and tried again: 2" in words
    assert [trial.state for trial in trials(tmp_path)][3:] == [TrialState.COMPLETE]
    assert len({str(trial.params) for trial in trials(tmp_path)}) == 1


def test_a_search_for_what_does_not_exist_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="no_such"):
        said(folder=tmp_path, trials=1, space=Space([OneOf(key="model.no_such", values=[1, 2])]))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match="trials=0"):
        replace(plan(tmp_path, 1), trials=0)


@pytest.mark.slow
def test_a_sweep_that_is_killed_goes_on_to_as_many_trials_as_were_asked_for(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.training.search.sweeping", str(tmp_path), "5"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    killed = 0
    for wanted in (1, 3):  # while the second and the fourth trial run
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        begun = False
        for line in process.stdout:
            begun = begun or line.startswith(f"trial {wanted + 1}/5")
            if begun and line.startswith("epoch 1: "):
                break
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        assert [t.state for t in trials(tmp_path)].count(TrialState.RUNNING) == 1
    assert killed == 2

    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert "study killed: 3 of 5 trials are done" in done.stdout
    assert "cut off while they ran, and tried again: 4" in done.stdout
    states = [trial.state for trial in trials(tmp_path)]
    assert states.count(TrialState.COMPLETE) == 5
    assert states.count(TrialState.FAIL) == 2
    assert len(states) == 7

    said(folder=tmp_path / "undisturbed", trials=5, fixed=FIXED)
    whole = [trial for trial in trials(tmp_path) if trial.state is TrialState.COMPLETE]
    assert [(t.params, t.intermediate_values) for t in whole] == [
        (t.params, t.intermediate_values) for t in trials(tmp_path / "undisturbed")
    ], "the same trials, with the same figures"

    client = MlflowClient(local_uri(tmp_path))
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert sorted(run.info.status for run in children) == ["FINISHED"] * 5 + ["KILLED"] * 2
    assert len(runs) == 8
    assert parent.info.status == "FINISHED"
    assert all("best_validation" in run.data.metrics for run in children if run.info.status == "FINISHED")


@pytest.mark.parametrize("found", [("--config-dir", "{folder}"), ("hydra.searchpath=[file://{folder}]",)])
def test_the_command_that_trains_the_best_finds_a_shop_of_ones_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, found: tuple[str, ...]
) -> None:
    folder = tmp_path / "mine"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "myshop.yaml").write_text("_target_: tests.made_up_shop.MadeUpShop\nshoppers: 24\n")
    monkeypatch.chdir(tmp_path)
    where = [part.format(folder=folder) for part in found]
    small = [override for override in FIXED if not override.startswith(("loss.negatives", "tracker"))]
    given = ["recsys-sweep", *where, "data=myshop", *small, "tracker=null", "search=similarity", "trials=1"]
    monkeypatch.setattr(sys, "argv", given)
    main()
    train, *arguments = shlex.split(capsys.readouterr().out.rstrip().splitlines()[-1])
    assert train == "recsys-train"
    assert {*where, "data=myshop", "tracker=null"} < {*arguments}
    monkeypatch.setattr(sys, "argv", [train, *arguments])
    assert check_command_line("train") is None, "it composes as it stands"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model.dim=8", "search=size"], "ConfigError: model.dim=8 holds fast what the search varies (model.dim)"),
        (["trials=0"], "ConfigError: trials=0"),
        (["data.folder=/nowhere", "tracker=null"], "SourceError: /nowhere/transactions.parquet is missing"),
        (["search=everything"], "search/everything"),
    ],
)
def test_the_command_refuses_what_cannot_be_before_any_work(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["recsys-sweep", *arguments, "outputs=out"])
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []
