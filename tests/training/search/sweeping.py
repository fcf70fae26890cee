"""Sweeps in a process of its own, for tests that kill it: python -m tests.training.search.sweeping FOLDER TRIALS."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import hydra
import pyarrow as pa
from hydra.core.global_hydra import GlobalHydra
from rich.console import Console

from recsys.data.chunk import SourcePart
from recsys.protocols import Source
from tests.made_up_shop import MadeUpShop
from training.pruner.never import Never
from training.recipe import Recipe
from training.search.space import Between, OneOf, Space
from training.search.trials import Plan
from training.search.trials import sweep as run_sweep
from training.train import assemble

FIXED = (
    *("model.dim=8", "model.blocks=1", "model.heads=1", "loss.negatives=16", "trainer.epochs=2", "trainer.device=cpu"),
    *("trainer.batch_tokens=800", "features.max_length=20", "features.token=[gap]", "trainer.context_tokens=5"),
    "tracker='null'",
)
SPACE = Space(
    [
        Between(key="optimizer.learning_rate", low=0.001, high=0.05, log=True),
        OneOf(key="similarity", values=["dot", "cosine"]),
        Between(key="similarity.temperature", low=0.02, high=0.2, log=True, given={"similarity": "cosine"}),
    ]
)
SHOP = MadeUpShop(shoppers=24)


@dataclass(frozen=True)
class OtherFuture:
    """A shop in whose test window everybody buys something else: nothing may learn of it before the test."""

    shop: MadeUpShop = SHOP
    name: str = SHOP.name
    licence: str = SHOP.licence
    time_zone: str = SHOP.time_zone
    order_only: bool = False
    cutoff: int = SHOP.cutoff

    def fingerprint(self) -> str:
        return f"{self.shop.fingerprint()}-other"

    def parts(self) -> list[SourcePart]:
        return [SourcePart(name="all", digest=self.fingerprint(), chunks=self._chunks)]

    def _chunks(self):  # type: ignore[no-untyped-def]
        for part in self.shop.parts():
            for chunk in part.chunks():
                later = [at.value >= self.cutoff for at in chunk.events["occurred_at"].combine_chunks()]
                items = chunk.events["item_id"].to_pylist()
                told = ["item-299" if late else item for item, late in zip(items, later, strict=True)]
                place = chunk.events.schema.get_field_index("item_id")
                events = chunk.events.set_column(place, chunk.events.schema.field(place), pa.array(told))
                yield replace(chunk, events=events)

    def items(self) -> pa.Table:
        return self.shop.items()


def plan(folder: Path, trials: int, *, data: Source = SHOP, **other: object) -> Plan:
    """Trials of two epochs on 24 shoppers."""
    fixed = other.pop("fixed", FIXED)

    def recipe(overrides: Sequence[str]) -> Recipe:
        GlobalHydra.instance().clear()
        with hydra.initialize_config_module("conf", version_base="1.3"):
            made = assemble(hydra.compose("train", [*fixed, *overrides]))  # type: ignore[misc]
        return replace(made, data=data, outputs=folder)

    settings = {"space": SPACE, "pruner": Never(), "startup_trials": 2, "study": None, **other}
    return Plan(recipe=recipe, fixed=fixed, trials=trials, **settings)  # type: ignore[arg-type]


if __name__ == "__main__":
    mlflow = [override for override in FIXED if not override.startswith("tracker")]
    run_sweep(plan(Path(sys.argv[1]), int(sys.argv[2]), fixed=mlflow, study="killed"), Console(width=200))
