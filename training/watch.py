"""What a person sees while a model trains, and what the tracker keeps of it."""

from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from training.protocols import Tracker


class ConsoleWatch:
    """A live bar with loss, tokens/s and the time left; one line stays for each epoch."""

    def __init__(self, console: Console, tracker: Tracker, quality: Callable[[], float], measure: str) -> None:
        self._console = console
        self._tracker = tracker
        self._quality = quality
        self._measure = measure
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.3f}  {task.fields[rate]:,.0f} tokens/s"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("training", loss=float("nan"), rate=0.0, total=None)
        self._done = 0

    def __enter__(self) -> "ConsoleWatch":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def validate(self) -> float:
        """Asks the quality function it was given."""
        return self._quality()

    def epoch_began(self, *, epoch: int, epochs: int, steps: int) -> None:
        """The bar covers all epochs, so that the time left is that of the whole training."""
        description = f"epoch {epoch + 1}/{epochs}"
        self._progress.update(self._task, description=description, total=self._done + steps * (epochs - epoch))

    def stepped(self, *, loss: float, tokens_per_s: float) -> None:
        """Move the bar."""
        self._done += 1
        self._progress.update(self._task, advance=1, loss=loss, rate=tokens_per_s)

    def epoch_ended(self, *, epoch: int, loss: float, tokens_per_s: float, quality: float) -> None:
        """Leave a line and track it."""
        line = f"epoch {epoch + 1}: loss {loss:.4f}, {tokens_per_s:,.0f} tokens/s, "
        self._console.print(f"{line}validation {self._measure} {quality:.4f}")
        values = {"loss": loss, "tokens_per_s": tokens_per_s, f"validation_{self._measure}": quality}
        self._tracker.log({name.replace("@", "_at_"): value for name, value in values.items()}, step=epoch + 1)

    def cut_short(self, *, epoch: int, epochs: int, minutes: float) -> None:
        """Say it loudly: the result is not the one that was asked for."""
        self._console.print(
            f"[bold red]Stopped after epoch {epoch + 1} of {epochs}: one more would pass trainer.minutes={minutes:g}. "
            "The result depends on this machine's speed; raise trainer.minutes for a reproducible one.[/]"
        )
