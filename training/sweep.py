"""`recsys-sweep`: look for settings on the validation window, trial by trial."""

from collections.abc import Sequence

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console

from recsys.errors import ConfigError
from training.command import command
from training.recipe import Recipe
from training.search.space import Space, key_of
from training.search.trials import Plan, sweep
from training.train import assemble

_OWN = ("search", "pruner", "trials", "startup_trials", "study")


def _run(config: DictConfig) -> None:
    given = HydraConfig.get()
    found = [override for override in given.overrides.hydra if key_of(override) == "hydra.searchpath"]
    fixed = found + [override for override in given.overrides.task if key_of(override).partition(".")[0] not in _OWN]
    # "command-line" is what Hydra calls the source that --config-dir adds
    folders = [source.path for source in given.runtime.config_sources if source.provider == "command-line"]

    def recipe(overrides: Sequence[str]) -> Recipe:
        try:
            return assemble(hydra.compose("train", [*fixed, *overrides]))
        except HydraException as error:
            raise ConfigError(f"the search asks for {' '.join(overrides)}, which does not compose: {error}") from error

    own = {name: instantiate(config[name], _convert_="all") if name in _OWN[:2] else config[name] for name in _OWN}
    space = Space(own.pop("search")["dimensions"])
    sweep(Plan(recipe=recipe, fixed=fixed, folders=folders, space=space, **own), Console())


def main() -> None:
    """Entry point."""
    command("sweep", _run)


if __name__ == "__main__":
    main()
