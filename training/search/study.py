"""What a sweep remembers: an Optuna study in SQLite, which goes on wherever the last process left it."""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import optuna
from optuna import Study, Trial
from optuna.pruners import BasePruner
from optuna.samplers import TPESampler
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from recsys.errors import ConfigError

FILE = "sweeps.db"
_CUT_OFF = "cut off"
_CAME_TO = "came to"
_INTERRUPTED = "interrupted"
_DIGEST = "digest"
_WAIT_S = 60


class KeptStudy:
    """A study of which one process at a time runs the trials, one after the other.

    Every trial is drawn by a sampler seeded with how many trials came before it, and the sampler sees those that ran to
    an end; so a sweep that was cut off and went on tries what an undisturbed one would have tried.

    The sampler is Bergstra et al., "Algorithms for hyper-parameter optimization" (NeurIPS 2011): the tree-structured
    Parzen estimator.
    """

    def __init__(self, study: Study, *, seed: int, startup_trials: int) -> None:
        self._study = study
        self._seed = seed
        self._startup_trials = startup_trials

    @property
    def name(self) -> str:
        """Under which it is kept."""
        return self._study.study_name

    def ended(self) -> list[FrozenTrial]:
        """The trials that came to an end of their own: finished, pruned or failed."""
        cut_off = set(self._cut_off())
        return [t for t in self._study.get_trials(deepcopy=False) if t.state.is_finished() and t.number not in cut_off]

    def finished(self) -> list[FrozenTrial]:
        """The trials that were trained to their end, best first."""
        whole = [trial for trial in self.ended() if trial.state is TrialState.COMPLETE]
        return sorted(whole, key=lambda trial: (-(trial.value or 0.0), trial.number))

    def recover(self) -> tuple[list[int], list[int]]:
        """Mark trials that a killed process left running as failed. Those that are put up again and those that are not,
        by number: a repetition that came no further than the trial which it repeats may itself be what kills."""
        again, given_up = [], []
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            came_to, asked_to_end = trial.last_step or 0, _INTERRUPTED in trial.user_attrs
            if not asked_to_end and came_to <= trial.user_attrs.get(_CAME_TO, -1):
                given_up.append(trial.number)
            else:
                known = {"repeats": trial.number, _CAME_TO: -1 if asked_to_end else came_to}
                self._study.set_user_attr(_CUT_OFF, [*self._cut_off(), trial.number])
                self._study.enqueue_trial(dict(trial.params), user_attrs=known)
                again.append(trial.number)
            self._study.tell(trial.number, state=TrialState.FAIL)
        return again, given_up

    def next(self) -> Trial:
        """A new trial: one that was put up again, or a fresh one."""
        place = np.random.SeedSequence((self._seed, len(self.ended())))
        self._study.sampler = TPESampler(
            seed=int(place.generate_state(1)[0]), n_startup_trials=self._startup_trials, constant_liar=False
        )
        return self._study.ask()

    def complete(self, trial: Trial, quality: float) -> None:
        """It was trained to its end and reached `quality`."""
        self._study.tell(trial, quality)

    def prune(self, trial: Trial) -> None:
        """It was ended early; what it reported counts."""
        self._study.tell(trial, state=TrialState.PRUNED)

    def fail(self, trial: Trial, reason: str) -> None:
        """It could not be trained."""
        trial.set_user_attr("reason", reason)
        self._study.tell(trial, state=TrialState.FAIL)

    def interrupt(self, trial: Trial) -> None:
        """Somebody ends the process while it runs, which is not the trial's fault; `recover` puts it up again."""
        trial.set_user_attr(_INTERRUPTED, True)

    def _cut_off(self) -> list[int]:
        return list(self._study.user_attrs.get(_CUT_OFF, []))


@contextmanager
def opened(
    outputs: Path, name: str, *, digest: str, pruner: BasePruner, seed: int, startup_trials: int
) -> Iterator[KeptStudy]:
    """The study of that name below `outputs`, made if there is none.

    Raises:
        ConfigError: it was made with other settings (another `digest`), another process runs it, or the name is none.
    """
    if not re.fullmatch(r"[\w.-]+", name):
        raise ConfigError(f"study={name!r} is no name; use letters, digits, '.', '_' and '-'")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    outputs.mkdir(parents=True, exist_ok=True)
    with _alone(outputs / f".sweep-{name}.lock", name):
        storage = RDBStorage(
            f"sqlite:///{outputs.resolve() / FILE}", engine_kwargs={"connect_args": {"timeout": _WAIT_S}}
        )
        try:
            study = optuna.create_study(
                storage=storage, study_name=name, direction="maximize", pruner=pruner, load_if_exists=True
            )
            if study.user_attrs.get(_DIGEST, digest) != digest:
                raise ConfigError(
                    f"study={name} in {outputs / FILE} was made with other settings, another search or other data; "
                    "give this one another name, or none"
                )
            study.set_user_attr(_DIGEST, digest)
            yield KeptStudy(study, seed=seed, startup_trials=startup_trials)
        finally:
            storage.remove_session()
            storage.engine.dispose()


@contextmanager
def _alone(path: Path, name: str) -> Iterator[None]:
    """Only one process at a time; the lock goes with the process, however that ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise ConfigError(f"another process runs the trials of study={name}; wait until it ends, or end it") from error
    finally:
        os.close(descriptor)
