"""What a sweep remembers."""

from pathlib import Path

import pytest
from optuna.trial import TrialState

from recsys.errors import ConfigError
from training.pruner.median import Median
from training.pruner.never import Never
from training.search.space import Between, Space
from training.search.study import KeptStudy, opened

SPACE = Space([Between(key="x", low=0.0, high=1.0)])


def kept(folder: Path, **other: object):  # type: ignore[no-untyped-def]
    settings = {"digest": "d", "pruner": Never().build(), "seed": 7, "startup_trials": 3, **other}
    return opened(folder, "s", **settings)  # type: ignore[arg-type]


def tried(study: KeptStudy, count: int) -> list[object]:
    """Try so many; what is tried is best at 0.3."""
    found = []
    for _ in range(count):
        trial = study.next()
        x = SPACE.suggest(trial)["x"]
        study.complete(trial, -((float(x or 0) - 0.3) ** 2))
        found.append(x)
    return found


def test_a_study_that_goes_on_tries_what_an_undisturbed_one_tries(tmp_path: Path) -> None:
    with kept(tmp_path / "whole") as study:
        whole = tried(study, 9)
    with kept(tmp_path / "parts") as study:
        first = tried(study, 4)
        lost = study.next()
        SPACE.suggest(lost)  # and here the process dies
    with kept(tmp_path / "parts") as study:
        assert study.recover() == ([4], [])
        assert study.recover() == ([], [])
        rest = tried(study, 5)
        assert len(study.ended()) == 9, "the one that was cut off does not count"
        assert study.finished()[0].value == max(t.value or 0 for t in study.ended())
    assert [*first, *rest] == whole
    assert len(set(whole)) == 9


def test_a_trial_that_ends_its_process_twice_at_the_same_point_is_given_up(tmp_path: Path) -> None:
    reached = {0: 0, 1: 2, 2: 3, 3: 3}  # epochs that the trial and its repetitions came to before the process died
    for number, epochs in reached.items():
        with kept(tmp_path) as study:
            again, given_up = study.recover()
            assert (again, given_up) == ([number - 1] if number else [], [])
            trial = study.next()
            SPACE.suggest(trial)
            for epoch in range(epochs):
                trial.report(0.1, step=epoch + 1)
    with kept(tmp_path) as study:
        assert study.recover() == ([], [3])
        assert [trial.number for trial in study.ended()] == [3], "it counts, so the sweep comes to an end"
        assert study.next().number == 4


def test_a_trial_that_somebody_interrupts_is_not_to_blame(tmp_path: Path) -> None:
    for number in range(3):
        with kept(tmp_path) as study:
            assert study.recover() == ([number - 1] if number else [], [])
            trial = study.next()
            SPACE.suggest(trial)
            study.interrupt(trial)
    with kept(tmp_path) as study:
        assert study.recover() == ([2], [])
        SPACE.suggest(study.next())
    with kept(tmp_path) as study:
        assert study.recover() == ([3], []), "the first time that it ended the process itself"


def test_failed_and_pruned_trials_count_and_do_not_win(tmp_path: Path) -> None:
    with kept(tmp_path) as study:
        study.fail(study.next(), "nothing to learn from")
        pruned = study.next()
        pruned.report(0.9, step=1)
        study.prune(pruned)
        tried(study, 1)
        assert [trial.state for trial in study.ended()] == [TrialState.FAIL, TrialState.PRUNED, TrialState.COMPLETE]
        assert [trial.number for trial in study.finished()] == [2]


def test_a_trial_below_the_median_of_the_others_is_pruned_but_not_in_its_first_epochs(tmp_path: Path) -> None:
    with kept(tmp_path, pruner=Median(after_trials=2, after_epochs=2).build()) as study:
        for level in (0.4, 0.5):
            good = study.next()
            for epoch in (1, 2, 3):
                good.report(level, step=epoch)
                assert not good.should_prune()
            study.complete(good, level)
        bad = study.next()
        bad.report(0.1, step=1)
        assert not bad.should_prune()
        bad.report(0.2, step=2)
        assert bad.should_prune()


def test_a_study_of_other_settings_is_not_gone_on_with(tmp_path: Path) -> None:
    with kept(tmp_path):
        pass
    with pytest.raises(ConfigError, match=r"study=s in .* was made with other settings"), kept(tmp_path, digest="e"):
        pass


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    with (
        kept(tmp_path),
        pytest.raises(ConfigError, match="another process runs the trials of study=s"),
        kept(tmp_path),
    ):
        pass


def test_a_name_that_would_leave_the_folder_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match="no name"),
        opened(tmp_path, "../x", digest="", pruner=Never().build(), seed=0, startup_trials=1),
    ):
        pass
