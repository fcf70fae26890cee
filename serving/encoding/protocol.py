"""The seam between a replica and the place where its encoder runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from recsys.recommender import Recommender

if TYPE_CHECKING:
    from ray.serve import Application
    from ray.serve.handle import DeploymentHandle


class Encoding(Protocol):
    """Where the encoder runs; plain settings, because it travels to other processes."""

    def check(self) -> None:
        """Raise ConfigError if this machine lacks what it takes."""
        ...

    def application(self, bundle: Path, *, loopback: bool) -> "Application | None":
        """What is deployed beside the replicas, beginning with the release of a folder; None where nothing is."""
        ...

    def reading(self, recommender: Recommender, folder: Path, handle: "DeploymentHandle[Any] | None") -> Recommender:
        """The recommender of a folder's release, encoding there; blocks until the first question can be answered.

        Raises RecsysError if none can be.
        """
        ...
