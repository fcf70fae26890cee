"""A training of the made-up shop, as a process that may be killed: `python -m tests.training.made_up_training OUT`."""

import sys
from dataclasses import replace
from pathlib import Path

import hydra
from rich.console import Console

from tests.made_up_shop import MadeUpShop
from training.loop import run
from training.train import assemble

OVERRIDES = (
    *("model.dim=16", "model.blocks=1", "loss.negatives=64", "trainer.batch_tokens=400", "trainer.epochs=6"),
    *("trainer.checkpoint_s=0", "features.max_length=50", "trainer.context_tokens=10", "ranker=none"),
    *("validation_queries=50", "evaluation_queries=50", "tracker.system_metrics_s=0"),
)


def main() -> None:
    """Entry point."""
    outputs = Path(sys.argv[1])
    with hydra.initialize_config_module("conf", version_base="1.3"):
        recipe = assemble(hydra.compose("train", [*OVERRIDES, f"outputs={outputs}"]))
    run(replace(recipe, data=MadeUpShop()), Console(width=200))


if __name__ == "__main__":
    main()
