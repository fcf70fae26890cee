"""From settings to a running shop: what `recsys-serve`, the demo and the benchmarks have in common."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from recsys.clock import ShiftedClock
from recsys.errors import ConfigError
from recsys.recommender import Recommender
from serving.arguments import ServeArgs
from serving.server import Server

CLOCKS: Mapping[str, Callable[[int], int]] = {
    "system": lambda _: 0,
    "data_end": lambda data_end: ShiftedClock.starting_at(data_end).shift,
}
"""How many microseconds the service's now is ahead of the machine's, given the end of the training data."""


def assemble(config: DictConfig) -> tuple[Server, ServeArgs]:
    """The server and the application's arguments that `conf/serve.yaml` describes.

    Everything that can be wrong is found here, before any process is started: ConfigError for a setting, ReleaseError
    and BundleError for what shall be served, StoreError for where events shall be kept.
    """
    if config.clock not in CLOCKS:
        raise ConfigError(f"clock={config.clock} is not known; choose one of {', '.join(CLOCKS)}")
    store = _plain(config.store)
    bundle: Path = instantiate(config.release).resolve()
    data_end = Recommender.load(bundle).data_end
    asyncio.run(_try_out(store))
    server: Server = instantiate(config.server)
    args = ServeArgs(
        bundle=bundle,
        store=store,
        clock_shift=CLOCKS[config.clock](data_end),
        folder=Path.cwd(),
        loopback=True,
        **_plain(config.app),
    )
    return server, args


@contextmanager
def running(server: Server, args: ServeArgs) -> Iterator[Server]:
    """The server with the application on it; everything is gone afterwards."""
    with server:
        from serving.app import build  # imports Ray, which must see the server's settings

        server.run(build(args), name="attune")
        yield server


def _plain(config: DictConfig) -> dict[str, Any]:
    return {str(key): value for key, value in dict(OmegaConf.to_container(config, resolve=True)).items()}  # type: ignore[arg-type]


async def _try_out(settings: dict[str, Any]) -> None:
    """Open and close the store once, so that a bad path is one clear message and not a failing replica."""
    store = instantiate(settings)
    await store.open()
    await store.close()
