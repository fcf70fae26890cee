"""`recsys-score`: the answer for every shopper at one instant, as a Parquet file."""

from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from recsys.clock import SystemClock, parse_instant
from recsys.errors import ConfigError
from recsys.retrieval.filter.parse import parse
from training.command import command
from training.scoring.run import Wanted, score_shoppers
from training.scoring.shoppers import read_shoppers
from training.which import bundle_folder


def wanted(config: DictConfig) -> Wanted:
    """What a configuration asks for; the bundle that it names is looked up."""
    outputs = Path(config.outputs).absolute()
    try:
        at = None if config.at is None else parse_instant(str(config.at))
    except ValueError as error:
        raise ConfigError(
            f"at={config.at} is no instant ({error}); write 2017-12-31 or 2017-12-31T18:00+01:00"
        ) from error
    return Wanted(
        bundle=bundle_folder(str(config.bundle), instantiate(config.tracker)(outputs=outputs)),
        outputs=outputs,
        answers=Path(config.answers).absolute() if config.answers else None,
        at=at,
        count=config.count,
        exclude_seen=config.exclude_seen,
        wanted=None if config.filter is None else parse(OmegaConf.to_container(config.filter)),
        shoppers=read_shoppers(Path(config.shoppers)) if config.shoppers else None,
        active_days=config.active_days,
        channel=config.channel,
        device=config.device,
        batch_shoppers=config.batch_shoppers,
        seed=config.seed,
        consent=instantiate(config.consent, _convert_="all"),
    )


def _score(config: DictConfig) -> None:
    source, engine = (instantiate(config[name], _convert_="all") for name in ("data", "engine"))
    score_shoppers(source, wanted(config), engine, Console(), clock=SystemClock())


def main() -> None:
    """Entry point."""
    command("score", _score)


if __name__ == "__main__":
    main()
