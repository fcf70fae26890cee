"""`recsys-train`: compose the configuration, assemble the recipe, run the loop."""

from pathlib import Path
from typing import Any, cast

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from recsys.data.exports import with_exports
from training.command import command
from training.loop import run
from training.recipe import Recipe


def assemble(config: DictConfig) -> Recipe:
    """The recipe that a configuration describes."""
    settings = cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))
    parts = instantiate(config, _convert_="all")
    data = with_exports(parts["data"], parts.pop("exports"))
    return Recipe(**{**parts, "data": data, "outputs": Path(parts["outputs"]).absolute()}, settings=settings)


def main() -> None:
    """Entry point."""
    command("train", lambda config: run(assemble(config), Console()))


if __name__ == "__main__":
    main()
