"""Tells a trial how every epoch went, and ends it where the pruner sees no hope."""

from optuna import Trial, TrialPruned

from training.protocols import Watch


class PruningWatch:
    """Stands around another watch, to which it passes on what it is told.

    Attributes:
        best: quality of the best epoch so far; 0 before the first.
        epochs: how many epochs were validated.
    """

    _watch: Watch

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self.best = 0.0
        self.epochs = 0

    def around(self, watch: Watch) -> "PruningWatch":
        """Itself, around this watch."""
        self._watch = watch
        return self

    def validate(self) -> float:
        """As the other watch does."""
        return self._watch.validate()

    def said(self, line: str) -> None:
        """Passed on."""
        self._watch.said(line)

    def epoch_began(self, *, epoch: int, epochs: int, steps: int, taken: int) -> None:
        """Passed on."""
        self._watch.epoch_began(epoch=epoch, epochs=epochs, steps=steps, taken=taken)

    def stepped(self, *, loss: float, tokens_per_s: float, waiting: float) -> None:
        """Passed on."""
        self._watch.stepped(loss=loss, tokens_per_s=tokens_per_s, waiting=waiting)

    def epoch_ended(self, *, epoch: int, loss: float, tokens_per_s: float, waiting: float, quality: float) -> None:
        """Passed on, reported to the trial, and judged: raises `TrialPruned` where it is not worth going on."""
        self._watch.epoch_ended(epoch=epoch, loss=loss, tokens_per_s=tokens_per_s, waiting=waiting, quality=quality)
        self.best = max(self.best, quality)
        self.epochs = epoch + 1
        self._trial.report(quality, step=self.epochs)
        if self._trial.should_prune():
            raise TrialPruned(f"pruned after epoch {self.epochs}")

    def cut_short(self, *, epoch: int, epochs: int, minutes: float) -> None:
        """Passed on."""
        self._watch.cut_short(epoch=epoch, epochs=epochs, minutes=minutes)
