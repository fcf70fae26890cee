"""What the tests of serving share: an application in process, and one real server for the whole run."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest

from recsys.clock import ManualClock
from serving.api.application import create_app
from serving.service import Service
from serving.store.protocol import OnlineStore
from serving.store.sqlite import SqliteStore
from tests.quick_databases import quick_databases  # noqa: F401
from tests.serving.live import LiveServer
from tests.serving.shop import NOW, CategoryCounter
from tests.serving.stores import Place, lasting_place, place, redis_server  # noqa: F401


@dataclass(slots=True)
class Shopfront:
    """The application in process, with everything a test may want to turn."""

    http: httpx.AsyncClient
    clock: ManualClock
    recommender: CategoryCounter
    store: SqliteStore


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shopfront]:
    """The FastAPI application without Ray or network, on a fresh store; it is noon on 1 May 2024."""
    clock, recommender, store = ManualClock(NOW), CategoryCounter(), SqliteStore(tmp_path / "events.db")
    service = Service(recommender, store, clock=clock, rng=np.random.default_rng(0))
    transport = httpx.ASGITransport(create_app(service), raise_app_exceptions=False)
    async with service, httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
        recommender.batches.clear()
        yield Shopfront(http, clock, recommender, store)


@pytest.fixture
async def store(place: Place) -> AsyncIterator[OnlineStore]:  # noqa: F811
    """An empty store of each kind."""
    async with place.opened() as opened:
        yield opened


@pytest.fixture(scope="session")
def server(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One real server with two replicas for the whole run; when it is stopped, nothing may be left of it."""
    server = LiveServer(tiny_bundle, tmp_path_factory.mktemp("server"), "app.replicas=2")
    server.start()
    server.wait_until_ready()
    yield server
    server.stop()
