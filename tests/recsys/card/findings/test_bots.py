"""Shoppers that are no people."""

from recsys.clock import DAY, HOUR, SECOND
from tests.recsys.card.findings.logs import clean, found
from tests.recsys.card.logs import act, bought


def test_a_shopper_with_inhuman_rates_is_told_by_rank_and_counts_without_the_id() -> None:
    crawler = [act(9 * HOUR + step * SECOND // 2, "crawler-77", f"i{step % 40}") for step in range(700)]
    warned = found(clean() + crawler)
    assert set(warned) == {"bots"}
    bots = warned["bots"]
    assert bots.grave
    assert bots.says.startswith("1 of 61 shoppers do more than people can; they make 25% of all acts")
    assert bots.evidence == (
        "#1: 700 acts; at most 120 moments a minute, 700 an hour, 700 a day; in one day active in 1 of 24 hours, "
        "with 40 items",
    )
    assert bots.threshold == "over 60 moments in a minute: 1; over 600 moments in an hour: 1"
    assert "crawler" not in repr(bots)


def test_the_id_is_told_where_ids_are_asked_for() -> None:
    crawler = [act(9 * HOUR + step * SECOND // 2, "crawler-77") for step in range(700)]
    assert found(crawler, show_ids=True)["bots"].evidence[0].startswith("#1 crawler-77: 700 acts")


def test_a_shopper_who_never_sleeps_is_a_bot() -> None:
    assert "bots" in found(clean() + [act(hour * HOUR, "ping") for hour in range(24)])
    assert "bots" not in found(clean() + [act(hour * HOUR, "ping") for hour in range(20)])


def test_dates_as_stamps_say_nothing_about_rates() -> None:
    rows = [act(day * DAY, "s", f"i{item}") for day in range(100) for item in range(1_001)]
    assert "bots" not in found(rows)


def test_a_word_for_nothing_as_an_id_is_told_with_its_count() -> None:
    nobody = [bought(10 * HOUR + number * HOUR * 7, "null", f"i{number % 40}", price=5.0) for number in range(200)]
    assert set(found(nobody[:100] + clean())) == set(), "no more than the busiest shoppers"
    many = [bought(10 * HOUR + number * 600 * SECOND, "null", f"i{number % 40}", price=5.0) for number in range(3_000)]
    warned = found(many + clean())
    assert warned["placeholder shopper ids"].evidence == ("'null': 3,000 events",)
