"""What a person sees while a model trains, and what the tracker keeps of it."""

from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from training.protocols import Tracker


class ConsoleWatch:
    """A live bar with loss, tokens/s, how much of the time went into waiting for data and the time left; one line stays
    for each epoch.

    Args:
        console: where it is shown.
        tracker: what keeps the figures of every epoch.
        quality: asked after every epoch; None where nothing is validated.
        measure: name of the quality.
        prefix: of the figures' names.
    """

    def __init__(
        self,
        console: Console,
        tracker: Tracker,
        quality: Callable[[], float] | None,
        measure: str,
        *,
        prefix: str = "",
    ) -> None:
        self._console = console
        self._tracker = tracker
        self._quality = quality
        self._measure = measure
        self._prefix = prefix
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.3f}  {task.fields[rate]:,.0f} tokens/s"),
            TextColumn("{task.fields[waiting]:.0%} waiting for data, left:"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("training", loss=float("nan"), rate=0.0, waiting=0.0, total=None)
        self._done = 0

    def __enter__(self) -> "ConsoleWatch":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def validate(self) -> float:
        """Asks the quality function it was given; 0 where there is none."""
        return self._quality() if self._quality is not None else 0.0

    def said(self, line: str) -> None:
        """Leave the line above the bar."""
        self._console.print(line, highlight=False)

    def epoch_began(self, *, epoch: int, epochs: int, steps: int, taken: int) -> None:
        """The bar covers all epochs, so that the time left is that of the whole training."""
        total = self._done + steps * (epochs - epoch) - taken
        self._progress.update(self._task, description=f"epoch {epoch + 1}/{epochs}", total=total)

    def stepped(self, *, loss: float, tokens_per_s: float, waiting: float) -> None:
        """Move the bar."""
        self._done += 1
        self._progress.update(self._task, advance=1, loss=loss, rate=tokens_per_s, waiting=waiting)

    def epoch_ended(self, *, epoch: int, loss: float, tokens_per_s: float, waiting: float, quality: float) -> None:
        """Leave a line and track it."""
        line = f"epoch {epoch + 1}: loss {loss:.4f}, {tokens_per_s:,.0f} tokens/s ({waiting:.0%} waiting for data)"
        values = {"loss": loss, "tokens_per_s": tokens_per_s, "waiting_for_data": waiting}
        if self._quality is not None:
            line += f", validation {self._measure} {quality:.4f}"
            values[f"validation_{self._measure}".replace("@", "_at_")] = quality
        self._console.print(line)
        self._tracker.log({f"{self._prefix}{name}": value for name, value in values.items()}, step=epoch + 1)

    def cut_short(self, *, epoch: int, epochs: int, minutes: float) -> None:
        """Say it loudly: the result is not the one that was asked for."""
        self._console.print(
            f"[bold red]Stopped after epoch {epoch + 1} of {epochs}: one more would pass trainer.minutes={minutes:g}. "
            "The result depends on this machine's speed; raise trainer.minutes for a reproducible one.[/]"
        )
