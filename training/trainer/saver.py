"""When a training is stored, and how it goes on from what was stored."""

import time

from recsys.errors import ConfigError, TrainingError
from training.checkpoint import Checkpoints, Snapshot
from training.protocols import Watch
from training.trainer.learner import Learner
from training.trainer.way import Way

RESUME = ("auto", "never")
_SHARE = 0.05
"""Storing shall take no more than this share of the time; a slow disk is written to less often."""


class Saver:
    """Stores one learner every so many seconds and whenever it is told to.

    Args:
        every_s: seconds between two; 0 stores after each step.
    """

    def __init__(self, checkpoints: Checkpoints, *, every_s: float, watch: Watch) -> None:
        self._checkpoints = checkpoints
        self._every_s = every_s
        self._watch = watch
        self._next = time.monotonic() + every_s

    def resumed(self, learner: Learner, *, resume: str, windows: int) -> Way | None:
        """Have the learner go on from the last good checkpoint, in the way it learnt in; None where it begins anew.

        `windows` is how many the loader has; TrainingError where the checkpoint is of other data or another device.
        """
        if resume not in RESUME:
            raise ConfigError(f"trainer.resume={resume} is unknown; use {' or '.join(RESUME)}")
        if resume == "never":
            self._checkpoints.clear()
        snapshot = self._checkpoints.latest(self._watch.said)
        if snapshot is None:
            return None
        here = {"device": learner.device.type, "windows": windows}
        there = {name: snapshot.plain[name] for name in here}
        if here != there:
            raise TrainingError(
                f"the checkpoint in {self._checkpoints.folder} is of {there}, and this training of {here}; "
                "train there, or begin anew with trainer.resume=never"
            )
        learner.restore(snapshot)
        at = learner.progress
        for epoch, figures in enumerate(at.history):
            self._watch.epoch_ended(epoch=epoch, **figures)
        self._watch.said(f"going on from a checkpoint: {at.epoch} epochs and {at.taken} batches are behind")
        return Way(**snapshot.plain["way"])

    def save(self, learner: Learner, way: Way, *, windows: int) -> None:
        """Store it now; where that fails the training goes on, and the watch is told."""
        began = time.monotonic()
        taken = learner.snapshot()
        own = {"way": way.to_json(), "device": learner.device.type, "windows": windows}
        try:
            self._checkpoints.save(Snapshot(taken.tensors, {**taken.plain, **own}))
        except TrainingError as error:
            self._watch.said(f"{error}; training goes on without")
        now = time.monotonic()
        self._next = now + max(self._every_s, (now - began) / _SHARE if self._every_s else 0.0)

    def save_if_due(self, learner: Learner, way: Way, *, windows: int) -> None:
        """Store it if it is time."""
        if time.monotonic() >= self._next:
            self.save(learner, way, windows=windows)
