"""How far a training is: plain numbers, stored with every checkpoint as they are."""

from dataclasses import dataclass, field
from statistics import median

_RECENT = 100


@dataclass(slots=True, kw_only=True)
class Progress:
    """Counted up from step to step.

    Attributes:
        epoch: epochs behind.
        taken: batches of the epoch under way that were learnt from; with `epoch`, the whole position in the data.
        loss_sum, tokens, seconds, waited_s: of the epoch under way; `waited_s` is the part of `seconds` in which the
            step waited for its batch.
        all_tokens, all_seconds, all_waited_s: of the training, the epoch under way left out.
        validated_s: seconds that validation took.
        best: quality of the best epoch; -1 before the first.
        kept: number of the best epoch from 1; 0 before the first.
        recent: the latest losses, at most 100.
        history: of every epoch behind what the watch was told at its end.
        finished: nothing is left to do.
    """

    epoch: int = 0
    taken: int = 0
    loss_sum: float = 0.0
    tokens: int = 0
    seconds: float = 0.0
    waited_s: float = 0.0
    all_tokens: int = 0
    all_seconds: float = 0.0
    all_waited_s: float = 0.0
    validated_s: float = 0.0
    best: float = -1.0
    kept: int = 0
    recent: list[float] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)
    finished: bool = False

    @property
    def tokens_per_s(self) -> float:
        """Of the epoch under way."""
        return self.tokens / self.seconds if self.seconds else 0.0

    @property
    def waiting(self) -> float:
        """Share of the epoch under way in which steps waited for data."""
        return self.waited_s / self.seconds if self.seconds else 0.0

    @property
    def usual_loss(self) -> float | None:
        """Median of the recent losses; None while there are few."""
        return median(self.recent) if 2 * len(self.recent) >= _RECENT else None

    def stepped(self, *, loss: float, tokens: int, waited_s: float, seconds: float) -> None:
        """One batch more."""
        self.taken += 1
        self.loss_sum += loss
        self.tokens += tokens
        self.waited_s += waited_s
        self.seconds += seconds
        self.recent = [*self.recent[1 - _RECENT :], loss]

    def ended(self, quality: float, *, seconds: float) -> dict[str, float]:
        """The epoch under way is over and was found this good by a validation of so many seconds; its figures."""
        figures = {
            "loss": self.loss_sum / max(1, self.taken),
            "tokens_per_s": self.tokens_per_s,
            "waiting": self.waiting,
            "quality": quality,
        }
        self.history.append(figures)
        self.all_tokens += self.tokens
        self.all_seconds += self.seconds
        self.all_waited_s += self.waited_s
        self.validated_s += seconds
        self.epoch += 1
        self.taken = self.tokens = 0
        self.loss_sum = self.seconds = self.waited_s = 0.0
        if quality >= self.best:  # of two that are alike the later one
            self.best, self.kept = quality, self.epoch
        return figures

    def measured(self) -> dict[str, float]:
        """What the training as a whole took; tokens/s with validation left out, `train_s` with it."""
        seconds = max(self.all_seconds, 1e-9)
        return {
            "train_s": self.all_seconds + self.validated_s,
            "tokens_per_s": self.all_tokens / seconds,
            "waiting_for_data": self.all_waited_s / seconds,
            "epochs": self.epoch,
            "kept_epoch": self.kept,
        }
