"""Cards to print and to draw."""

from collections.abc import Sequence

from recsys.card.card import DataCard
from recsys.card.findings.checks import findings
from recsys.card.findings.finding import Checked, Finding, Thresholds
from recsys.clock import DAY, HOUR
from recsys.log.summary import LogSummary
from tests.recsys.by_hand import items_table
from tests.recsys.card.findings.logs import NOW, clean, with_rows
from tests.recsys.card.logs import START, Row, act, card

NAMES = [f"i{number}" for number in range(40)]
SUMMARY = with_rows(
    rows_in=1_300,
    duplicates=3,
    quarantined=200,
    excluded=7,
    quarantine_reasons={"no [red]price[/]": 150, "no item": 50},
    excluded_reasons={"fuel": 7},
)


def rich_card(**view: object) -> DataCard:
    """Sixty days of views, searches, impressions and purchases of users and visitors, with categories."""
    extra: list[Row] = []
    for number in range(300):
        at = (number % 58) * DAY + (8 + number % 13) * HOUR
        user = f"s{number % 30}" if number % 5 == 0 else None
        extra.append(act(at, user, f"i{number % 40}", anonymous_id=f"v{number % 70}", device="phone"))
        extra.append(act(at + 5, user, None, anonymous_id=f"v{number % 70}", type="search", query="tea"))
        extra.append(act(at + 9, user, f"i{number % 7}", anonymous_id=f"v{number % 70}", type="impression"))
    paths = [["food", "fruit"] if number % 3 else ["home"] for number in range(40)]
    settings = {"cutoff": START + 50 * DAY, "time_zone": "UTC", **view}
    return card([*clean(), *extra], items=items_table(NAMES, paths), **settings)


def warned(of: DataCard, summary: LogSummary = SUMMARY) -> Sequence[Finding]:
    return findings(Checked(card=of, summary=summary, now=NOW, thresholds=Thresholds()))
