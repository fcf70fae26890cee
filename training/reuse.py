"""Keeps a version that the same recipe would only make again."""

from pathlib import Path

from rich.console import Console

from recsys.bundle import read_metrics, verify
from recsys.errors import BundleError
from recsys.metric.evaluation import Score
from training.comparison import print_table
from training.promotion import Promotion, Version
from training.protocols import Tracker
from training.registered import settle


def reusable(tracker: Tracker, digest: str, promotion: Promotion, console: Console) -> Path | None:
    """The bundle of the champion, or else of the challenger, if the recipe with this digest made it and it is intact;
    shows its table. A challenger is treated as if it had been registered now."""
    registry = tracker.registry
    if registry is None:
        return None
    champion = registry.champion()
    for version, is_champion in ((champion, True), (registry.challenger(), False)):
        if version is None or version.tags.get("recipe") != digest:
            continue
        if (bundle := _intact(version, console, is_champion=is_champion)) is not None:
            if not is_champion:
                settle(registry, version, promotion, console)
            return bundle
    return None


def _intact(version: Version, console: Console, *, is_champion: bool) -> Path | None:
    """The version's bundle, after its table was shown; None where there is none any more."""
    try:
        if version.bundle is None:
            raise BundleError(f"the files of version {version.number} are not on this machine")
        verify(version.bundle)
        metrics = read_metrics(version.bundle)
    except BundleError as error:
        alias = "champion" if is_champion else "challenger"
        console.print(f"the {alias} cannot be reused: {error}", style="yellow", soft_wrap=True)
        return None
    console.print(f"version {version.number} was made from this data by this recipe: kept, nothing to train")
    console.print(f"bundle: {version.bundle}", soft_wrap=True)
    print_table({n: Score(**row) for n, row in metrics["rows"].items()}, console, title=metrics["protocol"])
    return version.bundle
