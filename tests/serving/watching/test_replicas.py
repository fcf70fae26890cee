"""Whichever replica of a machine is asked, all of them are seen."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry, Counter

from recsys.errors import ConfigError
from serving import processes
from serving.watching.exposition import MetricsPort, page, told
from serving.watching.replicas import Replicas, Report
from tests.serving.watching.scrape import Scraped

ROOT = Path(__file__).resolve().parents[3]
_STAYS = """
import sys, time
from pathlib import Path
from serving.watching.replicas import Replicas
replica = Replicas(Path(sys.argv[1]), lambda: {"who": "the other process"})
replica.open()
print(replica.number, flush=True)
time.sleep(60)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: those of sockets are limited to a hundred characters."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder, "replicas")


@pytest.fixture
def replica(folder: Path) -> Iterator[Callable[[str], Replicas]]:
    """Makes replicas that tell their name; they are closed afterwards."""
    made: list[Replicas] = []

    def make(name: str) -> Replicas:
        one = Replicas(folder, lambda: {"who": name}, timeout_s=0.3)
        made.append(one)
        one.open()
        return one

    yield make
    for one in made:
        one.close()


def names(replicas: Replicas) -> list[str]:
    return [report["who"] for report in replicas.reports()]


def test_each_sees_all(replica: Callable[[str], Replicas]) -> None:
    first, second, third = replica("a"), replica("b"), replica("c")
    assert [one.number for one in (first, second, third)] == [0, 1, 2]
    assert names(first) == names(second) == names(third) == ["a", "b", "c"]


def test_who_comes_after_one_that_left_takes_its_number(replica: Callable[[str], Replicas]) -> None:
    first, second = replica("a"), replica("b")
    first.close()
    assert names(second) == ["b"]
    assert replica("c").number == 0
    assert names(second) == ["c", "b"]


def test_one_that_was_killed_is_not_seen_and_its_number_is_free(
    folder: Path, replica: Callable[[str], Replicas]
) -> None:
    command = [sys.executable, "-c", _STAYS, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "0\n"
        mine = replica("mine")
        assert mine.number == 1
        assert names(mine) == ["the other process", "mine"]
        other.kill()
        other.wait()
    assert (folder / "0.sock").exists()
    assert names(mine) == ["mine"]
    assert replica("next").number == 0
    assert names(mine) == ["next", "mine"]


def test_one_that_hangs_is_left_out_in_time(
    folder: Path, replica: Callable[[str], Replicas], caplog: pytest.LogCaptureFixture
) -> None:
    mine = replica("mine")
    with socket.socket(socket.AF_UNIX) as hung:
        hung.bind(str(folder / "7.sock"))
        hung.listen()
        started = time.monotonic()
        assert names(mine) == ["mine"]
        assert time.monotonic() - started < 2
    assert "replica 7 does not tell of itself" in caplog.text


def test_one_that_is_alone_sees_itself() -> None:
    alone = Replicas(None, lambda: {"who": "me"})
    alone.open()
    assert alone.reports() == [{"who": "me", "replica": 0}]
    alone.close()


def test_a_folder_that_others_can_enter_is_refused(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    with pytest.raises(ConfigError, match="open to others"):
        Replicas(folder, dict).open()


def counting(value: int) -> Callable[[], Report]:
    """A report with one counter."""
    registry = CollectorRegistry()
    Counter("shop_things_total", "Things.", ("kind",), registry=registry).labels("a").inc(value)
    return lambda: {"metrics": told(registry)}


@pytest.fixture
def two(folder: Path) -> Iterator[tuple[Replicas, Replicas]]:
    """Two replicas that counted 3 and 4 things."""
    both = Replicas(folder, counting(3)), Replicas(folder, counting(4))
    for one in both:
        one.open()
    yield both
    for one in both:
        one.close()


def test_a_page_of_metrics_holds_everybody_s_under_one_heading(two: tuple[Replicas, Replicas]) -> None:
    pages = [page(one).decode() for one in two]
    assert pages[0] == pages[1]
    found = Scraped.of(pages[0])
    assert found("shop_things_total", replica="0", kind="a") == 3
    assert found("shop_things_total", replica="1", kind="a") == 4
    assert found("attune_replicas") == 2
    assert pages[0].count("# TYPE shop_things_total counter") == 1


def fetched(port: int) -> Scraped:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return Scraped.of(answer.read().decode())


def eventually(port: int) -> Scraped:
    deadline = time.monotonic() + 10
    while True:
        try:
            return fetched(port)
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_when_the_replica_that_holds_the_port_ends_another_one_takes_it(
    folder: Path, two: tuple[Replicas, Replicas]
) -> None:
    port = processes.free_port()
    doors = [MetricsPort(one, host="127.0.0.1", port=port, folder=folder, every_s=0.05) for one in two]
    for door in doors:
        door.open()
    assert eventually(port)("shop_things_total") == 7
    two[0].close()
    doors[0].close()
    assert eventually(port)("shop_things_total") == 4
    doors[1].close()
    assert processes.port_is_free("127.0.0.1", port)


def test_a_port_that_somebody_else_has_is_said_once_and_tried_again(
    folder: Path, two: tuple[Replicas, Replicas], caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        door = MetricsPort(two[0], host="127.0.0.1", port=port, folder=folder, every_s=0.05)
        door.open()
        time.sleep(0.5)
    assert eventually(port)("attune_replicas") == 2
    door.close()
    assert caplog.text.count("somebody else has that port") == 1
