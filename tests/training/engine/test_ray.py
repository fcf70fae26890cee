"""The same log from Ray Data as from threads of one process."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from recsys.clock import DAY, ManualClock
from recsys.errors import ConfigError, DataError
from recsys.log.erase import Named, erase
from recsys.log.reader import EventLog
from recsys.log.writer import write_log
from tests.made_up_shop import MadeUpShop
from tests.recsys.log.by_hand import Part, Row, Shop, sale
from training.engine.ray import RayEngine


@pytest.fixture(scope="module")
def engine() -> Iterator[RayEngine]:
    with RayEngine(cores=2) as started:
        yield started  # type: ignore[misc]


def rows(number: int) -> list[Row]:
    """Overlaps with the part before by a third, and reaches over five dates."""
    return [
        sale(f"{number * 200 + n}", (n * 7919 % 5) * DAY + n * 65_537, f"u{n % 17}", anonymous_id=f"v{n % 5}")
        for n in range(300)
    ]


def store(parts: int) -> Shop:
    refused = [("no price", "u3 paid nothing")]
    return Shop({f"{n:02d}": Part(rows(n), refused, {"fuel": n}) for n in range(parts)}, chunk_rows=70)


def same(one: Path, other: Path) -> bool:
    first, second = EventLog(one), EventLog(other)
    assert first.summary == second.summary
    assert first.quarantine().equals(second.quarantine())
    assert first.items().equals(second.items())
    return [t.to_pydict() for t in first.days()] == [t.to_pydict() for t in second.days()]


@pytest.mark.slow
def test_ray_data_writes_the_log_that_threads_write(tmp_path: Path, engine: RayEngine) -> None:
    for number, source in enumerate([store(12), MadeUpShop()]):
        by_threads, by_ray = tmp_path / f"threads-{number}", tmp_path / f"ray-{number}"
        write_log(source, by_threads)
        write_log(source, by_ray, engine=engine)
        assert same(by_threads, by_ray)


@pytest.mark.slow
def test_what_one_engine_began_the_other_goes_on_with(tmp_path: Path, engine: RayEngine) -> None:
    whole = store(6)
    write_log(whole, tmp_path / "at once")
    write_log(whole.of("01", "02", "04"), tmp_path / "log")
    write_log(whole, tmp_path / "log", engine=engine)
    assert same(tmp_path / "at once", tmp_path / "log")
    for folder, by in (("at once", None), ("log", engine)):
        erase(tmp_path / folder, Named("user", "u3"), clock=ManualClock(), engine=by)
    one, other = (EventLog(tmp_path / folder) for folder in ("at once", "log"))
    assert one.events().equals(other.events())
    assert replace(one.summary, fingerprint="") == replace(other.summary, fingerprint=""), (
        "each log has a key of its own"
    )
    assert one.quarantine().num_rows == 0


@pytest.mark.slow
def test_a_deliberate_error_in_a_worker_says_what_it_says_here(tmp_path: Path, engine: RayEngine) -> None:
    lossy = store(3)
    lossy.contents["01"] = Part(rows(1), unseen=1)
    with pytest.raises(DataError, match=r"read 301 rows of part '01' but accounts for 300 accepted"):
        write_log(lossy, tmp_path / "log", engine=engine)
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_is_up_to_date_does_not_start_ray(tmp_path: Path) -> None:
    write_log(store(1), tmp_path / "log")
    with RayEngine(cores=1) as engine:
        write_log(store(1), tmp_path / "log", engine=engine)
        assert engine._environment is None  # type: ignore[attr-defined]


def test_a_number_of_cores_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"engine.cores is 0; give at least 1"):
        RayEngine(cores=0)
