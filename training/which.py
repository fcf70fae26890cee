"""Finds the bundle that somebody names."""

from pathlib import Path

from recsys.errors import ReleaseError
from training.promotion import CHALLENGER, CHAMPION
from training.protocols import Tracker


def bundle_folder(named: str, tracker: Tracker) -> Path:
    """The folder of the bundle that `named` means: champion or challenger, a folder, a version's number, a run's id.

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
    kept = _version_of(named, tracker) or tracker.bundle(named)
    if kept is None:
        raise ReleaseError(
            f"{named!r} is neither {CHAMPION} nor {CHALLENGER}, nor a bundle's folder, nor a version or a run that "
            "keeps a bundle on this machine (only registered runs do); name one of these"
        )
    return kept


def _version_of(named: str, tracker: Tracker) -> Path | None:
    registry = tracker.registry
    if registry is None:
        return None
    version = registry.challenger() if named == CHALLENGER else registry.find(named) if named.isdecimal() else None
    return version.bundle if version else None
