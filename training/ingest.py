"""`recsys-ingest`: write a source's event log and print what became of every row."""

from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console

from recsys.data.exports import with_exports
from recsys.log.writer import log_folder, write_log
from training.command import command
from training.report import print_log


def ingest(config: DictConfig) -> None:
    """Write the log, or add to it what is new, or find it up to date; and report."""
    console = Console()
    source = with_exports(instantiate(config.data, _convert_="all"), config.exports)
    folder = log_folder(source, Path(config.outputs).absolute())
    with instantiate(config.engine) as engine:
        print_log(write_log(source, folder, engine=engine, tell=console.print, rebuild=config.rebuild), folder, console)


def main() -> None:
    """Entry point."""
    command("ingest", ingest)


if __name__ == "__main__":
    main()
