"""The same sequences from Ray Data as from threads of one process."""

from pathlib import Path

import pytest

from recsys.catalogue import Catalogue
from recsys.clock import DAY
from recsys.log.reader import EventLog
from recsys.log.writer import write_log
from recsys.sequence.blocks import ADOPTION
from recsys.sequence.coding import Coding
from recsys.sequence.gather import gather
from recsys.sequence.histories import Histories
from recsys.sequence.survey import Survey
from recsys.state import HISTORY_COLUMNS
from tests.made_up_shop import MadeUpShop
from tests.recsys.log.by_hand import Part, Row, Shop, sale
from training.engine.ray import RayEngine


def visits(number: int) -> list[Row]:
    """Seventeen users on five devices: sign-ins, shared devices, and much that carries no user id."""
    return [
        sale(
            f"{number}-{n}",
            (n * 7919 % 5) * DAY + n * 65_537 + number,
            f"u{n % 17}" if n % 3 else None,
            anonymous_id=f"v{n % 5}",
            type="unlink" if n % 31 == 1 else "view",
        )
        for n in range(300)
    ]


@pytest.mark.slow
def test_ray_data_gathers_the_histories_that_threads_gather(tmp_path: Path) -> None:
    with RayEngine(cores=2) as engine:
        for number, source in enumerate([Shop({f"{n}": Part(visits(n)) for n in range(4)}), MadeUpShop()]):
            write_log(source, tmp_path / f"log-{number}")
            log = EventLog(tmp_path / f"log-{number}")
            survey = Survey.of(log, until=None)
            catalogue = Catalogue.of_table(log.items(), survey.items.to_pylist())
            coding = Coding(catalogue, survey.channels, survey.devices)
            one = gather(log, survey, coding, tmp_path / f"threads-{number}", range_events=400, lookback=9)
            other = gather(log, survey, coding, tmp_path / f"ray-{number}", range_events=400, lookback=9, engine=engine)
            assert same(one, other)
            assert len(one) > 17, "users, and visitors before their sign-in"


def same(one: Histories, other: Histories) -> bool:
    columns = [(getattr(one.events, name), getattr(other.events, name)) for name in HISTORY_COLUMNS]
    columns += [(getattr(one.adoption, name), getattr(other.adoption, name)) for name in ADOPTION]
    columns += [(one.start, other.start), (one.asked_from, other.asked_from)]
    return one.shopper.equals(other.shopper) and all(a.tobytes() == b.tobytes() for a, b in columns)
