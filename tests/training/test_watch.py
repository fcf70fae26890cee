"""What a person sees of a training, and what the tracker keeps."""

import io
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from training.tracker.null import NullTracker
from training.watch import ConsoleWatch


class Kept(NullTracker):
    def __init__(self, folder: Path) -> None:
        super().__init__(outputs=folder)
        self.values: dict[int, dict[str, float]] = {}

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        self.values[step] = dict(values)


def test_an_epoch_leaves_a_line_and_its_figures(tmp_path: Path) -> None:
    out, tracker = io.StringIO(), Kept(tmp_path)
    with ConsoleWatch(Console(file=out, width=200), tracker, lambda: 0.25, "NDCG@10") as watch:
        watch.epoch_began(epoch=0, epochs=2, steps=1, taken=0)
        watch.stepped(loss=3.0, tokens_per_s=1234.0, waiting=0.125)
        watch.epoch_ended(epoch=0, loss=3.0, tokens_per_s=1234.0, waiting=0.125, quality=watch.validate())
        watch.said("half of it is done")
    text = out.getvalue()
    assert "epoch 1: loss 3.0000, 1,234 tokens/s (12% waiting for data), validation NDCG@10 0.2500" in text
    assert "half of it is done" in text
    figures = {"loss": 3.0, "tokens_per_s": 1234.0, "waiting_for_data": 0.125, "validation_NDCG_at_10": 0.25}
    assert tracker.values == {1: figures}


def test_the_bar_shows_loss_speed_waiting_and_the_time_left(tmp_path: Path) -> None:
    out = io.StringIO()
    console = Console(file=out, width=200, force_terminal=True, color_system=None)
    with ConsoleWatch(console, Kept(tmp_path), None, "NDCG@10") as watch:
        watch.epoch_began(epoch=1, epochs=3, steps=10, taken=4)
        for _ in range(3):
            watch.stepped(loss=3.0, tokens_per_s=1234.0, waiting=0.5)
    assert "epoch 2/3" in out.getvalue()
    assert "3/16" in out.getvalue(), "6 of this epoch and 10 of the last"
    assert "loss 3.000  1,234 tokens/s 50% waiting for data, left: 0:00:0" in out.getvalue()


def test_where_nothing_is_validated_nothing_is_said_of_it(tmp_path: Path) -> None:
    out, tracker = io.StringIO(), Kept(tmp_path)
    with ConsoleWatch(Console(file=out, width=200), tracker, None, "NDCG@10", prefix="refit_") as watch:
        watch.epoch_ended(epoch=0, loss=3.0, tokens_per_s=10.0, waiting=0.0, quality=watch.validate())
    assert "validation" not in out.getvalue()
    assert tracker.values == {1: {"refit_loss": 3.0, "refit_tokens_per_s": 10.0, "refit_waiting_for_data": 0.0}}
