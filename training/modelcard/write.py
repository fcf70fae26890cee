"""A model card as files: one page, its pictures, its figures."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from recsys.errors import ConfigError
from recsys.log.summary import LogSummary
from training.modelcard.card import ModelCard
from training.modelcard.markdown import page
from training.modelcard.plots import pictures
from training.protocols import Tracker

PAGE, FIGURES = "card.md", "metrics.json"
ARTIFACT = "model_card"
_DPI = 110


def sizes(log: LogSummary) -> dict[str, int]:
    """How much of what a log holds, for the tracker."""
    return {"events": log.events, "shoppers": log.shoppers, "items": log.items, "moments": log.moments}


def keep_with_run(card: ModelCard, tracker: Tracker, *, place: Path, version: str) -> None:
    """Hand page and pictures to a tracker that keeps them; `place` is the bundle's folder, `version` its version."""
    if not tracker.keeps:
        return
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_model_card(card, folder, place=str(place), version=version)
        tracker.artifacts(folder, ARTIFACT)


def write_model_card(card: ModelCard, folder: Path, *, place: str, version: str) -> None:
    """Write `card.md`, `metrics.json` and one PNG for each picture into `folder`; `place` and `version` are the
    bundle's.

    Raises:
        ConfigError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = []
        for name, picture in pictures(card):
            picture.savefig(folder / f"{name}.png", dpi=_DPI)
            names.append(name)
        (folder / PAGE).write_text(page(card, pictures=names, place=place, version=version), encoding="utf-8")
        (folder / FIGURES).write_text(json.dumps(card.metrics, indent=2) + "\n")
    except OSError as error:
        raise ConfigError(
            f"the model card cannot be written to {folder} ({error.strerror or error}); set outputs=... to a folder "
            "that can be written and has room"
        ) from error
