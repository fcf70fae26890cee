"""The card on a terminal."""

from io import StringIO

import pytest
from rich.console import Console

from recsys.card.card import DataCard
from recsys.clock import DAY
from recsys.log.summary import LogSummary
from tests.recsys.card.findings.logs import SUMMARY as PLAIN
from tests.recsys.card.logs import START, act, card
from tests.training.card.cards import SUMMARY, rich_card, warned
from training.card.terminal import print_card


def printed(of: DataCard, *, summary: LogSummary = SUMMARY, width: int = 80) -> str:
    out = StringIO()
    print_card(of, summary, warned(of, summary), Console(file=out, width=width))
    return out.getvalue()


@pytest.fixture(scope="module")
def whole() -> str:
    return printed(rich_card())


def test_nothing_is_wider_than_eighty_columns(whole: str) -> None:
    assert max(map(len, whole.splitlines())) == 80
    assert max(map(len, printed(rich_card(), width=200).splitlines())) == 80


def test_every_part_of_the_card_is_told(whole: str) -> None:
    for heading in ("ROWS", "WHO AND WHAT", "EVENTS", "SESSIONS", "WHAT IS TAKEN", "AFTER THE CUT-OFF", "WARNINGS"):
        assert heading in whole
    assert "1,300 rows in = 1,000 events + 3 duplicates + 200 quarantined + 7 excluded" in " ".join(whole.split())
    assert "no [red]price[/] 150; no item 50" in whole, "reasons are shown as they are, never read as markup"
    for name in ("gap between moments", "lines of a basket", "until bought again", "Gini", "repurchase", "new items"):
        assert name in whole


def test_the_days_are_drawn_with_their_ends_and_the_cut_off(whole: str) -> None:
    assert "2024-01-01                    2024-02-29" in whole
    assert "cut-off ▲" in whole
    line = next(line for line in whole.splitlines() if line.startswith("purchase"))
    assert any(block in line for block in "▄▅▆▇█")


def test_a_warning_comes_with_evidence_threshold_and_remedy(whole: str) -> None:
    text = " ".join(whole.split())
    assert "!! many rows refused: 200 of 1,300 rows were refused no [red]price[/]: 150 no item: 50" in text
    assert "threshold: 5% of the rows → the quarantine holds each" in text


def test_a_clean_log_has_no_warnings() -> None:
    rows = [act(number * DAY // 4, f"s{number % 20}", f"i{number % 30}") for number in range(200)]
    assert "none" in printed(card(rows, cutoff=START + 40 * DAY), summary=PLAIN).split("WARNINGS")[1]


def test_literature_mode_says_so_and_leaves_time_out() -> None:
    text = printed(rich_card(order_only=True), summary=PLAIN)
    assert "literature mode: order only, no times" in text
    for absent in ("hours 0–23", "SESSIONS", "AFTER THE CUT-OFF", "until bought again", "2024"):
        assert absent not in text
    assert "moments of a shopper" in text


def test_an_empty_log_and_a_single_event_can_be_printed() -> None:
    assert "no interactions" in printed(card(), summary=PLAIN)
    assert "no interactions" in printed(card(order_only=True), summary=PLAIN)
    single = printed(card([act(0)], cutoff=START), summary=PLAIN)
    assert "2024-01-01" in single
