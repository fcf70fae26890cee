"""`python -m serving.export`, also `recsys-export`: events that came in through the API, as files for training."""

import asyncio
import signal
import sys
from pathlib import Path

import hydra
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console

from conf.overrides import check_command_line
from recsys.clock import SystemClock
from recsys.errors import RecsysError
from serving.exporter import Exported, export
from serving.exporting import Exporting, ExportSettings


def main() -> None:
    """Entry point; status 2 for a command line that does not compose, 1 where nothing could be exported."""
    if problem := check_command_line("export"):
        Console(stderr=True).print(problem, style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    _export()


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="export")
def _export(config: DictConfig) -> None:
    folder = Path(config.exports).absolute()
    if config.every_s is not None:
        asyncio.run(_again_and_again(config, folder))
        return
    try:
        done = asyncio.run(_exported(config, folder))
    except RecsysError as failure:
        sys.exit(f"error: {failure}")
    console = Console()
    console.print(f"{done.events:,} new events in {len(done.files)} files: {folder}", highlight=False, soft_wrap=True)
    if done.erased:
        console.print(f"{done.erased:,} events of erased shoppers were taken out of the files", highlight=False)


async def _exported(config: DictConfig, folder: Path) -> Exported:
    store = instantiate(config.store)
    await store.open()
    try:
        return await export(store, folder, rows=int(config.rows))
    finally:
        await store.close()


async def _again_and_again(config: DictConfig, folder: Path) -> None:
    """Until Ctrl-C or SIGTERM, as the service's own exporter does it."""
    settings = ExportSettings(folder=folder, every_s=float(config.every_s), rows=int(config.rows))
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await Exporting(instantiate(config.store), settings, SystemClock()).run(stop)


if __name__ == "__main__":
    main()
