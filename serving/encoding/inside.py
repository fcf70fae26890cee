"""The encoder runs in the replica that answers, and reads only what is new of shoppers it met before."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys.recommender import Recommender

if TYPE_CHECKING:
    from ray.serve import Application
    from ray.serve.handle import DeploymentHandle


@dataclass(frozen=True, slots=True)
class Inside:
    """`remembered_tokens`: of how many events the encoder keeps what it made of them; 0 reads every history anew."""

    remembered_tokens: int = 100_000

    def check(self) -> None:
        """A replica needs nothing more than itself."""

    def application(self, bundle: Path, *, loopback: bool) -> "Application | None":
        """Nothing beside the replicas."""
        return None

    def reading(self, recommender: Recommender, folder: Path, handle: "DeploymentHandle[Any] | None") -> Recommender:
        """The recommender, which remembers whom it encoded."""
        return recommender.remembering(most_tokens=self.remembered_tokens)
