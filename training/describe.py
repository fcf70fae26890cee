"""`recsys-describe`: measure a source's log and make its data card."""

from pathlib import Path
from typing import Any, cast

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from recsys.clock import SystemClock
from training.card.make import Order, make_card
from training.command import command


def assemble(config: DictConfig) -> Order:
    """The order that a configuration describes."""
    settings = cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))
    parts = instantiate(config, _convert_="all")
    return Order(**{**parts, "outputs": Path(parts["outputs"]).absolute()}, settings=settings)


def main() -> None:
    """Entry point."""
    command("describe", lambda config: make_card(assemble(config), Console(), SystemClock()))


if __name__ == "__main__":
    main()
