"""No false alarms."""

from pathlib import Path

import pytest

from recsys.card.card import COLUMNS, View, describe
from recsys.card.findings.checks import findings
from recsys.card.findings.finding import Checked, Thresholds
from recsys.clock import parse_instant
from recsys.data.complete_journey import CompleteJourney
from recsys.log.reader import EventLog
from recsys.log.writer import write_log
from recsys.protocols import Source
from tests.made_up_shop import MadeUpShop
from tests.recsys.card.findings.logs import NOW, clean, found, moved


@pytest.mark.parametrize("seed", range(3))
def test_a_clean_log_is_not_warned_of(seed: int) -> None:
    assert found(clean(seed=seed)) == {}


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Asia/Tokyo", "Australia/Sydney", "Asia/Kolkata"])
def test_a_clean_log_is_clean_in_its_own_zone(zone: str) -> None:
    offset = {"America/Los_Angeles": -8, "Asia/Tokyo": 9, "Australia/Sydney": 11, "Asia/Kolkata": 5.5}[zone]
    assert found(moved(clean(), -offset), time_zone=zone) == {}


def names_for(source: Source, folder: Path) -> set[str]:
    write_log(source, folder)
    log = EventLog(folder)
    view = View(time_zone=source.time_zone, cutoff=source.cutoff)
    card = describe(log.days(COLUMNS), log.items(), log.item_versions(), view=view)
    told = findings(Checked(card=card, summary=log.summary, now=NOW, thresholds=Thresholds()))
    return {finding.name for finding in told}


def test_the_made_up_shop_has_one_price_for_everything_indeed(tmp_path: Path) -> None:
    assert names_for(MadeUpShop(), tmp_path / "log") == {"one price for everything"}


def test_the_real_retailer_was_closed_at_christmas(tmp_path: Path) -> None:
    source = CompleteJourney(cutoff=parse_instant("2017-12-05"), households=150)
    assert names_for(source, tmp_path / "log") <= {"days without events"}
