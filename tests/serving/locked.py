"""A shop behind a guard, in process, and keys to it."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from recsys.clock import ManualClock
from serving.api.application import create_app
from serving.security.guard import Guard
from serving.security.key import Key, Kind, digest_of, draw
from serving.security.keyring import change
from serving.security.policy import Security
from serving.security.scope import Scope
from serving.service import Service
from serving.store.sqlite import SqliteStore
from tests.serving.shop import NOW, CategoryCounter

VIEW = {"type": "view", "anonymous_id": "a", "item_id": "item-001"}


def a_key(*scopes: Scope, name: str = "k", kind: Kind = Kind.SECRET, **more: Any) -> tuple[Key, str]:
    """A key made when the shop's clock stands at NOW, and its text."""
    number, text = draw(kind)
    key = Key(id=number, name=name, kind=kind, scopes=frozenset(scopes), digest=digest_of(text), created_at=NOW, **more)
    return key, text


def bearer(text: str, **more: str) -> dict[str, str]:
    """The headers of somebody with this key."""
    return {"authorization": f"Bearer {text}", **more}


def described() -> dict[str, Any]:
    """The OpenAPI document."""
    service = Service(
        CategoryCounter(), SqliteStore(Path("nowhere")), clock=ManualClock(NOW), rng=np.random.default_rng(0)
    )
    return create_app(service).openapi()


@dataclass(slots=True)
class Ticks:
    """Seconds, moved by hand."""

    at: float = 0.0

    def __call__(self) -> float:
        return self.at


@dataclass(slots=True)
class Locked:
    """The application, and what a test may want to turn."""

    http: httpx.AsyncClient
    guard: Guard
    store: SqliteStore
    clock: ManualClock
    ticks: Ticks
    recommender: CategoryCounter


@asynccontextmanager
async def locked(
    folder: Path, security: Security, keys: Iterable[Key] = (), *, on_loopback: bool = True, every_s: float = 60.0
) -> AsyncIterator[Locked]:
    """The application behind a guard that knows these keys; real time, by which they end, stands at NOW."""
    clock, ticks, store, recommender = ManualClock(NOW), Ticks(), SqliteStore(folder / "events.db"), CategoryCounter()
    service = Service(recommender, store, clock=clock, rng=np.random.default_rng(0))
    guard = Guard(security, store, on_loopback=on_loopback, clock=clock, every_s=every_s, ticks=ticks)
    transport = httpx.ASGITransport(create_app(service, guard=guard), raise_app_exceptions=False)
    async with service:
        for key in keys:
            await change(store, clock, lambda ring, key=key: ring.with_key(key), settles_s=0)
        async with guard, httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as http:
            yield Locked(http, guard, store, clock, ticks, recommender)
