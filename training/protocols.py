"""The seams of training on one screen."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from recsys.protocols import Encoder, Loss, Sampler
from recsys.sequence.loader import Loader

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Champion:
    """The model version that serving would take: its number, its bundle on this machine, its tags."""

    version: str
    bundle: Path
    tags: Mapping[str, str]


class Tracker(Protocol):
    """Remembers what was run and what came out."""

    def run(
        self, name: str, params: Mapping[str, Any], tags: Mapping[str, str], *, key: str | None = None
    ) -> AbstractContextManager[None]:
        """One run; everything logged inside belongs to it, and a run opened inside is its child.

        With a `key`, the run of that key goes on if there is one; what was cut off inside it is closed as killed.
        """
        ...

    def dataset(self, name: str, *, fingerprint: str, counts: Mapping[str, int]) -> None:
        """What the run learns from: the log's name, the digest of its content, how much of what it holds."""
        ...

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        """Metrics at a step."""
        ...

    def artifacts(self, folder: Path, name: str) -> None:
        """Keep the files of a folder with the run, under a name."""
        ...

    def register(self, bundle: Path, *, version_tags: Mapping[str, str]) -> str | None:
        """Register the bundle and make it the champion; the version, or None where there is no registry."""
        ...

    def champion(self) -> Champion | None:
        """The current champion, or None where there is none on this machine."""
        ...


class Trainer(Protocol):
    """Fits an encoder; how many devices and processes it takes is its own matter."""

    batch_tokens: int
    context_tokens: int

    @property
    def batches_on(self) -> "torch.device":
        """The device on which the loader shall put batches together."""
        ...

    def fit(
        self,
        encoder: Encoder,
        loader: Loader,
        *,
        loss: Loss,
        sampler: Sampler,
        seed: int,
        watch: "Watch",
    ) -> Mapping[str, float]:
        """Train in place; returns what the training itself measured (tokens/s, seconds, epochs)."""
        ...


class Watch(Protocol):
    """Told what happens while training runs."""

    def validate(self) -> float:
        """Quality of the encoder as it is now, on the validation window; higher is better."""
        ...

    def epoch_began(self, *, epoch: int, epochs: int, steps: int) -> None:
        """Before the first step of an epoch."""
        ...

    def stepped(self, *, loss: float, tokens_per_s: float) -> None:
        """After every step."""
        ...

    def epoch_ended(self, *, epoch: int, loss: float, tokens_per_s: float, quality: float) -> None:
        """After validation."""
        ...

    def cut_short(self, *, epoch: int, epochs: int, minutes: float) -> None:
        """Training ends before its last epoch because its time is up."""
        ...
