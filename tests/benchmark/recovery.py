"""What is lost when things die: `python -m tests.benchmark.recovery [--quick] [--bundle FOLDER] [--store sqlite]`.

A service of two replicas takes in events from several careful senders, who send again what was not acknowledged. Then
fifty times something is killed (`SIGKILL`) at a random moment: a replica, HAProxy, the process that looks after it, the
controller of Ray Serve, Redis (`appendfsync always`), or Ray and the server altogether, which is then started anew. At
the end the store itself is read, not the service. `--quick`: three kills, one of Ray.

| key | meaning |
|---|---|
| kills | how many |
| acknowledged | events |
| lost | acknowledged and not in the store |
| doubled | ids that are in the store more than once |
| longest_s | from a kill until every sender was acknowledged what it sent afterwards, the longest; see the table |
"""

import argparse
import asyncio
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serving import processes
from serving.store.protocol import OnlineStore
from serving.store.redis import RedisStore
from serving.store.sqlite import SqliteStore
from tests.benchmark.release_loading import bundle_of
from tests.benchmark.report import report
from tests.benchmark.senders import Senders
from tests.benchmark.serving import workload_of
from tests.serving.live import LiveServer
from tests.serving.redis_server import RedisServer

REPLICAS = 2
SENDERS = 4
_PAGE = 10_000
_PATIENCE_S = 120.0
_QUICK = ("replica", "redis", "everything")


@dataclass(frozen=True, slots=True)
class Place:
    """What is under test: the server, the Redis behind it if there is one, and how its store is opened."""

    server: LiveServer
    redis: RedisServer | None
    store: Callable[[], OnlineStore]

    def named(self, *names: str) -> list[processes.Process]:
        """Processes of the server whose names begin so."""
        return [one for one in processes.descendants(self.server.pid) if one.name.startswith(names)]


def one_of(*names: str) -> Callable[[Place, np.random.Generator], bool]:
    """Kills one process of these names; False where there is none at the moment."""

    def kill(place: Place, rng: np.random.Generator) -> bool:
        found = place.named(*names)
        if not found:
            return False
        try:
            os.kill(found[int(rng.integers(len(found)))].pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    return kill


def redis(place: Place, rng: np.random.Generator) -> bool:
    """Kills Redis and starts it again, up to a second later."""
    if place.redis is None:
        return False
    place.redis.kill()
    time.sleep(rng.uniform(0, 1))
    place.redis.start()
    return True


def everything(place: Place, rng: np.random.Generator) -> bool:
    """Kills the server with all of Ray and starts it again."""
    place.server.kill()
    place.server.start()
    place.server.wait_until_ready(_PATIENCE_S)
    return True


# The kernel keeps fifteen letters of a process's name.
VICTIMS: dict[str, tuple[float, Callable[[Place, np.random.Generator], bool]]] = {
    "replica": (0.3, one_of("ray::ServeRepl")),
    "proxy": (0.15, one_of("haproxy")),
    "proxy manager": (0.1, one_of("ray::HAProxyMan", "ray::ProxyActor")),
    "controller": (0.05, one_of("ray::ServeContr")),
    "redis": (0.25, redis),
    "everything": (0.15, everything),
}
"""How often each is chosen, and how it dies."""


def planned(count: int, rng: np.random.Generator) -> list[str]:
    """Who dies, in which order."""
    weight = np.array([share for share, _ in VICTIMS.values()])
    return [str(name) for name in rng.choice(list(VICTIMS), count, p=weight / weight.sum())]


def recovered(place: Place, senders: Senders) -> None:
    """Return once every sender was told of events that it sent after this call, and all replicas are there."""
    before = {one: one.acknowledged for one in senders.all}
    deadline = time.monotonic() + _PATIENCE_S
    while any(one.acknowledged == count for one, count in before.items()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"no event was acknowledged for {_PATIENCE_S:g} s:\n{place.server.output}")
        time.sleep(0.005)


def killed(place: Place, senders: Senders, victims: list[str], rng: np.random.Generator) -> list[tuple[str, float]]:
    """Who died and how many seconds it took until all senders were acknowledged again."""
    deaths: list[tuple[str, float]] = []
    for victim in victims:
        time.sleep(rng.uniform(0.2, 2.0))
        began = time.perf_counter()
        while not VICTIMS[victim][1](place, rng):
            if time.perf_counter() - began > _PATIENCE_S:
                raise RuntimeError(f"there is no {victim} to be killed:\n{place.server.output}")
            time.sleep(0.1)
            began += 0.1
        recovered(place, senders)
        deaths.append((victim, time.perf_counter() - began))
        print(f"{len(deaths)}: {victim}, {deaths[-1][1]:.2f} s, {senders.acknowledged:,} acknowledged", flush=True)
    return deaths


async def stored(store: OnlineStore) -> Counter[str]:
    """How often each event is in the store, by id."""
    found, after = Counter[str](), 0
    await store.open()
    try:
        while arrivals := await store.arrived(after=after, limit=_PAGE):
            found.update(arrival.event.event_id for arrival in arrivals)
            after = arrivals[-1].number
    finally:
        await store.close()
    return found


@contextmanager
def started(bundle: Path, folder: Path, kind: str) -> Iterator[Place]:
    """A server of two replicas on a fresh store, which is all gone afterwards."""
    database = RedisServer(folder / "redis") if kind == "redis" else None
    overrides = [f"app.replicas={REPLICAS}"]
    if database is not None:
        database.folder.mkdir()
        database.start()
        os.environ["ATTUNE_REDIS_URL"] = database.url
        overrides.append("store=redis")
    server = LiveServer(bundle, folder / "shop", *overrides)
    file = folder / "shop" / "store" / "events.db"
    try:
        server.start()
        server.wait_until_ready(_PATIENCE_S)
        yield Place(server, database, lambda: RedisStore(database.url) if database else SqliteStore(file))
    finally:
        server.stop()
        if database is not None:
            database.stop()


def by_victim(deaths: list[tuple[str, float]]) -> list[dict[str, object]]:
    """A row of the table for each."""
    return [
        {"victim": name, "kills": len(took), "median s": float(np.median(took)), "longest s": max(took)}
        for name in VICTIMS
        if (took := [seconds for victim, seconds in deaths if victim == name])
    ]


def main() -> None:
    """Parse the command line, kill, count, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="end within 45 seconds, once there is a bundle")
    parser.add_argument("--bundle", type=Path, help="the bundle's folder; one of 5,000 items if left out")
    parser.add_argument("--store", choices=["redis", "sqlite"], default="redis")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    bundle, rng = (options.bundle or bundle_of(5_000)).absolute(), np.random.default_rng(options.seed)
    without = {"redis"} if options.store == "sqlite" else set()
    victims = list(_QUICK) if options.quick else planned(2 * options.kills, rng)
    victims = [name for name in victims if name not in without][: options.kills]
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, started(bundle, Path(folder), options.store) as place:
        items = workload_of(bundle).items[:1_000]
        with Senders(place.server.url, count=SENDERS, items=items, rng=rng) as senders:
            deaths = killed(place, senders, victims, rng)
        ids, kept = senders.ids(), asyncio.run(stored(place.store()))
    figures = {
        "kills": len(deaths),
        "acknowledged": len(ids),
        "lost": sum(event_id not in kept for event_id in ids),
        "doubled": sum(count > 1 for count in kept.values()),
        "unexpected": len(senders.unexpected),
        "failed_requests": senders.failed,
        "longest_s": round(max(seconds for _, seconds in deaths), 2),
        "minutes": round((time.perf_counter() - began) / 60, 1),
        "store": options.store,
    }
    for line in senders.unexpected[:5]:
        print(line)
    report("What is lost when things die", by_victim(deaths), figures)


if __name__ == "__main__":
    main()
