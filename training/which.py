"""Finds the bundle that somebody names."""

from pathlib import Path

from recsys.errors import ReleaseError
from training.protocols import Tracker

CHAMPION = "champion"


def bundle_folder(named: str, tracker: Tracker) -> Path:
    """The folder of the bundle that `named` means: the champion, a folder, or a run by its id.

    What means none of these raises ReleaseError.
    """
    if named == CHAMPION:
        champion = tracker.champion()
        if champion is None:
            raise ReleaseError(
                "the registry has no champion yet; train one (python -m training.train) or name bundle=..."
            )
        return champion.bundle
    if (folder := Path(named).absolute()).is_dir():
        return folder
    kept = tracker.bundle(named)
    if kept is None:
        raise ReleaseError(
            f"{named!r} is neither {CHAMPION}, nor a bundle's folder, nor a run that keeps a bundle on this machine "
            "(only registered runs do); name one of these"
        )
    return kept
