"""The stores that keep one contract: somewhere to open each of them, again and again on the same data."""

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from serving.store.memory import MemoryStore
from serving.store.protocol import OnlineStore
from serving.store.redis import RedisStore
from serving.store.sqlite import SqliteStore
from tests.serving.redis_server import RedisServer


@dataclass(frozen=True, slots=True)
class Place:
    """Where stores of one kind are: `make` gives a store of a name, in which those of that name before it wrote."""

    make: Callable[[str], OnlineStore]

    @asynccontextmanager
    async def opened(self, name: str | None = None) -> AsyncIterator[OnlineStore]:
        """The store of that name, or an empty one, until the end of the block."""
        store = self.make(name or uuid.uuid4().hex)
        await store.open()
        try:
            yield store
        finally:
            await store.close()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One server for all tests that do it no harm; each store there has a prefix of its own."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


def sqlite_place(request: pytest.FixtureRequest) -> Place:
    folder = request.getfixturevalue("tmp_path")
    return Place(lambda name: SqliteStore(folder / f"{name}.db"))


def redis_place(request: pytest.FixtureRequest) -> Place:
    url, test = request.getfixturevalue("redis_server").url, uuid.uuid4().hex
    return Place(lambda name: RedisStore(url, prefix=f"{test}-{name}"))


def memory_place(request: pytest.FixtureRequest) -> Place:
    return Place(lambda name: MemoryStore())


@pytest.fixture(params=[sqlite_place, redis_place, memory_place], ids=["sqlite", "redis", "memory"])
def place(request: pytest.FixtureRequest) -> Place:
    """Each kind of store."""
    return request.param(request)


@pytest.fixture(params=[sqlite_place, redis_place], ids=["sqlite", "redis"])
def lasting_place(request: pytest.FixtureRequest) -> Place:
    """Each kind that keeps what it is told when it is closed."""
    return request.param(request)
