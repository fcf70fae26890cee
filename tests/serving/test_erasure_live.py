"""A shopper of a real service is erased, and no file of anything that runs or was written names them afterwards."""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest

from recsys.data.exports import with_exports
from recsys.log.writer import write_log
from serving import processes
from serving.exporter import Exported, export
from serving.janitor import MARK
from serving.store.protocol import OnlineStore
from serving.store.redis import RedisStore
from serving.store.sqlite import SqliteStore
from tests.made_up_shop import MadeUpShop
from tests.serving.live import LiveServer, tell
from tests.serving.redis_server import RedisServer

USER, VISITOR = "ute-7319", "cookie-4402"
SHOP = MadeUpShop(shoppers=2)


def holding(folder: Path) -> list[str]:
    """Files below a folder that hold one of the ids; Parquet files are read, because they are compressed."""
    return [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file() and _holds(path)]


def _holds(path: Path) -> bool:
    content = path.read_bytes()
    if path.suffix == ".parquet":
        content += str(pq.read_table(path).to_pylist()).encode()
    return any(one.encode() in content for one in (USER, VISITOR))


class ProxyLog:
    """Listens where the proxy sends its log."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"

    def lines(self) -> list[str]:
        """What came since the last look."""
        found = []
        while True:
            try:
                found.append(self._socket.recv(1 << 16).decode(errors="replace"))
            except BlockingIOError:
                return found

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


@pytest.fixture
def proxy_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[ProxyLog]:
    log = ProxyLog()
    monkeypatch.setenv("RAY_SERVE_HAPROXY_LOG_TARGET", log.address)
    yield log
    log.close()


StoreOf = Callable[[], OnlineStore]


@pytest.fixture
def in_sqlite(tmp_path: Path) -> tuple[list[str], StoreOf]:
    path = tmp_path / "server" / "store" / "events.db"
    return [f"store.path={path}"], lambda: SqliteStore(path)


@pytest.fixture
def in_redis(tmp_path: Path) -> Iterator[tuple[list[str], StoreOf]]:
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder, rdbcompression="no")
    server.start()
    yield ["store=redis", f"store.url={server.url}"], lambda: RedisStore(server.url)
    server.stop()


def private_folder(server: LiveServer) -> Path:
    """Where Ray, the proxy and the replicas of a server keep their files."""
    for process in processes.descendants(server.pid):
        try:
            environment = Path(f"/proc/{process.pid}/environ").read_bytes()
        except OSError:
            continue
        for setting in environment.split(b"\0"):
            if setting.startswith(f"{MARK}=".encode()):
                return Path(os.fsdecode(setting.partition(b"=")[2]))
    raise AssertionError("no process of the server carries its mark")


async def exported(store: OnlineStore, folder: Path) -> Exported:
    await store.open()
    try:
        return await export(store, folder)
    finally:
        await store.close()


def knowledge(url: str, **shopper: str) -> set[str]:
    """What is known of a shopper when they ask often enough to meet both replicas."""
    found = set()
    for _ in range(12):
        answer = httpx.post(f"{url}/v1/recommendations", json={"shopper": shopper})
        assert answer.status_code == 200, answer.text
        found.add(answer.json()["knowledge"])
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["in_sqlite", "in_redis"])
def test_afterwards_no_file_of_the_service_the_store_the_exports_and_the_log_holds_the_ids(
    kind: str, request: pytest.FixtureRequest, proxy_log: ProxyLog, tiny_bundle: Path, tmp_path: Path
) -> None:
    settings, store_of = request.getfixturevalue(kind)
    server = LiveServer(tiny_bundle, tmp_path / "server", "app.replicas=2", *settings)
    exports, log = tmp_path / "exports", tmp_path / "log"
    server.start()
    try:
        server.wait_until_ready()
        with httpx.Client(base_url=server.url, timeout=60) as http:
            tell(http, "view", "item-003", anonymous_id=VISITOR)
            tell(http, "view", "item-004", anonymous_id=VISITOR, user_id=USER)
            tell(http, "purchase", "item-005", user_id=USER)
            tell(http, "view", "item-006", user_id="vera", anonymous_id="v")
            assert "cold" not in knowledge(server.url, user_id=USER)
            time.sleep(0.5)  # slates are recorded behind the answers
            assert asyncio.run(exported(store_of(), exports)).events == 4
            write_log(with_exports(SHOP, exports), log)
            assert [bool(holding(folder)) for folder in (tmp_path, exports, log)] == [True] * 3
            shown = http.get(f"/v1/shoppers/{USER}/export").text
            assert (shown.count('"record":"event"'), shown.count('"record":"recommendation"')) == (3, 12)

            answer = http.delete(f"/v1/shoppers/{USER}")
            assert answer.status_code == 200, answer.text
            receipt = answer.json()
            assert (receipt["visitors"], receipt["places"][0]["removed"]) == (1, 3)
            assert http.delete(f"/v1/shoppers/{USER}").json() == receipt
            for shopper in ({"user_id": USER}, {"anonymous_id": VISITOR}):
                assert knowledge(server.url, **shopper) == {"cold"}
            late = http.post("/v1/events", json={"type": "view", "item_id": "item-003", "anonymous_id": VISITOR})
            assert late.json()["duplicate"] == 1
            time.sleep(0.5)
            due = [name for name in holding(tmp_path) if not name.startswith(("exports/", "log/"))]
            assert due == [], "what is due is the exported files and the log"
            assert holding(private_folder(server)) == []

            assert asyncio.run(exported(store_of(), exports)).erased == 3
            write_log(with_exports(SHOP, exports), log)
            assert holding(tmp_path) == []
            said = proxy_log.lines()
            assert any("DELETE" in line for line in said), said[-3:]
            assert [line for line in said if USER in line or VISITOR in line] == []
    finally:
        server.stop()
    assert holding(tmp_path) == []
    assert USER not in server.output
