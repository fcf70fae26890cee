"""Keeps a champion that the same recipe would only make again."""

from pathlib import Path

from rich.console import Console

from recsys.bundle import read_metrics, verify
from recsys.errors import BundleError
from recsys.metric.evaluation import Score
from training.comparison import print_table
from training.protocols import Tracker


def reusable(tracker: Tracker, digest: str, console: Console) -> Path | None:
    """The champion's bundle if it was made by the recipe with this digest and is intact; shows its table."""
    champion = tracker.champion()
    if champion is None or champion.tags.get("recipe") != digest:
        return None
    try:
        verify(champion.bundle)
        metrics = read_metrics(champion.bundle)
    except BundleError as error:
        console.print(f"the champion cannot be reused: {error}", style="yellow")
        return None
    console.print(f"version {champion.version} was made from this data by this recipe: kept, nothing to train")
    console.print(f"bundle: {champion.bundle}", soft_wrap=True)
    print_table({n: Score(**row) for n, row in metrics["rows"].items()}, console, title=metrics["protocol"])
    return champion.bundle
