"""`python -m serving.backup`, also `recsys-backup`: copies of the embedded store, and back into a new place.

Redis has its own means; `serving/store/redis.py` and `recsys-backup --help` tell which.
"""

import sys
from pathlib import Path

import hydra
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console

from conf.overrides import check_command_line
from recsys.errors import ConfigError, RecsysError
from serving.store.sqlite import SqliteStore
from serving.store.sqlite_copy import copy


def main() -> None:
    """Entry point; status 2 for a command line that does not compose, 1 where nothing was copied."""
    if problem := check_command_line("backup"):
        Console(stderr=True).print(problem, style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    _backup()


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="backup")
def _backup(config: DictConfig) -> None:
    try:
        source, target = _from_and_to(config)
        events = copy(source, target)
    except RecsysError as failure:
        sys.exit(f"error: {failure}")
    Console().print(f"{events:,} events: {source} -> {target}", highlight=False, soft_wrap=True)


def _from_and_to(config: DictConfig) -> tuple[Path, Path]:
    store = instantiate(config.store)
    if not isinstance(store, SqliteStore):
        raise ConfigError(
            f"recsys-backup copies the embedded store, not {type(store).__name__}; "
            "for Redis use redis-cli --rdb, see recsys-backup --help"
        )
    if (config.to is None) == (config.restore is None):
        raise ConfigError("say where the copy goes (to=FILE), or which copy to put back (restore=FILE store.path=NEW)")
    if config.restore is None:
        return store.path, Path(config.to).absolute()
    return Path(config.restore).absolute(), store.path


if __name__ == "__main__":
    main()
