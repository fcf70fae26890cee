"""From settings to a running shop: what `recsys-serve`, the demo and the benchmarks have in common."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from recsys.clock import ShiftedClock, SystemClock
from recsys.errors import ConfigError, ReleaseError
from recsys.recommender import Recommender
from serving.arguments import ServeArgs
from serving.background import Background
from serving.exporting import ExportSettings
from serving.following import RELEASE
from serving.release import Release
from serving.security import admission
from serving.security.policy import is_loopback
from serving.server import Server
from serving.store.memory import MemoryStore
from serving.store.protocol import Note, OnlineStore
from serving.watching.logs import FORMATS

_log = logging.getLogger("attune.launch")
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
    if config.app.log_format not in FORMATS:
        raise ConfigError(f"app.log_format={config.app.log_format} is not known; choose one of {', '.join(FORMATS)}")
    store, release, security = _plain(config.store), instantiate(config.release), _plain(config.security)
    encoding = _plain(config.encoding)
    instantiate(encoding).check()
    server: Server = instantiate(config.server)
    asyncio.run(admission.check(instantiate(security), instantiate(store), host=server.host))
    bundle = asyncio.run(_wanted(release, instantiate(store)))
    data_end = Recommender.load(bundle).data_end
    args = ServeArgs(
        bundle=bundle,
        store=store,
        clock_shift=CLOCKS[config.clock](data_end),
        folder=Path.cwd(),
        loopback=True,
        security=security,
        encoding=encoding,
        private=is_loopback(server.host),
        follow=release.moves,
        **_plain(config.app),
    )
    args.running_experiments()
    return server, args


@contextmanager
def running(server: Server, args: ServeArgs) -> Iterator[Server]:
    """The server with the application on it; everything is gone afterwards."""
    with server:
        from serving.app import build  # imports Ray, which must see the server's settings

        server.run(build(args), name="attune")
        yield server


def exporting(config: DictConfig) -> AbstractContextManager[object]:
    """The exporter that runs beside the service, if `export.folder` names a folder; ConfigError where it cannot."""
    if config.export.folder is None:
        return nullcontext()
    if isinstance(instantiate(config.store), MemoryStore):
        raise ConfigError(
            f"export.folder={config.export.folder}: what store=memory holds is seen by the service's own process only; "
            "use store=sqlite or export.folder=null"
        )
    settings = ExportSettings(
        folder=Path(config.export.folder), every_s=float(config.export.every_s), rows=int(config.export.rows)
    )
    return Background(_plain(config.store), settings, log_format=config.app.log_format)


def _plain(config: DictConfig) -> dict[str, Any]:
    return {str(key): value for key, value in dict(OmegaConf.to_container(config, resolve=True)).items()}  # type: ignore[arg-type]


async def _wanted(release: Release, store: OnlineStore) -> Path:
    """The folder of the bundle to serve, written down for whoever follows; where the registry is silent, the one that
    was served last. The store is opened once, so that a bad path is one clear message and not a failing replica."""
    await store.open()
    try:
        try:
            folder = release.resolve()
        except ReleaseError as silence:
            last = await store.note(RELEASE) if release.moves else None
            if last is None or not _is_folder(last.value):
                raise
            _log.error(
                "the registry does not say which release is wanted (%s); %s is served again", silence, last.value
            )
            return Path(last.value)
        if release.moves:  # a server of one certain release shall not move others that share the store
            await store.write_note(RELEASE, Note(value=str(folder), told_at=SystemClock().now()))
        return folder
    finally:
        await store.close()


def _is_folder(folder: str) -> bool:
    """Whether there is such a folder."""
    return Path(folder).is_dir()
