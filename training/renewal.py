"""The model kept young: new days of events in, a version that learnt from them out, promoted or refused.

The window on which challenger and champion are compared is the last `test_days` of the log, so the cut-off moves with
the events; what lies before it is validated on (`validation_days`) and learnt from. Everything is under one MLflow run,
`retrain`, with the training and the comparison as its children and the decision as its tags.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from recsys.bundle import read_bundle, version_of
from recsys.clock import DAY, Clock, SystemClock, parse_instant, to_datetime
from recsys.errors import ConfigError, ReleaseError
from recsys.log.summary import LogSummary
from recsys.log.writer import write_log
from training.contest import DECISION, Asked, Decision, contest, registry_of
from training.duel import later
from training.loop import run
from training.promotion import Promotion, Version
from training.protocols import Registry, Tracker
from training.recipe import Recipe
from training.report import print_log
from training.start import CHAMPION, LEARNT_UNTIL
from training.verdict import insist_margin

FINGERPRINT = "data_fingerprint"
"""Tag of a version: which state of the log it was made from."""
_LOCK = ".retrain.lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """How the model is kept young.

    Attributes:
        test_days: length of the window at the log's end on which challenger and champion are compared.
        margin: see `training/verdict.py`.
    """

    test_days: int
    margin: float | None = None

    def __post_init__(self) -> None:
        insist_margin(self.margin)
        if self.test_days < 1:
            raise ConfigError(f"test_days is {self.test_days}; keep at least 1 day to compare on")


def retrain(recipe: Recipe, renewal: Renewal, console: Console, *, clock: Clock | None = None) -> Decision | None:
    """Take in what is new, train, compare, decide; None where there was nothing to do, and it is said why.

    Raises:
        ConfigError: settings that cannot work, such as another model than the champion's.
        ReleaseError, BundleError: the champion cannot be gone on from.
        TrainingError: nothing was wanted in the test window, or training stopped.
    """
    if not recipe.split.needs_times:
        raise ConfigError("retraining follows the days: use data with times and split=temporal")
    with _alone(recipe.outputs, console) as is_alone:
        if not is_alone:
            return None
        tracker = recipe.tracker(outputs=recipe.outputs)
        registry, champion = registry_of(tracker), registry_of(tracker).champion()
        with recipe.engine as engine:
            summary = write_log(recipe.data, recipe.log_folder, engine=engine, tell=console.print)
        print_log(summary, recipe.log_folder, console)
        recipe = _moved(recipe, summary, renewal, champion, now=(clock or SystemClock()).now())
        if why := _nothing_to_do(recipe, summary, champion, registry):
            console.print(f"nothing to do: {why}", soft_wrap=True)
            return None
        return _renewed(recipe, renewal, tracker, registry, champion, summary, console)


def _renewed(
    recipe: Recipe,
    renewal: Renewal,
    tracker: Tracker,
    registry: Registry,
    champion: Version | None,
    summary: LogSummary,
    console: Console,
) -> Decision:
    params = {"test_days": renewal.test_days, "margin": renewal.margin, "cutoff": recipe.data.cutoff}
    tags = {FINGERPRINT: summary.fingerprint, "champion_before": champion.number if champion else "none"}
    with tracker.run("retrain", params, tags):
        try:
            folder = run(replace(recipe, tracker=lambda outputs: tracker), console)
            version = registry.of_bundle(version_of(folder))
            if version is None:
                raise ReleaseError(f"the bundle {folder} was not registered; use register=true")
            decision = contest(recipe, Asked(challenger=version.number, margin=renewal.margin), tracker, console)
        except BaseException as error:
            tracker.tag({DECISION: "failed", "because": f"{type(error).__name__}: {error}"[:1_000]})
            raise
        tracker.tag({DECISION: decision.word, "because": decision.why, "model_version": decision.version})
    return decision


def _moved(recipe: Recipe, summary: LogSummary, renewal: Renewal, champion: Version | None, *, now: int) -> Recipe:
    """The recipe of this run: from the champion if there is one, its test the last days of the log."""
    last = min(parse_instant(summary.last), now)
    cutoff = last + 1 - renewal.test_days * DAY
    data: dict[str, Any] = {**recipe.settings.get("data", {}), "cutoff": to_datetime(cutoff).isoformat()}
    changed: dict[str, Any] = {"start_from": CHAMPION if champion else None, "reuse": False, "register": True}
    settings = {**recipe.settings, **changed, "data": data}
    return replace(later(recipe, cutoff), **changed, promote=Promotion.NEVER, settings=settings)


def _nothing_to_do(recipe: Recipe, summary: LogSummary, champion: Version | None, registry: Registry) -> str | None:
    """Why training would come to nothing; None where it may help."""
    if champion is None:
        return None
    if champion.bundle is None:
        raise ReleaseError(f"the champion, version {champion.number}, is not on this machine; retrain where it is")
    facts = read_bundle(champion.bundle).facts
    if facts["origin"]["data_fingerprint"] == summary.fingerprint:
        return f"no event is new since the champion, version {champion.number}, was trained"
    challenger = registry.challenger()
    refused = challenger is not None and "refused_at" in challenger.tags
    if challenger is not None and refused and challenger.tags.get(FINGERPRINT) == summary.fingerprint:
        return f"no event is new since version {challenger.number} was refused"
    may_learn = recipe.data.cutoff - recipe.validation_days * DAY
    learnt = facts.get(LEARNT_UNTIL)
    if isinstance(learnt, int) and may_learn <= learnt:
        return (
            f"the champion has learnt up to {to_datetime(learnt).isoformat()}, and with test_days and validation_days "
            f"taken from the log's end a new one could up to {to_datetime(may_learn).isoformat()}"
        )
    return None


@contextmanager
def _alone(outputs: Path, console: Console) -> Iterator[bool]:
    """Whether no other retraining runs in `outputs`; the lock goes with the process, however that ends."""
    outputs.mkdir(parents=True, exist_ok=True)
    with (outputs / _LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            console.print(f"a retraining is running already (process {lock.read().strip() or '?'}): nothing was done")
            yield False
            return
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield True
