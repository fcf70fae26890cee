"""The recipe: everything a training run is made from, as plain typed values."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys.consent import Rules
from recsys.errors import ConfigError
from recsys.feature.spec import FeatureSpec
from recsys.intent.heads import IntentHeads
from recsys.intent.none import NoIntent
from recsys.log.engine import Engine
from recsys.log.writer import log_folder
from recsys.protocols import Encoder, Index, ItemTower, Loss, Policy, Ranker, Sampler, Similarity, Source, Split, Target
from recsys.retrieval.blend import Blend
from training.promotion import Promotion
from training.protocols import Optimizer, Schedule, Tracker, Trainer


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Assembled once from the configuration; below this point nothing knows Hydra.

    `model`, `sampler` and `policy` are factories, because they need what only the data can tell: the catalogue, the
    feature spec, the repurchase model.
    """

    data: Source
    features: Mapping[str, Any]
    engine: AbstractContextManager[Engine]
    split: Split
    target: Target
    model: Callable[..., Encoder]
    tower: ItemTower
    similarity: Similarity
    loss: Loss
    intent: IntentHeads | NoIntent
    sampler: Callable[..., Sampler]
    index: Index
    policy: Callable[..., Policy]
    retrieval: Blend
    ranker: Ranker
    optimizer: Optimizer
    schedule: Schedule
    trainer: Trainer
    tracker: Callable[..., Tracker]
    outputs: Path
    seed: int
    validation_days: int
    refit: bool
    exclude_seen: bool
    validation_queries: int | None
    evaluation_queries: int | None
    start_from: str | None
    replay: float
    reuse: bool
    register: bool
    promote: Promotion
    consent: Rules
    settings: Mapping[str, Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "promote", Promotion.of(self.promote))
        if self.validation_days < 1:
            raise ConfigError(f"validation_days is {self.validation_days}; keep at least 1 day before the cut-off")
        if not 0 <= self.replay <= 1:
            raise ConfigError(f"replay is {self.replay}; give a share of the shoppers, 0 to 1")
        if self.start_from is not None and not self.split.needs_times:
            raise ConfigError(f"start_from={self.start_from}: without times nothing is new; use split=temporal")
        FeatureSpec(**self.features)  # refuses what does not exist before any work
        if self.split.needs_prepared and not self.data.order_only:
            raise ConfigError(
                f"data {self.data.name!r} did not come split; split=given is for prepared files, use split=temporal"
            )
        if self.data.order_only and self.split.needs_times:
            raise ConfigError(
                f"data {self.data.name!r} holds an order but no times (literature mode), so it cannot be cut in time; "
                "use split=leave_one_out or, for files that come split, split=given, with features=order"
            )

    @property
    def log_folder(self) -> Path:
        """Where this source's event log lies."""
        return log_folder(self.data, self.outputs)
