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
    from optuna.pruners import BasePruner
    from torch import nn
    from torch.optim.lr_scheduler import LRScheduler

    from training.checkpoint import Checkpoints
    from training.promotion import Because, Version


@dataclass(frozen=True, slots=True)
class Champion:
    """The model version that serving would take: its number, its bundle on this machine, its tags."""

    version: str
    bundle: Path
    tags: Mapping[str, str]


class Registry(Protocol):
    """The versions of the model and who of them is champion and challenger (`training/promotion.py`); whatever it
    cannot tell or do is a ReleaseError."""

    def champion(self) -> "Version | None":
        """The version that serving answers with; None before there is one."""
        ...

    def challenger(self) -> "Version | None":
        """The version that was registered last, unless it is the champion."""
        ...

    def find(self, named: str) -> "Version | None":
        """The version of this number, or the latest one of the run with this id."""
        ...

    def of_bundle(self, digest: str) -> "Version | None":
        """The latest version whose bundle has this digest (its tag `bundle`)."""
        ...

    def promote(self, version: "Version", because: "Because") -> None:
        """Make a version the champion and remember the one before."""
        ...

    def roll_back(self, because: "Because") -> "tuple[Version, Version]":
        """Make the champion before the champion again; which one went, which one came."""
        ...

    def refuse(self, version: "Version", because: "Because") -> None:
        """Note on a version why it did not become the champion."""
        ...


class Tracker(Protocol):
    """Remembers what was run and what came out; `keeps` is false where it forgets, so that nothing is drawn for it, and
    `registry` None where versions are not kept."""

    @property
    def keeps(self) -> bool: ...

    @property
    def registry(self) -> Registry | None: ...

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

    def tag(self, tags: Mapping[str, str]) -> None:
        """Say more about the run that is open."""
        ...

    def register(self, bundle: Path, *, version_tags: Mapping[str, str]) -> str | None:
        """Register the bundle as the challenger; the version's number, or None where there is no registry."""
        ...

    def champion(self) -> Champion | None:
        """The current champion, or None where there is none on this machine."""
        ...

    def bundle(self, run: str) -> Path | None:
        """The bundle kept with the run of that id, or None where there is none on this machine."""
        ...


class Optimizer(Protocol):
    """Says how weights move; plain settings, from which torch's optimiser is built."""

    @property
    def learning_rate(self) -> float: ...

    def build(self, module: "nn.Module") -> "torch.optim.Optimizer":
        """The optimiser of the module's parameters, at its peak learning rate."""
        ...


class Schedule(Protocol):
    """Says how the learning rate runs; plain settings, from which torch's schedule is built."""

    def build(self, optimizer: "torch.optim.Optimizer", *, steps: int) -> "LRScheduler":
        """The schedule of a training of `steps` steps; what it keeps can be told in JSON."""
        ...


class Trainer(Protocol):
    """Fits an encoder; how many devices and processes it takes is its own matter."""

    @property
    def batch_tokens(self) -> int: ...

    @property
    def context_tokens(self) -> int: ...

    def fit(
        self,
        encoder: Encoder,
        loader: Loader,
        *,
        loss: Loss,
        sampler: Sampler,
        optimizer: Optimizer,
        schedule: Schedule,
        seed: int,
        watch: "Watch",
        checkpoints: "Checkpoints",
        epochs: int | None = None,
    ) -> Mapping[str, float]:
        """Train in place; returns what the training itself measured (tokens/s, seconds, epochs).

        The `loader` has its tokens on the CPU. `epochs` ends a training planned for more after so many.
        """
        ...


class Watch(Protocol):
    """Told what happens while training runs. Rates are of the epoch under way; `waiting` is the share of its time in
    which steps waited for data."""

    def validate(self) -> float:
        """Quality of the encoder as it is now, on the validation window; higher is better."""
        ...

    def said(self, line: str) -> None:
        """Something a person should know: what was chosen, where training goes on from, what could not be stored."""
        ...

    def epoch_began(self, *, epoch: int, epochs: int, steps: int, taken: int) -> None:
        """Before the first step of an epoch that is taken here; `taken` of its steps were taken before a resume."""
        ...

    def stepped(self, *, loss: float, tokens_per_s: float, waiting: float) -> None:
        """After every step."""
        ...

    def epoch_ended(self, *, epoch: int, loss: float, tokens_per_s: float, waiting: float, quality: float) -> None:
        """After validation."""
        ...

    def cut_short(self, *, epoch: int, epochs: int, minutes: float) -> None:
        """Training ends before its last epoch because its time is up."""
        ...


class Pruner(Protocol):
    """Says which trials of a sweep are ended early."""

    def build(self) -> "BasePruner":
        """The rule, which counts epochs as steps."""
        ...
