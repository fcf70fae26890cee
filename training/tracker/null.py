"""Tracks nothing, for tests and quick tries."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from training.protocols import Champion


class NullTracker:
    """Takes everything, keeps nothing."""

    keeps = False
    registry = None

    def __init__(self, *, outputs: Path) -> None:
        self.outputs = outputs

    def run(
        self, name: str, params: Mapping[str, Any], tags: Mapping[str, str], *, key: str | None = None
    ) -> AbstractContextManager[None]:
        """Nothing is opened."""
        return nullcontext()

    def dataset(self, name: str, *, fingerprint: str, counts: Mapping[str, int]) -> None:
        """Nothing is kept."""

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        """Nothing is kept."""

    def artifacts(self, folder: Path, name: str) -> None:
        """Nothing is kept; the files stay where they were written."""

    def tag(self, tags: Mapping[str, str]) -> None:
        """Nothing is kept."""

    def register(self, bundle: Path, *, version_tags: Mapping[str, str]) -> str | None:
        """There is no registry; the bundle stays where it was written."""
        return None

    def champion(self) -> Champion | None:
        """There is no registry."""
        return None

    def bundle(self, run: str) -> Path | None:
        """There are no runs."""
        return None
