"""The recipe: everything a training run is made from, as plain typed values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys.clock import DAY
from recsys.errors import ConfigError
from recsys.log.writer import log_folder
from recsys.protocols import Encoder, Index, Loss, Policy, Sampler, Source
from recsys.retrieval.blend import Blend
from training.protocols import Tracker, Trainer


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Assembled once from the configuration; below this point nothing knows Hydra.

    `model`, `sampler` and `policy` are factories, because they need what only the data can tell: the catalogue, the
    feature spec, the repurchase model.
    """

    data: Source
    features: Mapping[str, Any]
    model: Callable[..., Encoder]
    loss: Loss
    sampler: Callable[..., Sampler]
    index: Index
    policy: Callable[..., Policy]
    retrieval: Blend
    trainer: Trainer
    tracker: Callable[..., Tracker]
    outputs: Path
    seed: int
    validation_days: int
    evaluation_queries: int | None
    reuse: bool
    register: bool
    settings: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.validation_days < 1:
            raise ConfigError(f"validation_days is {self.validation_days}; keep at least 1 day before the cut-off")

    @property
    def validation_since(self) -> int:
        """Instant at which the validation window begins."""
        return self.data.cutoff - self.validation_days * DAY

    @property
    def log_folder(self) -> Path:
        """Where this source's event log lies."""
        return log_folder(self.data, self.outputs)
