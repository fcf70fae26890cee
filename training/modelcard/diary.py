"""A tracker that remembers what it hands on, so that a card can draw it without asking anybody's server."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from training.protocols import Champion, Registry, Tracker

Curve = list[tuple[int, float]]
"""Step and value, as logged."""


class Diary:
    """Hands everything on to another tracker; keeps the metrics of the latest run.

    Attributes:
        curves: what was logged under each name, in order.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self.curves: dict[str, Curve] = {}

    @property
    def keeps(self) -> bool:
        """Whether the other tracker does."""
        return self._tracker.keeps

    @property
    def registry(self) -> Registry | None:
        """That of the other tracker."""
        return self._tracker.registry

    def run(
        self, name: str, params: Mapping[str, Any], tags: Mapping[str, str], *, key: str | None = None
    ) -> AbstractContextManager[None]:
        """A new page, and a run of the other tracker."""
        self.curves.clear()
        return self._tracker.run(name, params, tags, key=key)

    def dataset(self, name: str, *, fingerprint: str, counts: Mapping[str, int]) -> None:
        """Handed on."""
        self._tracker.dataset(name, fingerprint=fingerprint, counts=counts)

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        """Remembered and handed on."""
        for name, value in values.items():
            self.curves.setdefault(name, []).append((step, float(value)))
        self._tracker.log(values, step=step)

    def artifacts(self, folder: Path, name: str) -> None:
        """Handed on."""
        self._tracker.artifacts(folder, name)

    def tag(self, tags: Mapping[str, str]) -> None:
        """Handed on."""
        self._tracker.tag(tags)

    def register(self, bundle: Path, *, version_tags: Mapping[str, str]) -> str | None:
        """Handed on."""
        return self._tracker.register(bundle, version_tags=version_tags)

    def champion(self) -> Champion | None:
        """Handed on."""
        return self._tracker.champion()

    def bundle(self, run: str) -> Path | None:
        """Handed on."""
        return self._tracker.bundle(run)
